use std::time::Duration;

use artifacts_node::store::{KeyRange, Store as _};
use serde_json::json;

use crate::harness::{TestNode, eventually};

const HEADER: &str = "idempotency-key";

#[tokio::test]
async fn the_same_request_gets_the_same_answer_for_a_day() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    let send = || node.post("/v1/api-keys", &owner.key, json!({ "name": "ci" })).header(HEADER, "k1").send();
    let first = send().await.expect(201);
    assert_eq!(first.header("idempotent-replayed"), "");
    node.clock.advance(Duration::from_secs(24 * 3600 - 1));
    let second = send().await.expect(201);
    assert_eq!(second.text, first.text, "the secret included");
    assert_eq!(second.header("idempotent-replayed"), "true");
    assert_eq!(second.header("content-type"), "application/json");
    assert_ne!(second.header("x-request-id"), first.header("x-request-id"));
    node.clock.advance(Duration::from_secs(1));
    let third = send().await.expect(201);
    assert_ne!(third.text, first.text, "after 24 hours it is a new request");
    assert_eq!(send().await.expect(201).text, third.text);
}

#[tokio::test]
async fn another_request_with_the_key_is_a_conflict() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    let other = node.account("other").await;
    node.post("/v1/tenants", &owner.key, json!({ "slug": "a" })).header(HEADER, "k").send().await.expect(201);
    node.post("/v1/tenants", &owner.key, json!({ "slug": "b" })).header(HEADER, "k").send().await.expect_error(409, "idempotency_conflict");
    node.post("/v1/workspaces", &owner.key, json!({ "slug": "a" }))
        .header(HEADER, "k")
        .send()
        .await
        .expect_error(409, "idempotency_conflict");
    node.get("/v1/tenants/b", &owner.key).send().await.expect_error(404, "tenant_not_found");
    // Another credential has keys of its own, also one of the same account.
    node.post("/v1/tenants", &other.key, json!({ "slug": "b" })).header(HEADER, "k").send().await.expect(201);
    let second = node.key(&owner, json!({})).await;
    node.post("/v1/tenants", &second, json!({ "slug": "c" })).header(HEADER, "k").send().await.expect(201);
}

#[tokio::test]
async fn refusals_are_kept_and_failures_are_not() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    let send = || {
        node.post("/v1/tenants/t/runtimes/r/mount-tickets", &owner.key, json!({ "workspace": "w", "mode": "rw", "ttl_seconds": 5 }))
            .header(HEADER, "k")
    };
    let first = send().send().await.expect_error(404, "workspace_not_found");
    node.workspace(&owner, "w").await;
    let second = send().send().await.expect(404);
    assert_eq!((second.text, second.headers.contains_key("idempotent-replayed")), (first.text, true));
}

#[tokio::test]
async fn requests_at_once_take_effect_once() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    let calls = (0..8).map(|_| node.post("/v1/api-keys", &owner.key, json!({ "name": "x" })).header(HEADER, "k").send());
    let answers = futures_util::future::join_all(calls).await;
    let texts: std::collections::BTreeSet<String> = answers.into_iter().map(|answer| answer.expect(201).text).collect();
    assert_eq!(texts.len(), 1);
    let keys = node.get("/v1/api-keys", &owner.key).send().await.expect(200);
    assert_eq!(keys.body["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_record_survives_a_crash_and_a_long_answer() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    node.workspace(&owner, "w").await;
    node.tenant(&owner, "t").await;
    for number in 0..400 {
        let subpath = format!("{number}/{}", "x".repeat(200));
        node.grant(&owner, "w", json!({ "tenant_slug": "t", "mode": "ro", "subpath": subpath })).await;
    }
    let body = json!({ "tenant_slug": "t" });
    let first = node.post("/v1/grants/revoke", &owner.key, body.clone()).header(HEADER, "k").send().await.expect(200);
    assert!(first.text.len() > 100_000);
    let node = node.crash().await;
    let second = node.post("/v1/grants/revoke", &owner.key, body).header(HEADER, "k").send().await.expect(200);
    assert_eq!(second.text, first.text);
    assert_eq!(second.header("idempotent-replayed"), "true");
}

#[tokio::test]
async fn malformed_keys_are_refused_and_only_posts_have_them() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    for bad in ["", "a b", &"k".repeat(256)] {
        let answer = node.post("/v1/tenants", &owner.key, json!({ "slug": "a" })).header(HEADER, bad).send().await;
        assert!(answer.expect_error(422, "invalid_request").str("message").contains("idempotency-key"));
    }
    let before = node.store.scan(KeyRange::all(), usize::MAX).await.unwrap().len();
    node.get("/v1/whoami", &owner.key).header(HEADER, "k").send().await.expect(200);
    assert_eq!(node.store.scan(KeyRange::all(), usize::MAX).await.unwrap().len(), before);
}

#[tokio::test]
async fn accounts_are_made_once_too() {
    let node = TestNode::start().await;
    let send = || node.post("/v1/accounts", &node.admin_token(), json!({ "handle": "acme" })).header(HEADER, "k").send();
    let first = send().await.expect(201);
    assert_eq!(send().await.expect(201).text, first.text);
}

#[tokio::test]
async fn answers_that_have_run_out_are_removed() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    let before = node.store.scan(KeyRange::all(), usize::MAX).await.unwrap().len();
    node.post("/v1/grants/revoke", &owner.key, json!({ "tenant_slug": "none" })).header(HEADER, "k").send().await.expect(404);
    let with_answer = node.store.scan(KeyRange::all(), usize::MAX).await.unwrap().len();
    assert!(with_answer > before);
    node.clock.advance(Duration::from_secs(24 * 3600 + 1));
    // A node sweeps when it starts, then now and again.
    let node = node.crash().await;
    eventually("the answer is removed", async || node.store.scan(KeyRange::all(), usize::MAX).await.unwrap().len() == before).await;
}
