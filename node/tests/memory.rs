//! What it costs a node in memory to check a workspace of very many files. In a process of its own, because it is the
//! process that is measured; over a store in memory, so that what the store caches is not in the figure.

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
use artifacts_node::store::{Batch, Durability, MemoryStore, Store};
use artifacts_node::time::SystemClock;
use bytes::Bytes;

/// Enough for what a check holds of each file to stand out from what it takes anyway.
const FILES: u64 = 100_000;
/// What a check may take, in bytes: whatever the workspace holds, and for each file.
const BASE_BYTES: u64 = 16 << 20;
const FILE_BYTES: u64 = 160;

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
    Inode::new(attr, Ino::ROOT)
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workspace_of_very_many_files_is_checked_in_bounded_memory() {
    let workspace = WorkspaceId::from_bits(7);
    let store = Arc::new(MemoryStore::new());
    fill(&*store, workspace, FILES).await;
    let record = WorkspaceRecord {
        id: workspace,
        account: AccountId::from_bits(1),
        handle: "acme".parse().unwrap(),
        name: "w".parse().unwrap(),
        status: WorkspaceStatus::Active,
        region: "local".into(),
        abroad: false,
        tenant: None,
        origin: None,
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
        key_ring: Arc::new(parking_lot::RwLock::new(KeyRing::default())),
        revocations: Arc::default(),
        log: parking_lot::Mutex::default(),
        audit: artifacts_node::audit::Trail::default(),
        data_keys: Arc::default(),
        admin_token_hash: Arc::default(),
        is_home: true,
        endpoints: Arc::default(),
        peers: Arc::default(),
        regions: artifacts_core::cluster::Regions::one("local"),
        abroad: Arc::default(),
        homes: Default::default(),
        config: NodeConfig::default(),
    });
    let sessions = Sessions::start(context).await.unwrap();
    // From here on the high-water mark counts anew (proc(5)).
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status("VmRSS");
    let report = sessions.check(&record, CheckOptions { data: true, repair: false }).await.unwrap();
    assert_eq!((report.findings, report.untold, report.inodes, report.verified_bytes), (vec![], 0, FILES + 1, FILES * 16));
    let taken = status("VmHWM").saturating_sub(before);
    println!("checking {FILES} files took {} KiB", taken >> 10);
    assert!(taken <= BASE_BYTES + FILES * FILE_BYTES, "{} KiB for {FILES} files", taken >> 10);
    sessions.stop().await.unwrap();
}
