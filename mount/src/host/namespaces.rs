use std::fs;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What a process sees of the machine (namespaces(7)): file systems and network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Namespaces {
    mounts: PathBuf,
    network: PathBuf,
}

impl Namespaces {
    /// Those of this process.
    ///
    /// # Errors
    /// Where `/proc` does not tell.
    pub(super) fn ours() -> io::Result<Self> {
        Ok(Self { mounts: fs::read_link("/proc/self/ns/mnt")?, network: fs::read_link("/proc/self/ns/net")? })
    }
}
