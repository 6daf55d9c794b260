//! Immutable objects: the segments that hold the data of files.
//!
//! A [`BlobStore`] keeps byte strings under keys. What always holds:
//!
//! - **An object never changes.** It is put once and whole; nobody sees a part of it. Putting identical content under the
//!   same key again succeeds, so a put may be retried; other content is refused with [`BlobError::AlreadyExists`].
//! - **A put is durable when it returns**: it survives `kill -9` and the loss of power, its name included.
//! - **A delete is durable when it returns**, and deleting what is not there succeeds.
//! - **Listing is in the byte order of the keys**, each object that exists throughout appears once, and `after` resumes.
//! - **An error is ambiguous** unless its variant says otherwise: the object may have been put or deleted. Try again.
//!
//! The store knows nothing of who may read what, of checksums or of encryption; the bytes come back as they went in or
//! not at all. There are four implementations: [`DirectoryBlobs`] on the local disk, [`S3Blobs`] in a bucket,
//! [`MemoryBlobs`], and [`FaultyBlobs`] which wraps any other and fails on request. One conformance suite runs over all of them.

mod config;
mod directory;
mod error;
mod faulty;
pub(crate) mod home;
mod key;
mod memory;
mod s3;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::time::Duration;

use artifacts_core::protocol::DirectUrl;
use bytes::Bytes;
use futures_util::future::BoxFuture;

pub use self::config::BlobsConfig;
pub use self::directory::DirectoryBlobs;
pub use self::error::BlobError;
pub use self::faulty::{BlobOp, FaultyBlobs};
pub use self::key::{BlobKey, InvalidBlobKey};
pub use self::memory::MemoryBlobs;
pub(crate) use self::s3::settings as s3_settings;
pub use self::s3::{S3Blobs, S3Config};

/// Immutable objects under keys; the module says what always holds.
pub trait BlobStore: Send + Sync + 'static {
    /// Creates an object; on return it is durable.
    ///
    /// # Errors
    /// [`BlobError::AlreadyExists`] when the key has other content, [`BlobError::Full`] when there is no room for it.
    fn put(&self, key: &BlobKey, data: Bytes) -> BoxFuture<'_, Result<(), BlobError>>;

    /// Reads the bytes of `range`, all of them.
    ///
    /// # Errors
    /// [`BlobError::NotFound`] without such an object, [`BlobError::OutOfRange`] when the range does not lie within it.
    fn get(&self, key: &BlobKey, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, BlobError>>;

    /// The size of an object in bytes, or `None` when there is none.
    fn len(&self, key: &BlobKey) -> BoxFuture<'_, Result<Option<u64>, BlobError>>;

    /// Removes an object, if there is one.
    fn delete(&self, key: &BlobKey) -> BoxFuture<'_, Result<(), BlobError>>;

    /// Lists up to `limit` keys that begin with the text `prefix` and come after `after`, in their byte order. Fewer than
    /// `limit` mean that there are no more.
    fn list(&self, prefix: &str, after: Option<&BlobKey>, limit: usize) -> BoxFuture<'_, Result<Vec<BlobKey>, BlobError>>;

    /// A request that somebody else may make for this object, without a credential of their own, until `valid_for` is
    /// over; `None` from a store that only this process reaches. It says nothing about whether the object exists.
    fn direct_url(&self, key: &BlobKey, op: DirectOp, valid_for: Duration) -> BoxFuture<'_, Result<Option<DirectUrl>, BlobError>> {
        let _ = (key, op, valid_for);
        Box::pin(std::future::ready(Ok(None)))
    }
}

/// What a [`DirectUrl`] is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectOp {
    /// To read the object or ranges of it.
    Get,
    /// To create it, with exactly so many bytes.
    Put {
        /// How many.
        len_bytes: u64,
    },
}

/// Whether an answer to a read is as long as what was asked for. Anything else is a broken answer, never data.
///
/// # Errors
/// [`BlobError::Unavailable`].
pub(crate) fn whole(data: Bytes, range: &Range<u64>) -> Result<Bytes, BlobError> {
    let wanted = range.end.saturating_sub(range.start);
    if data.len() as u64 == wanted {
        return Ok(data);
    }
    Err(BlobError::unavailable(format!("{} bytes came of the {wanted} asked for", data.len())))
}
