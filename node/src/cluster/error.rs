use std::path::PathBuf;

use crate::store::StoreError;

/// Why a node does not take part in a cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The bucket cannot be used as it is configured; the reason says what to change.
    #[error("the cluster has no place: {reason}")]
    Unusable {
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The directory that stands for a bucket cannot be used.
    #[error("cannot use the cluster's directory {path}: {source}")]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The object store.
    #[error("the bucket of the cluster does not answer ({0}); check its address and credentials, then start the node again")]
    Objects(#[from] object_store::Error),
    /// What is in the bucket is not understood.
    #[error("the record of the cluster in the bucket cannot be read: {0}")]
    Record(String),
    /// A shard.
    #[error(transparent)]
    Store(#[from] StoreError),
}
