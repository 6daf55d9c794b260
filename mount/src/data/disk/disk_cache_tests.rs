#![allow(clippy::unwrap_used)]
use super::*;
use artifacts_core::namespace::Checksums;
use std::collections::HashMap;

use artifacts_core::SegmentId;

use crate::time::ManualClock;

/// A disk in memory that fails or hangs as told.
#[derive(Debug, Default)]
struct Disk {
    files: Mutex<HashMap<BlockId, Bytes>>,
    mood: Mutex<Mood>,
    mood_changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Mood {
    #[default]
    Well,
    Full,
    Broken,
    Stuck,
}

#[derive(Debug)]
struct Files(Arc<Disk>, Arc<str>);

impl Files {
    fn touch(&self, writing: bool) -> io::Result<()> {
        let mut mood = self.0.mood.lock();
        self.0.mood_changed.wait_while(&mut mood, |mood| *mood == Mood::Stuck);
        match *mood {
            Mood::Full if writing => Err(io::ErrorKind::StorageFull.into()),
            Mood::Broken => Err(io::Error::other("broken")),
            _ => Ok(()),
        }
    }
}

impl CacheFiles for Files {
    fn open(&self) -> io::Result<Vec<FileName>> {
        self.touch(true)?;
        Ok(self.0.files.lock().keys().map(|&id| FileName { workspace: Arc::clone(&self.1), id }).collect())
    }

    fn workspace(&self) -> &Arc<str> {
        &self.1
    }

    fn read(&self, id: &BlockId, range: Range<u32>) -> io::Result<Option<Bytes>> {
        self.touch(false)?;
        let part = |bytes: &Bytes| {
            if bytes.len() == id.len as usize { bytes.slice(range.start as usize..range.end as usize) } else { Bytes::new() }
        };
        Ok(self.0.files.lock().get(id).map(part))
    }

    fn write(&self, id: &BlockId, data: &[Bytes]) -> io::Result<()> {
        self.touch(true)?;
        self.0.files.lock().insert(*id, Bytes::from(data.concat()));
        Ok(())
    }

    fn remove(&self, file: &FileName) -> io::Result<()> {
        self.touch(false)?;
        self.0.files.lock().remove(&file.id);
        Ok(())
    }

    fn remove_all(&self) -> io::Result<()> {
        self.touch(false)?;
        self.0.files.lock().clear();
        Ok(())
    }
}

struct Bench {
    disk: Arc<Disk>,
    clock: Arc<ManualClock>,
    cache: DiskCache,
}

fn bench_on(disk: Arc<Disk>, max_bytes: u64) -> Bench {
    let clock = Arc::new(ManualClock::default());
    let files = Files(Arc::clone(&disk), "acme/task".into());
    // So long that only a disk that is stuck is too slow.
    let cache = DiskCache::begin(Box::new(files), max_bytes, Arc::clone(&clock) as SharedClock, Duration::from_secs(60)).unwrap();
    Bench { disk, clock, cache }
}

fn bench() -> Bench {
    let bench = bench_on(Arc::default(), 1 << 20);
    bench.wait(|bench| bench.cache.status().working);
    bench
}

impl Bench {
    /// Blocks until it is so; whoever runs the test kills it if it never is.
    fn wait(&self, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            std::thread::yield_now();
        }
    }

    fn mood(&self, mood: Mood) {
        *self.disk.mood.lock() = mood;
        self.disk.mood_changed.notify_all();
    }

    fn put(&self, number: u32) -> (BlockId, Bytes) {
        let (id, bytes) = block(number);
        self.cache.put(id, vec![bytes.clone()]);
        (id, bytes)
    }

    fn put_and_wait(&self, number: u32) -> (BlockId, Bytes) {
        let put = self.put(number);
        self.wait(|bench| {
            let queue = bench.cache.shared.queue.lock();
            queue.writes.is_empty() && !queue.is_writing
        });
        put
    }
}

fn block(number: u32) -> (BlockId, Bytes) {
    let bytes = Bytes::from(vec![number as u8; 4096]);
    (BlockId { segment: SegmentId::from_bits(1), offset: number, len: 4096, digest: Checksums::of(&bytes).digest() }, bytes)
}

#[tokio::test]
async fn what_was_put_is_found_by_this_and_the_next_mount() {
    let bench = bench();
    let (id, bytes) = bench.put_and_wait(1);
    assert_eq!(bench.cache.get(Wanted::whole(id)).await.unwrap(), bytes);
    assert!(bench.cache.get(Wanted::whole(block(2).0)).await.is_none());
    let next = bench_on(Arc::clone(&bench.disk), 1 << 20);
    next.wait(|next| next.cache.status().bytes == 4096);
    assert_eq!(next.cache.get(Wanted::whole(id)).await.unwrap(), bytes);
}

#[tokio::test]
async fn a_part_is_read_out_of_its_block() {
    let bench = bench();
    let bytes = Bytes::from_iter((0..200_000u32).map(|at| (at / 5) as u8));
    let id = BlockId::new(SegmentId::from_bits(9), 7, bytes.len() as u32, &Checksums::of(&bytes));
    bench.cache.put(id, vec![bytes.clone()]);
    bench.wait(|bench| bench.cache.status().bytes > 0);
    let (part, begins) = id.part_at(140_000, &Checksums::of(&bytes)).unwrap();
    let wanted = Wanted { id: part, part_of: Some(id) };
    assert_eq!(bench.cache.get(wanted).await.unwrap(), bytes.slice(begins as usize..begins as usize + 65_536));
    let wrong = Wanted { id: BlockId { digest: 1, ..part }, part_of: Some(id) };
    assert!(bench.cache.get(wrong).await.is_none());
    assert_eq!(bench.cache.status().rotten, 1);
}

#[tokio::test]
async fn a_block_is_read_out_of_a_stretch_and_a_rotten_stretch_goes() {
    let bench = bench();
    let ((one, bytes), (other, more)) = (block(0), block(4096));
    let stretch = BlockId::stretch(one.segment, 0, 8192);
    bench.cache.put(stretch, vec![bytes.clone(), more.clone()]);
    bench.wait(|bench| bench.cache.status().bytes > 0);
    assert_eq!(bench.cache.get(Wanted::whole(one)).await.unwrap(), bytes);
    assert_eq!(bench.cache.get(Wanted::whole(other)).await.unwrap(), more);
    assert_eq!(bench.cache.file_with(&other), Some(stretch));
    assert_eq!(bench.cache.stretch(stretch, 4096..8192).await.unwrap(), more);
    bench.disk.files.lock().insert(stretch, Bytes::from(vec![77; 8192]));
    assert!(bench.cache.get(Wanted::whole(one)).await.is_none());
    assert!(bench.disk.files.lock().is_empty() && bench.cache.file_with(&other).is_none());
}

#[tokio::test]
async fn the_bound_holds_also_for_what_was_there_before() {
    let bench = bench();
    for number in 0..1_000 {
        bench.put_and_wait(number);
        assert!(bench.disk.files.lock().len() <= 256 && bench.cache.status().bytes <= 1 << 20);
    }
    assert!(bench.cache.get(Wanted::whole(block(999).0)).await.is_some());
    let smaller = bench_on(Arc::clone(&bench.disk), 10 * 4096);
    smaller.wait(|smaller| smaller.cache.status().working);
    assert_eq!(bench.disk.files.lock().len(), 10);
    let none = bench_on(Arc::default(), 0);
    none.put_and_wait(1);
    assert!(none.disk.files.lock().is_empty());
}

#[tokio::test]
async fn a_rotten_file_is_removed_and_not_given_out() {
    let bench = bench();
    for rotten in [Bytes::from(vec![9; 4096]), Bytes::from(vec![1; 4095]), Bytes::from(vec![1; 4097])] {
        let (id, _) = bench.put_and_wait(1);
        bench.disk.files.lock().insert(id, rotten);
        assert!(bench.cache.get(Wanted::whole(id)).await.is_none());
        assert!(bench.disk.files.lock().is_empty());
    }
    assert_eq!((bench.cache.status().rotten, bench.cache.status().bytes), (3, 0));
    let (id, bytes) = bench.put_and_wait(1);
    assert_eq!(bench.cache.get(Wanted::whole(id)).await.unwrap(), bytes);
}

#[tokio::test]
async fn a_full_disk_is_still_read_and_written_again_later() {
    let bench = bench();
    let (kept, _) = bench.put_and_wait(1);
    bench.mood(Mood::Full);
    bench.put_and_wait(2);
    bench.wait(|bench| !bench.cache.status().working);
    assert!(bench.cache.get(Wanted::whole(kept)).await.is_some());
    bench.mood(Mood::Well);
    bench.put_and_wait(3);
    assert!(!bench.disk.files.lock().contains_key(&block(3).0), "left alone for a while");
    bench.clock.set(60_001);
    bench.put_and_wait(4);
    assert!(bench.disk.files.lock().contains_key(&block(4).0));
}

#[tokio::test]
async fn a_broken_disk_is_as_no_disk() {
    let bench = bench();
    let (id, _) = bench.put_and_wait(1);
    bench.mood(Mood::Broken);
    assert!(bench.cache.get(Wanted::whole(id)).await.is_none());
    bench.mood(Mood::Well);
    assert!(bench.cache.get(Wanted::whole(id)).await.is_none(), "left alone for a while");
    bench.clock.set(60_001);
    assert!(bench.cache.get(Wanted::whole(id)).await.is_some());
}

#[tokio::test]
async fn a_stuck_disk_holds_up_nobody_for_long_and_costs_bounded_memory() {
    let mut bench = bench();
    let (id, _) = bench.put_and_wait(1);
    bench.cache.patience = Duration::from_millis(100);
    bench.mood(Mood::Stuck);
    // All at once, more than there are threads and places in the queue.
    let reads = futures_util::future::join_all((0..200).map(|_| bench.cache.get(Wanted::whole(id)))).await;
    assert!(reads.iter().all(Option::is_none));
    assert!(bench.cache.get(Wanted::whole(id)).await.is_none());
    for number in 0..100_000 {
        bench.put(number);
    }
    assert!(bench.cache.shared.queue.lock().write_bytes <= WRITES_MAX_BYTES);
    bench.mood(Mood::Well);
}

#[tokio::test]
async fn a_disk_that_is_stuck_from_the_start_is_no_cache() {
    let disk = Arc::new(Disk::default());
    *disk.mood.lock() = Mood::Stuck;
    let bench = bench_on(disk, 1 << 20);
    assert!(bench.cache.get(Wanted::whole(block(1).0)).await.is_none());
    bench.put(1);
    bench.mood(Mood::Well);
    bench.cache.settle();
    assert!(bench.cache.get(Wanted::whole(block(1).0)).await.is_some(), "and one when it wakes up");
}

#[tokio::test]
async fn the_end_of_access_removes_the_files_and_nothing_comes_after() {
    let bench = bench();
    let (id, _) = bench.put_and_wait(1);
    bench.put(2);
    bench.cache.close(true);
    bench.put(3);
    bench.cache.settle();
    assert!(bench.disk.files.lock().is_empty());
    assert!(bench.cache.get(Wanted::whole(id)).await.is_none());
    assert_eq!(bench.cache.status().bytes, 0);
}

#[tokio::test]
async fn the_end_of_a_mount_keeps_the_files() {
    let bench = bench();
    bench.put_and_wait(1);
    let disk = Arc::clone(&bench.disk);
    drop(bench);
    assert_eq!(disk.files.lock().len(), 1);
}
