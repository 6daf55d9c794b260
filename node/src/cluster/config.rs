use std::path::PathBuf;

use artifacts_core::cluster::DEFAULT_OWNERSHIP_TTL_MS;
use serde::{Deserialize, Serialize};

/// How a node takes part in a cluster. Counts where the node's store is `slate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterConfig {
    /// Keeps everything in this directory instead of a bucket; for one node, with segments in a directory too.
    pub directory: Option<PathBuf>,
    /// How many shards a new cluster gets. One that exists has as many as it was made with.
    pub shards: u16,
    /// How long an owner of a shard acts on a proof of its ownership, in milliseconds.
    pub ownership_ttl_ms: u64,
    /// How much of what is written one shard may keep in memory only before writes wait, in bytes.
    pub unflushed_bytes_per_shard: u64,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self { directory: None, shards: 16, ownership_ttl_ms: DEFAULT_OWNERSHIP_TTL_MS, unflushed_bytes_per_shard: 16 << 20 }
    }
}
