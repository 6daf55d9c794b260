#![allow(clippy::unwrap_used)]
use super::*;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use artifacts_core::namespace::{Checksums, Extent, Piece, Source};
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
    fn get(&self, segment: SegmentId, start: u32, lens: Vec<u32>, effort: Effort) -> BoxFuture<'_, Result<Vec<Bytes>, BlockError>> {
        let range = start..start + lens.iter().sum::<u32>();
        self.asked.lock().push((segment, range.clone()));
        async move {
            if self.holds_back.load(Ordering::SeqCst) {
                self.go.notified().await;
            }
            if self.fails.load(Ordering::SeqCst) && effort == Effort::Once {
                return Err(BlockError::Failed(Errno::EIO));
            }
            let whole = self.segments.lock().get(&segment).cloned().ok_or(BlockError::Gone)?;
            let mut left = whole.slice(whole.len().min(start as usize)..);
            Ok(lens.iter().map(|len| left.split_to(left.len().min(*len as usize))).collect())
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
        let checksums = Checksums::of(&self.data[offset..offset + len]);
        BlockId::new(self.segment, offset as u32, len as u32, &checksums)
    }

    /// A read of exactly one block.
    fn plan(&self, offset: usize, len: usize) -> Plan {
        plan_of(self.segment, offset, &self.data[offset..offset + len])
    }

    async fn read(&self, offset: usize, len: usize) -> Result<Bytes, BlockError> {
        self.blocks.fill(&self.plan(offset, len)).await
    }

    fn asked_once(&self) -> Range<u32> {
        let asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked[0].clone()
    }

    fn asked(&self) -> Vec<Range<u32>> {
        std::mem::take(&mut *self.fake.asked.lock()).into_iter().map(|(_, range)| range).collect()
    }
}

/// A read of a block that is expected to have these bytes.
fn plan_of(segment: SegmentId, offset: usize, bytes: &[u8]) -> Plan {
    let len = bytes.len() as u32;
    let mut plan = Plan::new(0, u64::from(len), u64::from(len));
    let source = Source::Block { segment, block_offset: offset as u32, block_len: len, checksums: Checksums::of(bytes), skip: 0 };
    plan.add(0, vec![Piece { offset: 0, extent: Extent { len, source } }]).unwrap();
    plan
}

/// A read of a part of a block.
fn plan_within(bench: &Bench, block: Range<usize>, offset: usize, len: u64) -> Plan {
    let bytes = &bench.data[block.clone()];
    let mut plan = Plan::new(offset as u64, len, bytes.len() as u64);
    let (len, checksums) = (bytes.len() as u32, Checksums::of(bytes));
    let source = Source::Block { segment: bench.segment, block_offset: block.start as u32, block_len: len, checksums, skip: 0 };
    plan.add(offset as u64, vec![Piece { offset: 0, extent: Extent { len, source } }]).unwrap();
    plan
}

#[tokio::test]
async fn random_reads_fetch_parts_and_find_them_in_whole_blocks() {
    let bench = bench(3 << 20);
    let block = 1 << 20..2 << 20;
    let read = async |offset, len| bench.blocks.fill(&plan_within(&bench, block.clone(), offset, len)).await.unwrap();
    assert_eq!(read(500_000, 4096).await, bench.data.slice((1 << 20) + 500_000..(1 << 20) + 504_096));
    read(500_100, 10).await;
    let begins = (1 << 20) + 500_000 / 65_536 * 65_536;
    assert_eq!(bench.asked_once(), begins..begins + 65_536);
    read(900_000, 10).await;
    assert_eq!(bench.asked().len(), 1, "parts are no small blocks beside each other");
    read(0, 10).await;
    assert_eq!(bench.asked_once(), 1 << 20..2 << 20, "the beginning brings all of it");
    assert_eq!(read(700_000, 50).await, bench.data.slice((1 << 20) + 700_000..(1 << 20) + 700_050));
    assert!(bench.blocks.fill_from_memory(&plan_within(&bench, block.clone(), 300_000, 50)).is_some());
    assert!(bench.asked().is_empty());
}

#[tokio::test]
async fn wrong_bytes_in_a_part_are_an_error_there_and_not_elsewhere() {
    let bench = bench(1 << 20);
    let mut bytes = bench.data.to_vec();
    bytes[600_000] ^= 1;
    bench.fake.segments.lock().insert(bench.segment, bytes.into());
    let read = async |offset| bench.blocks.fill(&plan_within(&bench, 0..1 << 20, offset, 10)).await;
    assert_eq!(read(600_000).await, Err(BlockError::Failed(Errno::EIO)));
    assert_eq!(read(700_000).await.unwrap(), bench.data.slice(700_000..700_010));
}

#[tokio::test]
async fn a_block_is_fetched_once_and_then_found_in_memory() {
    let bench = bench(2 << 20);
    let plan = bench.plan(1 << 20, 1 << 20);
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
    let plan = bench.plan(0, 1 << 20);
    bench.fake.segments.lock().insert(bench.segment, vec![0; 1 << 20].into());
    assert_eq!(bench.blocks.fill(&plan).await, Err(BlockError::Failed(Errno::EIO)));
    assert_eq!(bench.blocks.status().memory_bytes, 0);
    bench.fake.segments.lock().remove(&bench.segment);
    assert_eq!(bench.blocks.fill(&plan).await, Err(BlockError::Gone));
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
async fn small_blocks_of_a_stretch_that_is_here_are_cut_from_it_on_the_spot() {
    let bench = bench(2_000_000);
    bench.read(0, 1_000).await.unwrap();
    assert!(bench.blocks.fill_from_memory(&bench.plan(5_000, 1_000)).is_none());
    bench.read(1_000, 1_000).await.unwrap();
    let found = bench.blocks.fill_from_memory(&bench.plan(5_000, 1_000)).unwrap().unwrap();
    assert_eq!(found, bench.data.slice(5_000..6_000));
    assert!(bench.blocks.fill_from_memory(&plan_of(bench.segment, 7_000, &[1; 1_000])).is_none(), "not these bytes");
    assert_eq!(bench.blocks.status().memory_bytes, 3_000);
}

/// Blocks with a disk as well.
fn with_disk(dir: &std::path::Path) -> Bench {
    let mut bench = bench(8 << 20);
    let clock = Arc::new(crate::time::ManualClock::default());
    let disk = DiskCache::new(dir, "acme/task", 64 << 20, clock).unwrap();
    while !disk.status().working {
        std::thread::yield_now();
    }
    bench.blocks = Blocks::new(Arc::clone(&bench.fake) as Arc<dyn Segments>, 8 << 20, Some(disk));
    bench
}

#[tokio::test]
async fn who_jumps_about_waits_for_a_part_and_has_its_surroundings_later() {
    const MIB: usize = 1 << 20;
    let dir = tempfile::tempdir().unwrap();
    let bench = with_disk(dir.path());
    let jump = async |block: usize, offset: usize| {
        let plan = plan_within(&bench, block * MIB..(block + 1) * MIB, offset, 10);
        let read = bench.blocks.fill(&plan).await.unwrap();
        assert_eq!(read, bench.data.slice(block * MIB + offset..block * MIB + offset + 10));
        let asked = bench.asked();
        bench.blocks.bring_surroundings(&plan).await;
        (asked, bench.asked())
    };
    let part = |block: usize, number: usize| (block * MIB + number * 65_536) as u32..(block * MIB + (number + 1) * 65_536) as u32;
    for number in 1..4 {
        assert_eq!(jump(number % 3, number * 65_536).await, (vec![part(number % 3, number)], vec![]));
    }
    let stretch = std::iter::once(0..4 << 20).collect();
    assert_eq!(jump(1, 600_000).await, (vec![part(1, 9)], stretch));
    assert_eq!(jump(3, 900_000).await, (vec![], vec![]));
    assert_eq!(jump(5, 700_000).await, (vec![part(5, 10)], vec![]), "another stretch");
    bench.blocks.settle();
    let rest = with_disk(dir.path());
    for block in 0..4 {
        let plan = plan_within(&rest, block * MIB..(block + 1) * MIB, 500_000, 10);
        assert_eq!(rest.blocks.fill(&plan).await.unwrap(), rest.data.slice(block * MIB + 500_000..block * MIB + 500_010));
    }
    assert!(rest.asked().is_empty(), "all of it was kept");
}

#[tokio::test]
async fn small_blocks_come_from_disk_with_what_lies_around_them() {
    let dir = tempfile::tempdir().unwrap();
    let bench = with_disk(dir.path());
    for at in 0..3 {
        bench.read(at * 3_000, 3_000).await.unwrap();
    }
    bench.blocks.settle();
    assert_eq!(bench.asked(), [0..3_000, 3_000..3_000 + (1 << 20)]);
    let again = with_disk(dir.path());
    for at in 100..300 {
        assert_eq!(again.read(at * 3_000, 3_000).await.unwrap(), again.data.slice(at * 3_000..(at + 1) * 3_000));
    }
    assert!(again.asked().is_empty());
    assert_eq!((again.blocks.status().disk_hits, again.blocks.status().hits), (1, 199));
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
    let wrong = plan_of(bench.segment, 3_000, &[1; 1_000]);
    assert_eq!(bench.blocks.fill(&wrong).await, Err(BlockError::Failed(Errno::EIO)));
    bench.read(3_000, 1_000).await.unwrap();
}

#[tokio::test]
async fn prefetched_blocks_are_there_for_their_reader_and_failures_are_silent() {
    let bench = bench(6 << 20);
    let ids: Vec<_> = (0..6).map(|block| bench.id(block << 20, 1 << 20)).collect();
    bench.blocks.prefetch(ids[..3].to_vec(), || true).await;
    assert_eq!(bench.asked_once(), 0..3 << 20, "as one");
    assert!(bench.blocks.fill_from_memory(&bench.plan(2 << 20, 1 << 20)).is_some());
    assert_eq!(bench.blocks.status().prefetched_bytes, 3 << 20);
    bench.blocks.prefetch(ids[3..].to_vec(), || false).await;
    assert!(bench.asked().is_empty(), "cancelled");
    bench.fake.fails.store(true, Ordering::SeqCst);
    bench.blocks.prefetch(ids[3..].to_vec(), || true).await;
    assert!(bench.asked().len() > 3, "together, then one by one");
    assert_eq!(bench.blocks.fill(&bench.plan(4 << 20, 1 << 20)).await.unwrap().len(), 1 << 20);
}

#[tokio::test]
async fn what_was_written_is_kept_and_a_slice_does_not_keep_its_segment() {
    let bench = bench(10);
    let segment = Bytes::from(vec![7; 8 << 20]);
    bench.blocks.store_segment(SegmentId::from_bits(3), segment.clone()).await.unwrap();
    let slice = segment.slice(100..200);
    let id = BlockId::new(SegmentId::from_bits(3), 100, 100, &Checksums::of(&slice));
    bench.blocks.keep(id, &slice);
    let kept = bench.blocks.fill_from_memory(&plan_of(SegmentId::from_bits(3), 100, &slice)).unwrap().unwrap();
    assert!(kept == slice && kept.as_ptr() != slice.as_ptr());
    assert!(bench.asked().is_empty());
}

#[tokio::test]
async fn nothing_is_kept_after_the_end() {
    let bench = bench(1 << 20);
    bench.read(0, 1 << 20).await.unwrap();
    bench.blocks.close(true);
    assert!(bench.blocks.fill_from_memory(&bench.plan(0, 1 << 20)).is_none());
    bench.blocks.keep(bench.id(0, 10), &bench.data.slice(..10));
    assert_eq!(bench.blocks.status().memory_bytes, 0);
    bench.blocks.settle();
}
