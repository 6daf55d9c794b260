use artifacts_core::namespace::Errno;

use crate::blob::BlobError;
use crate::store::StoreError;
use crate::workspace::VisitError;

/// Why a file was not got, put, moved or removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// The system call would fail like this.
    #[error("{0}")]
    Refused(Errno),
    /// What the caller made a condition does not hold.
    #[error("the file is not in the state that the condition names")]
    Unmet,
    /// The file has changed while it was read.
    #[error("the file has changed while it was sent; get it again")]
    Changed,
    /// It is longer than can be put at once.
    #[error("the file is too long")]
    TooLong,
    /// Whoever sends it has stopped in the middle.
    #[error("the body ended early: {0}")]
    CutOff(axum::Error),
    /// The right by which it was asked for is over.
    #[error("the credential does not count any more")]
    Revoked,
    /// A block does not match its checksum.
    #[error("data is damaged")]
    Damaged,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The object store.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

impl From<VisitError> for FileError {
    fn from(error: VisitError) -> Self {
        match error {
            VisitError::Refused(errno) => Self::Refused(errno),
            VisitError::Unmet => Self::Unmet,
            VisitError::Store(error) => Self::Store(error),
        }
    }
}
