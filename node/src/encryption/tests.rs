#![allow(clippy::unwrap_used)]
mod segments;

use std::sync::Arc;

use artifacts_core::namespace::{Ino, Key};
use artifacts_core::{SegmentId, WorkspaceId};
use bytes::Bytes;

use super::sealed_segment::sealed_len;
use super::*;
use crate::blob::{BlobError, BlobKey, BlobStore as _, MemoryBlobs};
use crate::random::{SharedEntropy, SystemEntropy};
use crate::store::{Batch, Durability, KeyRange, MemoryStore, Store, StoreError};
use crate::workspace::{WorkspaceKeys, segment_key};

const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
const OTHER: &str = "CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=";
const WORKSPACE: WorkspaceId = WorkspaceId::from_bits(7);
const PLAIN: &[u8] = b"what a program has written";

fn entropy() -> SharedEntropy {
    Arc::new(SystemEntropy)
}

fn keys_over(store: &Arc<MemoryStore>, text: Option<&str>) -> Arc<DataKeys> {
    Arc::new(DataKeys::new(store.clone(), text.map(|text| ClusterKeys::parse(text).unwrap())))
}

async fn store_over(store: &Arc<MemoryStore>, keys: &Arc<DataKeys>) -> SealedStore {
    let sealed = SealedStore::new(store.clone(), keys.clone(), entropy());
    let mut batch = Batch::new();
    keys.draw(&mut batch, WORKSPACE, &entropy()).await.unwrap();
    sealed.write(batch, Durability::Durable).await.unwrap();
    sealed
}

fn row(key: &Key) -> Vec<u8> {
    WorkspaceKeys(WORKSPACE).namespace(&key.encode())
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[tokio::test]
async fn data_rows_are_sealed_below_and_plain_above() {
    let raw = Arc::new(MemoryStore::new());
    let keys = keys_over(&raw, Some(KEY));
    let store = store_over(&raw, &keys).await;
    let rows = [
        (row(&Key::Extent(Ino(5), 9)), true),
        (row(&Key::Xattr(Ino(5), Bytes::from_static(b"user.k"))), true),
        (row(&Key::Inode(Ino(5))), false),
        (WorkspaceKeys(WorkspaceId::from_bits(8)).namespace(&Key::Extent(Ino(5), 9).encode()), false),
        (b"T-something-else".to_vec(), false),
    ];
    for (row, is_sealed) in &rows {
        let mut batch = Batch::new();
        batch.put(row.clone(), PLAIN);
        store.write(batch, Durability::Durable).await.unwrap();
        assert_eq!(store.get(row).await.unwrap().unwrap(), PLAIN);
        assert_eq!(contains(&raw.get(row).await.unwrap().unwrap(), PLAIN), !is_sealed, "{row:?}");
    }
    let all = store.scan(KeyRange::all(), 100).await.unwrap();
    assert_eq!(all.iter().filter(|(_, value)| *value == PLAIN).count(), rows.len());

    // The same value in another place does not open there.
    let mut batch = Batch::new();
    batch.put(row(&Key::Extent(Ino(6), 0)), raw.get(&rows[0].0).await.unwrap().unwrap());
    raw.write(batch, Durability::Durable).await.unwrap();
    assert!(matches!(store.get(&row(&Key::Extent(Ino(6), 0))).await, Err(StoreError::Corrupt { .. })));

    // Without the row of its key nothing opens any more.
    let mut batch = Batch::new();
    batch.delete(WorkspaceKeys(WORKSPACE).data_key());
    store.write(batch, Durability::Durable).await.unwrap();
    assert_ne!(store.get(&rows[0].0).await.unwrap().unwrap(), PLAIN);
}

#[tokio::test]
async fn a_key_that_is_missing_or_wrong_is_named_and_one_that_was_replaced_still_opens() {
    let raw = Arc::new(MemoryStore::new());
    let keys = keys_over(&raw, Some(KEY));
    keys.check(&entropy()).await.unwrap().unwrap();
    let store = store_over(&raw, &keys).await;
    let mut batch = Batch::new();
    batch.put(row(&Key::Extent(Ino(5), 9)), PLAIN);
    store.write(batch, Durability::Durable).await.unwrap();
    for (text, outcome) in [(None, "Missing"), (Some(OTHER), "Wrong")] {
        let keys = keys_over(&raw, text);
        assert_eq!(format!("{:?}", keys.check(&entropy()).await.unwrap().unwrap_err()), outcome);
        let store = SealedStore::new(raw.clone(), keys, entropy());
        assert!(matches!(store.get(&row(&Key::Extent(Ino(5), 9))).await, Err(StoreError::Corrupt { reason }) if reason.contains("key")));
    }
    let both = format!("{OTHER}\n# the one before\n{KEY}\n");
    let keys = keys_over(&raw, Some(&both));
    keys.check(&entropy()).await.unwrap().unwrap();
    let store = SealedStore::new(raw.clone(), keys, entropy());
    assert_eq!(store.get(&row(&Key::Extent(Ino(5), 9))).await.unwrap().unwrap(), PLAIN);
    for bad in ["", "# none", "short", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBw=="] {
        assert!(ClusterKeys::parse(bad).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn segments_are_sealed_below_and_read_in_any_piece_above() {
    let raw = Arc::new(MemoryStore::new());
    let keys = keys_over(&raw, Some(KEY));
    store_over(&raw, &keys).await;
    let inner = Arc::new(MemoryBlobs::new());
    let blobs = SealedBlobs::new(inner.clone(), keys);
    let object = segment_key(WORKSPACE, SegmentId::from_bits(3)).unwrap();
    let plain: Bytes = (0..200_000_u32).map(|at| (at / 3) as u8).collect();
    for _ in 0..2 {
        blobs.put(&object, plain.clone()).await.unwrap();
    }
    assert!(matches!(blobs.put(&object, plain.slice(1..)).await, Err(BlobError::AlreadyExists { .. })));
    assert_eq!(blobs.len(&object).await.unwrap(), Some(200_000));
    let sealed = inner.len(&object).await.unwrap().unwrap();
    assert_eq!(sealed, sealed_len(200_000));
    let stored = inner.get(&object, 0..sealed).await.unwrap();
    assert!(!contains(&stored, &plain[..64]));
    for range in [0..1, 0..200_000, 65_535..65_537, 65_536..131_072, 199_999..200_000, 70_000..70_000] {
        assert_eq!(blobs.get(&object, range.clone()).await.unwrap(), plain[range.start as usize..range.end as usize], "{range:?}");
    }
    assert!(matches!(blobs.get(&object, 0..200_001).await, Err(BlobError::OutOfRange { len_bytes: 200_000, .. })));

    // Under the name of another segment it does not open.
    let other = segment_key(WORKSPACE, SegmentId::from_bits(4)).unwrap();
    inner.put(&other, stored).await.unwrap();
    assert!(blobs.get(&other, 0..10).await.is_err());
    let of_nobody = BlobKey::new("ws_none/seg_none").unwrap();
    blobs.put(&of_nobody, Bytes::from_static(PLAIN)).await.unwrap();
    assert_eq!(inner.get(&of_nobody, 0..PLAIN.len() as u64).await.unwrap(), PLAIN);
}
