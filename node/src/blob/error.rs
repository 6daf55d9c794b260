//! Why a blob store did not do what it was asked; coarse, and each message says what to do.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::BlobKey;

/// An error of a [`super::BlobStore`].
#[derive(Debug, Clone, thiserror::Error)]
pub enum BlobError {
    /// There is no such object.
    #[error("there is no object {key}")]
    NotFound {
        /// The key asked for.
        key: BlobKey,
    },
    /// The key is taken by other content. Nothing was written.
    #[error("the object {key} exists with other content; objects never change, choose another key")]
    AlreadyExists {
        /// The key that is taken.
        key: BlobKey,
    },
    /// The object is shorter than the range asked for, or the range runs backwards.
    #[error("the range does not lie within the {len_bytes} bytes of the object {key}")]
    OutOfRange {
        /// The key asked for.
        key: BlobKey,
        /// The size of the object.
        len_bytes: u64,
    },
    /// There is no room. Nothing was written.
    #[error("no room for the object ({reason}); free some space and try again")]
    Full {
        /// What is known of the cause.
        reason: String,
    },
    /// Another process holds the directory.
    #[error("another node is using this blob directory ({}); stop it or choose another", directory.display())]
    Locked {
        /// The directory.
        directory: PathBuf,
    },
    /// It cannot be used as it is configured; the reason says what to change.
    #[error("the segments have no place: {reason}")]
    Unusable {
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The store did not answer. What was asked for may have been done.
    #[error("the blob store is unavailable ({reason}); try again, it may already have been done")]
    Unavailable {
        /// What is known of the cause.
        reason: String,
    },
    /// The disk failed or refused; what was asked for may have been done.
    #[error("the disk failed under the blob store ({0}); check the disk, then try again")]
    Io(#[source] Arc<io::Error>),
}

impl BlobError {
    pub(crate) fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable { reason: reason.into() }
    }
}

/// Sorts an error of the file system: no room is the user's to repair, the rest is the disk's.
impl From<io::Error> for BlobError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { reason: error.to_string() },
            _ => Self::Io(Arc::new(error)),
        }
    }
}
