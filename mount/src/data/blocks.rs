use std::sync::Arc;

use artifacts_core::SegmentId;
use artifacts_core::namespace::Errno;
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::Semaphore;

use super::block_cache::BlockCache;
use super::counters::Counters;
use super::disk::DiskCache;
use super::flights::Flights;
use super::neighbours::Neighbours;
use super::segments::{BlockError, Effort, Segments};
use super::{BlockId, Plan};
use crate::control::CacheStatus;

/// How many blocks may be on their way ahead of their readers at once, all files together.
const AHEAD_MAX: usize = 8;

/// Gets blocks, from the caches or from where segments are kept, and puts segments there.
#[derive(Debug)]
pub(crate) struct Blocks {
    segments: Arc<dyn Segments>,
    memory: BlockCache,
    disk: Option<DiskCache>,
    flights: Flights,
    neighbours: Neighbours,
    ahead: Semaphore,
    counters: Counters,
}

impl Blocks {
    /// With so much memory for a cache, and one on disk.
    pub(crate) fn new(segments: Arc<dyn Segments>, memory_bytes: usize, disk: Option<DiskCache>) -> Self {
        Self {
            segments,
            memory: BlockCache::new(memory_bytes),
            disk,
            flights: Flights::default(),
            neighbours: Neighbours::default(),
            ahead: Semaphore::new(AHEAD_MAX),
            counters: Counters::default(),
        }
    }

    /// The bytes of a read whose blocks are all in memory; `None` if one is not. Waits for nothing.
    pub(crate) fn fill_from_memory(&self, plan: &Plan) -> Option<Result<Bytes, Errno>> {
        let ids = plan.blocks();
        let mut blocks = Vec::with_capacity(ids.len());
        for id in ids {
            blocks.push((id, self.memory.get(&id)?));
        }
        self.counters.hits.add(blocks.len() as u64);
        Some(plan.fill(&blocks))
    }

    /// The bytes of a read.
    ///
    /// # Errors
    /// [`BlockError`].
    pub(crate) async fn fill(&self, plan: &Plan) -> Result<Bytes, BlockError> {
        let fetches = plan.blocks().into_iter().map(|id| async move { Ok((id, self.block(id, Effort::Persistent).await?)) });
        let blocks = futures_util::future::try_join_all(fetches).await?;
        plan.fill(&blocks).map_err(BlockError::Failed)
    }

    /// Fetches blocks that will be wanted soon, as long as `still_wanted` says so. What fails is left to the reader.
    pub(crate) async fn prefetch(&self, ids: Vec<BlockId>, still_wanted: impl Fn() -> bool + Sync) {
        let still_wanted = &still_wanted;
        let fetch = |id| async move {
            let _permit = self.ahead.acquire().await;
            if still_wanted() {
                // The reader will meet the error, if it lasts.
                let _ = self.block(id, Effort::Once).await;
            }
        };
        futures_util::stream::iter(ids).map(fetch).buffer_unordered(AHEAD_MAX).collect::<()>().await;
    }

    /// A block, checked.
    async fn block(&self, id: BlockId, effort: Effort) -> Result<Bytes, BlockError> {
        let is_awaited = effort == Effort::Persistent;
        if let Some(bytes) = self.memory.get(&id) {
            self.counters.hits.add(u64::from(is_awaited));
            return Ok(bytes);
        }
        let flight = self.flights.join(id);
        let mut is_ours = false;
        let result = flight.bytes(async || {
            is_ours = true;
            self.load(id, effort).await
        });
        let result = result.await;
        self.counters.hits.add(u64::from(is_awaited && !is_ours && result.is_ok()));
        result
    }

    async fn load(&self, id: BlockId, effort: Effort) -> Result<Bytes, BlockError> {
        if let Some(disk) = &self.disk
            && let Some(bytes) = disk.get(id).await
        {
            self.counters.disk_hits.add(u64::from(effort == Effort::Persistent));
            self.memory.put(id, bytes.clone());
            return Ok(bytes);
        }
        if effort == Effort::Persistent {
            self.counters.misses.add(1);
        }
        let bytes = self.fetch(id, effort).await?;
        if effort == Effort::Once {
            self.counters.prefetched_bytes.add(bytes.len() as u64);
        }
        self.memory.put(id, bytes.clone());
        if let Some(disk) = &self.disk {
            disk.put(id, bytes.clone());
        }
        Ok(bytes)
    }

    async fn fetch(&self, id: BlockId, effort: Effort) -> Result<Bytes, BlockError> {
        if let Some(window) = self.neighbours.window(&id) {
            let get = || self.segments.get(window.segment, window.range.clone(), Effort::Once);
            let fetched = window.bytes.get_or_try_init(get).await;
            match fetched.ok().and_then(|bytes| window.cut(&id, bytes)).filter(|bytes| id.matches(bytes)) {
                Some(bytes) => return Ok(bytes),
                None => self.neighbours.forget(&window),
            }
        }
        let bytes = self.segments.get(id.segment, id.offset..id.offset + id.len, effort).await?;
        if !id.matches(&bytes) {
            tracing::error!(segment = %id.segment, offset = id.offset, len = bytes.len(), "a block does not match its checksum");
            return Err(BlockError::Failed(Errno::EIO));
        }
        Ok(bytes)
    }

    /// Stores a segment; durable when it returns.
    ///
    /// # Errors
    /// Those of write(2).
    pub(crate) async fn store_segment(&self, id: SegmentId, data: Bytes) -> Result<(), Errno> {
        self.segments.put(id, data).await
    }

    /// Keeps a block that was just written in memory, in a buffer of its own: `bytes` may be a slice of a whole
    /// segment.
    pub(crate) fn keep(&self, id: BlockId, bytes: &Bytes) {
        self.memory.put(id, Bytes::copy_from_slice(bytes));
    }

    /// Forgets all blocks and keeps none any more. On disk those of this workspace are removed if `access_ended`,
    /// in the background; [`Blocks::settle`] waits for it.
    pub(crate) fn close(&self, access_ended: bool) {
        self.memory.close();
        self.neighbours.clear();
        if let Some(disk) = &self.disk {
            disk.close(access_ended);
        }
        if access_ended {
            self.segments.forget();
        }
    }

    /// Waits until the disk has what it is to keep and is rid of what it is not, for a short time at the most.
    pub(crate) fn settle(&self) {
        if let Some(disk) = &self.disk {
            disk.settle();
        }
    }

    /// The cache in memory.
    pub(crate) fn memory(&self) -> &BlockCache {
        &self.memory
    }

    /// How the caches are, and what became of the blocks that were asked for.
    pub(crate) fn status(&self) -> CacheStatus {
        CacheStatus {
            memory_bytes: self.memory.bytes() as u64,
            memory_max_bytes: self.memory.max_bytes() as u64,
            disk: self.disk.as_ref().map(DiskCache::status),
            hits: self.counters.hits.get(),
            disk_hits: self.counters.disk_hits.get(),
            misses: self.counters.misses.get(),
            prefetched_bytes: self.counters.prefetched_bytes.get(),
        }
    }
}

#[cfg(test)]
#[path = "blocks_tests.rs"]
mod tests;
