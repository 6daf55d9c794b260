//! What only the store on disk promises: recovery, the lock, the refusal of a full disk, pages that stay in the log.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use super::*;
use crate::store::{MAX_KEY_BYTES, MAX_VALUE_BYTES};

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

/// What a crash at this moment would leave, as far as another process can see it.
fn copy_files(directory: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
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

    let full = SledStore::open_reserving(directory.path().into(), DEFAULT_CACHE_BYTES, u64::MAX).await.unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_never_shows_half_a_batch() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(open(directory.path()).await);
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
    assert_eq!(std::fs::read_dir(directory.path().join("blobs")).unwrap().count(), 0);
}
