//! Against the double, which fails as it is told; `blob/tests.rs` has the real server.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use super::double::{BUCKET, S3Double};
use super::*;
use crate::blob::BlobOp;
use crate::blob::tests::{conforms, key};
use crate::random::SystemEntropy;
use crate::store::fault::{Fault, FaultPlan};

async fn opened(double: &S3Double) -> S3Blobs {
    let mut blobs = S3Blobs::open(&double.config(), Arc::new(SystemEntropy)).await.unwrap();
    blobs.attempts.first_pause_ms = 1;
    blobs
}

#[tokio::test(flavor = "multi_thread")]
async fn the_double_conforms() {
    let double = S3Double::start().await;
    conforms(Arc::new(opened(&double).await)).await;
    assert!(double.names().is_empty(), "the check at the start leaves its object");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_now_and_then_is_not_noticed() {
    let double = S3Double::start().await;
    let mut blobs = opened(&double).await;
    blobs.attempts.most = 30;
    let mut plan = FaultPlan::new(3);
    for op in [BlobOp::Put, BlobOp::Get, BlobOp::Len, BlobOp::Delete, BlobOp::List] {
        for fault in [Fault::Fail, Fault::LoseAnswer, Fault::Truncate, Fault::Throttle] {
            plan = plan.with_probability(op, 0.02, fault);
        }
    }
    double.set_plan(plan);
    conforms(Arc::new(blobs)).await;
    assert!(double.injected() > 40, "{} faults are too few to tell", double.injected());
}

#[tokio::test]
async fn a_put_whose_answer_is_lost_succeeds_and_creates_once() {
    let double = S3Double::start().await;
    let blobs = opened(&double).await;
    for fault in [Fault::LoseAnswer, Fault::Throttle, Fault::Fail] {
        double.set_plan(FaultPlan::new(1).at(BlobOp::Put, 1, fault));
        let wanted = key(&format!("ws_1/seg_{fault:?}").to_lowercase());
        blobs.put(&wanted, "data".into()).await.unwrap();
        let error = blobs.put(&wanted, "else".into()).await.unwrap_err();
        assert!(matches!(error, BlobError::AlreadyExists { .. }), "{error}");
        assert_eq!(blobs.get(&wanted, 0..4).await.unwrap(), "data");
    }
}

#[tokio::test]
async fn a_comparison_that_is_cut_short_is_no_verdict() {
    let double = S3Double::start().await;
    let blobs = opened(&double).await;
    blobs.put(&key("a"), "data".into()).await.unwrap();
    double.set_plan(FaultPlan::new(1).at(BlobOp::Get, 1, Fault::Truncate).at(BlobOp::Get, 2, Fault::Truncate));
    blobs.put(&key("a"), "data".into()).await.unwrap();
}

#[tokio::test]
async fn an_answer_that_is_cut_short_is_asked_for_again_and_never_data() {
    let double = S3Double::start().await;
    let blobs = opened(&double).await;
    blobs.put(&key("a"), "0123456789".into()).await.unwrap();
    double.set_plan(FaultPlan::new(1).at(BlobOp::Get, 1, Fault::Truncate).at(BlobOp::Get, 2, Fault::Truncate));
    assert_eq!(blobs.get(&key("a"), 2..8).await.unwrap(), "234567");
    assert_eq!(double.injected(), 2);
    double.set_plan(FaultPlan::new(1).with_probability(BlobOp::Get, 1.0, Fault::Truncate));
    let error = blobs.get(&key("a"), 2..8).await.unwrap_err();
    assert!(matches!(error, BlobError::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn a_busy_server_is_asked_a_bounded_number_of_times() {
    let double = S3Double::start().await;
    let blobs = opened(&double).await;
    double.set_plan(FaultPlan::new(1).with_probability(BlobOp::Len, 1.0, Fault::Throttle));
    let before = double.requests();
    let error = blobs.len(&key("a")).await.unwrap_err();
    assert!(matches!(error, BlobError::Unavailable { .. }), "{error}");
    assert_eq!(double.requests() - before, u64::from(blobs.attempts.most));
}

#[tokio::test]
async fn long_lists_come_in_pages() {
    let double = S3Double::start().await;
    let blobs = opened(&double).await;
    let keys: Vec<_> = (0..1_100).map(|number| key(&format!("ws_1/seg_{number:04}"))).collect();
    for key in &keys {
        blobs.put(key, "x".into()).await.unwrap();
    }
    assert_eq!(blobs.list("ws_1/", None, 5_000).await.unwrap(), keys);
    assert_eq!(blobs.list("ws_1/", Some(&keys[9]), 1_050).await.unwrap(), keys[10..1_060]);
}

async fn refusal(config: &S3Config) -> String {
    let mut blobs = match S3Blobs::unchecked(config, Arc::new(SystemEntropy)).await {
        Ok(blobs) => blobs,
        Err(error) => return error.to_string(),
    };
    blobs.attempts.first_pause_ms = 1;
    check::check(&blobs, config).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_bucket_that_will_not_do_is_refused_with_what_to_do() {
    let double = S3Double::start().await;
    let config = double.config();
    let missing = refusal(&S3Config { bucket: format!("{BUCKET}x/"), ..config.clone() }).await;
    assert!(missing.contains("no name of a bucket"), "{missing}");
    let missing = refusal(&S3Config { bucket: "another".to_owned(), ..config.clone() }).await;
    assert!(missing.contains("has no bucket `another`; create it"), "{missing}");
    let closed = refusal(&S3Config { endpoint: Some("http://127.0.0.1:1".to_owned()), ..config.clone() }).await;
    assert!(closed.contains("check that it runs"), "{closed}");
    double.ignore_conditions();
    let careless = refusal(&config).await;
    assert!(careless.contains("ignores `If-None-Match: *`"), "{careless}");
    assert!(double.names().is_empty(), "the check leaves its object");
}

#[tokio::test]
async fn a_direct_url_names_the_public_server_and_hides_the_secret() {
    let double = S3Double::start().await;
    let config = S3Config { public_endpoint: Some("https://public.example".to_owned()), ..double.config() };
    let blobs = S3Blobs::open(&config, Arc::new(SystemEntropy)).await.unwrap();
    let valid_for = Duration::from_secs(60);
    let get = blobs.direct_url(&key("ws_1/seg_1"), DirectOp::Get, valid_for).await.unwrap().unwrap();
    assert!(get.url.starts_with("https://public.example/double/cluster/blobs/ws_1.seg_1?"), "{}", get.url);
    assert!(get.url.contains("X-Amz-Expires=60&") && !get.url.contains("secret"), "{}", get.url);
    assert_eq!((get.method.as_str(), get.expires_in_ms), ("GET", 60_000));
    let put = blobs.direct_url(&key("ws_1/seg_1"), DirectOp::Put { len_bytes: 7 }, valid_for).await.unwrap().unwrap();
    assert!(put.url.contains("X-Amz-SignedHeaders=content-length%3Bhost%3Bif-none-match"), "{}", put.url);
    let headers: Vec<_> = put.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(headers, [("content-length", "7"), ("if-none-match", "*")]);
}
