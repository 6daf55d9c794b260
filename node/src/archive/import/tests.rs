#![allow(clippy::unwrap_used, clippy::expect_used)]

use artifacts_core::cluster::ShardMap;
use bytes::Bytes;

use super::*;
use crate::archive::export::write as export_to;
use crate::blob::MemoryBlobs;
use crate::store::MemoryStore;

/// Rows of many workspaces, so that they lie in many shards, and a few segments.
async fn exported() -> (Vec<u8>, Summary, Vec<(Bytes, Bytes)>) {
    let (store, blobs) = (MemoryStore::new(), MemoryBlobs::new());
    layout::finish(&store).await.unwrap();
    let mut rows = Batch::new();
    for workspace in 0..200u128 {
        for name in ["a", "b", "c"] {
            rows.put([b"W", &workspace.to_be_bytes()[..], name.as_bytes()].concat(), format!("{workspace}{name}"));
        }
    }
    rows.put("Y", "the signing keys").put("aacme\0", "an account");
    store.write(rows, Durability::Durable).await.unwrap();
    for segment in 0..5u8 {
        let key = BlobKey::new(&format!("ws_1/seg_{segment}")).unwrap();
        blobs.put(&key, Bytes::from(vec![segment; usize::from(segment) * 1000])).await.unwrap();
    }
    let (stream, summary) = export_to(Vec::new(), &store, Some(&blobs), "directory".to_owned()).await.unwrap();
    let mut rows = store.scan(KeyRange::all(), usize::MAX).await.unwrap();
    rows.retain(|(key, _)| !layout::is_note(key));
    (stream, summary, rows)
}

fn read(stream: &[u8]) -> Result<Reader<&[u8]>, ArchiveError> {
    Reader::start(stream)
}

fn sharded() -> MemoryStore {
    MemoryStore::sharded(ShardMap::new(16).unwrap())
}

async fn import_into(store: &MemoryStore, blobs: &MemoryBlobs, stream: &[u8]) -> Result<Summary, ArchiveError> {
    fits(store, "directory", "s3://elsewhere/").await?;
    layout::begin_import(store).await?;
    write(read(stream)?, store, blobs).await?;
    let summary = compare(read(stream)?, store, blobs).await?;
    layout::finish(store).await?;
    Ok(summary)
}

#[tokio::test]
async fn what_was_exported_is_there_after_an_import_in_the_right_shards() {
    let (stream, summary, rows) = exported().await;
    assert_eq!(summary, Summary { rows: 602, segments: 5, segment_bytes: 10_000 });
    let (store, blobs) = (sharded(), MemoryBlobs::new());
    assert_eq!(import_into(&store, &blobs, &stream).await.unwrap(), summary);
    let mut found = store.scan(KeyRange::all(), usize::MAX).await.unwrap();
    found.retain(|(key, _)| !layout::is_note(key));
    assert_eq!(found, rows);
    let key = BlobKey::new("ws_1/seg_4").unwrap();
    assert_eq!(blobs.get(&key, 0..4000).await.unwrap(), vec![4; 4000]);
    let again = import_into(&store, &blobs, &stream).await.unwrap_err();
    assert!(matches!(again, ArchiveError::Unfit(_)), "{again}");
}

#[tokio::test]
async fn an_import_that_was_interrupted_goes_on_with_the_same_file() {
    let (stream, ..) = exported().await;
    let (store, blobs) = (sharded(), MemoryBlobs::new());
    layout::begin_import(&store).await.unwrap();
    let mut half = read(&stream).unwrap();
    for _ in 0..2 {
        let Some(Frame::Rows(rows)) = half.next().unwrap() else { continue };
        for (key, value) in rows {
            let mut batch = Batch::new();
            batch.put(key, value);
            store.write(batch, Durability::Durable).await.unwrap();
        }
    }
    assert_eq!(layout::bring_up_to_date(&store).await.unwrap(), LayoutState::Importing, "no node starts on it");
    import_into(&store, &blobs, &stream).await.unwrap();
}

#[tokio::test]
async fn a_row_too_many_is_found() {
    let (stream, ..) = exported().await;
    let (store, blobs) = (sharded(), MemoryBlobs::new());
    layout::begin_import(&store).await.unwrap();
    let mut foreign = Batch::new();
    foreign.put([b"W", &7u128.to_be_bytes()[..], b"zz"].concat(), "of another import");
    store.write(foreign, Durability::Durable).await.unwrap();
    let error = import_into(&store, &blobs, &stream).await.unwrap_err();
    assert!(matches!(error, ArchiveError::Unfit(_)), "{error}");
}

#[tokio::test]
async fn a_stream_that_was_cut_or_changed_is_refused() {
    let (stream, ..) = exported().await;
    assert_eq!(check(read(&stream).unwrap()).unwrap(), "directory");
    let refused = |stream: &[u8], what: &str| {
        let outcome = read(stream).and_then(check);
        assert!(matches!(outcome, Err(ArchiveError::Damaged(_))), "{what}: {outcome:?}");
    };
    for length in (0..stream.len()).step_by(97).chain([stream.len() - 1]) {
        refused(&stream[..length], "cut");
    }
    for at in (0..stream.len()).step_by(101) {
        let mut changed = stream.clone();
        changed[at] ^= 1;
        refused(&changed, "changed");
    }
    refused(&[stream.as_slice(), b"x"].concat(), "longer");
    // A part left out whole: each checksum is right.
    let mut cut = stream.clone();
    let first = 16 + 8 + u32::from_le_bytes(stream[16..20].try_into().unwrap()) as usize;
    let second = first + 8 + u32::from_le_bytes(stream[first..first + 4].try_into().unwrap()) as usize;
    cut.drain(first..second);
    refused(&cut, "a part is missing");
}

#[tokio::test]
async fn segments_in_a_bucket_stay_there() {
    let store = sharded();
    assert!(fits(&store, "s3://b/p", "s3://b/p").await.is_ok());
    assert!(matches!(fits(&store, "s3://b/p", "directory").await, Err(ArchiveError::Unfit(_))));
    assert!(fits(&store, "directory", "s3://b/p").await.is_ok());
}
