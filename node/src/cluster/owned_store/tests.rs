#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::atomic::AtomicU64;

use artifacts_core::Timestamp;
use object_store::ObjectStore;
use object_store::memory::InMemory;

use super::*;
use crate::store::fault::{Fault, FaultPlan};
use crate::store::tests::conforms;
use crate::store::{BlockCache, FaultyObjects, ObjectOp, SlateLimits};
use crate::time::{Clock, SystemClock, pause};

const TTL_MS: u64 = 400;

/// A clock that the test moves.
struct ManualClock(AtomicU64);

impl Clock for ManualClock {
    fn wall(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.monotonic_ms())
    }

    fn monotonic_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

async fn open(objects: &Arc<dyn ObjectStore>, clock: SharedClock) -> OwnedStore {
    let limits = SlateLimits { patience: Duration::from_millis(300), ..SlateLimits::default() };
    let cache = Arc::new(BlockCache::new(1 << 20));
    let open = SlateStore::open(Arc::clone(objects), "meta/0000", cache, 0, limits);
    OwnedStore::open(open, OwnerRules { ttl_ms: TTL_MS, clock }).await.unwrap()
}

fn put(key: &'static str, value: &'static str) -> Batch {
    let mut batch = Batch::new();
    batch.put(key, value);
    batch
}

fn faulty() -> (Arc<FaultyObjects>, Arc<dyn ObjectStore>) {
    let faulty = Arc::new(FaultyObjects::new(Arc::new(InMemory::new()), FaultPlan::new(1)));
    (Arc::clone(&faulty), faulty)
}

#[tokio::test]
async fn an_owned_store_conforms() {
    conforms(Arc::new(open(&faulty().1, Arc::new(SystemClock)).await)).await;
}

/// The case for which there is a ttl: an owner that does not write would answer from its memory for ever.
#[tokio::test]
async fn a_reader_that_was_fenced_stops_within_the_ttl() {
    let (_, objects) = faulty();
    let (old_clock, new_clock) = (Arc::new(ManualClock(AtomicU64::new(1_000))), Arc::new(SystemClock));
    let old = open(&objects, old_clock.clone()).await;
    old.write(put("a", "old"), Durability::Durable).await.unwrap();
    let new = open(&objects, new_clock).await;
    new.write(put("a", "new"), Durability::Durable).await.unwrap();

    old_clock.0.fetch_add(TTL_MS / 2 - 1, Ordering::SeqCst);
    // Within the ttl it may find out, and need not: the new owner waits.
    match old.get(b"a").await {
        Ok(found) => assert_eq!(found.unwrap(), "old"),
        Err(error) => assert!(matches!(error, StoreError::Fenced), "{error}"),
    }
    old_clock.0.fetch_add(TTL_MS / 2 + 1, Ordering::SeqCst);
    assert!(!old.holds(Shard(0)));
    assert!(matches!(old.get(b"a").await, Err(StoreError::Fenced)));
    assert!(matches!(old.scan(KeyRange::all(), 1).await, Err(StoreError::Fenced)));
    assert_eq!(old.claim(), Claim::Lost);
    assert!(*old.lost().borrow());
    assert_eq!(new.get(b"a").await.unwrap().unwrap(), "new");
}

#[tokio::test]
async fn a_new_owner_is_alone_after_the_ttl() {
    let (_, objects) = faulty();
    let clock = Arc::new(ManualClock(AtomicU64::new(50_000)));
    let first = open(&objects, clock.clone()).await;
    assert_eq!(first.alone_from_ms(), 50_000, "there was nobody before");
    let store = open(&objects, clock).await;
    assert!((50_000 + TTL_MS..50_000 + TTL_MS + 20).contains(&store.alone_from_ms()), "{}", store.alone_from_ms());
    assert_eq!(store.epoch().unwrap() + 1, open(&objects, Arc::new(SystemClock)).await.epoch().unwrap());
}

#[tokio::test]
async fn without_an_answer_of_the_object_store_nothing_is_told() {
    let (faulty, objects) = faulty();
    let clock = Arc::new(ManualClock(AtomicU64::new(1_000)));
    let store = open(&objects, clock.clone()).await;
    store.write(put("a", "1"), Durability::Durable).await.unwrap();
    let away = [ObjectOp::Get, ObjectOp::Put, ObjectOp::List].into_iter();
    faulty.set_plan(away.fold(FaultPlan::new(1), |plan, op| plan.with_probability(op, 1.0, Fault::Fail)));
    assert_eq!(store.get(b"a").await.unwrap().unwrap(), "1", "the last proof counts still");
    clock.0.fetch_add(TTL_MS, Ordering::SeqCst);
    assert!(matches!(store.get(b"a").await, Err(StoreError::Unavailable { .. })));
    assert!(matches!(store.write(put("b", "1"), Durability::Visible).await, Err(StoreError::Unavailable { .. })));
    assert!(!store.is_doubtful(Shard(0)), "it has just been asked");
    clock.0.fetch_add(DOUBTFUL_AFTER_MS, Ordering::SeqCst);
    assert!(store.is_doubtful(Shard(0)));

    faulty.set_plan(FaultPlan::new(1));
    let mut attempts = tokio::time::interval(Duration::from_millis(100));
    for _ in 0..50 {
        attempts.tick().await;
        if let Ok(found) = store.get(b"a").await {
            assert_eq!(found.unwrap(), "1");
            clock.0.fetch_add(TTL_MS, Ordering::SeqCst);
            assert!(!store.is_doubtful(Shard(0)), "nothing was asked since, so nothing is wrong");
            return;
        }
    }
    panic!("it did not come back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_all_the_time_waits_for_no_proof_and_an_idle_shard_asks_for_none() {
    let (faulty, objects) = faulty();
    let store = open(&objects, Arc::new(SystemClock)).await;
    store.write(put("a", "1"), Durability::Durable).await.unwrap();
    let start = SystemClock.monotonic_ms();
    let mut unproven = 0;
    while SystemClock.monotonic_ms() - start < 3 * TTL_MS {
        pause(Duration::from_millis(5)).await;
        store.get(b"a").await.unwrap();
        unproven += u64::from(!store.holds(Shard(0)));
    }
    assert!(unproven < 30, "{unproven} looks without a proof");
    // One more round may be due to the last look.
    pause(Duration::from_millis(TTL_MS)).await;
    let before = faulty.gets();
    pause(Duration::from_millis(3 * TTL_MS)).await;
    assert_eq!(faulty.gets() - before, 0, "an idle shard asks for nothing");
}

/// A stream that breaks drops its question; the answer is there, and old when the next one comes.
#[tokio::test]
async fn an_answer_that_nobody_took_proves_nothing_later() {
    let (_, objects) = faulty();
    let clock = Arc::new(ManualClock(AtomicU64::new(1_000)));
    let store = open(&objects, clock.clone()).await;
    store.write(put("a", "old"), Durability::Durable).await.unwrap();
    clock.0.fetch_add(TTL_MS, Ordering::SeqCst);
    let mut dropped = store.vouch(Shard(0));
    assert!(futures_util::poll!(&mut dropped).is_pending());
    drop(dropped);
    pause(Duration::from_millis(100)).await;

    clock.0.fetch_add(TTL_MS, Ordering::SeqCst);
    let new = open(&objects, Arc::new(SystemClock)).await;
    new.write(put("a", "new"), Durability::Durable).await.unwrap();
    let answer = store.get(b"a").await;
    assert!(matches!(answer, Err(StoreError::Fenced)), "{answer:?}");
}
