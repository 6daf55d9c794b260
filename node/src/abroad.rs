use std::collections::BTreeMap;
use std::sync::Arc;

use artifacts_core::cluster::{Region, ShardMap};
use artifacts_core::ticket::{Jwks, VerifyingKeys};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use crate::random::secret_matches;

/// What every node of a cluster may know of a region's keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RegionKeys {
    /// The public halves of those that sign tickets.
    pub jwks: Jwks,
    /// The hash of its admin token.
    pub admin_token_hash: [u8; 32],
}

/// What a node knows of the other regions of its cluster. It forgets nothing when one of them is lost.
#[derive(Debug, Default)]
pub struct Abroad {
    keys: BTreeMap<Region, RegionKeys>,
    endpoints: BTreeMap<Region, Vec<String>>,
    maps: BTreeMap<Region, ShardMap>,
}

/// A node's one and only.
pub type SharedAbroad = Arc<RwLock<Abroad>>;

impl Abroad {
    /// A region has told its keys.
    pub(crate) fn learn_keys(&mut self, region: Region, keys: RegionKeys) {
        self.keys.insert(region, keys);
    }

    /// The ring tells of a region's nodes; without any, what was known stays.
    pub(crate) fn learn_nodes(&mut self, region: &Region, endpoints: Vec<String>, map: Option<ShardMap>) {
        if !endpoints.is_empty() {
            self.endpoints.insert(region.clone(), endpoints);
        }
        if let Some(map) = map {
            self.maps.insert(region.clone(), map);
        }
    }

    /// Where agents reach the nodes of a region.
    pub(crate) fn endpoints(&self, region: &Region) -> &[String] {
        self.endpoints.get(region).map_or(&[], Vec::as_slice)
    }

    /// Which shard of a region a thing lies in.
    pub(crate) fn map(&self, region: &Region) -> Option<ShardMap> {
        self.maps.get(region).copied()
    }

    /// Whether this is the admin token of one of them, each compared in constant time.
    pub(crate) fn is_admin_token(&self, token: &str) -> bool {
        self.keys.values().any(|keys| secret_matches(token, &keys.admin_token_hash))
    }

    /// The keys whose signatures count in a region.
    pub(crate) fn verifying_keys(&self, region: &Region) -> Option<VerifyingKeys> {
        self.keys.get(region).map(|keys| keys.jwks.verifying_keys())
    }

    /// The published keys of all of them.
    pub(crate) fn jwks(&self) -> Jwks {
        Jwks { keys: self.keys.values().flat_map(|keys| keys.jwks.keys.iter().cloned()).collect() }
    }
}
