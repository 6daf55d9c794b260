use std::collections::HashMap;
use std::sync::Arc;

use artifacts_core::SegmentId;
use artifacts_core::namespace::Errno;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::block_cache::BlockCache;
use super::exchange::{Exchange, ExchangeError};
use super::{BlockId, Plan};
use crate::session::MountSession;

/// Why a block cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockError {
    /// Its segment is gone: the file has been overwritten since the pieces were named.
    Gone,
    /// The read fails.
    Failed(Errno),
}

/// Gets blocks of segments, and puts segments.
#[derive(Debug)]
pub(crate) struct Blocks {
    exchange: Exchange,
    cache: Mutex<BlockCache>,
    /// Blocks that are being fetched, so that several readers of one fetch it once.
    fetching: Mutex<HashMap<BlockId, Arc<OnceCell<Bytes>>>>,
}

impl Blocks {
    /// With a cache of this size.
    pub(crate) fn new(http: reqwest::Client, session: Arc<MountSession>, cache_bytes: usize) -> Self {
        let cache = Mutex::new(BlockCache::new(cache_bytes));
        Self { exchange: Exchange::new(http, session), cache, fetching: Mutex::default() }
    }

    /// The bytes of a read whose blocks are all at hand; `None` if one is not.
    pub(crate) fn fill_from_memory(&self, plan: &Plan) -> Option<Result<Bytes, Errno>> {
        let ids = plan.blocks();
        let mut blocks = Vec::with_capacity(ids.len());
        if !ids.is_empty() {
            let mut cache = self.cache.lock();
            for id in ids {
                blocks.push((id, cache.get(&id)?));
            }
        }
        Some(plan.fill(&blocks))
    }

    /// The bytes of a read.
    ///
    /// # Errors
    /// [`BlockError`].
    pub(crate) async fn fill(&self, plan: &Plan) -> Result<Bytes, BlockError> {
        let fetches = plan.blocks().into_iter().map(|id| async move { Ok((id, self.block(id).await?)) });
        let blocks = futures_util::future::try_join_all(fetches).await?;
        plan.fill(&blocks).map_err(BlockError::Failed)
    }

    async fn block(&self, id: BlockId) -> Result<Bytes, BlockError> {
        if let Some(bytes) = self.cache.lock().get(&id) {
            return Ok(bytes);
        }
        let cell = Arc::clone(self.fetching.lock().entry(id).or_default());
        let result = cell.get_or_try_init(|| self.fetch(id)).await.cloned();
        if let Ok(bytes) = &result {
            self.cache.lock().put(id, bytes.clone());
        }
        let mut fetching = self.fetching.lock();
        if fetching.get(&id).is_some_and(|known| Arc::ptr_eq(known, &cell)) {
            fetching.remove(&id);
        }
        result
    }

    async fn fetch(&self, id: BlockId) -> Result<Bytes, BlockError> {
        let start = u64::from(id.offset);
        let bytes = self.exchange.get(id.segment, start..start + u64::from(id.len)).await.map_err(|error| match error {
            ExchangeError::Gone => BlockError::Gone,
            ExchangeError::Failed(errno) => BlockError::Failed(errno),
        })?;
        if bytes.len() != id.len as usize || crc32c::crc32c(&bytes) != id.crc32c {
            tracing::error!(segment = %id.segment, offset = id.offset, len = bytes.len(), "a block does not match its checksum");
            return Err(BlockError::Failed(Errno::EIO));
        }
        Ok(bytes)
    }

    /// Stores a segment, durably when it returns.
    ///
    /// # Errors
    /// Those of write(2).
    pub(crate) async fn store_segment(&self, segment: SegmentId, data: Bytes) -> Result<(), Errno> {
        self.exchange.put(segment, data).await
    }

    /// Keeps a block that was just written for readers.
    pub(crate) fn keep(&self, id: BlockId, bytes: Bytes) {
        self.cache.lock().put(id, bytes);
    }

    /// Whether the session is over for good.
    pub(crate) fn is_over(&self) -> bool {
        self.exchange.is_over()
    }

    /// Forgets all blocks.
    pub(crate) fn clear(&self) {
        self.cache.lock().clear();
        self.exchange.forget();
    }

    /// Memory in use for blocks.
    pub(crate) fn cache_bytes(&self) -> usize {
        self.cache.lock().bytes()
    }
}
