use std::time::Duration;

use artifacts_node::store::StoreOp;
use artifacts_node::store::fault::{Fault, FaultPlan};
use futures_util::FutureExt as _;
use serde_json::{Value, json};

use crate::harness::{Answer, Owner, TestNode, eventually};

pub(crate) const LOCKS: &str = "/v1/workspaces/acme/task/locks";

pub(crate) async fn node() -> (TestNode, Owner) {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    node.workspace(&owner, "task").await;
    (node, owner)
}

pub(crate) fn path(lock: &str, what: &str) -> String {
    format!("{LOCKS}/{lock}/{what}")
}

/// Acquires with these fields beside the usual ones.
pub(crate) async fn acquire(node: &TestNode, key: &str, lock: &str, fields: Value) -> Answer {
    let mut body = json!({ "mode": "exclusive", "ttl_ms": 10_000 });
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    node.post(path(lock, "acquire"), key, body).send().await
}

pub(crate) async fn release(node: &TestNode, key: &str, lock: &str, held: &Answer) -> Answer {
    node.post(path(lock, "release"), key, json!({ "lock_id": held.str("lock_id") })).send().await
}

pub(crate) fn token(answer: &Answer) -> u64 {
    answer.body["fencing_token"].as_u64().unwrap_or_else(|| panic!("no token in {}", answer.text))
}

/// The lock of this name as the list shows it, once so many wait for it.
pub(crate) async fn with_waiters(node: &TestNode, key: &str, lock: &str, waiters: usize) -> Value {
    let mut found = Value::Null;
    eventually("the waiters are there", async || {
        let list = node.get(LOCKS, key).send().await.expect(200);
        let named = list.body["items"].as_array().unwrap().iter().find(|item| item["name"] == lock).cloned();
        found = named.unwrap_or(Value::Null);
        found["waiters"].as_array().map_or(0, Vec::len) == waiters
    })
    .await;
    found
}

#[tokio::test]
async fn a_lock_is_held_until_it_is_released_or_runs_out() {
    let (node, owner) = node().await;
    let held = acquire(&node, &owner.key, "build", json!({ "note": "by ci" })).await.expect(200);
    assert!(held.str("lock_id").starts_with("lck_"));
    assert_eq!(held.str("expires_at"), "2023-11-14T22:13:30Z");
    let refused = acquire(&node, &owner.key, "build", json!({})).await.expect_error(409, "lock_held");
    assert!(refused.str("message").contains("by ci"), "{}", refused.text);
    acquire(&node, &owner.key, "other", json!({})).await.expect(200);

    let renew = |lock: &str, id: &str, ttl_ms: u64| {
        node.post(path(lock, "renew"), &owner.key, json!({ "lock_id": id, "ttl_ms": ttl_ms })).send().boxed()
    };
    node.clock.advance(Duration::from_secs(9));
    let renewed = renew("build", &held.str("lock_id"), 5_000).await.expect(200);
    assert_eq!((renewed.str("expires_at").as_str(), token(&renewed)), ("2023-11-14T22:13:34Z", token(&held)));
    renew("other", &held.str("lock_id"), 5_000).await.expect_error(412, "stale_token");
    node.clock.advance(Duration::from_millis(4_999));
    acquire(&node, &owner.key, "build", json!({})).await.expect_error(409, "lock_held");
    node.clock.advance(Duration::from_millis(1));
    renew("build", &held.str("lock_id"), 5_000).await.expect_error(412, "stale_token");
    let next = acquire(&node, &owner.key, "build", json!({})).await.expect(200);
    assert!(token(&next) > token(&held));

    release(&node, &owner.key, "build", &held).await.expect_error(412, "stale_token");
    release(&node, &owner.key, "build", &next).await.expect(200);
    release(&node, &owner.key, "build", &next).await.expect_error(412, "stale_token");
    acquire(&node, &owner.key, "build", json!({})).await.expect(200);
}

#[tokio::test]
async fn waiters_are_served_in_the_order_in_which_they_came() {
    let (node, owner) = node().await;
    let key = owner.key.as_str();
    let first = acquire(&node, key, "l", json!({})).await.expect(200);
    let node = &node;
    let waits = |note: &'static str| acquire(node, key, "l", json!({ "wait_ms": 60_000, "note": note }));
    let (second, third, ()) = tokio::join!(
        waits("second"),
        async {
            with_waiters(node, key, "l", 1).await;
            waits("third").await
        },
        async {
            let listed = with_waiters(node, key, "l", 2).await;
            assert_eq!((&listed["waiters"][0]["note"], &listed["waiters"][1]["note"]), (&json!("second"), &json!("third")));
            let late = acquire(node, key, "l", json!({ "wait_ms": 30 })).await.expect_error(409, "lock_held");
            assert!(late.str("message").contains("30 ms"), "{}", late.text);
            release(node, key, "l", &first).await.expect(200);
            let listed = with_waiters(node, key, "l", 1).await;
            assert_eq!((&listed["holders"][0]["note"], &listed["waiters"][0]["note"]), (&json!("second"), &json!("third")));
            let lock_id = listed["holders"][0]["lock_id"].clone();
            node.post(path("l", "release"), key, json!({ "lock_id": lock_id })).send().await.expect(200);
        }
    );
    let tokens = [token(&first), token(&second.expect(200)), token(&third.expect(200))];
    assert!(tokens.is_sorted_by(|a, b| a < b), "{tokens:?}");
}

#[tokio::test]
async fn a_waiter_gets_what_runs_out() {
    let (node, owner) = node().await;
    acquire(&node, &owner.key, "l", json!({ "ttl_ms": 1_000 })).await.expect(200);
    let (answer, ()) = tokio::join!(acquire(&node, &owner.key, "l", json!({ "wait_ms": 60_000 })), async {
        with_waiters(&node, &owner.key, "l", 1).await;
        node.clock.advance(Duration::from_secs(1));
    });
    answer.expect(200);
}

#[tokio::test]
async fn a_lock_is_shared_by_many_or_has_so_many_permits() {
    let (node, owner) = node().await;
    let key = owner.key.as_str();
    let shared = json!({ "mode": "shared" });
    let readers =
        [acquire(&node, key, "rw", shared.clone()).await.expect(200), acquire(&node, key, "rw", shared.clone()).await.expect(200)];
    acquire(&node, key, "rw", json!({})).await.expect_error(409, "lock_held");
    let (writer, ()) = tokio::join!(acquire(&node, key, "rw", json!({ "wait_ms": 60_000 })), async {
        with_waiters(&node, key, "rw", 1).await;
        acquire(&node, key, "rw", shared.clone()).await.expect_error(409, "lock_held");
        for reader in &readers {
            release(&node, key, "rw", reader).await.expect(200);
        }
    });
    writer.expect(200);

    let permits = |permits: u32| json!({ "mode": "semaphore", "permits": permits });
    for _ in 0..2 {
        acquire(&node, key, "sem", permits(2)).await.expect(200);
    }
    acquire(&node, key, "sem", permits(2)).await.expect_error(409, "lock_held");
    let mismatch = acquire(&node, key, "sem", permits(3)).await.expect_error(409, "lock_held");
    assert!(mismatch.str("message").contains("2 permits"), "{}", mismatch.text);
    acquire(&node, key, "sem", json!({})).await.expect_error(409, "lock_held");
}

#[tokio::test]
async fn a_deadlock_is_refused_and_named() {
    let (node, owner) = node().await;
    let key = owner.key.as_str();
    acquire(&node, key, "x", json!({ "owner": "anna" })).await.expect(200);
    acquire(&node, key, "y", json!({ "owner": "bert" })).await.expect(200);
    let waits = acquire(&node, key, "y", json!({ "owner": "anna", "wait_ms": 60_000 }));
    let refused = async {
        with_waiters(&node, key, "y", 1).await;
        acquire(&node, key, "x", json!({ "owner": "bert" })).await.expect_error(409, "lock_held");
        acquire(&node, key, "x", json!({ "owner": "bert", "wait_ms": 60_000 })).await.expect_error(409, "deadlock")
    };
    tokio::select! {
        waited = waits => panic!("{}", waited.text),
        refused = refused => {
            let message = refused.str("message");
            assert!(message.contains("`bert` waits for `x`, which `anna` holds; `anna` waits for `y`, which `bert` holds"), "{message}");
        }
    }
    acquire(&node, key, "z", json!({ "owner": "bert", "wait_ms": 10 })).await.expect(200);
}

#[tokio::test]
async fn whoever_hangs_up_waits_no_longer_and_a_grant_in_vain_goes_to_the_next() {
    let (node, owner) = node().await;
    let key = owner.key.as_str();
    let held = acquire(&node, key, "l", json!({})).await.expect(200);
    tokio::select! {
        waited = acquire(&node, key, "l", json!({ "wait_ms": 60_000 })) => panic!("{}", waited.text),
        _ = with_waiters(&node, key, "l", 1) => {}
    }
    with_waiters(&node, key, "l", 0).await;
    release(&node, key, "l", &held).await.expect(200);

    // The answer is there, but nobody reads it.
    let body = json!({ "mode": "exclusive", "ttl_ms": 10_000 });
    let (status, unread) = node.post(path("l", "acquire"), key, body).open().await;
    assert_eq!(status, 200);
    acquire(&node, key, "l", json!({})).await.expect_error(409, "lock_held");
    drop(unread);
    eventually("it is given back", async || acquire(&node, key, "l", json!({})).await.status == 200).await;
}

#[tokio::test]
async fn a_lock_outlives_the_node_and_tokens_go_on() {
    let (node, owner) = node().await;
    let held = acquire(&node, &owner.key, "l", json!({ "owner": "anna" })).await.expect(200);
    let short = acquire(&node, &owner.key, "short", json!({ "ttl_ms": 1_000 })).await.expect(200);
    let gone = acquire(&node, &owner.key, "gone", json!({})).await.expect(200);
    release(&node, &owner.key, "gone", &gone).await.expect(200);
    // The next life's clock may be ahead: a lock gets as much again, and at the most two seconds.
    let node = node.crash().await;
    node.clock.advance(Duration::from_millis(1_500));
    acquire(&node, &owner.key, "short", json!({})).await.expect_error(409, "lock_held");
    node.clock.advance(Duration::from_secs(2));
    let refused = acquire(&node, &owner.key, "l", json!({})).await.expect_error(409, "lock_held");
    assert!(refused.str("message").contains("anna"), "{}", refused.text);
    for lock in ["short", "gone"] {
        let next = acquire(&node, &owner.key, lock, json!({})).await.expect(200);
        assert!(token(&next) > token(&gone) && token(&next) > token(&short));
    }
    let renewed =
        node.post(path("l", "renew"), &owner.key, json!({ "lock_id": held.str("lock_id"), "ttl_ms": 1_000 })).send().await.expect(200);
    assert_eq!(token(&renewed), token(&held));
    let node = node.crash().await;
    node.clock.advance(Duration::from_secs(3));
    let next = acquire(&node, &owner.key, "l", json!({})).await.expect(200);
    assert!(token(&next) > token(&held));
}

#[tokio::test]
async fn a_lock_that_cannot_be_put_on_record_is_not_held() {
    let (node, owner) = node().await;
    acquire(&node, &owner.key, "warm", json!({})).await.expect(200);
    node.faults.set_plan(FaultPlan::new(0).with_probability(StoreOp::Write, 1.0, Fault::Fail));
    acquire(&node, &owner.key, "l", json!({})).await.expect_error(503, "unavailable");
    node.faults.set_plan(FaultPlan::new(0));
    eventually("it is free", async || acquire(&node, &owner.key, "l", json!({})).await.status == 200).await;
}

#[tokio::test]
async fn the_same_request_twice_holds_one_lock() {
    let (node, owner) = node().await;
    let body = json!({ "mode": "exclusive", "ttl_ms": 10_000 });
    let call = || node.post(path("l", "acquire"), &owner.key, body.clone()).header("idempotency-key", "once").send();
    let first = call().await.expect(200);
    let again = call().await.expect(200);
    assert_eq!((again.str("lock_id"), again.header("idempotent-replayed")), (first.str("lock_id"), "true"));
}

#[tokio::test]
async fn values_out_of_range_are_refused() {
    let (node, owner) = node().await;
    for (fields, named) in [
        (json!({ "ttl_ms": 999 }), "ttl_ms"),
        (json!({ "ttl_ms": 86_400_001 }), "ttl_ms"),
        (json!({ "wait_ms": 3_600_001 }), "wait_ms"),
        (json!({ "permits": 2 }), "permits"),
        (json!({ "mode": "semaphore" }), "permits"),
        (json!({ "mode": "semaphore", "permits": 0 }), "permits"),
        (json!({ "mode": "semaphore", "permits": 10_001 }), "permits"),
        (json!({ "mode": "mine" }), "mode"),
        (json!({ "note": "" }), "note"),
        (json!({ "note": "a\nb" }), "note"),
        (json!({ "owner": "x".repeat(256) }), "owner"),
        (json!({ "surprise": 1 }), "surprise"),
    ] {
        let refused = acquire(&node, &owner.key, "l", fields.clone()).await.expect_error(422, "invalid_request");
        assert!(refused.str("message").contains(named), "{fields}: {}", refused.text);
    }
    acquire(&node, &owner.key, "-l", json!({})).await.expect_error(422, "invalid_request");
    acquire(&node, &owner.key, &"l".repeat(129), json!({})).await.expect_error(422, "invalid_request");
    for body in [json!({}), json!({ "lock_id": "x" }), json!({ "lock_id": "key_00000000000000000000000000" })] {
        node.post(path("l", "release"), &owner.key, body).send().await.expect_error(422, "invalid_request");
    }
    let nothing = node.get(LOCKS, &owner.key).send().await.expect(200);
    assert_eq!(nothing.body["items"], json!([]));
}

#[tokio::test]
async fn the_list_has_pages_and_says_how_things_stand() {
    let (node, owner) = node().await;
    for lock in ["b", "a", "c"] {
        acquire(&node, &owner.key, lock, json!({ "note": "n", "owner": "o" })).await.expect(200);
    }
    node.clock.advance(Duration::from_millis(1_500));
    let mut seen = Vec::new();
    let mut next = format!("{LOCKS}?limit=2");
    loop {
        let page = node.get(&next, &owner.key).send().await.expect(200);
        seen.extend(page.body["items"].as_array().unwrap().iter().cloned());
        let Some(cursor) = page.body["next_cursor"].as_str() else { break };
        next = format!("{LOCKS}?limit=2&cursor={cursor}");
    }
    assert_eq!(seen.iter().map(|item| item["name"].as_str().unwrap()).collect::<Vec<_>>(), ["a", "b", "c"]);
    let holder = &seen[0]["holders"][0];
    for (field, expected) in [("mode", json!("exclusive")), ("note", json!("n")), ("owner", json!("o")), ("age_ms", json!(1_500))] {
        assert_eq!(holder[field], expected, "{holder}");
    }
    assert_eq!((&holder["since"], &holder["expires_at"]), (&json!("2023-11-14T22:13:20Z"), &json!("2023-11-14T22:13:30Z")));
    node.get(format!("{LOCKS}?cursor=x"), &owner.key).send().await.expect_error(422, "invalid_request");
    node.get(format!("{LOCKS}?limit=0"), &owner.key).send().await.expect_error(422, "invalid_request");
}

#[tokio::test]
async fn a_workspace_that_goes_takes_its_locks_with_it() {
    let (node, owner) = node().await;
    acquire(&node, &owner.key, "l", json!({})).await.expect(200);
    let held = node.data_plane.hold_destruction().await;
    let (waited, ()) = tokio::join!(acquire(&node, &owner.key, "l", json!({ "wait_ms": 60_000 })), async {
        with_waiters(&node, &owner.key, "l", 1).await;
        node.delete("/v1/workspaces/acme/task", &owner.key).send().await.expect(202);
    });
    waited.expect_error(409, "workspace_not_active");
    acquire(&node, &owner.key, "l", json!({})).await.expect_error(409, "workspace_not_active");
    node.get(LOCKS, &owner.key).send().await.expect_error(409, "workspace_not_active");
    drop(held);
}
