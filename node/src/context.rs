//! What every part of a node shares.

use std::sync::Arc;

use artifacts_core::revocation::RevocationRegister;
use artifacts_core::ticket::{KeyRing, VerifyingKeys};
use parking_lot::RwLock;

use crate::blob::BlobStore;
use crate::catalog::Catalog;
use crate::config::NodeConfig;
use crate::random::SharedEntropy;
use crate::store::Store;
use crate::time::SharedClock;

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
    /// Typed access to the control plane's records.
    pub catalog: Catalog,
    /// The keys that sign tickets and revocations.
    pub key_ring: RwLock<KeyRing>,
    /// All revocations that may still matter.
    pub revocations: RwLock<RevocationRegister>,
    /// What tickets tell agents to connect to.
    pub endpoints: Vec<String>,
}

/// A shared context.
pub type SharedContext = Arc<Context>;

impl Context {
    /// The keys whose signatures count now.
    pub fn verifying_keys(&self) -> VerifyingKeys {
        self.key_ring.read().verifying_keys()
    }
}
