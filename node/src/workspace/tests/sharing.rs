//! Segments that a workspace and its forks have together: nothing that anybody names is deleted, and nothing stays that nobody does.

use std::collections::{BTreeMap, BTreeSet};

use artifacts_core::SegmentId;
use artifacts_core::namespace::{Checksums, Source};
use proptest::prelude::*;

use super::super::sharing::{lend, let_go, remove};
use super::*;
use crate::store::KeyRange;

const HANG: Duration = Duration::from_secs(60);
const DATA: &[u8] = b"shared bytes";
const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

fn eager() -> UpkeepRules {
    UpkeepRules {
        tick: Duration::from_millis(5),
        grace: Duration::from_millis(20),
        list_every: Duration::from_millis(5),
        orphan_age: Duration::from_millis(20),
        compact_every: Duration::from_secs(3600),
        pack_after: Duration::from_secs(3600),
        ..UpkeepRules::default()
    }
}

/// Another workspace beside the lab's, in the same store.
fn beside(lab: &Lab, number: u128) -> Lab {
    let shards = lab.store.shards();
    let id = (1..).map(|bits| WorkspaceId::from_bits((number << 64) + bits)).find(|id| shards.of(*id) == shards.of(lab.record.id)).unwrap();
    Lab {
        store: lab.store.clone(),
        blobs: lab.blobs.clone(),
        record: WorkspaceRecord { id, ..lab.record.clone() },
        fenced: Arc::default(),
        writer: Arc::default(),
        rules: lab.rules.clone(),
        faulty: None,
        absent: Arc::default(),
        sealed_with: lab.sealed_with,
        locks: parking_lot::Mutex::default(),
    }
}

/// Draws a workspace's key, if keys are drawn.
async fn give_key(context: &Context, workspace: WorkspaceId) {
    let mut batch = Batch::new();
    context.data_keys.draw(&mut batch, workspace, &context.entropy).await.unwrap();
    context.store.write(batch, Durability::Durable).await.unwrap();
}

async fn eventually(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let all = async {
        while !done().await {
            tokio::time::timeout(Duration::from_millis(5), std::future::pending::<()>()).await.unwrap_err();
        }
    };
    tokio::time::timeout(HANG, all).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

/// A workspace with the file `f` of one block, in use.
async fn with_a_block(rules: UpkeepRules) -> (Lab, SharedContext, ActorRef<WorkspaceMessage>, Mount, SegmentId) {
    with_a_block_in(Lab { rules, ..Lab::new().await }).await
}

async fn with_a_block_in(lab: Lab) -> (Lab, SharedContext, ActorRef<WorkspaceMessage>, Mount, SegmentId) {
    let context = lab.context();
    give_key(&context, lab.record.id).await;
    let actor = lab.start_in(context.clone(), vec![]).await;
    let segment = SegmentId::from_bits(77);
    context.blobs.put(&segment_key(lab.record.id, segment).unwrap(), Bytes::from_static(DATA)).await.unwrap();
    let mut mount = Mount::attach(&actor, 1, Mode::Rw, false).await;
    mount.commit(file("f", 1_000)).await.1.unwrap();
    let len = DATA.len() as u32;
    let source = Source::Block { segment, block_offset: 0, block_len: len, checksums: Checksums::of(DATA), skip: 0 };
    let extents = vec![Extent { len, source }];
    let write = Mutation::Write { ino: Ino(1_000), position: Position::At(0), extents, kill_privileges: false };
    mount.commit(write).await.1.unwrap();
    (lab, context, actor, mount, segment)
}

async fn is_there(lab: &Lab, segment: SegmentId) -> bool {
    lab.blobs.len(&segment_key(lab.record.id, segment).unwrap()).await.unwrap().is_some()
}

async fn expect_clean(lab: &Lab, context: &SharedContext, actor: &ActorRef<WorkspaceMessage>) -> CheckReport {
    let options = CheckOptions { data: true, ..CheckOptions::default() };
    let report = check(context, lab.record.id, actor, options).await.unwrap();
    assert_eq!(report.findings, []);
    report
}

#[tokio::test]
async fn a_copy_holds_what_had_been_answered_and_keeps_it_when_its_origin_deletes_it() {
    let (lab, context, actor, mut mount, segment) = with_a_block(eager()).await;
    // Nothing of it was durable.
    let fork = beside(&lab, 2);
    copy(&context, lab.record.id, &actor, fork.record.id).await.unwrap();
    let of_fork = fork.start_in(context.clone(), vec![]).await;
    assert_eq!(expect_clean(&fork, &context, &of_fork).await.verified_bytes, DATA.len() as u64);

    mount.commit(unlink("f")).await.1.unwrap();
    let graves = WorkspaceKeys(lab.record.id).all_dead();
    mount.make_durable().await;
    eventually("the origin has let go of it", async || {
        mount.commit(file("x", 1_001)).await.1.ok();
        mount.commit(unlink("x")).await.1.ok();
        lab.store.scan(KeyRange::prefix(&graves), 1).await.unwrap().is_empty()
    })
    .await;
    assert!(is_there(&lab, segment).await, "the fork has a share in it");
    let report = expect_clean(&lab, &context, &actor).await;
    assert_eq!((report.lent_objects, report.unnamed_objects), (1, 0));
    expect_clean(&fork, &context, &of_fork).await;

    let mut other = Mount::attach(&of_fork, 3, Mode::Rw, false).await;
    assert_eq!(other.lookup("f").await.unwrap().size, DATA.len() as u64);
    other.commit(unlink("f")).await.1.unwrap();
    other.make_durable().await;
    eventually("nobody has it any more", async || !is_there(&lab, segment).await).await;
    let homes = WorkspaceKeys(fork.record.id).all_homes();
    assert!(lab.store.scan(KeyRange::prefix(&homes), 1).await.unwrap().is_empty());
    expect_clean(&fork, &context, &of_fork).await;
}

#[tokio::test]
async fn who_deletes_a_workspace_leaves_its_copies_whole_and_who_deletes_the_last_leaves_nothing() {
    let (lab, context, actor, mut mount, segment) = with_a_block(UpkeepRules::default()).await;
    mount.make_durable().await;
    let [fork, of_fork] = [2, 3].map(|number| beside(&lab, number));
    copy(&context, lab.record.id, &actor, fork.record.id).await.unwrap();
    let host = fork.start_in(context.clone(), vec![]).await;
    copy(&context, fork.record.id, &host, of_fork.record.id).await.unwrap();
    actor.stop_and_wait(None, None).await.unwrap();
    for _ in 0..2 {
        // Also when it is done again.
        remove(&context, lab.record.id).await.unwrap();
    }
    assert!(is_there(&lab, segment).await);
    expect_clean(&fork, &context, &host).await;
    host.stop_and_wait(None, None).await.unwrap();
    remove(&context, fork.record.id).await.unwrap();
    let host = of_fork.start_in(context.clone(), vec![]).await;
    expect_clean(&of_fork, &context, &host).await;
    host.stop_and_wait(None, None).await.unwrap();
    remove(&context, of_fork.record.id).await.unwrap();
    assert_eq!(lab.blobs.list("", None, 10).await.unwrap(), []);
    assert_eq!(lab.store.scan(KeyRange::all(), 10).await.unwrap(), [], "no share, home or mark is left");
}

#[tokio::test]
async fn a_key_goes_with_the_last_that_holds_something_sealed_with_it() {
    let (lab, context, actor, mut mount, segment) = with_a_block_in(Lab { sealed_with: Some(KEY), ..Lab::new().await }).await;
    mount.commit(file("small", 1_001)).await.1.unwrap();
    let extents = vec![Extent::inline(Bytes::from_static(DATA))];
    let write = Mutation::Write { ino: Ino(1_001), position: Position::At(0), extents, kill_privileges: false };
    mount.commit(write).await.1.unwrap();
    let forks = [2, 3].map(|number| beside(&lab, number));
    for fork in &forks {
        copy(&context, lab.record.id, &actor, fork.record.id).await.unwrap();
    }
    let key_of = async |of: &Lab| lab.store.get(&WorkspaceKeys(of.record.id).data_key()).await.unwrap();
    assert!(key_of(&forks[0]).await.is_some() && key_of(&forks[0]).await != key_of(&lab).await, "each has one of its own");
    actor.stop_and_wait(None, None).await.unwrap();
    remove(&context, lab.record.id).await.unwrap();
    assert!(key_of(&lab).await.is_some(), "the forks hold what is sealed with it");

    let rows = lab.store.scan(KeyRange::all(), 1_000).await.unwrap();
    let object = lab.blobs.get(&segment_key(lab.record.id, segment).unwrap(), 0..DATA.len() as u64 + 16).await.unwrap();
    let is_plain = |bytes: &[u8]| bytes.windows(DATA.len()).any(|window| window == DATA);
    assert!(!is_plain(&object) && rows.iter().all(|(_, value)| !is_plain(value)), "something is in the clear");

    // A node that begins anew remembers no key.
    let context = lab.context();
    for (fork, is_last) in [(&forks[0], false), (&forks[1], true)] {
        let host = fork.start_in(context.clone(), vec![]).await;
        assert_eq!(expect_clean(fork, &context, &host).await.verified_bytes, 2 * DATA.len() as u64);
        let mut reader = Mount::attach(&host, 9, Mode::Ro, false).await;
        assert_eq!(reader.lookup("small").await.unwrap().size, DATA.len() as u64);
        host.stop_and_wait(None, None).await.unwrap();
        remove(&context, fork.record.id).await.unwrap();
        assert_eq!((key_of(fork).await, key_of(&lab).await.is_none()), (None, is_last));
    }
    assert_eq!(lab.store.scan(KeyRange::all(), 10).await.unwrap(), [], "no key, share, home or mark is left");
    assert_eq!(lab.blobs.list("", None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_copy_is_of_one_moment_while_ops_go_on_and_a_second_one_waits_for_it() {
    let (lab, context, actor, mut mount, _) = with_a_block(UpkeepRules::default()).await;
    let forks = [2, 3].map(|number| beside(&lab, number));
    let source = lab.record.id;
    let copies = forks.iter().map(|fork| {
        let (context, actor, target) = (context.clone(), actor.clone(), fork.record.id);
        tokio::spawn(async move { copy(&context, source, &actor, target).await })
    });
    let copies: Vec<_> = copies.collect();
    for number in 0..200 {
        mount.commit(file(&format!("n{number}"), 1_100 + number)).await.1.unwrap();
    }
    for (copied, fork) in copies.into_iter().zip(&forks) {
        copied.await.unwrap().unwrap();
        let host = fork.start_in(context.clone(), vec![]).await;
        let report = expect_clean(fork, &context, &host).await;
        assert!((2..=202).contains(&report.inodes), "{}", report.inodes);
    }
}

#[tokio::test]
async fn what_an_interrupted_copy_has_left_is_no_part_of_the_next() {
    let (lab, context, actor, mut mount, segment) = with_a_block(UpkeepRules::default()).await;
    let fork = beside(&lab, 2);
    copy(&context, lab.record.id, &actor, fork.record.id).await.unwrap();
    mount.commit(unlink("f")).await.1.unwrap();
    copy(&context, lab.record.id, &actor, fork.record.id).await.unwrap();
    let host = fork.start_in(context.clone(), vec![]).await;
    let report = expect_clean(&fork, &context, &host).await;
    assert_eq!((report.inodes, report.segments), (1, 0));
    let shares = WorkspaceKeys(lab.record.id).shares_of(segment);
    assert!(lab.store.scan(KeyRange::prefix(&shares), 1).await.unwrap().is_empty());
}

/// What may happen to workspaces that share.
#[derive(Debug, Clone)]
enum Step {
    /// A mount of this one puts a segment and names it.
    Put(usize),
    /// This one is copied.
    Copy(usize),
    /// Of what this one names, nothing lives any more in the so-manieth.
    Die(usize, usize),
    /// This one is deleted.
    Remove(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let one = 0..6_usize;
    prop_oneof![
        3 => one.clone().prop_map(Step::Put),
        3 => one.clone().prop_map(Step::Copy),
        4 => (one.clone(), 0..6_usize).prop_map(|(of, which)| Step::Die(of, which)),
        1 => one.prop_map(Step::Remove),
    ]
}

proptest! {
    /// Whatever is copied, let go and removed in whatever order: what anybody names is there, and in the end nothing is.
    #[test]
    fn an_object_stays_as_long_as_anybody_names_it(is_sealed in any::<bool>(), steps in proptest::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let lab = Lab { sealed_with: is_sealed.then_some(KEY), ..Lab::new().await };
            let mut context = lab.context();
            remove(&context, lab.record.id).await.unwrap();
            let mut next = 100;
            let mut draw = || {
                next += 1;
                beside(&lab, next).record.id
            };
            let mut named: BTreeMap<WorkspaceId, BTreeSet<SegmentId>> = (0..2).map(|_| (draw(), BTreeSet::new())).collect();
            for workspace in named.keys() {
                give_key(&context, *workspace).await;
            }
            let mut drawn = 0;
            for step in steps {
                let (Step::Put(of) | Step::Copy(of) | Step::Die(of, _) | Step::Remove(of)) = &step;
                let Some((&workspace, segments)) = named.iter().nth(*of) else { continue };
                let segments = segments.clone();
                match step {
                    Step::Put(_) => {
                        drawn += 1;
                        let segment = SegmentId::from_bits(drawn);
                        context.blobs.put(&segment_key(workspace, segment).unwrap(), Bytes::from_static(DATA)).await.unwrap();
                        named.get_mut(&workspace).unwrap().insert(segment);
                    }
                    Step::Copy(_) => {
                        let copy = draw();
                        give_key(&context, copy).await;
                        let homes = context.homes.of(&*context.store, workspace).await.unwrap();
                        let mut lent = [Batch::new(), Batch::new()];
                        segments.iter().for_each(|segment| lend(&homes, workspace, *segment, copy, &mut lent));
                        for part in lent {
                            context.store.write(part, Durability::Durable).await.unwrap();
                        }
                        named.insert(copy, segments);
                    }
                    Step::Die(_, which) => {
                        let Some(&segment) = segments.iter().nth(which) else { continue };
                        named.get_mut(&workspace).unwrap().remove(&segment);
                        let_go(&context, workspace, segment).await.unwrap();
                    }
                    Step::Remove(_) => {
                        named.remove(&workspace);
                        remove(&context, workspace).await.unwrap();
                        // A node that begins anew remembers nothing.
                        context = lab.context();
                    }
                }
                for (workspace, segments) in &named {
                    for segment in segments {
                        let key = context.homes.key(&*context.store, *workspace, *segment).await.unwrap();
                        let held = context.blobs.get(&key, 0..DATA.len() as u64).await;
                        assert_eq!(held.unwrap(), DATA, "{workspace} lost {segment}");
                    }
                }
            }
            for workspace in named.into_keys() {
                remove(&context, workspace).await.unwrap();
            }
            assert_eq!(lab.blobs.list("", None, 100).await.unwrap(), []);
            assert_eq!(lab.store.scan(KeyRange::all(), 100).await.unwrap(), []);
        });
    }
}
