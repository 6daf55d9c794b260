use std::net::SocketAddr;
use std::path::PathBuf;

use artifacts_core::mesh::MeshKeys;
use artifacts_core::name::NodeName;
use serde::{Deserialize, Serialize};

use super::RingError;

/// Where the ring's keys are if no file is configured.
const KEY_VARIABLE: &str = "ARTIFACTS_RING_KEY";
const CLUSTER_NAME_MAX_BYTES: usize = 64;

/// How a node finds the others. Without it a node is alone.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RingConfig {
    /// The cluster's name; the same on all nodes. Nodes of clusters with other names are strangers.
    pub name: String,
    /// This node's name, unlike all others; absent: one is drawn at the first start and kept in the data directory.
    pub node: Option<NodeName>,
    /// Where to receive datagrams of gossip (UDP).
    pub listen: SocketAddr,
    /// Where others reach that; absent: `listen`, which then must not be a wildcard.
    pub advertise: Option<SocketAddr>,
    /// Nodes to find the others through, `host:port` each. Best all of them, the same list on each; a node ignores itself.
    pub seeds: Vec<String>,
    /// All regions of the cluster, the first of which keeps the handles; the same list on all nodes. Empty: there is one.
    pub regions: Vec<String>,
    /// A file with the ring's keys: 32 bytes in base64 a line, the one to seal with first. Absent: the environment variable
    /// ARTIFACTS_RING_KEY has them.
    pub key_file: Option<PathBuf>,
    /// Where other nodes reach this node's HTTP; absent: the listening address.
    pub api: Option<String>,
    /// How often nodes gossip, in milliseconds.
    pub gossip_interval_ms: u64,
    /// How long a node may be silent before the others take over its work, in milliseconds.
    pub suspect_after_ms: u64,
}

impl Default for RingConfig {
    fn default() -> Self {
        Self {
            name: "artifacts".to_owned(),
            node: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 7701)),
            advertise: None,
            seeds: Vec::new(),
            regions: Vec::new(),
            key_file: None,
            api: None,
            gossip_interval_ms: 200,
            suspect_after_ms: 1_500,
        }
    }
}

impl RingConfig {
    /// Refuses what contradicts itself.
    pub(super) fn check(&self) -> Result<(), RingError> {
        let wrong = |message: &str| Err(RingError::Config(message.to_owned()));
        if self.name.is_empty() || self.name.len() > CLUSTER_NAME_MAX_BYTES {
            return wrong("ring.name has 1 to 64 bytes");
        }
        if !(20..=5_000).contains(&self.gossip_interval_ms) {
            return wrong("ring.gossip_interval_ms is from 20 to 5000");
        }
        if self.suspect_after_ms < 5 * self.gossip_interval_ms {
            return wrong("ring.suspect_after_ms is at least five gossip intervals, or a few lost datagrams move everything");
        }
        if self.advertise.unwrap_or(self.listen).ip().is_unspecified() {
            return wrong("ring.listen is a wildcard; set ring.advertise to the address at which others reach this node");
        }
        Ok(())
    }

    /// The ring's keys, from the file or the environment.
    pub(super) fn keys(&self) -> Result<MeshKeys, RingError> {
        let (place, text) = match &self.key_file {
            Some(path) => (path.display().to_string(), std::fs::read_to_string(path).map_err(|error| error.to_string())),
            None => (KEY_VARIABLE.to_owned(), std::env::var(KEY_VARIABLE).map_err(|error| error.to_string())),
        };
        let keys = text.and_then(|text| MeshKeys::parse(&text).map_err(|error| error.to_string()));
        keys.map_err(|reason| RingError::Keys { place, reason })
    }
}
