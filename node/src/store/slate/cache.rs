use std::hash::RandomState;

use async_trait::async_trait;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};
use slatedb::Error;
use slatedb::db_cache::{CachedEntry, CachedKey, DbCache};

/// How long a block is on the average, for the tables behind the cache only.
const USUAL_BLOCK_BYTES: usize = 4 << 10;
/// What an entry takes besides its content, in bytes.
const OVERHEAD_BYTES: usize = 96;

type Blocks = Cache<CachedKey, CachedEntry, BySize, RandomState, DefaultLifecycle<CachedKey, CachedEntry>>;

/// Blocks, indexes and filters of tables in memory, for all databases of a node together. Holds at most its bound.
pub struct BlockCache {
    /// `None` when it was made without room.
    blocks: Option<Blocks>,
}

#[derive(Clone)]
struct BySize;

impl Weighter<CachedKey, CachedEntry> for BySize {
    fn weight(&self, _: &CachedKey, entry: &CachedEntry) -> u64 {
        (entry.size() + OVERHEAD_BYTES) as u64
    }
}

impl BlockCache {
    /// An empty cache of this size.
    pub fn new(max_bytes: u64) -> Self {
        let items = usize::try_from(max_bytes).unwrap_or(usize::MAX) / USUAL_BLOCK_BYTES;
        let options = OptionsBuilder::new().shards(4).estimated_items_capacity(items.max(1)).weight_capacity(max_bytes).build();
        let options = options.ok().filter(|_| max_bytes > 0);
        Self { blocks: options.map(|options| Cache::with_options(options, BySize, RandomState::new(), DefaultLifecycle::default())) }
    }

    fn find(&self, key: &CachedKey) -> Option<CachedEntry> {
        self.blocks.as_ref()?.get(key)
    }

    /// How much it holds, in bytes.
    pub fn bytes(&self) -> u64 {
        self.blocks.as_ref().map_or(0, Cache::weight)
    }
}

#[async_trait]
impl DbCache for BlockCache {
    async fn get_block(&self, key: &CachedKey) -> Result<Option<CachedEntry>, Error> {
        Ok(self.find(key))
    }

    async fn get_index(&self, key: &CachedKey) -> Result<Option<CachedEntry>, Error> {
        Ok(self.find(key))
    }

    async fn get_filter(&self, key: &CachedKey) -> Result<Option<CachedEntry>, Error> {
        Ok(self.find(key))
    }

    async fn get_stats(&self, key: &CachedKey) -> Result<Option<CachedEntry>, Error> {
        Ok(self.find(key))
    }

    async fn insert(&self, key: CachedKey, value: CachedEntry) {
        if let Some(blocks) = &self.blocks {
            blocks.insert(key, value);
        }
    }

    async fn remove(&self, key: &CachedKey) {
        if let Some(blocks) = &self.blocks {
            blocks.remove(key);
        }
    }

    fn entry_count(&self) -> u64 {
        self.blocks.as_ref().map_or(0, |blocks| blocks.len() as u64)
    }
}
