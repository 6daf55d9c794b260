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
//! not at all. There are three implementations: [`DirectoryBlobs`] on the local disk, [`MemoryBlobs`], and
//! [`FaultyBlobs`] which wraps any other and fails on request. One conformance suite runs over all of them.

mod directory;
mod error;
mod faulty;
mod key;
mod memory;

#[cfg(test)]
mod tests;

use std::ops::Range;

use bytes::Bytes;
use futures_util::future::BoxFuture;

pub use self::directory::DirectoryBlobs;
pub use self::error::BlobError;
pub use self::faulty::{BlobOp, FaultyBlobs};
pub use self::key::{BlobKey, InvalidBlobKey};
pub use self::memory::MemoryBlobs;

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
}
