//! What only the directory promises: recovery, the lock, the refusal of a full disk, a tidy tree.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

fn key(text: &str) -> BlobKey {
    BlobKey::new(text).unwrap()
}

fn entries(directory: &Path) -> usize {
    fs::read_dir(directory).unwrap().count()
}

#[tokio::test]
async fn objects_are_there_after_a_reopen_and_leftovers_are_not() {
    let root = tempfile::tempdir().unwrap();
    let blobs = DirectoryBlobs::open(root.path()).await.unwrap();
    blobs.put(&key("ws_1/seg_1"), "kept".into()).await.unwrap();
    drop(blobs);
    // A crash between the write and the link, and one between the link and the removal.
    fs::write(root.path().join("incoming/7"), "half").unwrap();
    let object = layout::path(&root.path().join("objects"), &key("ws_1/seg_1"));
    fs::hard_link(object, root.path().join("incoming/8")).unwrap();

    let blobs = DirectoryBlobs::open(root.path()).await.unwrap();
    assert_eq!(entries(&root.path().join("incoming")), 0);
    assert_eq!(blobs.get(&key("ws_1/seg_1"), 0..4).await.unwrap(), "kept");
    assert_eq!(blobs.list("", None, 10).await.unwrap(), [key("ws_1/seg_1")]);
}

#[tokio::test]
async fn a_second_open_of_the_same_directory_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let _blobs = DirectoryBlobs::open(root.path()).await.unwrap();
    let error = DirectoryBlobs::open(root.path()).await.err().unwrap();
    assert!(matches!(error, BlobError::Locked { .. }), "{error}");
}

#[tokio::test]
async fn a_full_disk_refuses_a_put_and_still_reads_and_deletes() {
    let root = tempfile::tempdir().unwrap();
    let blobs = DirectoryBlobs::open(root.path()).await.unwrap();
    blobs.put(&key("a"), "1".into()).await.unwrap();
    drop(blobs);
    let full = DirectoryBlobs::open_reserving(root.path().into(), u64::MAX).await.unwrap();
    let error = full.put(&key("b"), "2".into()).await.unwrap_err();
    assert!(matches!(error, BlobError::Full { .. }), "{error}");
    assert_eq!(full.len(&key("b")).await.unwrap(), None);
    assert_eq!(full.get(&key("a"), 0..1).await.unwrap(), "1");
    full.delete(&key("a")).await.unwrap();
}

#[tokio::test]
async fn deleting_the_last_object_removes_its_directories() {
    let root = tempfile::tempdir().unwrap();
    let blobs = DirectoryBlobs::open(root.path()).await.unwrap();
    for _ in 0..2 {
        blobs.put(&key("ws_1/seg_1"), "1".into()).await.unwrap();
        blobs.put(&key("ws_1/seg_2"), "2".into()).await.unwrap();
        blobs.delete(&key("ws_1/seg_1")).await.unwrap();
        assert_eq!(blobs.len(&key("ws_1/seg_2")).await.unwrap(), Some(1));
        blobs.delete(&key("ws_1/seg_2")).await.unwrap();
        assert_eq!(entries(&root.path().join("objects")), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn puts_and_deletes_of_neighbours_do_not_disturb_each_other() {
    let root = tempfile::tempdir().unwrap();
    let blobs = Arc::new(DirectoryBlobs::open(root.path()).await.unwrap());
    let tasks = (0..8).map(|task| {
        let blobs = Arc::clone(&blobs);
        tokio::spawn(async move {
            let own = key(&format!("ws_1/seg_{task}"));
            for _ in 0..20 {
                blobs.put(&own, "data".into()).await.unwrap();
                assert_eq!(blobs.get(&own, 0..4).await.unwrap(), "data");
                blobs.delete(&own).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(entries(&root.path().join("objects")), 0);
    assert_eq!(entries(&root.path().join("incoming")), 0);
}

#[tokio::test]
async fn strangers_in_the_tree_are_not_listed() {
    let root = tempfile::tempdir().unwrap();
    let blobs = DirectoryBlobs::open(root.path()).await.unwrap();
    blobs.put(&key("ws_1/seg_1"), "1".into()).await.unwrap();
    fs::create_dir_all(root.path().join("objects/lost+found")).unwrap();
    fs::write(root.path().join("objects/ws_1+/.DS_Store"), "").unwrap();
    assert_eq!(blobs.list("", None, 10).await.unwrap(), [key("ws_1/seg_1")]);
}
