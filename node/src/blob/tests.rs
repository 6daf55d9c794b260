//! One suite for every blob store.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use super::*;
use crate::random::SystemEntropy;
use crate::secret::Secret;
use crate::store::fault::{Fault, FaultPlan};

pub(super) fn key(text: &str) -> BlobKey {
    BlobKey::new(text).unwrap()
}

async fn listed(blobs: &dyn BlobStore, prefix: &str, after: Option<&BlobKey>, limit: usize) -> Vec<String> {
    let keys = blobs.list(prefix, after, limit).await.unwrap();
    keys.iter().map(ToString::to_string).collect()
}

/// What the module promises of every blob store, on one that is empty.
pub(super) async fn conforms(blobs: Arc<dyn BlobStore>) {
    an_object_is_put_once(&*blobs).await;
    ranges_are_read_exactly(&*blobs).await;
    deleting_is_idempotent(&*blobs).await;
    listing_is_ordered_bounded_and_resumable(&*blobs).await;
    of_racing_puts_one_content_wins(blobs).await;
}

async fn an_object_is_put_once(blobs: &dyn BlobStore) {
    let once = key("ws_1/seg_once");
    assert_eq!(blobs.len(&once).await.unwrap(), None);
    blobs.put(&once, "first".into()).await.unwrap();
    blobs.put(&once, "first".into()).await.expect("a retry is no conflict");
    for other in ["other", "longer than first", ""] {
        let error = blobs.put(&once, other.into()).await.unwrap_err();
        assert!(matches!(error, BlobError::AlreadyExists { .. }), "{error}");
    }
    assert_eq!(blobs.get(&once, 0..5).await.unwrap(), "first");
    assert_eq!(blobs.len(&once).await.unwrap(), Some(5));
    blobs.delete(&once).await.unwrap();
}

async fn ranges_are_read_exactly(blobs: &dyn BlobStore) {
    let (large, empty) = (key("ws_1/seg_large"), key("empty"));
    let data: Bytes = (0..300_000u32).map(|i| (i % 251) as u8).collect();
    blobs.put(&large, data.clone()).await.unwrap();
    blobs.put(&large, data.clone()).await.unwrap();
    blobs.put(&empty, Bytes::new()).await.unwrap();
    for range in [0..300_000, 0..0, 300_000..300_000, 1..2, 65_535..131_073, 299_999..300_000] {
        assert_eq!(blobs.get(&large, range.clone()).await.unwrap(), data.slice(range.start as usize..range.end as usize));
    }
    assert!(blobs.get(&empty, 0..0).await.unwrap().is_empty());
    assert_eq!(blobs.len(&empty).await.unwrap(), Some(0));
    #[allow(clippy::reversed_empty_ranges)]
    for range in [0..300_001, 300_001..300_002, 5..4, 0..u64::MAX, u64::MAX..0] {
        let error = blobs.get(&large, range).await.unwrap_err();
        assert!(matches!(error, BlobError::OutOfRange { len_bytes: 300_000, .. }), "{error}");
    }
    let error = blobs.get(&key("ws_1/seg_missing"), 0..0).await.unwrap_err();
    assert!(matches!(error, BlobError::NotFound { .. }), "{error}");
    blobs.delete(&large).await.unwrap();
    blobs.delete(&empty).await.unwrap();
}

async fn deleting_is_idempotent(blobs: &dyn BlobStore) {
    let (one, two) = (key("ws_1/seg_one"), key("ws_1/seg_two"));
    blobs.put(&one, "1".into()).await.unwrap();
    blobs.put(&two, "2".into()).await.unwrap();
    blobs.delete(&one).await.unwrap();
    blobs.delete(&one).await.unwrap();
    blobs.delete(&key("never/was")).await.unwrap();
    assert_eq!(blobs.len(&one).await.unwrap(), None);
    assert_eq!(blobs.get(&two, 0..1).await.unwrap(), "2");
    blobs.put(&one, "again".into()).await.expect("the key is free again");
    blobs.delete(&one).await.unwrap();
    blobs.delete(&two).await.unwrap();
}

async fn listing_is_ordered_bounded_and_resumable(blobs: &dyn BlobStore) {
    let mut texts: Vec<String> = (0..50).map(|i| format!("ws_1/seg_{:x}", (i * 7919) % 50_021 + 4096)).collect();
    // Neighbours that only an order by bytes puts right: `-` sorts below `/`, and `abc` and `abc/x` both exist.
    texts.extend(["a", "a-b", "a/b", "a/b/c", "abcdef", "abcdef-", "abcdef/g", "abcdefg", "ws_2/x", "ws_10/x"].map(String::from));
    for text in &texts {
        blobs.put(&key(text), Bytes::copy_from_slice(text.as_bytes())).await.unwrap();
    }
    texts.sort();
    assert_eq!(listed(blobs, "", None, 1000).await, texts);
    assert!(listed(blobs, "", None, 0).await.is_empty());
    for prefix in ["a", "a/", "abcdef", "ws_1", "ws_1/", "ws_1/seg_1", "ws_1/seg_1f", "zzz", "UPPER", "a//", "ws_2/x", "ws_2/xy"] {
        let expected: Vec<_> = texts.iter().filter(|text| text.starts_with(prefix)).cloned().collect();
        assert_eq!(listed(blobs, prefix, None, 1000).await, expected, "prefix {prefix}");
        for after in texts.iter().map(String::as_str).chain(["0", "abcdeff", "ws_1", "zz"]) {
            let expected: Vec<_> = expected.iter().filter(|text| text.as_str() > after).take(3).cloned().collect();
            assert_eq!(listed(blobs, prefix, Some(&key(after)), 3).await, expected, "prefix {prefix} after {after}");
        }
    }
    for text in &texts {
        blobs.delete(&key(text)).await.unwrap();
    }
    assert!(listed(blobs, "", None, 10).await.is_empty());
}

async fn of_racing_puts_one_content_wins(blobs: Arc<dyn BlobStore>) {
    for round in 0..10 {
        let contested = key(&format!("race/{round}"));
        let racers = (0..8u8).map(|racer| {
            let (blobs, contested) = (Arc::clone(&blobs), contested.clone());
            tokio::spawn(async move { blobs.put(&contested, vec![racer; 1000].into()).await.is_ok().then_some(racer) })
        });
        let mut winners = Vec::new();
        for racer in racers.collect::<Vec<_>>() {
            winners.extend(racer.await.unwrap());
        }
        assert_eq!(winners.len(), 1);
        assert_eq!(blobs.get(&contested, 0..1000).await.unwrap(), vec![winners[0]; 1000]);
        blobs.delete(&contested).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_directory_conforms() {
    let root = tempfile::tempdir().unwrap();
    conforms(Arc::new(DirectoryBlobs::open(root.path()).await.unwrap())).await;
}

#[tokio::test]
async fn memory_conforms() {
    conforms(Arc::new(MemoryBlobs::new())).await;
}

#[tokio::test]
async fn a_faulty_blob_store_without_faults_conforms() {
    conforms(Arc::new(FaultyBlobs::new(Arc::new(MemoryBlobs::new()), FaultPlan::new(1)))).await;
}

/// Asks again what failed in passing, as every caller does in the end.
struct Patient(FaultyBlobs);

impl Patient {
    async fn insist<T, F: Future<Output = Result<T, BlobError>>>(&self, call: impl Fn() -> F) -> Result<T, BlobError> {
        loop {
            match call().await {
                Err(BlobError::Unavailable { .. }) => {}
                outcome => return outcome,
            }
        }
    }
}

impl BlobStore for Patient {
    fn put(&self, key: &BlobKey, data: Bytes) -> BoxFuture<'_, Result<(), BlobError>> {
        let key = key.clone();
        Box::pin(async move { self.insist(|| self.0.put(&key, data.clone())).await })
    }

    fn get(&self, key: &BlobKey, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, BlobError>> {
        let key = key.clone();
        Box::pin(async move { self.insist(|| self.0.get(&key, range.clone())).await })
    }

    fn len(&self, key: &BlobKey) -> BoxFuture<'_, Result<Option<u64>, BlobError>> {
        let key = key.clone();
        Box::pin(async move { self.insist(|| self.0.len(&key)).await })
    }

    fn delete(&self, key: &BlobKey) -> BoxFuture<'_, Result<(), BlobError>> {
        let key = key.clone();
        Box::pin(async move { self.insist(|| self.0.delete(&key)).await })
    }

    fn list(&self, prefix: &str, after: Option<&BlobKey>, limit: usize) -> BoxFuture<'_, Result<Vec<BlobKey>, BlobError>> {
        let (prefix, after) = (prefix.to_owned(), after.cloned());
        Box::pin(async move { self.insist(|| self.0.list(&prefix, after.as_ref(), limit)).await })
    }
}

/// What is promised holds as well for whoever asks again while every kind of fault goes on.
pub(super) async fn conforms_under_faults(blobs: Arc<dyn BlobStore>) {
    let mut plan = FaultPlan::new(11);
    for op in [BlobOp::Put, BlobOp::Get, BlobOp::Len, BlobOp::Delete, BlobOp::List] {
        for fault in [Fault::Fail, Fault::LoseAnswer, Fault::Truncate, Fault::Throttle] {
            plan = plan.with_probability(op, 0.08, fault);
        }
    }
    let patient = Arc::new(Patient(FaultyBlobs::new(blobs, plan)));
    conforms(Arc::clone(&patient) as Arc<dyn BlobStore>).await;
    assert!(patient.0.injected() > 100, "{} faults are too few to tell", patient.0.injected());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_faulty_directory_conforms() {
    let root = tempfile::tempdir().unwrap();
    conforms_under_faults(Arc::new(DirectoryBlobs::open(root.path()).await.unwrap())).await;
}

#[tokio::test]
async fn faulty_memory_conforms() {
    conforms_under_faults(Arc::new(MemoryBlobs::new())).await;
}

/// A store in a bucket of its own on a real server; `None` where there is none.
async fn bucket() -> Option<S3Blobs> {
    let config = tokio::task::spawn_blocking(|| {
        let server = artifacts_tests::S3Server::shared().unwrap()?;
        Some(server.bucket().unwrap())
    });
    let BlobsConfig::S3(config) = serde_json::from_value(config.await.unwrap()?).unwrap() else { panic!("not in S3") };
    Some(S3Blobs::open(&config, Arc::new(SystemEntropy)).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bucket_conforms() {
    let Some(blobs) = bucket().await else { return };
    conforms(Arc::new(blobs)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_faulty_bucket_conforms() {
    let Some(blobs) = bucket().await else { return };
    conforms_under_faults(Arc::new(blobs)).await;
}

/// A signed request does what it was signed for, once it is sent just so, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_direct_url_is_for_one_object_one_method_and_one_length() {
    let Some(blobs) = bucket().await else { return };
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let (mine, minute) = (key("ws_1/seg_1"), Duration::from_secs(60));
    let put = blobs.direct_url(&mine, DirectOp::Put { len_bytes: 4 }, minute).await.unwrap().unwrap();
    let send = async |url: &str, body: &'static str, conditional: bool| {
        let mut request = http.put(url).body(body);
        if conditional {
            request = request.header("if-none-match", "*");
        }
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(send(&put.url, "longer", true).await, 403, "another length");
    assert_eq!(send(&put.url, "data", false).await, 403, "without the condition");
    assert_eq!(send(&put.url.replace("seg_1", "seg_2"), "data", true).await, 403, "another object");
    assert_eq!(blobs.len(&mine).await.unwrap(), None);
    assert_eq!(send(&put.url, "data", true).await, 200);
    assert_eq!(blobs.len(&mine).await.unwrap(), Some(4));
    assert_eq!(send(&put.url, "else", true).await, 412, "objects never change");
    assert_eq!(http.get(&put.url).send().await.unwrap().status(), 403, "another method");

    let get = blobs.direct_url(&mine, DirectOp::Get, minute).await.unwrap().unwrap();
    for (range, wanted) in [("bytes=0-3", "data"), ("bytes=1-2", "at")] {
        let answer = http.get(&get.url).header("range", range).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (206, wanted));
    }
    assert_eq!(http.get(get.url.replace("seg_1", "seg_2")).send().await.unwrap().status(), 403);
    assert_eq!(http.delete(&get.url).send().await.unwrap().status(), 403);
    let none = blobs.direct_url(&key("ws_1/none"), DirectOp::Get, minute).await.unwrap().unwrap();
    assert_eq!(http.get(&none.url).send().await.unwrap().status(), 404);

    let brief = blobs.direct_url(&mine, DirectOp::Get, Duration::from_secs(1)).await.unwrap().unwrap();
    assert_eq!(brief.expires_in_ms, 1_000);
    crate::time::pause(Duration::from_millis(3_000)).await;
    assert_eq!(http.get(&brief.url).send().await.unwrap().status(), 403, "its time is over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_that_refuses_says_what_to_do() {
    let config = tokio::task::spawn_blocking(|| {
        let server = artifacts_tests::S3Server::shared().unwrap()?;
        Some(server.bucket().unwrap())
    });
    let Some(config) = config.await.unwrap() else { return };
    let BlobsConfig::S3(config) = serde_json::from_value(config).unwrap() else { panic!("not in S3") };
    let refusal = async |config: S3Config| match S3Blobs::open(&config, Arc::new(SystemEntropy)).await {
        Ok(_) => panic!("it opens"),
        Err(error) => error.to_string(),
    };
    let wrong = refusal(S3Config { secret_access_key: Some(Secret::new("wrong")), ..config.clone() }).await;
    assert!(wrong.contains("refuses the credentials") && !wrong.contains("test-secret"), "{wrong}");
    let missing = refusal(S3Config { bucket: "no-such-bucket".to_owned(), ..config }).await;
    assert!(missing.contains("has no bucket"), "{missing}");
}

#[tokio::test]
async fn a_short_read_is_an_error_and_never_data() {
    let plan = FaultPlan::new(1).with_probability(BlobOp::Get, 1.0, Fault::Truncate);
    let blobs = FaultyBlobs::new(Arc::new(MemoryBlobs::new()), plan);
    blobs.put(&key("a"), "data".into()).await.unwrap();
    for range in [0..4, 1..2] {
        let error = blobs.get(&key("a"), range).await.unwrap_err();
        assert!(matches!(error, BlobError::Unavailable { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_failed_put_has_no_effect_and_one_whose_answer_is_lost_can_be_retried() {
    let plan = FaultPlan::new(1).at(BlobOp::Put, 1, Fault::Fail).at(BlobOp::Put, 2, Fault::LoseAnswer);
    let blobs = FaultyBlobs::new(Arc::new(MemoryBlobs::new()), plan);
    let wanted = key("a");
    for (took_effect, succeeded) in [(false, false), (true, false), (true, true)] {
        assert_eq!(blobs.put(&wanted, "data".into()).await.is_ok(), succeeded);
        assert_eq!(blobs.len(&wanted).await.unwrap().is_some(), took_effect);
    }
    blobs.set_plan(FaultPlan::new(1).with_probability(BlobOp::Get, 1.0, Fault::Fail));
    assert!(matches!(blobs.get(&wanted, 0..1).await, Err(BlobError::Unavailable { .. })));
    assert_eq!(blobs.injected(), 3);
}

#[tokio::test]
async fn a_rotten_bit_is_visible() {
    let blobs = MemoryBlobs::new();
    blobs.put(&key("a"), "abc".into()).await.unwrap();
    assert!(blobs.rot(&key("a"), 2) && !blobs.rot(&key("a"), 3));
    assert_eq!(blobs.get(&key("a"), 0..3).await.unwrap(), "abb");
}

#[test]
fn keys_are_checked() {
    for good in ["a", "ws_1/seg_2", "a/b/c/d", "0", "-", "_", &"k".repeat(200)] {
        assert_eq!(key(good).as_str(), good);
    }
    let too_long = "k".repeat(201);
    for bad in ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "A", "a b", "a.b", "a\0", "ä", "a+b", &too_long] {
        assert!(BlobKey::new(bad).is_err(), "{bad:?}");
    }
}
