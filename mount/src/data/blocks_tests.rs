#![allow(clippy::unwrap_used)]
use super::*;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use artifacts_core::namespace::{Extent, Piece, Source};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Segments in memory, which notes what is asked for.
#[derive(Debug, Default)]
struct Fake {
    segments: Mutex<HashMap<SegmentId, Bytes>>,
    asked: Mutex<Vec<(SegmentId, Range<u32>)>>,
    holds_back: AtomicBool,
    go: Notify,
    fails: AtomicBool,
}

impl Segments for Fake {
    fn get(&self, segment: SegmentId, range: Range<u32>, effort: Effort) -> BoxFuture<'_, Result<Bytes, BlockError>> {
        self.asked.lock().push((segment, range.clone()));
        async move {
            if self.holds_back.load(Ordering::SeqCst) {
                self.go.notified().await;
            }
            if self.fails.load(Ordering::SeqCst) && effort == Effort::Once {
                return Err(BlockError::Failed(Errno::EIO));
            }
            let whole = self.segments.lock().get(&segment).cloned().ok_or(BlockError::Gone)?;
            let end = whole.len().min(range.end as usize);
            Ok(whole.slice((range.start as usize).min(end)..end))
        }
        .boxed()
    }

    fn forget(&self) {}

    fn put(&self, segment: SegmentId, data: Bytes) -> BoxFuture<'_, Result<(), Errno>> {
        self.segments.lock().insert(segment, data);
        std::future::ready(Ok(())).boxed()
    }
}

struct Bench {
    fake: Arc<Fake>,
    blocks: Blocks,
    segment: SegmentId,
    data: Bytes,
}

/// One segment of this length, and blocks with a cache in memory only.
fn bench(len: usize) -> Bench {
    let fake = Arc::new(Fake::default());
    let segment = SegmentId::from_bits(9);
    let data: Bytes = (0..len).map(|at| (at / 7) as u8).collect();
    fake.segments.lock().insert(segment, data.clone());
    let blocks = Blocks::new(Arc::clone(&fake) as Arc<dyn Segments>, 8 << 20, None);
    Bench { fake, blocks, segment, data }
}

impl Bench {
    fn id(&self, offset: usize, len: usize) -> BlockId {
        let crc32c = crc32c::crc32c(&self.data[offset..offset + len]);
        BlockId { segment: self.segment, offset: offset as u32, len: len as u32, crc32c }
    }

    async fn read(&self, offset: usize, len: usize) -> Result<Bytes, BlockError> {
        self.blocks.fill(&plan(self.id(offset, len))).await
    }

    fn asked(&self) -> Vec<Range<u32>> {
        std::mem::take(&mut *self.fake.asked.lock()).into_iter().map(|(_, range)| range).collect()
    }
}

/// A read of exactly one block.
fn plan(id: BlockId) -> Plan {
    let mut plan = Plan::new(0, u64::from(id.len), u64::from(id.len));
    let source = Source::Block { segment: id.segment, block_offset: id.offset, block_len: id.len, crc32c: id.crc32c, skip: 0 };
    plan.add(0, vec![Piece { offset: 0, extent: Extent { len: id.len, source } }]).unwrap();
    plan
}

#[tokio::test]
async fn a_block_is_fetched_once_and_then_found_in_memory() {
    let bench = bench(2 << 20);
    let plan = plan(bench.id(1 << 20, 1 << 20));
    assert!(bench.blocks.fill_from_memory(&plan).is_none());
    assert_eq!(bench.blocks.fill(&plan).await.unwrap(), bench.data.slice(1 << 20..));
    assert_eq!(bench.blocks.fill_from_memory(&plan).unwrap().unwrap(), bench.data.slice(1 << 20..));
    assert_eq!(bench.blocks.fill(&plan).await.unwrap().len(), 1 << 20);
    let asked: Vec<_> = bench.asked().into_iter().map(|range| (range.start, range.end)).collect();
    assert_eq!(asked, [(1 << 20, 2 << 20)]);
    let status = bench.blocks.status();
    assert_eq!((status.hits, status.misses, status.memory_bytes, status.disk), (2, 1, 1 << 20, None));
}

#[tokio::test]
async fn readers_of_one_block_wait_for_one_fetch_and_leave_nothing_behind() {
    let bench = bench(1 << 20);
    bench.fake.holds_back.store(true, Ordering::SeqCst);
    let (one, other, _) = tokio::join!(bench.read(0, 1 << 20), bench.read(0, 1 << 20), async {
        tokio::task::yield_now().await;
        bench.fake.go.notify_one();
    });
    assert_eq!(one.unwrap(), other.unwrap());
    assert_eq!(bench.asked().len(), 1);
}

#[tokio::test]
async fn wrong_bytes_are_an_error_and_are_not_kept() {
    let bench = bench(1 << 20);
    let id = bench.id(0, 1 << 20);
    bench.fake.segments.lock().insert(bench.segment, vec![0; 1 << 20].into());
    assert_eq!(bench.blocks.fill(&plan(id)).await, Err(BlockError::Failed(Errno::EIO)));
    assert_eq!(bench.blocks.status().memory_bytes, 0);
    bench.fake.segments.lock().remove(&bench.segment);
    assert_eq!(bench.blocks.fill(&plan(id)).await, Err(BlockError::Gone));
}

#[tokio::test]
async fn small_blocks_beside_each_other_are_fetched_together() {
    let bench = bench(3_000_000);
    for at in 0..1_000 {
        assert_eq!(bench.read(at * 3_000, 3_000).await.unwrap(), bench.data.slice(at * 3_000..(at + 1) * 3_000));
    }
    let asked = bench.asked();
    assert!(asked.len() <= 5, "{asked:?}");
    assert!(bench.blocks.status().memory_bytes <= 3_000_000, "a block holds no more than itself");
}

#[tokio::test]
async fn a_stretch_that_does_not_come_or_does_not_fit_costs_no_read() {
    let bench = bench(100_000);
    bench.read(0, 1_000).await.unwrap();
    bench.fake.fails.store(true, Ordering::SeqCst);
    bench.read(1_000, 1_000).await.unwrap();
    bench.fake.fails.store(false, Ordering::SeqCst);
    assert_eq!(bench.asked(), [0..1_000, 1_000..1_049_576, 1_000..2_000]);
    bench.read(2_000, 1_000).await.unwrap();
    let wrong = BlockId { crc32c: 1, ..bench.id(3_000, 1_000) };
    assert_eq!(bench.blocks.fill(&plan(wrong)).await, Err(BlockError::Failed(Errno::EIO)));
    bench.read(3_000, 1_000).await.unwrap();
}

#[tokio::test]
async fn prefetched_blocks_are_there_for_their_reader_and_failures_are_silent() {
    let bench = bench(6 << 20);
    let ids: Vec<_> = (0..6).map(|block| bench.id(block << 20, 1 << 20)).collect();
    bench.blocks.prefetch(ids[..3].to_vec(), || true).await;
    assert_eq!(bench.asked().len(), 3);
    assert!(bench.blocks.fill_from_memory(&plan(ids[2])).is_some());
    assert_eq!(bench.blocks.status().prefetched_bytes, 3 << 20);
    bench.blocks.prefetch(ids[3..].to_vec(), || false).await;
    assert!(bench.asked().is_empty(), "cancelled");
    bench.fake.fails.store(true, Ordering::SeqCst);
    bench.blocks.prefetch(ids[3..].to_vec(), || true).await;
    assert_eq!(bench.asked().len(), 3);
    assert_eq!(bench.blocks.fill(&plan(ids[4])).await.unwrap().len(), 1 << 20);
}

#[tokio::test]
async fn what_was_written_is_kept_and_a_slice_does_not_keep_its_segment() {
    let bench = bench(10);
    let segment = Bytes::from(vec![7; 8 << 20]);
    bench.blocks.store_segment(SegmentId::from_bits(3), segment.clone()).await.unwrap();
    let slice = segment.slice(100..200);
    let id = BlockId { segment: SegmentId::from_bits(3), offset: 100, len: 100, crc32c: crc32c::crc32c(&slice) };
    bench.blocks.keep(id, &slice);
    let kept = bench.blocks.fill_from_memory(&plan(id)).unwrap().unwrap();
    assert!(kept == slice && kept.as_ptr() != slice.as_ptr());
    assert!(bench.asked().is_empty());
}

#[tokio::test]
async fn nothing_is_kept_after_the_end() {
    let bench = bench(1 << 20);
    bench.read(0, 1 << 20).await.unwrap();
    bench.blocks.close(true);
    assert!(bench.blocks.fill_from_memory(&plan(bench.id(0, 1 << 20))).is_none());
    bench.blocks.keep(bench.id(0, 10), &bench.data.slice(..10));
    assert_eq!(bench.blocks.status().memory_bytes, 0);
    bench.blocks.settle();
}
