//! What every part of a node shares.

use std::sync::Arc;

use artifacts_core::cluster::{Region, Regions};
use artifacts_core::revocation::{Feed, RevocationRegister};
use artifacts_core::ticket::{KeyRing, VerifyingKeys};
use parking_lot::{Mutex, RwLock};

use crate::abroad::SharedAbroad;
use crate::audit::Trail;
use crate::blob::BlobStore;
use crate::catalog::Catalog;
use crate::config::NodeConfig;
use crate::encryption::DataKeys;
use crate::random::SharedEntropy;
use crate::store::Store;
use crate::time::SharedClock;
use crate::workspace::SegmentHomes;

/// The seams to the outside and the state that all actors read.
pub struct Context {
    /// What the operator decided.
    pub config: NodeConfig,
    /// The time.
    pub clock: SharedClock,
    /// Randomness.
    pub entropy: SharedEntropy,
    /// Everything durable but blobs.
    pub store: Arc<dyn Store>,
    /// Data segments.
    pub blobs: Arc<dyn BlobStore>,
    /// The keys of encrypted workspaces. `store` and `blobs` seal with them.
    pub data_keys: Arc<DataKeys>,
    /// Where segments are that forks have of others.
    pub homes: SegmentHomes,
    /// Typed access to the control plane's records.
    pub catalog: Catalog,
    /// The keys that sign tickets and revocations; one ring for the whole node.
    pub key_ring: Arc<RwLock<KeyRing>>,
    /// All revocations that may still matter and are known to the node, whoever made them.
    pub revocations: Arc<RwLock<RevocationRegister>>,
    /// Those of the accounts in `store`, in order, for nodes that follow them.
    pub log: Mutex<Feed>,
    /// The audit trails of the accounts in `store`.
    pub audit: Trail,
    /// The hash of the admin token, once it is known.
    pub admin_token_hash: Arc<RwLock<Option<[u8; 32]>>>,
    /// What tickets tell agents to connect to.
    pub endpoints: Arc<RwLock<Vec<String>>>,
    /// Those of other nodes among them.
    pub peers: Arc<RwLock<Vec<String>>>,
    /// The regions of the cluster, and which of them this is.
    pub regions: Regions,
    /// What is known of the others.
    pub abroad: SharedAbroad,
    /// Whether what concerns the whole region (signing keys, the admin token) lies in `store`.
    pub is_home: bool,
}

/// A shared context.
pub type SharedContext = Arc<Context>;

impl Context {
    /// The keys whose signatures count now.
    pub fn verifying_keys(&self) -> VerifyingKeys {
        self.key_ring.read().verifying_keys()
    }

    /// Where a ticket tells agents to connect to for a workspace that lives here, or in another region.
    pub(crate) fn endpoints_for(&self, region: Option<&Region>) -> Vec<String> {
        let mut endpoints = region.map_or_else(Vec::new, |region| self.abroad.read().endpoints(region).to_vec());
        endpoints.extend_from_slice(&self.endpoints.read());
        endpoints
    }
}
