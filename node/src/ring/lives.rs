use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use artifacts_core::Timestamp;
use artifacts_core::mesh::Incarnation;
use artifacts_core::name::NodeName;
use serde::{Deserialize, Serialize};

use super::RingError;
use crate::random::Entropy;

const FILE: &str = "ring.json";

/// The node's name, and the last generation that it used. Both are on disk before anybody hears of them, so a generation
/// is never used twice even if the clock goes back.
#[derive(Debug)]
pub(super) struct Lives {
    path: PathBuf,
    record: Record,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    node: NodeName,
    generation: u64,
}

impl Lives {
    /// Reads the record, or begins one. A configured name goes before the recorded one.
    pub(super) fn open(data: &Path, configured: Option<&NodeName>, entropy: &dyn Entropy) -> Result<Self, RingError> {
        let path = data.join(FILE);
        let failed = |reason: String| RingError::Lives { path: path.clone(), reason };
        let recorded: Option<Record> = match fs::read(&path) {
            Ok(bytes) => Some(serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error.to_string())),
        };
        let generation = recorded.as_ref().map_or(0, |record| record.generation);
        let node = match configured.cloned().or(recorded.map(|record| record.node)) {
            Some(node) => node,
            None => {
                let mut bits = [0; 8];
                entropy.fill(&mut bits);
                let name = format!("node-{:016x}", u64::from_be_bytes(bits));
                name.parse().map_err(|error: artifacts_core::name::InvalidName| failed(error.to_string()))?
            }
        };
        Ok(Self { path, record: Record { node, generation } })
    }

    pub(super) fn node(&self) -> &NodeName {
        &self.record.node
    }

    /// Begins a life, later than all before and than `above`.
    pub(super) fn next(&mut self, above: u64, now: Timestamp, entropy: &dyn Entropy) -> Result<Incarnation, RingError> {
        let generation = now.unix_ms().max(self.record.generation + 1).max(above + 1);
        let record = Record { node: self.record.node.clone(), generation };
        write(&self.path, &record).map_err(|error| RingError::Lives { path: self.path.clone(), reason: error.to_string() })?;
        self.record = record;
        let mut salt = [0; 16];
        entropy.fill(&mut salt);
        Ok(Incarnation { generation, salt })
    }
}

/// Whole or not at all.
fn write(path: &Path, record: &Record) -> io::Result<()> {
    let draft = path.with_extension("new");
    let mut file = File::create(&draft)?;
    file.write_all(&serde_json::to_vec(record)?)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}
