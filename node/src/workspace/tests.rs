#![allow(clippy::unwrap_used, clippy::expect_used)]

mod absent;
mod faults;
mod inode_leases;
mod lease;
mod locks;
mod quotas;
mod sharing;
mod upkeep;
mod visits;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use artifacts_core::cluster::ShardMap;
use artifacts_core::namespace::{Attr, Errno, Extent, Ino, Mutation, Name, NewNode, Op, Outcome, Position, Usage};
use artifacts_core::protocol::{Answer, ClientFrame, NumberedOp, Request, ServerFrame};
use artifacts_core::session::InodeRanges;
use artifacts_core::ticket::{KeyRing, Mode};
use artifacts_core::{AccountId, SessionId, Timestamp, WorkspaceId};
use bytes::Bytes;
use ractor::{Actor, ActorRef};
use tokio::sync::mpsc;

use super::*;
use crate::blob::{BlobOp, BlobStore, FaultyBlobs, MemoryBlobs};
use crate::catalog::Catalog;
use crate::config::NodeConfig;
use crate::context::{Context, SharedContext};
use crate::encryption::{ClusterKeys, DataKeys, SealedBlobs, SealedStore};
use crate::locks::Locks;
use crate::random::SystemEntropy;
use crate::records::{WorkspaceRecord, WorkspaceStatus};
use crate::store::fault::FaultPlan;
use crate::store::{Batch, Durability, MemoryStore, Store as _};
use crate::time::SystemClock;

/// A workspace over a store in memory, which can lose its process and come back.
struct Lab {
    store: Arc<MemoryStore>,
    blobs: Arc<MemoryBlobs>,
    record: WorkspaceRecord,
    fenced: Arc<parking_lot::Mutex<Vec<SessionId>>>,
    /// What keeps a new actor from beginning before the last flush of the one before, as long as the process lives.
    writer: Arc<tokio::sync::Mutex<()>>,
    rules: UpkeepRules,
    /// What stands before the blobs, where a test wants them to fail.
    faulty: Option<Arc<FaultyBlobs>>,
    /// Whether a writer is away.
    absent: Arc<AtomicBool>,
    /// The cluster's keys, where a test wants what is at rest to be sealed.
    sealed_with: Option<&'static str>,
    /// The locks of the life that was started last.
    locks: parking_lot::Mutex<Option<Locks>>,
}

impl Lab {
    async fn new() -> Self {
        let record = WorkspaceRecord {
            id: WorkspaceId::from_bits(7),
            account: AccountId::from_bits(1),
            handle: "acme".parse().unwrap(),
            name: "w".parse().unwrap(),
            status: WorkspaceStatus::Active,
            region: "local".into(),
            abroad: false,
            tenant: None,
            origin: None,
            quota_bytes: None,
            quota_inodes: Some(1_000),
            created_at: Timestamp::from_unix_ms(0),
        };
        let lab = Self {
            store: Arc::new(MemoryStore::sharded(ShardMap::new(16).unwrap())),
            blobs: Arc::new(MemoryBlobs::new()),
            record,
            rules: UpkeepRules::default(),
            faulty: None,
            absent: Arc::default(),
            sealed_with: None,
            fenced: Arc::default(),
            writer: Arc::default(),
            locks: parking_lot::Mutex::default(),
        };
        let mut batch = Batch::new();
        for (key, record) in artifacts_core::namespace::format(0, 0, 0o777, 0) {
            batch.put(WorkspaceKeys(lab.record.id).namespace(&key.encode()), postcard::to_stdvec(&record.unwrap()).unwrap());
        }
        lab.store.write(batch, Durability::Durable).await.unwrap();
        lab
    }

    fn context(&self) -> SharedContext {
        let plain = self.faulty.clone().map_or(self.blobs.clone() as Arc<dyn BlobStore>, |faulty| faulty);
        let cluster_keys = self.sealed_with.map(|text| ClusterKeys::parse(text).unwrap());
        let data_keys = Arc::new(DataKeys::new(self.store.clone(), cluster_keys));
        let store = Arc::new(SealedStore::new(self.store.clone(), data_keys.clone(), Arc::new(SystemEntropy)));
        Arc::new(Context {
            config: NodeConfig { upkeep: self.rules.clone(), ..NodeConfig::default() },
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            catalog: Catalog::new(store.clone()),
            store,
            blobs: Arc::new(SealedBlobs::new(plain, data_keys.clone())),
            key_ring: Arc::new(parking_lot::RwLock::new(KeyRing::default())),
            revocations: Arc::default(),
            log: parking_lot::Mutex::default(),
            audit: crate::audit::Trail::default(),
            data_keys,
            admin_token_hash: Arc::default(),
            is_home: true,
            endpoints: Arc::default(),
            peers: Arc::default(),
            regions: artifacts_core::cluster::Regions::one("local"),
            abroad: Arc::default(),
            homes: Default::default(),
        })
    }

    async fn start(&self, on_record: Vec<SessionId>) -> ActorRef<WorkspaceMessage> {
        self.start_in(self.context(), on_record).await
    }

    async fn start_in(&self, context: SharedContext, on_record: Vec<SessionId>) -> ActorRef<WorkspaceMessage> {
        let (absent, fence) = (self.absent.clone(), self.fence());
        let fence_holder = Arc::new(move |session| {
            fence(session);
            true
        });
        let locks = Locks::start(context.clone(), fence_holder, |_| {}).await.unwrap();
        for &session in &on_record {
            locks.expect(self.record.id, session, true);
        }
        *self.locks.lock() = Some(locks.clone());
        let arguments = WorkspaceArguments {
            context,
            locks,
            record: self.record.clone(),
            writer: self.writer.clone(),
            known: on_record.clone(),
            has_missed: false,
            on_record,
            absent_writers: Arc::new(move |_| absent.load(Ordering::SeqCst)),
            fence: self.fence(),
        };
        Actor::spawn(None, WorkspaceActor, arguments).await.unwrap().0
    }

    /// Fences as a session's actor does: the workspace hears of it as a seal.
    fn fence(&self) -> FenceSession {
        let fenced = self.fenced.clone();
        Arc::new(move |session| fenced.lock().push(session))
    }

    /// The process is gone, and with it what was not durable.
    fn crash(&mut self, actor: ActorRef<WorkspaceMessage>) {
        self.store = Arc::new(self.store.crash());
        self.writer = Arc::default();
        actor.kill();
    }
}

/// A mount as the workspace sees it.
struct Mount {
    id: SessionId,
    actor: ActorRef<WorkspaceMessage>,
    frames: mpsc::UnboundedReceiver<ServerFrame>,
    next_seq: u64,
    durable: u64,
}

const LEASED: u64 = 1_000;

impl Mount {
    async fn attach(actor: &ActorRef<WorkspaceMessage>, id: u128, mode: Mode, resumes: bool) -> Self {
        Self::attach_at(actor, id, mode, resumes, Ino::ROOT).await
    }

    async fn attach_at(actor: &ActorRef<WorkspaceMessage>, id: u128, mode: Mode, resumes: bool, root: Ino) -> Self {
        let (outbound, frames) = mpsc::unbounded_channel();
        let session = SessionId::from_bits(id);
        let mut inodes = InodeRanges::default();
        inodes.add(artifacts_core::protocol::InodeRange { first: LEASED * id as u64, count: LEASED });
        let attachment = Attachment { session, mode, root, inodes, outbound, resumes };
        // During the grace a new session waits; tests attach those without awaiting the answer.
        let _ = actor.call(|reply| WorkspaceMessage::Attach(attachment, reply), Some(Duration::from_millis(200))).await.unwrap();
        Self { id: session, actor: actor.clone(), frames, next_seq: 1, durable: 0 }
    }

    fn send(&self, frame: ClientFrame) {
        self.actor.cast(WorkspaceMessage::Frame(self.id, frame, FrameContext::default())).unwrap();
    }

    async fn next(&mut self) -> ServerFrame {
        let frame = tokio::time::timeout(Duration::from_secs(5), self.frames.recv()).await.expect("a frame within 5 s").unwrap();
        if let ServerFrame::Durable { seq } = frame {
            self.durable = seq;
        }
        frame
    }

    /// The next frame that says something.
    async fn answer(&mut self) -> ServerFrame {
        loop {
            match self.next().await {
                ServerFrame::Durable { .. } => {}
                ServerFrame::Applied(results) if results.is_empty() => {}
                frame => return frame,
            }
        }
    }

    async fn commit(&mut self, mutation: Mutation) -> (u64, Result<Outcome, Errno>) {
        let seq = self.next_seq;
        self.next_seq += 1;
        self.resend(seq, None, mutation).await
    }

    async fn resend(&mut self, seq: u64, order: Option<u64>, mutation: Mutation) -> (u64, Result<Outcome, Errno>) {
        self.send_op(seq, order, mutation);
        match self.answer().await {
            ServerFrame::Applied(mut results) => {
                let result = results.remove(0);
                assert_eq!(result.seq, seq);
                (result.order, result.result)
            }
            other => panic!("{other:?}"),
        }
    }

    fn send_op(&self, seq: u64, order: Option<u64>, mutation: Mutation) {
        let op = NumberedOp { seq, order, op: Op { mutation, time: seq as i64 } };
        self.send(ClientFrame::Commit { acked: 0, ops: vec![op] });
    }

    async fn ask(&mut self, request: Request) -> Result<Answer, Errno> {
        self.send(ClientFrame::Request { id: 1, request });
        match self.answer().await {
            ServerFrame::Reply { result, .. } => result,
            other => panic!("{other:?}"),
        }
    }

    async fn lookup(&mut self, text: &str) -> Result<Attr, Errno> {
        match self.ask(Request::Lookup { parent: Ino::ROOT, name: name(text) }).await? {
            Answer::Attr(attr) => Ok(attr),
            other => panic!("{other:?}"),
        }
    }

    async fn make_durable(&mut self) {
        let seq = self.next_seq - 1;
        self.send(ClientFrame::Flush { seq });
        while self.durable < seq {
            self.next().await;
        }
    }
}

fn name(text: &str) -> Name {
    Name::new(text.as_bytes().to_vec()).unwrap()
}

fn create(parent: Ino, text: &str, ino: u64, node: NewNode) -> Mutation {
    Mutation::Create { parent, name: name(text), ino: Ino(ino), node, mode: 0o644, umask: 0, uid: 0, gid: 0 }
}

fn file(text: &str, ino: u64) -> Mutation {
    create(Ino::ROOT, text, ino, NewNode::File)
}

fn unlink(text: &str) -> Mutation {
    Mutation::Unlink { parent: Ino::ROOT, name: name(text) }
}

async fn usage(actor: &ActorRef<WorkspaceMessage>) -> Usage {
    actor.call(WorkspaceMessage::Usage, None).await.unwrap().unwrap().unwrap()
}

#[tokio::test]
async fn an_op_is_visible_to_others_at_once_and_durable_after_a_flush() {
    let mut lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    let mut b = Mount::attach(&actor, 2, Mode::Rw, false).await;
    a.commit(file("f", 1_000)).await.1.unwrap();
    assert_eq!(b.lookup("f").await.unwrap().ino, Ino(1_000));
    a.make_durable().await;
    a.commit(file("lost", 1_001)).await.1.unwrap();
    lab.crash(actor);
    let actor = lab.start(vec![]).await;
    let mut c = Mount::attach(&actor, 3, Mode::Rw, false).await;
    assert_eq!(c.lookup("f").await.unwrap().ino, Ino(1_000));
    assert_eq!(c.lookup("lost").await, Err(Errno::ENOENT));
}

#[tokio::test]
async fn an_op_that_is_sent_again_happens_once() {
    let lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    let (_, first) = a.commit(file("f", 1_000)).await;
    let (_, refused) = a.commit(file("f", 1_001)).await;
    assert_eq!(refused, Err(Errno::EEXIST));
    assert_eq!(a.resend(1, Some(5), file("f", 1_000)).await.1, first);
    assert_eq!(a.resend(2, Some(6), file("f", 1_001)).await.1, refused);
    assert_eq!(a.resend(9, None, file("g", 1_002)).await.1, Err(Errno::EPROTO), "ops before it are missing");
    assert_eq!(usage(&actor).await.inodes, 2);
}

#[tokio::test]
async fn what_a_crash_took_comes_back_in_the_order_in_which_it_was_visible() {
    let mut lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    let mut b = Mount::attach(&actor, 2, Mode::Rw, false).await;
    // a's directory holds b's file, so b's op makes sense only after a's; then a renames b's file.
    let dir = create(Ino::ROOT, "dir", 1_000, NewNode::Directory);
    let inner = create(Ino(1_000), "f", 2_000, NewNode::File);
    let rename = Mutation::Rename {
        parent: Ino(1_000),
        name: name("f"),
        new_parent: Ino::ROOT,
        new_name: name("g"),
        mode: artifacts_core::namespace::RenameMode::Replace,
    };
    let (first, result) = a.commit(dir.clone()).await;
    result.unwrap();
    let (second, result) = b.commit(inner.clone()).await;
    result.unwrap();
    let (third, result) = a.commit(rename.clone()).await;
    result.unwrap();
    lab.crash(actor);

    let actor = lab.start(vec![a.id, b.id]).await;
    let mut b = Mount::attach(&actor, 2, Mode::Rw, true).await;
    b.send_op(1, Some(second), inner);
    b.send(ClientFrame::ResendDone { open: vec![] });
    b.send(ClientFrame::Request { id: 9, request: Request::Lookup { parent: Ino::ROOT, name: name("g") } });
    let mut a = Mount::attach(&actor, 1, Mode::Rw, true).await;
    while let Ok(frame) = b.frames.try_recv() {
        assert_eq!(frame, ServerFrame::Applied(vec![]), "nobody is served before everybody is back");
    }
    a.send_op(1, Some(first), dir);
    a.send_op(2, Some(third), rename);
    a.send(ClientFrame::ResendDone { open: vec![] });
    assert!(matches!(b.answer().await, ServerFrame::Applied(results) if results[0].result.is_ok()));
    assert!(matches!(b.answer().await, ServerFrame::Reply { id: 9, result: Ok(Answer::Attr(attr)) } if attr.ino == Ino(2_000)));
    assert!(matches!(a.answer().await, ServerFrame::Applied(results) if results.iter().all(|result| result.result.is_ok())));
}

#[tokio::test]
async fn the_grace_ends_when_a_session_on_record_lapses() {
    let lab = Lab::new().await;
    let gone = SessionId::from_bits(9);
    let actor = lab.start(vec![gone]).await;
    let (outbound, mut frames) = mpsc::unbounded_channel();
    let attachment = Attachment {
        session: SessionId::from_bits(1),
        mode: Mode::Rw,
        root: Ino::ROOT,
        inodes: InodeRanges::default(),
        outbound,
        resumes: false,
    };
    let attached = tokio::spawn({
        let actor = actor.clone();
        async move { actor.call(|reply| WorkspaceMessage::Attach(attachment, reply), None).await }
    });
    tokio::task::yield_now().await;
    assert!(!attached.is_finished());
    actor.cast(WorkspaceMessage::Lapsed(gone)).unwrap();
    attached.await.unwrap().unwrap().unwrap().unwrap();
    assert!(frames.try_recv().is_err());
}

#[tokio::test]
async fn a_read_only_session_changes_nothing() {
    let lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Ro, false).await;
    assert_eq!(a.commit(file("f", 1_000)).await.1, Err(Errno::EROFS));
    assert_eq!(a.lookup("f").await, Err(Errno::ENOENT));
}

#[tokio::test]
async fn only_leased_inode_numbers_and_known_segments_are_taken() {
    let lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    assert_eq!(a.commit(file("f", 2_000)).await.1, Err(Errno::EINVAL), "leased to nobody here");
    a.commit(file("f", 1_000)).await.1.unwrap();
    let segment = artifacts_core::SegmentId::from_bits(5);
    let source = artifacts_core::namespace::Source::Block {
        segment,
        block_offset: 0,
        block_len: 4,
        checksums: artifacts_core::namespace::Checksums::of(&[]),
        skip: 0,
    };
    let write =
        Mutation::Write { ino: Ino(1_000), position: Position::End, extents: vec![Extent { len: 4, source }], kill_privileges: false };
    assert_eq!(a.commit(write.clone()).await.1, Err(Errno::EINVAL), "no such segment");
    lab.blobs.put(&segment_key(lab.record.id, segment).unwrap(), Bytes::from_static(b"data")).await.unwrap();
    a.commit(write).await.1.unwrap();
    assert_eq!(usage(&actor).await.bytes, 4);
    let huge = Extent::inline(Bytes::from(vec![0; artifacts_core::protocol::INLINE_MAX_BYTES + 1]));
    let write = Mutation::Write { ino: Ino(1_000), position: Position::End, extents: vec![huge], kill_privileges: false };
    assert_eq!(a.commit(write).await.1, Err(Errno::EINVAL));
}

/// Where segments are far away, each question about one counts.
#[tokio::test]
async fn a_segment_is_asked_for_once_however_many_extents_name_it() {
    let mut lab = Lab::new().await;
    let asked = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&asked);
    let plan = FaultPlan::new(1).delayed_by(Arc::new(move |op| {
        counter.fetch_add(u32::from(op == BlobOp::Len), Ordering::Relaxed);
        Box::pin(std::future::ready(()))
    }));
    lab.faulty = Some(Arc::new(FaultyBlobs::new(lab.blobs.clone(), plan)));
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    a.commit(file("f", 1_000)).await.1.unwrap();
    let segment = artifacts_core::SegmentId::from_bits(5);
    lab.blobs.put(&segment_key(lab.record.id, segment).unwrap(), Bytes::from_static(b"12345678")).await.unwrap();
    let extent = |block_offset| {
        let source = artifacts_core::namespace::Source::Block {
            segment,
            block_offset,
            block_len: 2,
            checksums: artifacts_core::namespace::Checksums::of(&[]),
            skip: 0,
        };
        Extent { len: 2, source }
    };
    for offsets in [[0, 2], [4, 6]] {
        let extents = offsets.into_iter().map(extent).collect();
        a.commit(Mutation::Write { ino: Ino(1_000), position: Position::End, extents, kill_privileges: false }).await.1.unwrap();
    }
    assert_eq!(usage(&actor).await.bytes, 8);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn nothing_of_a_sealed_session_is_accepted() {
    let lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    let mut b = Mount::attach(&actor, 2, Mode::Rw, false).await;
    a.commit(file("f", 1_000)).await.1.unwrap();
    actor.call(|reply| WorkspaceMessage::Seal(a.id, reply), None).await.unwrap();
    a.send_op(2, None, unlink("f"));
    b.lookup("f").await.unwrap();
    assert!(!matches!(a.frames.try_recv(), Ok(ServerFrame::Applied(_))));
}

#[tokio::test]
async fn an_unlinked_file_lives_until_its_last_close_on_any_mount() {
    let lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    let mut b = Mount::attach(&actor, 2, Mode::Rw, false).await;
    a.commit(file("f", 1_000)).await.1.unwrap();
    a.ask(Request::Open { ino: Ino(1_000) }).await.unwrap();
    b.ask(Request::Open { ino: Ino(1_000) }).await.unwrap();
    a.commit(unlink("f")).await.1.unwrap();
    a.send(ClientFrame::Closed { inodes: vec![Ino(1_000)] });
    assert!(b.ask(Request::Attr { ino: Ino(1_000) }).await.is_ok(), "b has it open");
    assert_eq!(usage(&actor).await.inodes, 2);
    b.send(ClientFrame::Closed { inodes: vec![Ino(1_000)] });
    assert_eq!(b.ask(Request::Attr { ino: Ino(1_000) }).await, Err(Errno::ENOENT));
    assert_eq!(usage(&actor).await.inodes, 1);
}

/// mknod(2) opens nothing, so nothing would ever close what it makes.
#[tokio::test]
async fn a_file_that_nobody_opened_goes_with_its_last_link() {
    let lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    a.commit(file("f", 1_000)).await.1.unwrap();
    a.commit(unlink("f")).await.1.unwrap();
    assert_eq!(usage(&actor).await.inodes, 1);
}

#[tokio::test]
async fn a_removed_directory_goes_with_the_last_open_file_that_stood_in_it() {
    let lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    a.commit(create(Ino::ROOT, "d", 1_000, NewNode::Directory)).await.1.unwrap();
    a.commit(create(Ino(1_000), "f", 1_001, NewNode::File)).await.1.unwrap();
    a.ask(Request::Open { ino: Ino(1_001) }).await.unwrap();
    a.commit(Mutation::Unlink { parent: Ino(1_000), name: name("f") }).await.1.unwrap();
    a.commit(Mutation::RemoveDir { parent: Ino::ROOT, name: name("d") }).await.1.unwrap();
    assert_eq!(usage(&actor).await.inodes, 3);
    a.send(ClientFrame::Closed { inodes: vec![Ino(1_001)] });
    assert_eq!(usage(&actor).await.inodes, 1);
}

#[tokio::test]
async fn orphans_of_mounts_that_died_with_the_node_are_collected() {
    let mut lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    a.commit(file("f", 1_000)).await.1.unwrap();
    a.ask(Request::Open { ino: Ino(1_000) }).await.unwrap();
    a.commit(unlink("f")).await.1.unwrap();
    a.make_durable().await;
    assert_eq!(usage(&actor).await.inodes, 2, "a has it open");
    lab.crash(actor);
    let actor = lab.start(vec![]).await;
    assert_eq!(usage(&actor).await.inodes, 1);
}

#[tokio::test]
async fn the_quota_on_inodes_is_hard() {
    let lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    for index in 0..999 {
        a.commit(file(&format!("f{index}"), 1_000 + index)).await.1.unwrap();
    }
    assert_eq!(a.commit(file("one-too-many", 1_999)).await.1, Err(Errno::EDQUOT));
    a.commit(unlink("f0")).await.1.unwrap();
    a.commit(file("fits-now", 1_999)).await.1.unwrap();
}

#[tokio::test]
async fn a_listing_merges_what_is_stored_with_what_is_not_yet() {
    let lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    for index in 0..200 {
        a.commit(file(&format!("f{index:03}"), 1_000 + index)).await.1.unwrap();
    }
    a.make_durable().await;
    for index in (0..200).step_by(2) {
        a.commit(unlink(&format!("f{index:03}"))).await.1.unwrap();
    }
    a.commit(file("f000", 1_300)).await.1.unwrap();
    let Answer::Entries(entries) = a.ask(Request::ReadDir { dir: Ino::ROOT, after: None, limit: 1_000 }).await.unwrap() else { panic!() };
    let names: Vec<String> = entries.iter().map(|entry| String::from_utf8_lossy(entry.name.as_bytes()).into_owned()).collect();
    let expected: Vec<String> = (0..200).filter(|index| index % 2 == 1 || *index == 0).map(|index| format!("f{index:03}")).collect();
    assert_eq!(names, expected);
    assert_eq!(entries[0].ino, Ino(1_300));
}

#[tokio::test]
async fn an_attribute_that_was_looked_for_before_it_was_set_is_there_after_the_flush() {
    let lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    let xattr = Bytes::from_static(b"user.k");
    let ask = Request::Xattr { ino: Ino::ROOT, name: xattr.clone() };
    assert_eq!(a.ask(ask.clone()).await, Err(Errno::ENODATA));
    for value in [&b"one"[..], b"two"] {
        let value = Bytes::from_static(value);
        let mode = artifacts_core::namespace::XattrMode::Any;
        a.commit(Mutation::SetXattr { ino: Ino::ROOT, name: xattr.clone(), value: value.clone(), mode }).await.1.unwrap();
        a.make_durable().await;
        assert_eq!(a.ask(ask.clone()).await, Ok(Answer::Bytes(value)));
    }
    a.commit(Mutation::RemoveXattr { ino: Ino::ROOT, name: xattr }).await.1.unwrap();
    a.make_durable().await;
    assert_eq!(a.ask(ask).await, Err(Errno::ENODATA));
}
