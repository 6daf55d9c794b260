//! Encryption at rest: each workspace has a key of its own, wrapped by a key of the cluster.
//!
//! What programs have written, that is, the bytes of files and extended attributes, leaves the node's memory only sealed: as
//! segments ([`SealedBlobs`]) and as rows of the metadata store ([`SealedStore`]). Everything above these two seams sees plain
//! bytes, everything below them, be it a disk, a bucket, a backup or an export, has none. Always true:
//!
//! - **A workspace is sealed from its making on, or never.** Its wrapped key is among its own rows, so deleting the workspace
//!   destroys the key, and with it whatever copies of its data there are, once the store has dropped the deleted row.
//! - **No nonce is used twice with one key.** That of a row is random (24 bytes). Each segment has a key of its own, derived from the
//!   workspace's, and a chunk's nonce there is its number: a segment is put once and never changes, and its id is drawn from 128 bits and
//!   never used again. The same bytes put again under the same id give the same ciphertext, so a put can still be repeated and compared.
//! - **What is sealed opens in its place alone**: rows are bound to their key, chunks to their workspace, segment and number, and the last
//!   to being the last.
//! - **How a workspace is sealed is wrapped with its key**, so it is chosen once, nobody can change it, and workspaces of earlier versions
//!   stay readable ([`DataKey`]).
//! - **Without the cluster's key nothing starts, and nothing is served in the clear**: a node that has none, or another one, says so.
//!
//! Names, sizes, times, owners, symbolic links and the shape of the tree are not sealed.

mod cluster_keys;
mod data_key;
mod data_keys;
mod sealed_blobs;
mod sealed_segment;
mod sealed_store;
mod segment_cipher;

#[cfg(test)]
mod tests;

pub use cluster_keys::{ClusterKeys, EncryptionConfig, EncryptionError};
pub use data_key::DataKey;
pub use data_keys::DataKeys;
pub use sealed_blobs::SealedBlobs;
pub use sealed_store::SealedStore;
use segment_cipher::SegmentCipher;
