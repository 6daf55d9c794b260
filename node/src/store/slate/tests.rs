//! What only the store on an object store promises: one owner, and an object store that may be slow, fail or be away.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;

use super::*;
use crate::store::fault::{DelayHook, Fault, FaultPlan};
use crate::store::tests::{agrees_with_the_model, block_on, conforms, op};
use crate::store::{FaultyObjects, ObjectOp};
use crate::time::{Clock as _, SystemClock, pause};
use proptest::prelude::*;

const PATH: &str = "cluster/meta/00";

async fn open_with(objects: &Arc<dyn ObjectStore>, limits: Limits) -> SlateStore {
    SlateStore::open(Arc::clone(objects), PATH, Arc::new(BlockCache::new(1 << 20)), 0, limits).await.unwrap()
}

async fn open(objects: &Arc<dyn ObjectStore>) -> SlateStore {
    open_with(objects, Limits::default()).await
}

fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

/// An object store that can be made to fail, twice: as what it is and as what the store takes.
fn faulty() -> (Arc<FaultyObjects>, Arc<dyn ObjectStore>) {
    let objects = Arc::new(FaultyObjects::new(memory(), FaultPlan::new(1)));
    (Arc::clone(&objects), objects)
}

fn put(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Batch {
    let mut batch = Batch::new();
    batch.put(key, value);
    batch
}

async fn names(store: &SlateStore) -> BTreeSet<String> {
    let pairs = store.scan(KeyRange::all(), usize::MAX).await.unwrap();
    pairs.into_iter().map(|(key, _)| String::from_utf8(key.to_vec()).unwrap()).collect()
}

#[tokio::test]
async fn the_store_on_objects_in_memory_conforms() {
    conforms(Arc::new(open(&memory()).await)).await;
}

#[tokio::test]
async fn the_store_on_a_directory_conforms() {
    let directory = tempfile::tempdir().unwrap();
    let objects: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new_with_prefix(directory.path()).unwrap());
    conforms(Arc::new(open_with(&objects, Limits { conditional_updates: false, ..Limits::default() }).await)).await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn the_store_on_objects_agrees_with_a_map(ops in prop::collection::vec(op(), 1..40)) {
        block_on(async {
            let objects = memory();
            agrees_with_the_model(ops, open(&objects).await, async |store: SlateStore| {
                store.close().await.unwrap();
                open(&objects).await
            })
            .await;
        });
    }
}

#[tokio::test]
async fn a_second_opening_takes_the_store_from_the_first() {
    let objects = memory();
    let first = open(&objects).await;
    first.write(put("a", "first"), Durability::Durable).await.unwrap();
    for look in [Look::AtNext, Look::Whole] {
        first.prove_ownership(look).await.unwrap();
    }

    let second = open(&objects).await;
    assert!(second.epoch().unwrap() > first.epoch().unwrap());
    assert_eq!(second.get(b"a").await.unwrap().unwrap(), "first");
    second.write(put("a", "second"), Durability::Durable).await.unwrap();

    let error = first.write(put("b", "late"), Durability::Durable).await.unwrap_err();
    assert!(matches!(error, StoreError::Fenced), "{error}");
    for error in [
        first.get(b"a").await.unwrap_err(),
        first.scan(KeyRange::all(), 1).await.unwrap_err(),
        first.write(put("c", "late"), Durability::Visible).await.unwrap_err(),
        first.write(Batch::new(), Durability::Durable).await.unwrap_err(),
        first.prove_ownership(Look::Whole).await.unwrap_err(),
        first.prove_ownership(Look::AtNext).await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Fenced), "{error}");
    }
    assert_eq!(names(&second).await, BTreeSet::from(["a".to_owned()]));
    assert_eq!(second.get(b"a").await.unwrap().unwrap(), "second");
    second.prove_ownership(Look::AtNext).await.unwrap();
}

#[tokio::test]
async fn who_only_reads_finds_out_when_it_asks() {
    for look in [Look::AtNext, Look::Whole] {
        let objects = memory();
        let first = open(&objects).await;
        first.write(put("a", "1"), Durability::Durable).await.unwrap();
        let second = open(&objects).await;
        second.write(put("a", "2"), Durability::Durable).await.unwrap();
        let error = first.prove_ownership(look).await.unwrap_err();
        assert!(matches!(error, StoreError::Fenced), "{error}");
        assert!(matches!(first.get(b"a").await, Err(StoreError::Fenced)));
    }
}

/// The compactor and the tables that are flushed write versions too.
#[tokio::test]
async fn an_owner_is_no_stranger_to_itself() {
    let (faulty, objects) = faulty();
    let store = open_with(&objects, Limits { table_bytes: 2 << 10, ..Limits::default() }).await;
    for i in 0..20 {
        store.write(put(format!("{i}"), vec![1; 1000]), Durability::Durable).await.unwrap();
        store.prove_ownership(Look::AtNext).await.unwrap();
    }
    let before = faulty.gets();
    store.prove_ownership(Look::AtNext).await.unwrap();
    assert!(faulty.gets() - before <= 3, "{}", faulty.gets() - before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_confirmed_while_the_store_was_taken_over_is_there() {
    let objects = memory();
    let first = Arc::new(open(&objects).await);
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let store = Arc::clone(&first);
            tokio::spawn(async move {
                let mut confirmed = Vec::new();
                for i in 0.. {
                    let name = format!("{writer}-{i}");
                    match store.write(put(name.clone(), "v"), Durability::Durable).await {
                        Ok(()) => confirmed.push(name),
                        Err(StoreError::Fenced) => return confirmed,
                        Err(error) => panic!("{error}"),
                    }
                }
                unreachable!()
            })
        })
        .collect();
    while first.scan(KeyRange::all(), 40).await.unwrap().len() < 40 {
        tokio::task::yield_now().await;
    }
    let second = open(&objects).await;
    let seen = names(&second).await;
    // The task of a writer ends when the first store finds out, at its next put.
    let mut confirmed = BTreeSet::new();
    for writer in writers {
        confirmed.extend(writer.await.unwrap());
    }
    assert!(confirmed.len() >= 8, "{}", confirmed.len());
    assert!(confirmed.is_subset(&seen), "lost: {:?}", confirmed.difference(&seen).collect::<Vec<_>>());
    second.write(Batch::new(), Durability::Durable).await.unwrap();
    assert_eq!(names(&second).await, seen, "what was not confirmed is there or not, once and for all");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_that_an_opening_reads_is_bounded() {
    let (faulty, objects) = faulty();
    let store = open(&objects).await;
    for i in 0..1500 {
        store.write(put(format!("{i}"), "v"), Durability::Durable).await.unwrap();
    }
    // A table that is under way when the log is read again counts for nothing.
    pause(Duration::from_millis(500)).await;
    let before = faulty.gets();
    let reopened = open(&objects).await;
    let gets = faulty.gets() - before;
    assert!(gets < 1200, "{gets} reads after 1500 flushes");
    assert_eq!(names(&reopened).await.len(), 1500);
}

/// Runs on a runtime of its own, which ends as abruptly as a process that is killed.
fn in_a_process<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let outcome = runtime.block_on(work);
    runtime.shutdown_background();
    outcome
}

#[test]
fn a_crash_loses_nothing_durable() {
    let objects = memory();
    let crashing = Arc::clone(&objects);
    in_a_process(async move {
        let store = open_with(&crashing, Limits { table_bytes: 4 << 10, ..Limits::default() }).await;
        for i in 0..50 {
            store.write(put(format!("visible-{i:02}"), vec![7; 500]), Durability::Visible).await.unwrap();
        }
        store.write(put("durable", "1"), Durability::Durable).await.unwrap();
        std::mem::forget(store);
    });
    block_on(async {
        let names = names(&open(&objects).await).await;
        assert_eq!(names.len(), 51, "a durable write takes those before it along: {names:?}");
    });
}

#[test]
fn a_visible_write_is_durable_by_itself_within_half_a_second() {
    let objects = memory();
    let crashing = Arc::clone(&objects);
    in_a_process(async move {
        let store = open(&crashing).await;
        let mut half_a_second = tokio::time::interval(Duration::from_millis(500));
        half_a_second.tick().await;
        store.write(put("a", "1"), Durability::Visible).await.unwrap();
        half_a_second.tick().await;
        std::mem::forget(store);
    });
    block_on(async { assert_eq!(open(&objects).await.get(b"a").await.unwrap().unwrap(), "1") });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_wait_share_one_put_and_nobody_who_waits_costs_none() {
    let (faulty, objects) = faulty();
    let store = Arc::new(open(&objects).await);
    let before = faulty.puts();
    let writers = (0..200).map(|i| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.write(put(format!("{i}"), "v"), Durability::Durable).await })
    });
    for outcome in futures_util::future::join_all(writers).await {
        outcome.unwrap().unwrap();
    }
    let puts = faulty.puts() - before;
    assert!(puts <= 60, "{puts} puts for 200 durable writes");
    let before = faulty.puts();
    pause(Duration::from_secs(1)).await;
    assert_eq!(faulty.puts() - before, 0, "an idle store puts nothing");
    store.write(Batch::new(), Durability::Durable).await.unwrap();
    assert_eq!(faulty.puts() - before, 0, "a barrier with nothing before it puts nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_store_that_fails_often_loses_nothing_durable() {
    let (faulty, objects) = faulty();
    let plan = |seed| {
        [ObjectOp::Get, ObjectOp::Put, ObjectOp::List, ObjectOp::Delete]
            .into_iter()
            .fold(FaultPlan::new(seed), |plan, op| plan.with_probability(op, 0.2, Fault::Fail).with_probability(op, 0.1, Fault::LoseAnswer))
    };
    faulty.set_plan(plan(7));
    let store = Arc::new(open_with(&objects, Limits { table_bytes: 8 << 10, ..Limits::default() }).await);
    let writers = (0..8).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for i in 0..6 {
                store.write(put(format!("{writer}-{i}"), vec![1; 1000]), Durability::Durable).await.unwrap();
            }
        })
    });
    for writer in futures_util::future::join_all(writers).await {
        writer.unwrap();
    }
    assert!(faulty.injected() > 5, "{} faults", faulty.injected());
    store.prove_ownership(Look::Whole).await.unwrap();
    let reopened = open(&objects).await;
    assert_eq!(names(&reopened).await.len(), 48);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_object_store_makes_groups_larger() {
    let (faulty, objects) = faulty();
    let store = Arc::new(open(&objects).await);
    let slow: DelayHook<ObjectOp> = Arc::new(|_| Box::pin(pause(Duration::from_millis(500))));
    faulty.set_plan(FaultPlan::new(1).delayed_by(slow));
    let start = SystemClock.monotonic_ms();
    let writers = (0..100).map(|i| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.write(put(format!("{i:02}"), "v"), Durability::Durable).await })
    });
    for outcome in futures_util::future::join_all(writers).await {
        outcome.unwrap().unwrap();
    }
    let took_ms = SystemClock.monotonic_ms() - start;
    assert!(took_ms < 4_000, "100 writes at 500 ms a put took {took_ms} ms");
    assert_eq!(store.scan(KeyRange::all(), 1000).await.unwrap().len(), 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_store_that_is_away_is_told_and_survived() {
    let (faulty, objects) = faulty();
    let limits = Limits { table_bytes: 32 << 10, unflushed_bytes: 64 << 10, patience: Duration::from_millis(400), ..Limits::default() };
    let store = open_with(&objects, limits).await;
    store.write(put("before", "1"), Durability::Durable).await.unwrap();
    let away = [ObjectOp::Get, ObjectOp::Put, ObjectOp::List].into_iter();
    faulty.set_plan(away.fold(FaultPlan::new(1), |plan, op| plan.with_probability(op, 1.0, Fault::Fail)));

    let error = store.write(put("during", "1"), Durability::Durable).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    assert!(matches!(store.prove_ownership(Look::AtNext).await, Err(StoreError::Unavailable { .. })));
    assert_eq!(store.get(b"before").await.unwrap().unwrap(), "1", "what is in memory is read");
    let mut taken = 0;
    while store.write(put(format!("{taken:04}"), vec![0; 1000]), Durability::Visible).await.is_ok() {
        taken += 1;
        assert!(taken < 500, "memory is bounded");
    }
    assert!(taken > 10, "{taken}");

    faulty.set_plan(FaultPlan::new(1));
    let mut attempts = tokio::time::interval(Duration::from_millis(200));
    for _ in 0..50 {
        attempts.tick().await;
        if store.write(put("after", "1"), Durability::Durable).await.is_ok() {
            break;
        }
    }
    let found = names(&open(&objects).await).await;
    for name in ["before", "during", "after"] {
        assert!(found.contains(name), "{name}");
    }
    for i in 0..taken {
        assert!(found.contains(&format!("{i:04}")), "{i} of {taken} was visible before what was durable");
    }
}

#[tokio::test]
async fn an_owner_that_closes_hands_the_store_over() {
    let objects = memory();
    let first = open(&objects).await;
    assert!(first.is_handed_over(), "there was nobody before");
    let second = open(&objects).await;
    assert!(!second.is_handed_over(), "the first may not know yet");
    assert!(matches!(first.close().await, Err(StoreError::Fenced)));
    second.close().await.unwrap();
    let third = open(&objects).await;
    assert!(third.is_handed_over());
    assert!(third.scan(KeyRange::all(), 10).await.unwrap().is_empty(), "the mark is no row");
    let fourth = open(&objects).await;
    assert!(!fourth.is_handed_over(), "the mark of the second says nothing of the third");
}
