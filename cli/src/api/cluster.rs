//! The cluster as the API shows it to an operator.

use artifacts_core::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Fields of a later version, so that `--format json` prints all that the node said.
type Rest = Map<String, Value>;

/// A key that is going to sign tickets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SigningKey {
    /// Its name.
    pub(crate) kid: String,
    /// From when it signs.
    pub(crate) signs_from: Timestamp,
    #[serde(flatten)]
    rest: Rest,
}

/// The cluster as one node knows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ClusterStatus {
    /// Its name; absent when the node is alone.
    pub(crate) cluster: Option<String>,
    /// The node that answered.
    pub(crate) node: Option<String>,
    /// The names of the ring's keys.
    pub(crate) ring_keys: Vec<String>,
    /// All nodes that are known.
    pub(crate) members: Vec<ClusterMember>,
    /// All regions; a node of an earlier version does not say.
    #[serde(default)]
    pub(crate) regions: Vec<ClusterRegion>,
    /// Who should own which shard.
    pub(crate) shards: Vec<ClusterShard>,
    #[serde(flatten)]
    rest: Rest,
}

/// One node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ClusterMember {
    /// Its name.
    pub(crate) name: String,
    /// Its current life.
    pub(crate) generation: u64,
    /// Whether it is heard.
    pub(crate) live: bool,
    /// `joining`, `serving`, `stranded` or `leaving`.
    pub(crate) phase: Option<String>,
    /// Its region.
    pub(crate) region: Option<String>,
    /// The version of its program.
    pub(crate) release: Option<String>,
    /// The versions of the session protocol that it speaks.
    pub(crate) protocol: Option<ProtocolRange>,
    /// Where other nodes reach it.
    pub(crate) api: Option<String>,
    /// How old is what the asked node knows of it.
    #[serde(default)]
    pub(crate) heard_ms: Option<u64>,
    /// How many nodes it counts as alive itself.
    pub(crate) sees: Option<usize>,
    /// Why it does not answer, or what is wrong with it.
    pub(crate) problem: Option<String>,
    #[serde(flatten)]
    rest: Rest,
}

/// One region.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ClusterRegion {
    /// Its name.
    pub(crate) name: String,
    /// How many of its nodes are heard.
    pub(crate) live: usize,
    /// Whether it keeps the handles of all accounts.
    pub(crate) first: bool,
    #[serde(flatten)]
    rest: Rest,
}

/// Both ends included.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ProtocolRange {
    /// Oldest.
    pub(crate) min: u16,
    /// Newest.
    pub(crate) max: u16,
}

/// One shard of one region.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ClusterShard {
    /// The region.
    pub(crate) region: String,
    /// Which shard.
    pub(crate) shard: u16,
    /// Who should own it.
    pub(crate) suggested_owner: Option<String>,
    /// The nodes that have it in hand.
    #[serde(default)]
    pub(crate) units: Vec<ShardUnit>,
    /// The nodes that follow what is revoked in its accounts.
    #[serde(default)]
    pub(crate) followers: Vec<Follower>,
    #[serde(flatten)]
    rest: Rest,
}

/// How far behind a node is with what is revoked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Follower {
    /// The node.
    pub(crate) node: String,
    /// How old what it knows is; absent before it has read all of it.
    pub(crate) age_ms: Option<u64>,
    #[serde(flatten)]
    rest: Rest,
}

/// Where a node is with a shard.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ShardUnit {
    /// The node.
    pub(crate) node: String,
    /// `due`, `opening`, `serving`, `closing`, or `stranded`: the node has it and does not reach the bucket.
    pub(crate) state: String,
    /// Which opening of the shard this is.
    pub(crate) epoch: Option<u64>,
    /// How many commits are not durable yet.
    #[serde(default)]
    pub(crate) unflushed: Option<u64>,
    #[serde(flatten)]
    rest: Rest,
}
