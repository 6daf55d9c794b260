//! Packing, compaction, collection and checks, over a store and blobs in memory.

use std::collections::BTreeMap;

use artifacts_core::SegmentId;
use artifacts_core::namespace::{Checksums, Inode, Key, Record, SegmentRecord, SetAttr, Source};

use super::*;
use crate::blob::{BlobKey, BlobOp};
use crate::store::KeyRange;
use crate::store::fault::{Fault, FaultPlan};

/// Long enough for a machine that does much else at the same time.
const HANG: Duration = Duration::from_secs(60);

/// Everything happens as soon as it can, except what a test turns off by making it an hour.
fn eager() -> UpkeepRules {
    UpkeepRules {
        tick: Duration::from_millis(5),
        settle: Duration::ZERO,
        pack_bytes: 1,
        pack_after: Duration::ZERO,
        compact_every: Duration::from_millis(5),
        reclaim_bytes: 1,
        grace: Duration::from_millis(20),
        list_every: Duration::from_millis(5),
        orphan_age: Duration::from_millis(20),
        absence_max: HOUR,
    }
}

const HOUR: Duration = Duration::from_secs(3600);

/// Rules under which nothing is done by itself.
fn idle() -> UpkeepRules {
    UpkeepRules {
        tick: Duration::from_millis(5),
        pack_bytes: u64::MAX,
        pack_after: HOUR,
        compact_every: HOUR,
        grace: HOUR,
        ..UpkeepRules::default()
    }
}

impl Lab {
    async fn with(rules: UpkeepRules) -> Self {
        Self { rules, ..Self::new().await }
    }

    /// All records of the namespace as they are stored.
    async fn records(&self) -> BTreeMap<Key, Record> {
        let keys = WorkspaceKeys(self.record.id);
        let all = self.store.scan(keys.whole_namespace(), usize::MAX).await.unwrap();
        let before = keys.all().len();
        all.into_iter().map(|(key, value)| (Key::decode(&key[before..]).unwrap(), postcard::from_bytes(&value).unwrap())).collect()
    }

    async fn inline_extents(&self) -> usize {
        let is_inline = |record: &Record| matches!(record, Record::Extent(Extent { source: Source::Inline { .. }, .. }));
        self.records().await.values().filter(|record| is_inline(record)).count()
    }

    async fn objects(&self) -> Vec<BlobKey> {
        self.blobs.list("", None, 10_000).await.unwrap()
    }

    async fn put(&self, segment: u128, bytes: &[u8]) -> SegmentId {
        let segment = SegmentId::from_bits(segment);
        self.blobs.put(&self.object(segment), Bytes::copy_from_slice(bytes)).await.unwrap();
        segment
    }

    fn object(&self, segment: SegmentId) -> BlobKey {
        segment_key(self.record.id, segment).unwrap()
    }

    async fn has(&self, segment: SegmentId) -> bool {
        self.blobs.len(&self.object(segment)).await.unwrap().is_some()
    }

    /// The bytes of a file as the store and the blobs have them, every checksum compared.
    async fn stored(&self, ino: Ino) -> Vec<u8> {
        let records = self.records().await;
        let Some(Record::Inode(Inode { attr, .. })) = records.get(&Key::Inode(ino)) else { panic!("{ino:?} is not stored") };
        let mut content = vec![0; attr.size as usize];
        for (key, record) in &records {
            let (Key::Extent(of, at), Record::Extent(extent)) = (key, record) else { continue };
            if *of != ino {
                continue;
            }
            let data = match &extent.source {
                Source::Inline { data, .. } => data.clone(),
                Source::Block { segment, block_offset, block_len, checksums, skip } => {
                    let (from, skip) = (u64::from(*block_offset), *skip as usize);
                    let block = self.blobs.get(&self.object(*segment), from..from + u64::from(*block_len)).await.unwrap();
                    assert!(checksums.match_bytes(&block));
                    block.slice(skip..skip + extent.len as usize)
                }
            };
            content[*at as usize..][..data.len()].copy_from_slice(&data);
        }
        content
    }

    /// Changes records behind the back of the node.
    async fn plant(&self, changes: Vec<(Key, Option<Record>)>) {
        let mut batch = Batch::new();
        for (key, record) in changes {
            let stored = WorkspaceKeys(self.record.id).namespace(&key.encode());
            match record {
                Some(record) => batch.put(stored, postcard::to_stdvec(&record).unwrap()),
                None => batch.delete(stored),
            };
        }
        self.store.write(batch, Durability::Durable).await.unwrap();
    }

    async fn check(&self, actor: &ActorRef<WorkspaceMessage>, options: CheckOptions) -> CheckReport {
        super::super::check(&self.context(), self.record.id, actor, options).await.unwrap()
    }
}

async fn eventually(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let all = async {
        while !done().await {
            tokio::time::timeout(Duration::from_millis(5), std::future::pending::<()>()).await.unwrap_err();
        }
    };
    tokio::time::timeout(HANG, all).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

fn block(segment: SegmentId, of: &[u8], from: u32, len: u32) -> Extent {
    let checksums = Checksums::of(&of[from as usize..(from + len) as usize]);
    Extent { len, source: Source::Block { segment, block_offset: from, block_len: len, checksums, skip: 0 } }
}

fn write(ino: u64, at: u64, extents: Vec<Extent>) -> Mutation {
    Mutation::Write { ino: Ino(ino), position: Position::At(at), extents, kill_privileges: false }
}

fn noise(len: usize, seed: u32) -> Vec<u8> {
    (0..len as u32).map(|at| (at.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 13) as u8).collect()
}

impl Mount {
    /// Sends many ops in one frame and waits for their answers.
    async fn commit_all(&mut self, mutations: Vec<Mutation>) {
        let first = self.next_seq;
        self.next_seq += mutations.len() as u64;
        let ops = mutations.into_iter().zip(first..);
        let ops = ops.map(|(mutation, seq)| NumberedOp { seq, order: None, op: Op { mutation, time: seq as i64 } }).collect();
        self.send(ClientFrame::Commit { acked: first - 1, ops });
        match self.answer().await {
            ServerFrame::Applied(results) => results.iter().for_each(|result| assert!(result.result.is_ok(), "{result:?}")),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn five_thousand_small_files_end_in_a_handful_of_objects() {
    let mut lab = Lab::with(UpkeepRules { pack_bytes: 1 << 20, pack_after: Duration::from_millis(300), ..eager() }).await;
    lab.record.quota_inodes = None;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    actor.cast(WorkspaceMessage::InodesAdded(a.id, artifacts_core::protocol::InodeRange { first: 10_000, count: 5_000 })).unwrap();
    for hundred in 0..50 {
        let pair = |at: u64| {
            let ino = 10_000 + at;
            [file(&format!("f{at}"), ino), write(ino, 0, vec![Extent::inline(Bytes::from(noise(1024, at as u32)))])]
        };
        a.commit_all((hundred * 100..hundred * 100 + 100).flat_map(pair).collect()).await;
    }
    a.make_durable().await;
    let before = a.lookup("f77").await.unwrap();
    eventually("all is packed", async || lab.inline_extents().await == 0).await;
    assert!(lab.objects().await.len() <= 30, "{} objects", lab.objects().await.len());
    assert_eq!(a.lookup("f77").await.unwrap(), before);
    for at in [0, 77, 4_999] {
        assert_eq!(lab.stored(Ino(10_000 + at)).await, noise(1024, at as u32));
    }
    let report = lab.check(&actor, CheckOptions { data: true, repair: false }).await;
    assert_eq!((report.findings, report.verified_bytes, report.inodes), (vec![], 5_000 * 1024, 5_001));
}

#[tokio::test]
async fn packing_outlives_blobs_that_fail_and_what_was_overwritten_meanwhile_stays() {
    let mut lab = Lab::with(eager()).await;
    let faulty = Arc::new(FaultyBlobs::new(lab.blobs.clone(), FaultPlan::new(1).with_probability(BlobOp::Put, 1.0, Fault::Fail)));
    lab.faulty = Some(faulty.clone());
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    a.commit_all(vec![file("f", 1_000), write(1_000, 0, vec![Extent::inline(Bytes::from_static(b"first"))])]).await;
    a.make_durable().await;
    eventually("a put has failed", async || faulty.injected() > 0).await;
    a.commit(write(1_000, 0, vec![Extent::inline(Bytes::from_static(b"later"))])).await.1.unwrap();
    a.make_durable().await;
    faulty.set_plan(FaultPlan::new(1));
    eventually("it is packed", async || lab.inline_extents().await == 0).await;
    assert_eq!(lab.stored(Ino(1_000)).await, b"later");
    eventually("what nothing lies in is gone", async || lab.objects().await.len() == 1).await;
}

#[tokio::test]
async fn small_data_of_an_earlier_life_is_packed() {
    let mut lab = Lab::with(idle()).await;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    a.commit_all(vec![file("f", 1_000), write(1_000, 3, vec![Extent::inline(Bytes::from_static(b"small"))])]).await;
    a.make_durable().await;
    lab.crash(actor);
    lab.rules = UpkeepRules { orphan_age: HOUR, ..eager() };
    let actor = lab.start(vec![]).await;
    eventually("it is packed", async || lab.inline_extents().await == 0).await;
    assert_eq!(lab.stored(Ino(1_000)).await, b"\0\0\0small");
    let mark = WorkspaceKeys(lab.record.id).unpacked();
    // The next flush takes the mark away that made the node look.
    let mut b = Mount::attach(&actor, 2, Mode::Rw, false).await;
    b.commit(file("g", 2_000)).await.1.unwrap();
    eventually("nothing is marked", async || {
        b.commit(Mutation::SetAttr { ino: Ino(2_000), set: SetAttr { mode: Some(0o600), ..SetAttr::default() } }).await.1.unwrap();
        b.make_durable().await;
        lab.store.get(&mark).await.unwrap().is_none()
    })
    .await;
}

#[tokio::test]
async fn a_sparse_segment_is_rewritten_and_deleted_and_a_damaged_one_left_alone() {
    let lab = Lab::with(UpkeepRules { orphan_age: HOUR, ..eager() }).await;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    let bytes = noise(1 << 20, 5);
    let (sparse, damaged) = (lab.put(5, &bytes).await, lab.put(6, &bytes).await);
    let blocks = |segment| (0..16).map(|at| block(segment, &bytes, at << 16, 1 << 16)).collect::<Vec<_>>();
    a.commit_all(vec![file("s", 1_000), write(1_000, 0, blocks(sparse)), file("d", 1_001), write(1_001, 0, blocks(damaged))]).await;
    assert!(lab.blobs.rot(&lab.object(damaged), 100));
    let hole = |ino| Mutation::Punch { ino: Ino(ino), offset: 100_000, len: 900_000, extend: false };
    a.commit_all(vec![hole(1_000), hole(1_001)]).await;
    a.make_durable().await;
    let before = a.lookup("s").await.unwrap();
    eventually("the sparse one is gone", async || !lab.has(sparse).await).await;
    let mut expected = bytes.clone();
    expected[100_000..1_000_000].fill(0);
    assert_eq!(lab.stored(Ino(1_000)).await, expected);
    assert_eq!(a.lookup("s").await.unwrap(), before);
    assert!(lab.has(damaged).await, "what does not match its checksum is not copied");
    let report = lab.check(&actor, CheckOptions { data: true, repair: true }).await;
    assert_eq!(report.findings.len(), 1, "{report:?}");
    assert!(report.findings[0].text.contains("does not match its checksum") && !report.findings[0].repaired, "{report:?}");
}

#[tokio::test]
async fn a_dead_segment_goes_after_its_grace_in_whichever_life_but_not_while_a_writer_is_away() {
    let mut lab = Lab::with(idle()).await;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    let segment = lab.put(5, b"12345678").await;
    a.commit_all(vec![file("f", 1_000), write(1_000, 0, vec![block(segment, b"12345678", 0, 8)])]).await;
    a.commit(Mutation::SetAttr { ino: Ino(1_000), set: SetAttr { size: Some(0), ..SetAttr::default() } }).await.1.unwrap();
    a.make_durable().await;
    lab.crash(actor);
    lab.rules = UpkeepRules { list_every: HOUR, ..eager() };
    lab.absent.store(true, Ordering::SeqCst);
    let actor = lab.start(vec![]).await;
    let dead = WorkspaceKeys(lab.record.id).all_dead();
    for _ in 0..20 {
        usage(&actor).await;
        tokio::time::timeout(Duration::from_millis(10), std::future::pending::<()>()).await.unwrap_err();
    }
    assert!(lab.has(segment).await, "the writer may still name it");
    lab.absent.store(false, Ordering::SeqCst);
    eventually("it is gone", async || !lab.has(segment).await).await;
    eventually("and off the record", async || lab.store.scan(KeyRange::prefix(&dead), 9).await.unwrap().is_empty()).await;
}

#[tokio::test]
async fn a_segment_that_died_is_alive_again_when_the_rest_of_it_is_named() {
    let lab = Lab::with(UpkeepRules { list_every: HOUR, compact_every: HOUR, ..eager() }).await;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    let segment = lab.put(5, b"onetwo").await;
    a.commit_all(vec![file("one", 1_000), write(1_000, 0, vec![block(segment, b"onetwo", 0, 3)])]).await;
    a.commit_all(vec![
        Mutation::SetAttr { ino: Ino(1_000), set: SetAttr { size: Some(0), ..SetAttr::default() } },
        file("two", 1_001),
        // Not flushed yet: the record of the segment is deleted above the store.
        write(1_001, 0, vec![block(segment, b"onetwo", 3, 3)]),
    ])
    .await;
    a.make_durable().await;
    let mark = WorkspaceKeys(lab.record.id).dead(segment);
    eventually("it is off the record of the dead", async || lab.store.get(&mark).await.unwrap().is_none()).await;
    assert_eq!(lab.stored(Ino(1_001)).await, b"two");
    assert_eq!(lab.check(&actor, CheckOptions::default()).await.findings, []);
}

#[tokio::test]
async fn an_object_that_nothing_names_goes_when_it_is_old_and_one_named_in_time_stays() {
    let lab = Lab::with(eager()).await;
    lab.absent.store(true, Ordering::SeqCst);
    let lost = lab.put(5, b"lost").await;
    let late = lab.put(6, b"late").await;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    a.commit_all(vec![file("f", 1_000), write(1_000, 0, vec![block(late, b"late", 0, 4)])]).await;
    assert!(lab.has(lost).await, "a writer is away");
    lab.absent.store(false, Ordering::SeqCst);
    eventually("it is gone", async || !lab.has(lost).await).await;
    a.make_durable().await;
    assert!(lab.has(late).await);
    let refused = a.commit(write(1_000, 0, vec![block(lost, b"lost", 0, 4)])).await.1;
    assert_eq!(refused, Err(Errno::EINVAL), "nothing comes to lie in what is gone");
}

#[tokio::test]
async fn the_end_of_a_huge_file_lets_others_in_between() {
    let lab = Lab::with(idle()).await;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    a.commit(file("huge", 1_000)).await.1.unwrap();
    for at in 0..80 {
        let extents = (0..50).map(|_| Extent::inline(Bytes::from_static(b"x"))).collect();
        a.commit(write(1_000, at * 50, extents)).await.1.unwrap();
    }
    a.send(ClientFrame::Opened { inodes: vec![Ino(1_000)] });
    a.commit(unlink("huge")).await.1.unwrap();
    a.send(ClientFrame::Closed { inodes: vec![Ino(1_000)] });
    assert!(a.ask(Request::Attr { ino: Ino(1_000) }).await.is_ok(), "a question is answered before all of it is gone");
    eventually("it is gone", async || usage(&actor).await == Usage { bytes: 0, inodes: 1 }).await;
}

#[tokio::test]
async fn a_check_finds_each_kind_of_damage_and_repairs_what_it_may() {
    let mut lab = Lab::with(UpkeepRules { list_every: Duration::from_millis(5), orphan_age: HOUR, ..idle() }).await;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    let (whole, short, missing, rotten) =
        (lab.put(1, b"12345678").await, lab.put(2, b"1234567").await, lab.put(3, b"12345678").await, lab.put(4, b"12345678").await);
    for (at, segment) in [whole, short, missing, rotten].into_iter().enumerate() {
        let ino = 1_000 + at as u64;
        a.commit_all(vec![file(&format!("f{at}"), ino), write(ino, 0, vec![block(segment, b"12345678", 0, 7)])]).await;
    }
    a.make_durable().await;
    assert_eq!(lab.check(&actor, CheckOptions { data: true, repair: false }).await.findings, []);
    lab.crash(actor);

    let records = lab.records().await;
    let Some(Record::Inode(inode)) = records.get(&Key::Inode(Ino(1_000))) else { panic!() };
    let mut linked_twice = inode.clone();
    linked_twice.attr.nlink = 2;
    lab.plant(vec![
        (Key::Usage, Some(Record::Usage(Usage { bytes: 1, inodes: 1 }))),
        (Key::Segment(whole), Some(Record::Segment(SegmentRecord { len: 8, live_bytes: 3 }))),
        (Key::Segment(short), Some(Record::Segment(SegmentRecord { len: 8, live_bytes: 7 }))),
        (Key::Orphan(Ino(1_001)), Some(Record::Orphan)),
        (Key::Inode(Ino(1_000)), Some(Record::Inode(linked_twice))),
    ])
    .await;
    lab.blobs.delete(&lab.object(missing)).await.unwrap();
    assert!(lab.blobs.rot(&lab.object(rotten), 3));
    let unnamed = lab.put(9, b"nobody's").await;
    lab.rules.orphan_age = Duration::ZERO;
    let actor = lab.start(vec![]).await;
    let _b = Mount::attach(&actor, 2, Mode::Rw, false).await;

    let seen = [
        "usage: recorded",
        "live bytes: recorded 3, counted 7",
        "recorded as an orphan: true",
        "its object has 7 bytes",
        "its object is missing",
        "is missing",
        "links: recorded 2, counted 1",
        "does not match its checksum",
    ];
    let report = lab.check(&actor, CheckOptions { data: true, repair: false }).await;
    for text in seen {
        assert!(report.findings.iter().any(|finding| finding.text.contains(text)), "{text}: {report:#?}");
    }
    assert!(report.findings.iter().all(|finding| !finding.repaired), "nothing is touched unless asked");
    assert_eq!((lab.records().await.get(&Key::Usage), report.bytes), (Some(&Record::Usage(Usage { bytes: 1, inodes: 1 })), 28));

    let report = lab.check(&actor, CheckOptions { data: true, repair: true }).await;
    let (repaired, left): (Vec<_>, Vec<_>) = report.findings.iter().partition(|finding| finding.repaired);
    assert!(repaired.iter().all(|finding| finding.repairable), "{report:#?}");
    assert!(repaired.len() >= 3, "{report:#?}");
    let again = lab.check(&actor, CheckOptions { data: true, repair: false }).await;
    let texts = |findings: &[CheckFinding]| findings.iter().map(|finding| finding.text.clone()).collect::<Vec<_>>();
    let left: Vec<String> = left.into_iter().filter(|finding| !finding.repairable).map(|finding| finding.text.clone()).collect();
    let lasting: Vec<CheckFinding> = again.findings.iter().filter(|finding| !finding.repairable).cloned().collect();
    assert_eq!(texts(&lasting), left, "what was repaired is not found again, what was not is");
    assert!(!again.findings.iter().any(|finding| finding.text.contains("live bytes") || finding.text.contains("usage")), "{again:#?}");
    eventually("nobody's object is gone", async || !lab.has(unnamed).await).await;
}

#[tokio::test]
async fn a_check_is_of_one_moment_while_the_workspace_is_in_use() {
    let lab = Lab::with(UpkeepRules { list_every: HOUR, ..eager() }).await;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    for at in 0..200 {
        let text = Bytes::from(noise(100, at));
        a.commit_all(vec![file(&format!("f{at}"), 1_000 + u64::from(at)), write(1_000 + u64::from(at), 0, vec![Extent::inline(text)])])
            .await;
    }
    let (context, workspace) = (lab.context(), lab.record.id);
    let checks = tokio::spawn({
        let actor = actor.clone();
        async move {
            for _ in 0..10 {
                let report = super::super::check(&context, workspace, &actor, CheckOptions { data: true, repair: false }).await.unwrap();
                assert_eq!(report.findings, []);
            }
        }
    });
    let mut round = 0;
    while !checks.is_finished() {
        let at = round % 200;
        let rename = Mutation::Rename {
            parent: Ino::ROOT,
            name: name(&format!("f{at}")),
            new_parent: Ino::ROOT,
            new_name: name("moving"),
            mode: artifacts_core::namespace::RenameMode::Replace,
        };
        let back = Mutation::Rename {
            parent: Ino::ROOT,
            name: name("moving"),
            new_parent: Ino::ROOT,
            new_name: name(&format!("f{at}")),
            mode: artifacts_core::namespace::RenameMode::Replace,
        };
        a.commit_all(vec![rename, write(1_000 + at, round % 90, vec![Extent::inline(Bytes::from_static(b"!"))]), back]).await;
        if round.is_multiple_of(5) {
            a.make_durable().await;
        }
        round += 1;
    }
    checks.await.unwrap();
}
