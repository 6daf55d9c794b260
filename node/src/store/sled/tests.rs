//! What only the store on disk promises: recovery, the lock, the refusal of a full disk, pages that stay in the log.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use super::*;
use crate::store::{MAX_KEY_BYTES, MAX_VALUE_BYTES};

const LIMITS: Limits = Limits::with_cache(DEFAULT_CACHE_BYTES);

async fn open(directory: &Path) -> SledStore {
    SledStore::open(directory, DEFAULT_CACHE_BYTES).await.unwrap()
}

fn put(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Batch {
    let mut batch = Batch::new();
    batch.put(key, value);
    batch
}

#[tokio::test]
async fn what_was_written_is_there_after_a_close_and_an_open() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    store.write(put("visible", "1"), Durability::Visible).await.unwrap();
    store.write(put("durable", "2"), Durability::Durable).await.unwrap();
    store.close().await.unwrap();

    let store = open(directory.path()).await;
    assert_eq!(store.get(b"visible").await.unwrap().unwrap(), "1");
    assert_eq!(store.get(b"durable").await.unwrap().unwrap(), "2");
}

/// What a crash at this moment would leave, as far as another process can see it. The database comes last: it may have
/// got further than the journal says, never less far.
fn copy_files(directory: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for part in [JOURNAL, "."] {
        std::fs::create_dir_all(copy.path().join(part)).unwrap();
        for entry in std::fs::read_dir(directory.join(part)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                std::fs::copy(entry.path(), copy.path().join(part).join(entry.file_name())).unwrap();
            }
        }
    }
    copy
}

#[tokio::test]
async fn a_barrier_brings_all_writes_before_it_to_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    for i in 0..200u32 {
        store.write(put(i.to_be_bytes().to_vec(), vec![7; 1000]), Durability::Visible).await.unwrap();
    }
    store.write(Batch::new(), Durability::Durable).await.unwrap();

    let copy = copy_files(directory.path());
    let recovered = open(copy.path()).await;
    assert_eq!(recovered.scan(KeyRange::all(), 1000).await.unwrap().len(), 200);
}

#[tokio::test]
async fn a_visible_write_reaches_the_disk_by_itself_within_half_a_second() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let mut half_a_second = tokio::time::interval(Duration::from_millis(500));
    half_a_second.tick().await;
    store.write(put("a", "1"), Durability::Visible).await.unwrap();
    half_a_second.tick().await;

    let copy = copy_files(directory.path());
    let recovered = open(copy.path()).await;
    assert_eq!(recovered.get(b"a").await.unwrap().unwrap(), "1");
}

#[tokio::test]
async fn a_second_open_of_the_same_directory_says_who_is_in_the_way() {
    let directory = tempfile::tempdir().unwrap();
    let _store = open(directory.path()).await;
    let error = SledStore::open(directory.path(), DEFAULT_CACHE_BYTES).await.err().unwrap();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    assert!(error.to_string().contains("another node is using this data directory"), "{error}");
}

#[tokio::test]
async fn damaged_files_are_an_error_and_not_a_panic() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("conf"), "not a configuration").unwrap();
    let error = SledStore::open(directory.path(), DEFAULT_CACHE_BYTES).await.err().unwrap();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn a_full_disk_refuses_puts_and_takes_deletes_and_reads() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    store.write(put("a", "1"), Durability::Durable).await.unwrap();
    store.close().await.unwrap();

    let full = SledStore::open_with(directory.path().into(), Limits { reserve_bytes: u64::MAX, ..LIMITS }).await.unwrap();
    let error = full.write(put("b", "2"), Durability::Durable).await.unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    assert_eq!(full.get(b"b").await.unwrap(), None);
    assert_eq!(full.get(b"a").await.unwrap().unwrap(), "1");
    let mut delete = Batch::new();
    delete.delete("a");
    full.write(delete, Durability::Durable).await.unwrap();
    assert_eq!(full.get(b"a").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writers_share_commits_and_all_are_answered() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(open(directory.path()).await);
    let writers = (0..64u32).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for i in 0..20u32 {
                let key = [writer.to_be_bytes(), i.to_be_bytes()].concat();
                let durability = if i % 2 == 0 { Durability::Durable } else { Durability::Visible };
                store.write(put(key.clone(), "x"), durability).await.unwrap();
                assert!(store.get(&key).await.unwrap().is_some());
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert_eq!(store.scan(KeyRange::all(), 10_000).await.unwrap().len(), 64 * 20);
}

/// So small that every few writes go through all of it: groups, back-pressure, segments used again.
const TINY: Limits = Limits {
    log: LogLimits { segment_bytes: 16 << 10, total_bytes: 64 << 10 },
    pace: Pace { apply_bytes: 8 << 10, apply_journal_bytes: 16 << 10, max_table_bytes: 48 << 10 },
    ..LIMITS
};

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_never_shows_half_a_batch() {
    for limits in [LIMITS, TINY] {
        scans_show_whole_batches(limits).await;
    }
}

async fn scans_show_whole_batches(limits: Limits) {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(SledStore::open_with(directory.path().into(), limits).await.unwrap());
    let round = |value: u32| {
        let mut batch = Batch::new();
        for key in 0..200u32 {
            batch.put(key.to_be_bytes().to_vec(), value.to_be_bytes().to_vec());
        }
        batch
    };
    store.write(round(0), Durability::Visible).await.unwrap();
    let writer = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            for value in 1..100 {
                store.write(round(value), Durability::Visible).await.unwrap();
            }
        }
    });
    while !writer.is_finished() {
        let seen = store.scan(KeyRange::all(), 1000).await.unwrap();
        assert_eq!(seen.len(), 200);
        assert!(seen.iter().all(|(_, value)| *value == seen[0].1));
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
}

fn journal_bytes(directory: &Path) -> u64 {
    let files = std::fs::read_dir(directory.join(JOURNAL)).unwrap();
    files.map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_journal_makes_writers_wait_and_drops_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(SledStore::open_with(directory.path().into(), TINY).await.unwrap());
    let writers = (0..8u32).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for i in 0..100u32 {
                let key = [writer.to_be_bytes(), (i % 40).to_be_bytes()].concat();
                let durability = if i % 7 == 0 { Durability::Durable } else { Durability::Visible };
                store.write(put(key.clone(), [i.to_be_bytes().to_vec(), vec![1; 2000]].concat()), durability).await.unwrap();
                assert_eq!(store.get(&key).await.unwrap().unwrap()[..4], i.to_be_bytes());
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    // One checkpoint of less than two blocks besides.
    assert!(journal_bytes(directory.path()) <= TINY.log.total_bytes + 8192, "{}", journal_bytes(directory.path()));
    store.write(Batch::new(), Durability::Durable).await.unwrap();
    store.close().await.unwrap();
    let store = open(directory.path()).await;
    let found = store.scan(KeyRange::all(), 10_000).await.unwrap();
    assert_eq!(found.len(), 8 * 40);
    for (key, value) in found {
        let i = u32::from_be_bytes(key[4..].try_into().unwrap());
        let last = if i < 20 { i + 80 } else { i + 40 };
        assert_eq!(value[..4], last.to_be_bytes());
    }
}

#[tokio::test]
async fn a_batch_larger_than_the_whole_journal_is_taken_whole() {
    let directory = tempfile::tempdir().unwrap();
    let store = SledStore::open_with(directory.path().into(), TINY).await.unwrap();
    let mut large = Batch::new();
    for i in 0..100u32 {
        large.put(i.to_be_bytes().to_vec(), vec![5; 3000]);
    }
    store.write(put("before", "1"), Durability::Visible).await.unwrap();
    store.write(large, Durability::Durable).await.unwrap();
    let copy = copy_files(directory.path());
    assert_eq!(open(copy.path()).await.scan(KeyRange::all(), 1000).await.unwrap().len(), 101);
    for i in 0..100u32 {
        store.write(put(i.to_be_bytes().to_vec(), vec![6; 3000]), Durability::Visible).await.unwrap();
    }
    assert!(journal_bytes(directory.path()) <= TINY.log.total_bytes + 8192, "it keeps no room of odd sizes");
    assert_eq!(store.scan(KeyRange::all(), 1000).await.unwrap().len(), 101);
}

#[tokio::test]
async fn damage_in_the_middle_of_the_journal_is_an_error_and_a_torn_end_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    for i in 0..10u8 {
        store.write(put(vec![i], vec![i; 100]), Durability::Durable).await.unwrap();
    }
    // A record of one such entry takes 144 bytes.
    for (damaged_byte, left) in [(144 * 9 + 50, Some(9)), (144 * 4 + 50, None), (0, None)] {
        let copy = copy_files(directory.path());
        let segment = std::fs::read_dir(copy.path().join(JOURNAL)).unwrap().map(|entry| entry.unwrap().path());
        let segment = segment.into_iter().find(|path| path.to_string_lossy().contains("segment")).unwrap();
        let mut bytes = std::fs::read(&segment).unwrap();
        bytes[damaged_byte] ^= 1;
        std::fs::write(&segment, bytes).unwrap();
        let opened = SledStore::open(copy.path(), DEFAULT_CACHE_BYTES).await;
        match left {
            Some(left) => assert_eq!(opened.unwrap().scan(KeyRange::all(), 100).await.unwrap().len(), left),
            None => assert!(matches!(opened.err().unwrap(), StoreError::Corrupt { .. })),
        }
    }
}

#[tokio::test]
async fn a_journal_without_its_checkpoint_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    store.write(put("a", "1"), Durability::Durable).await.unwrap();
    let copy = copy_files(directory.path());
    std::fs::write(copy.path().join(JOURNAL).join("checkpoint"), vec![0; 8192]).unwrap();
    let error = SledStore::open(copy.path(), DEFAULT_CACHE_BYTES).await.err().unwrap();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

/// The reason for the limit on values: a page in a file of its own is not durable.
#[tokio::test]
async fn the_largest_values_never_leave_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    for round in 0..3u8 {
        for i in 0..60u8 {
            let mut key = vec![b'k'; MAX_KEY_BYTES];
            key[MAX_KEY_BYTES - 1] = i;
            store.write(put(key, vec![round; MAX_VALUE_BYTES]), Durability::Visible).await.unwrap();
        }
        store.write(Batch::new(), Durability::Durable).await.unwrap();
    }
    store.close().await.unwrap();
    assert_eq!(std::fs::read_dir(directory.path().join("blobs")).unwrap().count(), 0);
}
