use std::time::Duration;

use serde_json::json;

use crate::harness::{Owner, TestNode};
use crate::locks::{LOCKS, acquire, node, path, release, with_waiters};

async fn ticket(node: &TestNode, owner: &Owner, runtime: &str, mode: &str, ttl_seconds: u64) -> serde_json::Value {
    let body = json!({ "workspace": "task", "mode": mode, "ttl_seconds": ttl_seconds });
    let path = format!("/v1/tenants/t/runtimes/{runtime}/mount-tickets");
    node.post(path, &owner.key, body).send().await.expect(201).body["mount_ticket"].clone()
}

fn token(ticket: &serde_json::Value) -> &str {
    ticket["token"].as_str().unwrap()
}

#[tokio::test]
async fn a_ticket_is_a_credential_for_the_locks_of_its_workspace_and_for_nothing_else() {
    let (node, owner) = node().await;
    node.workspace(&owner, "other").await;
    let ticket = ticket(&node, &owner, "r", "rw", 60).await;
    let token = token(&ticket);
    let held = acquire(&node, token, "l", json!({ "ttl_ms": 3_600_000 })).await.expect(200);
    assert_eq!(held.str("expires_at"), "2023-11-14T22:14:20Z", "not beyond the ticket");
    let renew = json!({ "lock_id": held.str("lock_id"), "ttl_ms": 3_600_000 });
    let renewed = node.post(path("l", "renew"), token, renew).send().await.expect(200);
    assert_eq!(renewed.str("expires_at"), "2023-11-14T22:14:20Z");
    assert_eq!(node.get(LOCKS, token).send().await.expect(200).body["items"][0]["name"], "l");
    release(&node, token, "l", &held).await.expect(200);

    let elsewhere = |workspace: &str| format!("/v1/workspaces/acme/{workspace}/locks/l/acquire");
    let body = json!({ "mode": "exclusive", "ttl_ms": 1_000 });
    for workspace in ["other", "none"] {
        node.post(elsewhere(workspace), token, body.clone()).send().await.expect_error(404, "workspace_not_found");
    }
    for path in ["/v1/whoami", "/v1/workspaces", "/v1/workspaces/acme/task", "/v1/sessions"] {
        node.get(path, token).send().await.expect_error(401, "unauthorized");
    }
    for bad in [&token[..token.len() - 2], "a.b.c", "..", "a.b"] {
        acquire(&node, bad, "l", json!({})).await.expect_error(401, "unauthorized");
    }
    node.clock.advance(Duration::from_secs(60));
    acquire(&node, token, "l", json!({})).await.expect_error(401, "unauthorized");
}

#[tokio::test]
async fn a_reader_shares_locks_and_has_none_alone() {
    let (node, owner) = node().await;
    let ticket = ticket(&node, &owner, "r", "ro", 60).await;
    let key = node.key(&owner, json!({ "scope": { "mode": "ro" } })).await;
    for reader in [token(&ticket), &key] {
        let held = acquire(&node, reader, "l", json!({ "mode": "shared" })).await.expect(200);
        acquire(&node, reader, "m", json!({})).await.expect_error(403, "forbidden");
        acquire(&node, reader, "m", json!({ "mode": "semaphore", "permits": 2 })).await.expect_error(403, "forbidden");
        node.get(LOCKS, reader).send().await.expect(200);
        release(&node, reader, "l", &held).await.expect(200);
    }
    let held = acquire(&node, &owner.key, "l", json!({})).await.expect(200);
    for reader in [token(&ticket), &key] {
        let list = node.get(LOCKS, reader).send().await.expect(200);
        assert!(!list.text.contains(&held.str("lock_id")), "{}", list.text);
        release(&node, reader, "l", &held).await.expect_error(403, "forbidden");
    }
    release(&node, &owner.key, "l", &held).await.expect(200);
}

#[tokio::test]
async fn what_was_taken_by_a_right_ends_with_it() {
    let (node, owner) = node().await;
    let revoked = ticket(&node, &owner, "r", "rw", 60).await;
    let ended = ticket(&node, &owner, "s", "rw", 60).await;
    let stays = ticket(&node, &owner, "u", "rw", 60).await;
    let key = node.post("/v1/api-keys", &owner.key, json!({})).send().await.expect(201);
    for (bearer, lock) in [(token(&revoked), "a"), (token(&ended), "b"), (token(&stays), "c"), (&key.str("key"), "d")] {
        acquire(&node, bearer, lock, json!({})).await.expect(200);
    }
    let session = node.mount(&ended);
    let (waited, ()) = tokio::join!(acquire(&node, token(&revoked), "c", json!({ "wait_ms": 60_000 })), async {
        with_waiters(&node, &owner.key, "c", 1).await;
        node.post("/v1/grants/revoke", &owner.key, json!({ "tenant_slug": "t", "runtime_id": "r" })).send().await.expect(200);
    });
    waited.expect_error(401, "unauthorized");
    acquire(&node, &owner.key, "a", json!({})).await.expect(200);
    acquire(&node, token(&revoked), "z", json!({})).await.expect_error(401, "unauthorized");

    acquire(&node, &owner.key, "b", json!({})).await.expect_error(409, "lock_held");
    node.delete(format!("/v1/sessions/{session}"), &owner.key).send().await.expect(200);
    acquire(&node, &owner.key, "b", json!({})).await.expect(200);

    acquire(&node, &owner.key, "d", json!({})).await.expect_error(409, "lock_held");
    node.delete(format!("/v1/api-keys/{}", key.str("id")), &owner.key).send().await.expect(200);
    acquire(&node, &owner.key, "d", json!({})).await.expect(200);

    acquire(&node, &owner.key, "c", json!({})).await.expect_error(409, "lock_held");
}

#[tokio::test]
async fn whoever_waits_beyond_its_right_gets_nothing() {
    let (node, owner) = node().await;
    let ticket = ticket(&node, &owner, "r", "rw", 60).await;
    let held = acquire(&node, &owner.key, "l", json!({ "ttl_ms": 3_600_000 })).await.expect(200);
    let (waited, ()) = tokio::join!(acquire(&node, token(&ticket), "l", json!({ "wait_ms": 60_000 })), async {
        with_waiters(&node, &owner.key, "l", 1).await;
        node.clock.advance(Duration::from_secs(61));
        release(&node, &owner.key, "l", &held).await.expect(200);
    });
    waited.expect_error(401, "unauthorized");
    acquire(&node, &owner.key, "l", json!({})).await.expect(200);
}

#[tokio::test]
async fn a_right_that_ended_before_a_crash_holds_nothing_after_it() {
    let (node, owner) = node().await;
    let ticket = ticket(&node, &owner, "r", "rw", 60).await;
    acquire(&node, token(&ticket), "l", json!({})).await.expect(200);
    let crashed = node.crash().await;
    // No actor runs that could be told.
    crashed.post("/v1/grants/revoke", &owner.key, json!({ "tenant_slug": "t" })).send().await.expect(200);
    acquire(&crashed, &owner.key, "l", json!({})).await.expect(200);
}

#[tokio::test]
async fn only_who_may_is_told_what_gives_power_over_a_lock() {
    let (node, owner) = node().await;
    let (mine, other) = (ticket(&node, &owner, "r", "rw", 60).await, ticket(&node, &owner, "s", "rw", 60).await);
    let held = acquire(&node, token(&mine), "l", json!({ "note": "n" })).await.expect(200);
    for (bearer, told) in [(token(&mine), true), (token(&other), false), (&owner.key, true)] {
        let list = node.get(LOCKS, bearer).send().await.expect(200);
        let holder = &list.body["items"][0]["holders"][0];
        assert_eq!(holder["lock_id"] == json!(held.str("lock_id")), told, "{holder}");
        assert_eq!(holder["taken_by"].is_string(), told, "{holder}");
        assert_eq!(holder["note"], "n");
    }
}

#[tokio::test]
async fn another_account_sees_nothing() {
    let (node, owner) = node().await;
    let held = acquire(&node, &owner.key, "l", json!({})).await.expect(200);
    let stranger = node.account("stranger").await;
    acquire(&node, &stranger.key, "l", json!({})).await.expect_error(404, "workspace_not_found");
    release(&node, &stranger.key, "l", &held).await.expect_error(404, "workspace_not_found");
    node.get(LOCKS, &stranger.key).send().await.expect_error(404, "workspace_not_found");
    node.get(format!("{LOCKS}/events"), &stranger.key).send().await.expect_error(404, "workspace_not_found");

    node.workspace(&owner, "other").await;
    for (scope, allowed) in [
        (json!({ "workspace": "task" }), true),
        (json!({ "workspace": "other" }), false),
        (json!({ "tenant": "t" }), false),
        (json!({ "workspace": "task", "tenant": "t" }), false),
    ] {
        let key = node.key(&owner, json!({ "scope": scope })).await;
        let answer = acquire(&node, &key, "m", json!({ "mode": "shared" })).await;
        assert_eq!(answer.status.as_u16(), if allowed { 200 } else { 403 }, "{scope}: {}", answer.text);
    }
}
