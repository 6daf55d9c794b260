//! One suite for every store, and a model that checks them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::fault::{Fault, FaultPlan};
use super::journal::LogLimits;
use super::sled::{Limits, Pace};
use super::*;

/// A store whose table and journal are always about to be full, so that groups reach sled while the test goes on.
const TINY: Limits = Limits {
    log: LogLimits { segment_bytes: 512, total_bytes: 2048 },
    pace: Pace { apply_bytes: 200, apply_journal_bytes: 512, max_table_bytes: 1500 },
    ..Limits::with_cache(DEFAULT_CACHE_BYTES)
};

fn batch(entries: &[(&str, Option<&str>)]) -> Batch {
    let mut batch = Batch::new();
    for (key, value) in entries {
        match value {
            Some(value) => batch.put(key.as_bytes().to_vec(), value.as_bytes().to_vec()),
            None => batch.delete(key.as_bytes().to_vec()),
        };
    }
    batch
}

async fn pairs(store: &dyn Store, range: KeyRange, limit: usize) -> Vec<(String, String)> {
    let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    let found = store.scan(range, limit).await.unwrap();
    found.into_iter().map(|(key, value)| (text(key), text(value))).collect()
}

async fn keys(store: &dyn Store, range: KeyRange, limit: usize) -> Vec<String> {
    pairs(store, range, limit).await.into_iter().map(|(key, _)| key).collect()
}

/// What the module promises of every store, on one that is empty.
pub(crate) async fn conforms(store: Arc<dyn Store>) {
    a_write_is_visible_on_return(&*store).await;
    later_entries_win(&*store).await;
    scans_are_ordered_bounded_and_resumable(&*store).await;
    odd_keys_and_values_are_kept(&*store).await;
    oversized_entries_are_refused_whole(&*store).await;
    closing_ends_everything(&*store).await;
}

async fn a_write_is_visible_on_return(store: &dyn Store) {
    assert_eq!(store.get(b"a").await.unwrap(), None);
    for durability in [Durability::Visible, Durability::Durable] {
        let value = format!("{durability:?}");
        store.write(batch(&[("a", Some(&value)), ("b", Some("2"))]), durability).await.unwrap();
        assert_eq!(store.get(b"a").await.unwrap().unwrap(), value);
        assert_eq!(store.get(b"b").await.unwrap().unwrap(), "2");
        store.write(batch(&[("a", None), ("b", None), ("missing", None)]), durability).await.unwrap();
        assert_eq!(store.get(b"a").await.unwrap(), None);
    }
    store.write(Batch::new(), Durability::Visible).await.unwrap();
    store.write(Batch::new(), Durability::Durable).await.unwrap();
    assert!(keys(store, KeyRange::all(), 10).await.is_empty());
}

async fn later_entries_win(store: &dyn Store) {
    let entries = [("x", Some("1")), ("x", Some("2")), ("y", Some("1")), ("y", None), ("z", None), ("z", Some("3"))];
    store.write(batch(&entries), Durability::Visible).await.unwrap();
    let expected = [("x", "2"), ("z", "3")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(pairs(store, KeyRange::all(), 10).await, expected);
    store.write(batch(&[("x", None), ("z", None)]), Durability::Visible).await.unwrap();
}

async fn scans_are_ordered_bounded_and_resumable(store: &dyn Store) {
    let all: Vec<String> = (0..700).map(|i| format!("p/{i:03}")).collect();
    let mut load = batch(&[("o", Some("below")), ("p", Some("below")), ("p0", Some("above")), ("q", Some("above"))]);
    for key in all.iter().rev() {
        load.put(key.clone(), "v");
    }
    store.write(load, Durability::Visible).await.unwrap();

    assert_eq!(keys(store, KeyRange::prefix(b"p/"), 1000).await, all);
    assert_eq!(keys(store, KeyRange::prefix(b"p/"), 3).await, all[..3]);
    assert!(keys(store, KeyRange::prefix(b"p/"), 0).await.is_empty());
    assert!(keys(store, KeyRange::prefix(b"nothing"), 10).await.is_empty());
    assert_eq!(keys(store, KeyRange::between(b"p/005", b"p/008"), 10).await, all[5..8]);
    assert!(keys(store, KeyRange::between(b"p/008", b"p/005"), 10).await.is_empty());
    assert!(keys(store, KeyRange::between(b"p/008", b"p/008"), 10).await.is_empty());
    assert_eq!(keys(store, KeyRange::all(), 1000).await.len(), 704);

    let mut paged = Vec::new();
    let mut range = KeyRange::prefix(b"p/");
    loop {
        let page = keys(store, range.clone(), 64).await;
        paged.extend_from_slice(&page);
        let Some(last) = page.last().filter(|_| page.len() == 64) else { break };
        range = range.after(last.as_bytes());
    }
    assert_eq!(paged, all);

    let mut clear = batch(&[("o", None), ("p", None), ("p0", None), ("q", None)]);
    for key in all {
        clear.delete(key);
    }
    store.write(clear, Durability::Visible).await.unwrap();
    assert!(keys(store, KeyRange::all(), 10).await.is_empty());
}

async fn odd_keys_and_values_are_kept(store: &dyn Store) {
    let longest = (vec![b'k'; MAX_KEY_BYTES], vec![b'v'; MAX_VALUE_BYTES]);
    let odd = [(vec![], vec![]), (vec![0], vec![1]), (vec![0, 0], vec![]), longest, (vec![0xff; 3], vec![0xff])];
    let mut load = Batch::new();
    for (key, value) in &odd {
        load.put(key.clone(), value.clone());
    }
    store.write(load, Durability::Durable).await.unwrap();
    let found = store.scan(KeyRange::all(), 10).await.unwrap();
    assert_eq!(found, odd.clone().map(|(key, value)| (key.into(), value.into())));
    assert_eq!(store.scan(KeyRange::prefix(&[0xff]), 10).await.unwrap().len(), 1);
    let mut clear = Batch::new();
    for (key, _) in odd {
        assert!(store.get(&key).await.unwrap().is_some());
        clear.delete(key);
    }
    store.write(clear, Durability::Visible).await.unwrap();
}

async fn oversized_entries_are_refused_whole(store: &dyn Store) {
    let long_key = (vec![b'k'; MAX_KEY_BYTES + 1], vec![]);
    let long_value = (vec![b'k'], vec![b'v'; MAX_VALUE_BYTES + 1]);
    for (key, value) in [long_key, long_value] {
        let mut both = batch(&[("small", Some("1"))]);
        both.put(key, value);
        let error = store.write(both, Durability::Durable).await.unwrap_err();
        assert!(matches!(error, StoreError::TooLarge { .. }), "{error}");
        assert_eq!(store.get(b"small").await.unwrap(), None);
    }
}

async fn closing_ends_everything(store: &dyn Store) {
    store.close().await.unwrap();
    store.close().await.unwrap();
    assert!(matches!(store.get(b"a").await, Err(StoreError::Closed)));
    assert!(matches!(store.scan(KeyRange::all(), 1).await, Err(StoreError::Closed)));
    for durability in [Durability::Visible, Durability::Durable] {
        assert!(matches!(store.write(batch(&[("a", Some("1"))]), durability).await, Err(StoreError::Closed)));
    }
}

#[tokio::test]
async fn the_store_on_disk_conforms() {
    let directory = tempfile::tempdir().unwrap();
    conforms(Arc::new(SledStore::open(directory.path(), DEFAULT_CACHE_BYTES).await.unwrap())).await;
}

#[tokio::test]
async fn the_store_on_disk_conforms_however_small_its_journal() {
    let directory = tempfile::tempdir().unwrap();
    conforms(Arc::new(SledStore::open_with(directory.path().into(), TINY).await.unwrap())).await;
}

#[tokio::test]
async fn the_store_in_memory_conforms() {
    conforms(Arc::new(MemoryStore::new())).await;
}

#[tokio::test]
async fn a_faulty_store_without_faults_conforms() {
    conforms(Arc::new(FaultyStore::new(Arc::new(MemoryStore::new()), FaultPlan::new(1)))).await;
}

#[test]
fn ranges_contain_what_they_say() {
    let prefix = KeyRange::prefix(b"a\xff");
    assert!(prefix.contains(b"a\xff") && prefix.contains(b"a\xff\xff"));
    assert!(!prefix.contains(b"a") && !prefix.contains(b"b"));
    assert_eq!(KeyRange::prefix(b"\xff\xff").end(), None);
    assert_eq!(KeyRange::prefix(b""), KeyRange::all());
    let next = KeyRange::prefix(b"a/").after(b"a/5");
    assert!(!next.contains(b"a/5") && next.contains(b"a/5\0") && next.contains(b"a/50"));
    assert_eq!(KeyRange::prefix(b"b").after(b"a"), KeyRange::prefix(b"b"));
    assert!(KeyRange::between(b"b", b"a").is_empty() && !KeyRange::all().is_empty());
}

#[test]
fn a_batch_counts_its_entries_and_bytes() {
    let mut counted = batch(&[("key", Some("value")), ("gone", None)]);
    assert_eq!((counted.len(), counted.bytes(), counted.is_empty()), (2, 12, false));
    counted.append(batch(&[("a", Some("b"))]));
    assert_eq!((counted.len(), counted.bytes()), (3, 14));
    assert!(Batch::new().is_empty());
}

#[tokio::test]
async fn a_crash_keeps_a_prefix_that_ends_with_the_last_durable_write() {
    let store = MemoryStore::new();
    store.write(batch(&[("a", Some("1"))]), Durability::Visible).await.unwrap();
    store.write(batch(&[("b", Some("1"))]), Durability::Durable).await.unwrap();
    store.write(batch(&[("a", Some("2")), ("c", Some("1"))]), Durability::Visible).await.unwrap();
    store.write(batch(&[("b", None)]), Durability::Visible).await.unwrap();
    assert_eq!(store.pending_writes(), 2);

    let left = store.crash();
    assert_eq!(left.get(b"a").await.unwrap().unwrap(), "1");
    assert_eq!(left.get(b"b").await.unwrap().unwrap(), "1");
    assert_eq!(left.get(b"c").await.unwrap(), None);
    assert!(matches!(store.get(b"a").await, Err(StoreError::Unavailable { .. })));
    assert!(store.write(Batch::new(), Durability::Durable).await.is_err());
}

#[tokio::test]
async fn a_crash_may_keep_more_but_never_a_write_without_those_before_it() {
    for kept in 0..=4 {
        let store = MemoryStore::new();
        for i in 0..4 {
            store.write(batch(&[(&format!("{i}"), Some("v"))]), Durability::Visible).await.unwrap();
        }
        let left = store.crash_keeping(kept);
        let expected: Vec<_> = (0..kept).map(|i| i.to_string()).collect();
        assert_eq!(keys(&left, KeyRange::all(), 10).await, expected);
        assert_eq!(keys(&left.crash(), KeyRange::all(), 10).await, expected, "what a crash left is durable");
    }
}

#[tokio::test]
async fn an_empty_durable_write_is_a_barrier() {
    let store = MemoryStore::new();
    store.write(batch(&[("a", Some("1"))]), Durability::Visible).await.unwrap();
    store.write(Batch::new(), Durability::Durable).await.unwrap();
    assert_eq!(keys(&store.crash(), KeyRange::all(), 10).await, ["a"]);
}

#[tokio::test]
async fn a_failed_write_has_no_effect_and_a_lost_answer_has() {
    let plan = FaultPlan::new(1).at(StoreOp::Write, 1, Fault::Fail).at(StoreOp::Write, 2, Fault::LoseAnswer);
    let store = FaultyStore::new(Arc::new(MemoryStore::new()), plan);
    for (key, took_effect) in [("a", false), ("b", true), ("c", true)] {
        let outcome = store.write(batch(&[(key, Some("1"))]), Durability::Durable).await;
        assert_eq!(outcome.is_ok(), key == "c");
        assert_eq!(store.get(key.as_bytes()).await.unwrap().is_some(), took_effect);
    }
    assert_eq!(store.injected(), 2);

    store.set_plan(FaultPlan::new(1).at(StoreOp::Get, 1, Fault::Fail).at(StoreOp::Scan, 1, Fault::Fail));
    assert!(matches!(store.get(b"b").await, Err(StoreError::Unavailable { .. })));
    assert!(matches!(store.scan(KeyRange::all(), 1).await, Err(StoreError::Unavailable { .. })));
    assert!(store.get(b"b").await.unwrap().is_some());
    assert_eq!(store.scan(KeyRange::all(), 10).await.unwrap().len(), 2);
}

#[derive(Debug, Clone)]
pub(crate) enum Op {
    Write(Vec<(Vec<u8>, Option<Vec<u8>>)>, bool),
    Get(Vec<u8>),
    Scan(Vec<u8>, Vec<u8>, usize),
    Prefix(Vec<u8>, usize),
    Reopen,
}

/// Short keys over few letters, so that they meet; `0xff` because it ends ranges.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(vec![0, b'a', b'b', 0xff]), 0..4)
}

pub(crate) fn op() -> impl Strategy<Value = Op> {
    let entry = (key(), prop::option::weighted(0.7, prop::collection::vec(any::<u8>(), 0..20)));
    prop_oneof![
        8 => (prop::collection::vec(entry, 0..12), any::<bool>()).prop_map(|(entries, durable)| Op::Write(entries, durable)),
        3 => key().prop_map(Op::Get),
        3 => (key(), key(), 0..20usize).prop_map(|(start, end, limit)| Op::Scan(start, end, limit)),
        3 => (key(), 0..20usize).prop_map(|(prefix, limit)| Op::Prefix(prefix, limit)),
        1 => Just(Op::Reopen),
    ]
}

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn model_scan(model: &Model, range: &KeyRange, limit: usize) -> Vec<(Bytes, Bytes)> {
    let inside = model.iter().filter(|(key, _)| range.contains(key)).take(limit);
    inside.map(|(key, value)| (key.clone().into(), value.clone().into())).collect()
}

/// Runs the same operations on a store and on a map and compares after each; `reopen` closes and opens the store.
pub(crate) async fn agrees_with_the_model<S: Store>(ops: Vec<Op>, mut store: S, reopen: impl AsyncFn(S) -> S) {
    let mut model = Model::new();
    for op in ops {
        match op {
            Op::Write(entries, durable) => {
                let mut batch = Batch::new();
                for (key, value) in entries {
                    match value {
                        Some(value) => {
                            batch.put(key.clone(), value.clone());
                            model.insert(key, value);
                        }
                        None => {
                            batch.delete(key.clone());
                            model.remove(&key);
                        }
                    }
                }
                let durability = if durable { Durability::Durable } else { Durability::Visible };
                store.write(batch, durability).await.unwrap();
            }
            Op::Get(key) => {
                let found = store.get(&key).await.unwrap();
                assert_eq!(found.as_deref(), model.get(&key).map(Vec::as_slice));
            }
            Op::Scan(start, end, limit) => {
                let range = KeyRange::between(&start, &end);
                assert_eq!(store.scan(range.clone(), limit).await.unwrap(), model_scan(&model, &range, limit));
            }
            Op::Prefix(prefix, limit) => {
                let range = KeyRange::prefix(&prefix);
                assert_eq!(store.scan(range.clone(), limit).await.unwrap(), model_scan(&model, &range, limit));
            }
            Op::Reopen => store = reopen(store).await,
        }
        let all = store.scan(KeyRange::all(), usize::MAX).await.unwrap();
        assert_eq!(all, model_scan(&model, &KeyRange::all(), usize::MAX));
    }
    store.close().await.unwrap();
}

pub(crate) fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_store_on_disk_agrees_with_a_map(ops in prop::collection::vec(op(), 1..40), is_tiny in any::<bool>()) {
        let limits = if is_tiny { TINY } else { Limits::with_cache(DEFAULT_CACHE_BYTES) };
        block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let open = async || SledStore::open_with(directory.path().into(), limits).await.unwrap();
            agrees_with_the_model(ops, open().await, async |store: SledStore| {
                store.close().await.unwrap();
                open().await
            })
            .await;
        });
    }

    #[test]
    fn the_store_in_memory_agrees_with_a_map(ops in prop::collection::vec(op(), 1..80)) {
        block_on(agrees_with_the_model(ops, MemoryStore::new(), async |store: MemoryStore| {
            // Everything durable: a crash loses nothing.
            store.write(Batch::new(), Durability::Durable).await.unwrap();
            store.crash()
        }));
    }
}
