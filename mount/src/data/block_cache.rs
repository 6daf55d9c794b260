use std::hash::RandomState;

use bytes::Bytes;
use parking_lot::RwLock;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use super::BlockId;

/// How long a block is on the average, for the tables behind the cache only.
const USUAL_BLOCK_BYTES: usize = 64 << 10;
/// The part of the cache for blocks that were used more than once. The rest is for newcomers: blocks that were read
/// ahead must still be there when their reader comes.
const FOR_FAVOURITES: f64 = 0.5;

/// Blocks in memory. Holds at most its bound; a block that is used again stays longer than one that passes by once, so
/// a large sequential read does not sweep everything else out. Never waits for anything but its own short locks.
#[derive(Debug)]
pub(crate) struct BlockCache {
    max_bytes: usize,
    /// `None` once it is closed, or when it was made without room.
    blocks: RwLock<Option<Blocks>>,
}

type Blocks = Cache<BlockId, Bytes, ByLength, RandomState, DefaultLifecycle<BlockId, Bytes>>;

#[derive(Debug, Clone)]
struct ByLength;

impl Weighter<BlockId, Bytes> for ByLength {
    fn weight(&self, _: &BlockId, bytes: &Bytes) -> u64 {
        bytes.len() as u64
    }
}

impl BlockCache {
    /// An empty cache of this size.
    pub(crate) fn new(max_bytes: usize) -> Self {
        // One shard: a shard of several would be too small for the largest blocks.
        let options = OptionsBuilder::new()
            .shards(1)
            .estimated_items_capacity((max_bytes / USUAL_BLOCK_BYTES).max(1))
            .weight_capacity(max_bytes as u64)
            .hot_allocation(FOR_FAVOURITES)
            .build();
        let blocks = options.ok().filter(|_| max_bytes > 0);
        let blocks = blocks.map(|options| Cache::with_options(options, ByLength, RandomState::new(), DefaultLifecycle::default()));
        Self { max_bytes, blocks: RwLock::new(blocks) }
    }

    /// The block, which counts as used now.
    pub(crate) fn get(&self, id: &BlockId) -> Option<Bytes> {
        self.blocks.read().as_ref()?.get(id)
    }

    /// Keeps a block, which must not be a slice of a larger buffer: that would stay in memory as a whole.
    pub(crate) fn put(&self, id: BlockId, bytes: Bytes) {
        if let Some(blocks) = &*self.blocks.read() {
            blocks.insert(id, bytes);
        }
    }

    /// Forgets everything and takes nothing any more.
    pub(crate) fn close(&self) {
        *self.blocks.write() = None;
    }

    /// How much it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.blocks.read().as_ref().map_or(0, Cache::weight) as usize
    }

    /// How much it may hold.
    pub(crate) fn max_bytes(&self) -> usize {
        self.max_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(offset: u32) -> BlockId {
        BlockId::unchecked(1, offset, 4)
    }

    #[test]
    fn the_bound_holds_and_what_is_used_again_survives_a_scan() {
        let cache = BlockCache::new(100 * 1024);
        let block = Bytes::from(vec![1; 1024]);
        for favourite in 0..20 {
            cache.put(id(favourite), block.clone());
        }
        for _ in 0..3 {
            assert!((0..20).all(|favourite| cache.get(&id(favourite)).is_some()));
        }
        for passing in 100..1_000 {
            cache.put(id(passing), block.clone());
            assert!(cache.bytes() <= 100 * 1024);
        }
        let kept = (0..20).filter(|favourite| cache.get(&id(*favourite)).is_some()).count();
        assert!(kept >= 15, "{kept} of 20 are left");
    }

    #[test]
    fn blocks_that_were_read_ahead_wait_for_their_reader_in_a_cache_full_of_favourites() {
        const MIB: usize = 1 << 20;
        let cache = BlockCache::new(32 * MIB);
        for favourite in (0..32).cycle().take(128) {
            if cache.get(&id(favourite)).is_none() {
                cache.put(id(favourite), Bytes::from(vec![1; MIB]));
            }
        }
        for ahead in 100..108 {
            cache.put(id(ahead), Bytes::from(vec![2; MIB]));
        }
        assert!((100..108).all(|ahead| cache.get(&id(ahead)).is_some()));
    }

    #[test]
    fn what_is_too_large_or_comes_too_late_is_not_kept() {
        let cache = BlockCache::new(10);
        cache.put(id(1), Bytes::from_static(b"more than ten bytes"));
        assert!(cache.get(&id(1)).is_none());
        cache.put(id(2), Bytes::from_static(b"abcd"));
        assert_eq!((cache.bytes(), cache.max_bytes()), (4, 10));
        cache.close();
        cache.put(id(2), Bytes::from_static(b"abcd"));
        assert!(cache.get(&id(2)).is_none());
        assert_eq!(cache.bytes(), 0);
        let none = BlockCache::new(0);
        none.put(id(1), Bytes::new());
        assert!(none.get(&id(1)).is_none());
    }
}
