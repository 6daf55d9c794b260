//! What SlateDB's errors are to a caller of the store.

use slatedb::{CloseReason, Error, ErrorKind};

use crate::store::StoreError;

/// An error of a read, or of what changes nothing.
pub(super) fn of_read(error: Error) -> StoreError {
    match error.kind() {
        ErrorKind::Closed(CloseReason::Clean) => StoreError::Closed,
        ErrorKind::Closed(CloseReason::Fenced) => StoreError::Fenced,
        // A task of the database has failed, which ends it. What was durable is there when it is opened again.
        ErrorKind::Closed(_) => StoreError::unavailable(format!("the database has stopped, restart the node: {error}")),
        ErrorKind::Data => StoreError::Corrupt { reason: error.to_string() },
        _ => StoreError::unavailable(error.to_string()),
    }
}

/// An error of a write: it may have taken effect.
pub(super) fn of_write(error: Error) -> StoreError {
    match of_read(error) {
        // A database that is closed while a write waits for it answers that it is closed, and may have taken the write.
        StoreError::Closed => StoreError::unavailable("the store was closed meanwhile"),
        error => error,
    }
}

/// An error of an opening.
pub(super) fn of_open(error: Error) -> StoreError {
    of_read(error)
}
