//! The ordered key-value store in which everything durable of a control node lives, except file data (see
//! [`crate::blob`]).
//!
//! A [`Store`] maps keys to values, both byte strings, and iterates in the order of the keys. Layout of keys is not
//! its business: whoever writes a family of keys gives it a prefix of its own. Only which shard a key lies in is told by
//! [`shard_of`]. What always holds:
//!
//! - **A batch is atomic.** No reader and no crash ever shows a part of one. Within a batch the later entry for a key
//!   wins.
//! - **A write is visible when it returns.** Every `get` and `scan` that starts afterwards sees it.
//! - **Durability is a prefix.** A write that returned from [`Durability::Durable`] survives `kill -9` and the loss of
//!   power, and so does every write that had returned before it was called. An empty durable batch is therefore a
//!   barrier. A write of [`Durability::Visible`] becomes durable by itself within 500 ms; a crash before that loses it
//!   together with everything written after it, never something in the middle.
//! - **Shards.** Where keys are spread over shards ([`Store::shards`]), a batch lies in one of them and is refused if it does
//!   not, and durability is a prefix within each; an empty durable batch is a barrier for all.
//! - **Calls in flight are not ordered.** Of two concurrent writes either may come first; whoever needs an order awaits
//!   the first before calling the second. A write whose future is dropped may or may not take effect.
//! - **One `scan` is a snapshot**: it shows each batch wholly or not at all. Two pages of a longer scan may have writes
//!   between them.
//! - **An error of a write is ambiguous** unless its variant says otherwise: the write may have taken effect. Writers
//!   make retries harmless (a batch that says what is, not what changes).
//!
//! The callers are the actors, each the only writer of its keys, so the store needs no transactions. There are three
//! that keep something, [`SledStore`] on disk, [`SlateStore`] on an object store and [`MemoryStore`] which models crashes, and two
//! over others: [`ShardedStore`], and [`FaultyStore`] which fails on request. One conformance suite runs over all of them.

mod batch;
mod error;
pub mod fault;
mod faulty;
mod faulty_objects;
mod journal;
mod key_range;
mod lock;
mod memory;
mod placement;
mod sharded;
mod slate;
mod sled;

#[cfg(test)]
pub(crate) mod tests;

use artifacts_core::cluster::{Shard, ShardMap};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};

pub use self::batch::{Batch, Durability, MAX_KEY_BYTES, MAX_VALUE_BYTES};
pub use self::error::StoreError;
pub use self::faulty::{FaultyStore, StoreOp};
pub use self::faulty_objects::{FaultyObjects, ObjectOp};
pub use self::key_range::KeyRange;
pub(crate) use self::lock::DirectoryLock;
pub use self::memory::MemoryStore;
pub use self::placement::shard_of;
pub use self::sharded::ShardedStore;
pub use self::slate::{BlockCache, LOOK_AT_NEXT_WITHIN, Limits as SlateLimits, Look, SlateStore};
pub use self::sled::{DEFAULT_CACHE_BYTES, SledStore};

/// Ordered keys, range scans and atomic batches; the module says what always holds.
pub trait Store: Send + Sync + 'static {
    /// Reads the value of one key, or `None` when the key is absent.
    fn get(&self, key: &[u8]) -> BoxFuture<'_, Result<Option<Bytes>, StoreError>>;

    /// Reads up to `limit` pairs of a range in ascending order of their keys. Fewer than `limit` pairs mean that the
    /// range has no more; [`KeyRange::after`] continues a page that was full. Keep pages small (about a thousand):
    /// writes wait while one is read.
    fn scan(&self, range: KeyRange, limit: usize) -> BoxFuture<'_, Result<Vec<(Bytes, Bytes)>, StoreError>>;

    /// Applies a batch atomically; on return it is visible, and durable if asked.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] and [`StoreError::Full`] say that nothing was written; after any other error the batch
    /// may or may not have taken effect.
    fn write(&self, batch: Batch, durability: Durability) -> BoxFuture<'_, Result<(), StoreError>>;

    /// How keys are spread over shards, which have batches and owners of their own. All keys of a batch lie in one
    /// shard, see [`shard_of`].
    fn shards(&self) -> ShardMap {
        ShardMap::SINGLE
    }

    /// Whether what is known of `shard` may be told now without asking the store: whether this process owns it, and has a
    /// fresh proof of that.
    fn holds(&self, _shard: Shard) -> bool {
        true
    }

    /// Gets such a proof if there is none. What was decided before a call that succeeds may be told.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when another process owns the shard, [`StoreError::Unavailable`] when that cannot be told.
    fn vouch(&self, _shard: Shard) -> BoxFuture<'_, Result<(), StoreError>> {
        ready(Ok(())).boxed()
    }

    /// Whether the proof has run out and a new one is asked for in vain: another process may own the shard by now.
    fn is_doubtful(&self, _shard: Shard) -> bool {
        false
    }

    /// Makes everything durable and lets go of the underlying resources; every later call answers
    /// [`StoreError::Closed`]. Closing twice is allowed.
    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}
