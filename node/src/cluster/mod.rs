//! A node's part in a cluster: the bucket in which everything durable lies, the shards that it is spread over, and the
//! proof that this node is the owner of those it answers for. What is decided here is decided by
//! [`artifacts_core::cluster`]; the note is `docs/design/0011-shards.md`.

mod bucket;
mod config;
mod error;
mod measured_objects;
mod owned_store;
mod record;
mod shards;

pub use bucket::Bucket;
pub use config::ClusterConfig;
pub use error::ClusterError;
pub use owned_store::{OwnedStore, OwnerRules};
pub use record::{ClusterRecord, RecordedRegions};
pub use shards::Shards;
