use artifacts_core::protocol::FenceReason;
use artifacts_core::revocation::{Issue, Target};
use serde_json::json;

use crate::harness::TestNode;

const PATH: &str = "/v1/account/revoke-everything";

#[tokio::test]
async fn everything_of_the_account_ends_but_the_key_of_the_call() {
    let node = TestNode::start().await;
    let (owner, other) = (node.account("acme").await, node.account("other").await);
    for owner in [&owner, &other] {
        node.workspace(owner, "w").await;
    }
    let second = node.key(&owner, json!({ "name": "backend" })).await;
    node.tenant(&owner, "t").await;
    let wide = node.grant(&owner, "w", json!({ "tenant_slug": "t", "mode": "rw" })).await;
    let ticket = node.ticket(&owner, "t", "r", "w", 600).await;
    node.mount(&node.ticket(&other, "t", "r", "w", 600).await);
    node.mount(&ticket);
    node.mount_with_key(&owner, &owner.key, "w").await;
    node.mount_with_key(&owner, &second, "w").await;

    let scoped = node.key(&owner, json!({ "scope": { "tenant": "t" } })).await;
    node.post(PATH, &scoped, json!({})).send().await.expect_error(403, "forbidden");
    let answer = node.post(PATH, &owner.key, json!({ "wait_ms": 10 })).send().await.expect(200);
    assert_eq!(answer.body["sessions"], json!({ "matched": 3, "fenced": 3, "confirmed": 3 }), "sessions of the kept key end as well");
    assert_eq!(answer.str("kept_key_id"), owner.key_id);
    let account = node.context.catalog.key_by_secret(&owner.key).await.unwrap().unwrap().account;
    let target = Target::Account(Issue { account, generation: 0 });
    let (targets, reason, _) = node.data_plane.last_fence();
    assert_eq!((targets.into_iter().collect::<Vec<_>>(), reason), (vec![target], FenceReason::Revoked));
    let log = node.context.catalog.revocations().await.unwrap();
    assert_eq!(log.iter().filter(|signed| signed.record.account == account).count(), 1, "one record, however much it takes");

    let node = node.crash().await;
    node.get("/v1/whoami", &owner.key).send().await.expect(200);
    for gone in [&second, &scoped] {
        node.get("/v1/whoami", gone).send().await.expect_error(401, "unauthorized");
    }
    let grant = node.get(format!("/v1/grants/{wide}"), &owner.key).send().await.expect(200);
    assert!(grant.body["revoked_at"].is_string(), "{}", grant.text);
    node.delete(format!("/v1/grants/{wide}"), &owner.key).send().await.expect_error(404, "grant_not_found");
    let keys = node.get("/v1/api-keys", &owner.key).send().await.expect(200);
    let standing = keys.body["items"].as_array().unwrap().iter().filter(|key| key.get("revoked_at").is_none()).count();
    assert_eq!(standing, 1);
    let path = "/v1/workspaces/acme/w/locks";
    node.get(path, ticket["token"].as_str().unwrap()).send().await.expect_error(401, "unauthorized");
    let left = node.get("/v1/sessions", &other.key).send().await.expect(200);
    assert_eq!(left.body["items"].as_array().unwrap().len(), 1, "another account's go on");

    // What is handed out from now on stands.
    let fresh = node.ticket(&owner, "t", "r", "w", 600).await;
    node.get(path, fresh["token"].as_str().unwrap()).send().await.expect(200);
    let key = node.key(&owner, json!({})).await;
    node.get("/v1/whoami", &key).send().await.expect(200);
    node.post(PATH, &key, json!({})).send().await.expect(200);
    node.get("/v1/whoami", &owner.key).send().await.expect_error(401, "unauthorized");
    node.get(path, fresh["token"].as_str().unwrap()).send().await.expect_error(401, "unauthorized");
}

#[tokio::test]
async fn named_locks_that_were_taken_before_are_free() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    node.workspace(&owner, "w").await;
    let ticket = node.ticket(&owner, "t", "r", "w", 600).await;
    let path = "/v1/workspaces/acme/w/locks/l/acquire";
    node.post(path, ticket["token"].as_str().unwrap(), json!({ "mode": "exclusive", "ttl_ms": 60_000 })).send().await.expect(200);
    node.post(path, &owner.key, json!({ "mode": "exclusive", "ttl_ms": 60_000 })).send().await.expect_error(409, "lock_held");
    node.post(PATH, &owner.key, json!({})).send().await.expect(200);
    node.post(path, &owner.key, json!({ "mode": "exclusive", "ttl_ms": 60_000 })).send().await.expect(200);
}
