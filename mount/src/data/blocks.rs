use std::ops::Range;
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
use super::neighbours::{Neighbours, Window, is_small};
use super::run::Run;
use super::segments::{BlockError, Effort, Segments};
use super::{BlockId, Plan, Wanted};
use crate::control::CacheStatus;

/// How many blocks may be on their way ahead of their readers at once, all files together.
const AHEAD_MAX: usize = 8;
/// How many stretches may be on their way to the disk around what somebody has read who jumps about.
const AROUND_MAX: usize = 1;

/// Gets blocks, from the caches or from where segments are kept, and puts segments there.
#[derive(Debug)]
pub(crate) struct Blocks {
    segments: Arc<dyn Segments>,
    memory: BlockCache,
    disk: Option<DiskCache>,
    flights: Flights,
    neighbours: Neighbours,
    ahead: Semaphore,
    around: Semaphore,
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
            around: Semaphore::new(AROUND_MAX),
            counters: Counters::default(),
        }
    }

    /// The bytes of a read whose blocks are all in memory; `None` if one is not. Waits for nothing.
    pub(crate) fn fill_from_memory(&self, plan: &Plan) -> Option<Result<Bytes, Errno>> {
        let wanted = plan.blocks();
        let mut blocks = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            blocks.push((wanted, self.in_memory(&wanted)?));
        }
        self.counters.hits.add(blocks.len() as u64);
        Some(plan.fill(&blocks))
    }

    /// The bytes of a read.
    ///
    /// # Errors
    /// [`BlockError`].
    pub(crate) async fn fill(&self, plan: &Plan) -> Result<Bytes, BlockError> {
        let fetches =
            plan.blocks().into_iter().map(|wanted| async move { Ok((wanted, self.block(wanted, Effort::Persistent, None).await?)) });
        let blocks = futures_util::future::try_join_all(fetches).await?;
        plan.fill(&blocks).map_err(BlockError::Failed)
    }

    /// Fetches blocks that will be wanted soon, as long as `still_wanted` says so. What fails is left to the reader.
    pub(crate) async fn prefetch(&self, ids: Vec<BlockId>, still_wanted: impl Fn() -> bool + Sync) {
        let still_wanted = &still_wanted;
        let fetch = |run: Run| async move {
            let _permits = self.ahead.acquire_many(run.blocks().len().min(AHEAD_MAX) as u32).await;
            if still_wanted() {
                let wanted = run.blocks().iter().copied().map(Wanted::whole);
                // The reader will meet the error, if it lasts.
                futures_util::future::join_all(wanted.map(|wanted| self.block(wanted, Effort::Once, Some(&run)))).await;
            }
        };
        let runs = Run::gather(ids.into_iter().filter(|id| self.memory.get(id).is_none()));
        futures_util::stream::iter(runs).map(fetch).buffer_unordered(AHEAD_MAX).collect::<()>().await;
    }

    /// From the cache in memory, by itself or as a part of its block, or from what was fetched around it.
    fn in_memory(&self, wanted: &Wanted) -> Option<Bytes> {
        let by_itself = self.memory.get(&wanted.id);
        let kept = by_itself.or_else(|| wanted.part_of.and_then(|block| Some(wanted.cut(&self.memory.get(&block)?))));
        kept.or_else(|| self.neighbours.cut(&wanted.id).inspect(|bytes| self.memory.put(wanted.id, bytes.clone())))
    }

    /// A block or a part of one, checked.
    async fn block(&self, wanted: Wanted, effort: Effort, run: Option<&Run>) -> Result<Bytes, BlockError> {
        let is_awaited = effort == Effort::Persistent;
        if let Some(bytes) = self.in_memory(&wanted) {
            self.counters.hits.add(u64::from(is_awaited));
            return Ok(bytes);
        }
        let flight = self.flights.join(wanted.id);
        let mut is_ours = false;
        let result = flight.bytes(async || {
            is_ours = true;
            self.load(wanted, effort, run).await
        });
        let result = result.await;
        self.counters.hits.add(u64::from(is_awaited && !is_ours && result.is_ok()));
        result
    }

    async fn load(&self, wanted: Wanted, effort: Effort, run: Option<&Run>) -> Result<Bytes, BlockError> {
        let is_awaited = effort == Effort::Persistent;
        if let Some(bytes) = self.look_on_disk(wanted).await {
            self.counters.disk_hits.add(u64::from(is_awaited));
            self.memory.put(wanted.id, bytes.clone());
            return Ok(bytes);
        }
        self.counters.misses.add(u64::from(is_awaited));
        let bytes = self.fetch(wanted, effort, run).await?;
        if !is_awaited {
            self.counters.prefetched_bytes.add(bytes.len() as u64);
        }
        self.memory.put(wanted.id, bytes.clone());
        Ok(bytes)
    }

    /// From the cache on disk. With a small block comes what lies around it.
    async fn look_on_disk(&self, wanted: Wanted) -> Option<Bytes> {
        let (disk, block) = (self.disk.as_ref()?, wanted.block());
        if is_small(&block)
            && let Some(file) = disk.file_with(&block).filter(|file| file.len > block.len)
        {
            let window = self.neighbours.window_within(&block, file.offset..file.offset + file.len);
            let get = async || disk.stretch(file, window.range.clone()).await.ok_or(());
            if window.bytes.get_or_try_init(get).await.is_ok()
                && let Some(bytes) = window.cut(&wanted.id)
            {
                return Some(bytes);
            }
            self.neighbours.forget(&window);
        }
        disk.get(wanted).await
    }

    async fn fetch(&self, Wanted { id, part_of }: Wanted, effort: Effort, run: Option<&Run>) -> Result<Bytes, BlockError> {
        if let Some(run) = run.filter(|run| run.blocks().len() > 1) {
            let get = async |start, lens| {
                let pieces = self.segments.get(id.segment, start, lens, Effort::Once).await?;
                self.keep_on_disk(id.segment, start, &pieces);
                Ok::<_, BlockError>(pieces)
            };
            if let Some(bytes) = run.bytes_of(&id, get).await.filter(|bytes| id.matches(bytes)) {
                return Ok(bytes);
            }
        } else if part_of.is_none()
            && let Some(window) = self.neighbours.window(&id)
        {
            if let Some(bytes) = self.cut(&window, &id).await {
                return Ok(bytes);
            }
            self.neighbours.forget(&window);
        }
        let bytes = self.get(id.segment, id.offset..id.offset + id.len, effort).await?;
        if !id.matches(&bytes) {
            tracing::error!(segment = %id.segment, offset = id.offset, len = bytes.len(), "a block does not match its checksum");
            return Err(BlockError::Failed(Errno::EIO));
        }
        if part_of.is_none() {
            self.keep_on_disk(id.segment, id.offset, std::slice::from_ref(&bytes));
        }
        Ok(bytes)
    }

    /// Where there is a disk to keep it, brings what lies around the parts of blocks that a read took, if others were taken
    /// there before. Nobody waits for it, so it is done for one at a time, and left where it fails.
    pub(crate) async fn bring_surroundings(&self, plan: &Plan) {
        let Some(disk) = &self.disk else { return };
        for block in plan.blocks().iter().filter_map(|wanted| wanted.part_of) {
            let is_here = disk.file_with(&block).is_some() || self.neighbours.is_here(&block);
            if is_here || !self.neighbours.jumped_to(&block) {
                continue;
            }
            let Ok(_permit) = self.around.try_acquire() else { return };
            let window = self.neighbours.window_around(&block);
            if self.bytes_of(&window).await.is_err() {
                self.neighbours.forget(&window);
            }
        }
    }

    /// A block out of a window, which whoever comes first fetches.
    async fn cut(&self, window: &Window, id: &BlockId) -> Option<Bytes> {
        self.bytes_of(window).await.ok()?;
        window.cut(id)
    }

    async fn bytes_of<'a>(&self, window: &'a Window) -> Result<&'a Bytes, BlockError> {
        let get = async || {
            let bytes = self.get(window.segment, window.range.clone(), Effort::Once).await?;
            self.keep_on_disk(window.segment, window.range.start, std::slice::from_ref(&bytes));
            self.counters.prefetched_bytes.add(bytes.len() as u64);
            Ok(bytes)
        };
        window.bytes.get_or_try_init(get).await
    }

    /// What has come of a segment from here on stays on disk, in one file.
    fn keep_on_disk(&self, segment: SegmentId, start: u32, pieces: &[Bytes]) {
        let len = pieces.iter().map(Bytes::len).sum::<usize>() as u32;
        if let Some(disk) = self.disk.as_ref().filter(|_| len > 0) {
            disk.put(BlockId::stretch(segment, start, len), pieces.to_vec());
        }
    }

    /// A stretch of a segment, unchecked.
    async fn get(&self, segment: SegmentId, range: Range<u32>, effort: Effort) -> Result<Bytes, BlockError> {
        let buffers = self.segments.get(segment, range.start, vec![range.end - range.start], effort).await?;
        Ok(buffers.into_iter().next().unwrap_or_default())
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
        self.neighbours.close();
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
