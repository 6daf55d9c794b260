use artifacts_core::revocation::Target;
use serde_json::json;

use crate::harness::TestNode;

#[tokio::test]
async fn whatever_was_answered_survives_a_crash() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    node.workspace(&owner, "task").await;
    node.tenant(&owner, "t").await;
    let grant = node.grant(&owner, "task", json!({ "tenant_slug": "t", "mode": "rw" })).await;
    let key = node.key(&owner, json!({ "name": "ci" })).await;
    let ticket = node.ticket(&owner, "t", "r", "task", 60).await;
    node.post("/v1/grants/revoke", &owner.key, json!({ "tenant_slug": "t", "runtime_id": "r" })).send().await.expect(200);

    let node = node.crash().await;
    node.get("/v1/whoami", &key).send().await.expect(200);
    node.get("/v1/workspaces/acme/task", &key).send().await.expect(200);
    node.get("/v1/tenants/t", &key).send().await.expect(200);
    node.get(format!("/v1/grants/{grant}"), &key).send().await.expect(200);
    let claims =
        artifacts_core::ticket::verify(ticket["token"].as_str().unwrap(), &node.context.verifying_keys(), node.context.clock.wall());
    let revoked = Target::Grant(claims.unwrap().grant);
    assert!(node.context.revocations.read().revoked(revoked).is_some(), "the register is read from the log");
}

#[tokio::test]
async fn a_fence_that_a_crash_prevented_is_made_up_for() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    node.workspace(&owner, "task").await;
    let ticket = node.ticket(&owner, "t", "r", "task", 60).await;
    node.post("/v1/grants/revoke", &owner.key, json!({ "tenant_slug": "t" })).send().await.expect(200);
    // As if the node had died after the log and before the fence: the session is still on record.
    let session = node.mount(&ticket);
    let node = node.crash().await;
    node.delete(format!("/v1/sessions/{session}"), &owner.key).send().await.expect_error(404, "session_not_found");
}

#[tokio::test]
async fn readiness_follows_the_store() {
    let node = TestNode::start().await;
    node.call("GET", "/readyz").send().await.expect(200);
    node.store.crash();
    let answer = node.call("GET", "/readyz").send().await.expect_error(503, "unavailable");
    assert_eq!(answer.header("retry-after"), "1");
    node.call("GET", "/healthz").send().await.expect(200);
    let owner = node.get("/v1/whoami", "tbo_x").send().await.expect_error(503, "unavailable");
    assert!(!owner.text.contains("crashed"), "what the store says is not for callers: {}", owner.text);
}
