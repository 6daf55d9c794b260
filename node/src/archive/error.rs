use std::io;

use crate::blob::BlobError;
use crate::node::NodeError;
use crate::store::StoreError;

/// Why a node's data was not exported or imported.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file.
    #[error("the file: {0}")]
    File(#[from] io::Error),
    /// What is in the file cannot be used.
    #[error("the file is damaged or not complete: {0}")]
    Damaged(String),
    /// The import does not fit where it is to go.
    #[error("{0}")]
    Unfit(String),
    /// What is configured cannot be opened.
    #[error(transparent)]
    Node(#[from] Box<NodeError>),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The segments.
    #[error(transparent)]
    Blobs(#[from] BlobError),
}

impl From<NodeError> for ArchiveError {
    fn from(error: NodeError) -> Self {
        Self::Node(Box::new(error))
    }
}
