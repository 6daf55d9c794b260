//! What a workspace of very many files costs a node in memory. In a process of its own, because it is the process that is
//! measured; the files are made by another, so that what making them took is not in the figures. `ARTIFACTS_TEST_FILES=1000000 cargo test -p artifacts-node --release --test memory -- --nocapture` measures a million.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use artifacts_core::namespace::{Attr, Extent, FileKind, Ino, Inode, Key, Name, Record, Usage, format};
use artifacts_core::ticket::KeyRing;
use artifacts_core::{AccountId, Timestamp, WorkspaceId};
use artifacts_node::blob::MemoryBlobs;
use artifacts_node::catalog::Catalog;
use artifacts_node::config::NodeConfig;
use artifacts_node::context::Context;
use artifacts_node::random::SystemEntropy;
use artifacts_node::records::{WorkspaceRecord, WorkspaceStatus};
use artifacts_node::sessions::{CheckOptions, Sessions};
use artifacts_node::store::{Batch, Durability, SledStore, Store};
use artifacts_node::time::SystemClock;
use bytes::Bytes;

/// Small enough for every run; what is measured grows with it in the open.
const USUAL_FILES: u64 = 20_000;
/// What a check may take beside what the store has, in bytes: whatever the workspace holds, and for each file.
const BASE_BYTES: u64 = 64 << 20;
const FILE_BYTES: u64 = 160;
/// The bound on the whole node, for up to a million files.
const WHOLE_BYTES: u64 = 600 << 20;

/// A line of `/proc/self/status`, in bytes.
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

fn file(ino: Ino, size: u64) -> Inode {
    let attr = Attr {
        ino,
        kind: FileKind::File,
        mode: 0o644,
        uid: 0,
        gid: 0,
        nlink: 1,
        size,
        allocated_bytes: size,
        rdev: 0,
        atime: 1,
        mtime: 1,
        ctime: 1,
    };
    Inode { attr, parent: Ino::ROOT, target: Bytes::new() }
}

/// Files in the root directory, each with a few bytes in the store.
async fn fill(store: &dyn Store, workspace: WorkspaceId, files: u64) {
    let stored = |key: &Key| [&b"W"[..], &workspace.bits().to_be_bytes(), &key.encode()].concat();
    let put = |batch: &mut Batch, key: Key, record: Record| {
        batch.put(stored(&key), postcard::to_stdvec(&record).unwrap());
    };
    let data = Bytes::from_static(b"sixteen bytes ..");
    let mut batch = Batch::new();
    for (key, record) in format(0, 0, 0o777, 0) {
        put(&mut batch, key, record.unwrap());
    }
    for at in 0..files {
        let ino = Ino(Ino::FIRST_LEASED.0 + at);
        let name = Name::new(format!("a-file-with-a-usual-name-{at:08}")).unwrap();
        put(&mut batch, Key::Inode(ino), Record::Inode(file(ino, data.len() as u64)));
        put(&mut batch, Key::Dentry(Ino::ROOT, name), Record::Dentry(ino, FileKind::File));
        put(&mut batch, Key::Extent(ino, 0), Record::Extent(Extent::inline(data.clone())));
        if batch.len() > 3_000 {
            store.write(std::mem::take(&mut batch), Durability::Visible).await.unwrap();
        }
    }
    let Some(Some(Record::Inode(mut root))) = format(0, 0, 0o777, 0).remove(&Key::Inode(Ino::ROOT)) else { panic!() };
    root.attr.size = files;
    put(&mut batch, Key::Inode(Ino::ROOT), Record::Inode(root));
    put(&mut batch, Key::Usage, Record::Usage(Usage { bytes: files * data.len() as u64, inodes: files + 1 }));
    store.write(batch, Durability::Durable).await.unwrap();
}

/// Tells the other process where to make the files.
const FILL: &str = "ARTIFACTS_TEST_FILL";
const TEST: &str = "a_workspace_of_very_many_files_is_checked_in_bounded_memory";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workspace_of_very_many_files_is_checked_in_bounded_memory() {
    let files = std::env::var("ARTIFACTS_TEST_FILES").map_or(USUAL_FILES, |count| count.parse().unwrap());
    let workspace = WorkspaceId::from_bits(7);
    let config = NodeConfig::default();
    if let Some(directory) = std::env::var_os(FILL) {
        let store = SledStore::open(directory, config.store_cache_bytes).await.unwrap();
        fill(&store, workspace, files).await;
        store.close().await.unwrap();
        println!("{files} files: {} MiB at most while they were made", status("VmHWM") >> 20);
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let meta = directory.path().join("meta");
    let mut making = std::process::Command::new(std::env::current_exe().unwrap());
    assert!(making.args([TEST, "--exact", "--nocapture"]).env(FILL, &meta).status().unwrap().success());
    let store = Arc::new(SledStore::open(meta, config.store_cache_bytes).await.unwrap());
    let record = WorkspaceRecord {
        id: workspace,
        account: AccountId::from_bits(1),
        handle: "acme".parse().unwrap(),
        name: "w".parse().unwrap(),
        status: WorkspaceStatus::Active,
        region: "local".into(),
        quota_bytes: None,
        quota_inodes: None,
        created_at: Timestamp::from_unix_ms(0),
    };
    let context = Arc::new(Context {
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        catalog: Catalog::new(store.clone()),
        store,
        blobs: Arc::new(MemoryBlobs::new()),
        key_ring: parking_lot::RwLock::new(KeyRing::default()),
        revocations: parking_lot::RwLock::default(),
        endpoints: Vec::new(),
        config,
    });
    let sessions = Sessions::start(context).await.unwrap();
    let opened = status("VmRSS");
    let report = sessions.check(&record, CheckOptions { data: true, repair: false }).await.unwrap();
    assert_eq!((report.findings, report.untold, report.inodes, report.verified_bytes), (vec![], 0, files + 1, files * 16));
    let peak = status("VmHWM");
    println!("{files} files: {} MiB with the store open, {} MiB at most while all was checked", opened >> 20, peak >> 20);
    assert!(peak <= opened + BASE_BYTES + files * FILE_BYTES, "{} MiB more for {files} files", (peak - opened) >> 20);
    assert!(peak <= WHOLE_BYTES, "{} MiB for {files} files", peak >> 20);
    sessions.stop().await.unwrap();
}
