use std::time::Duration;

use artifacts_core::Timestamp;
use artifacts_core::protocol::FenceReason;
use artifacts_core::revocation::Target;
use artifacts_core::session::DEFAULT_LEASE_MS;
use artifacts_node::store::StoreOp;
use artifacts_node::store::fault::{Fault, FaultPlan};
use futures_util::FutureExt as _;
use serde_json::{Value, json};

use crate::harness::{Owner, TestNode, eventually};

async fn node() -> (TestNode, Owner) {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    node.workspace(&owner, "one").await;
    node.workspace(&owner, "two").await;
    for (tenant, runtime, workspace) in [("t", "r1", "one"), ("t", "r1", "two"), ("t", "r2", "one"), ("u", "r1", "one")] {
        let ticket = node.ticket(&owner, tenant, runtime, workspace, 600).await;
        node.mount(&ticket);
    }
    (node, owner)
}

fn counts(matched: u64) -> Value {
    json!({ "matched": matched, "fenced": matched, "confirmed": matched })
}

async fn live(node: &TestNode, owner: &Owner) -> Vec<String> {
    let answer = node.get("/v1/sessions", &owner.key).send().await.expect(200);
    let show = |session: &Value| {
        format!(
            "{}/{} {}",
            session["tenant_slug"].as_str().unwrap(),
            session["runtime_id"].as_str().unwrap(),
            session["workspace"].as_str().unwrap()
        )
    };
    let mut all: Vec<String> = answer.body["items"].as_array().unwrap().iter().map(show).collect();
    all.sort();
    all
}

#[tokio::test]
async fn a_revoke_call_takes_exactly_what_it_names() {
    let everything = ["t/r1 acme/one", "t/r1 acme/two", "t/r2 acme/one", "u/r1 acme/one"];
    for (body, left) in [
        (json!({ "tenant_slug": "t" }), vec![everything[3]]),
        (json!({ "tenant_slug": "t", "runtime_id": "r1" }), vec![everything[2], everything[3]]),
        (json!({ "tenant_slug": "t", "workspace": "acme/one" }), vec![everything[1], everything[3]]),
        (json!({ "tenant_slug": "t", "runtime_id": "r1", "workspace": "two" }), vec![everything[0], everything[2], everything[3]]),
        (json!({ "tenant_slug": "u", "runtime_id": "r2" }), everything.to_vec()),
    ] {
        let (node, owner) = node().await;
        assert_eq!(live(&node, &owner).await, everything);
        let answer = node.post("/v1/grants/revoke", &owner.key, body.clone()).send().await.expect(200);
        assert_eq!(live(&node, &owner).await, left, "{body}");
        let hit = everything.len() - left.len();
        assert_eq!(answer.body["sessions"], counts(hit as u64));
        let grants = answer.body["grants"].as_array().unwrap();
        assert_eq!(grants.len(), hit);
        assert!(grants.iter().all(|grant| grant["revoked_at"].is_string()));
        let again = node.post("/v1/grants/revoke", &owner.key, body).send().await.expect(200);
        assert_eq!((&again.body["grants"], &again.body["sessions"]), (&json!([]), &counts(0)), "a second call finds nothing");
    }
}

#[tokio::test]
async fn a_tenant_wide_grant_survives_the_revocation_of_a_runtime() {
    let (node, owner) = node().await;
    let wide = node.grant(&owner, "one", json!({ "tenant_slug": "t", "mode": "ro" })).await;
    node.post("/v1/grants/revoke", &owner.key, json!({ "tenant_slug": "t", "runtime_id": "r1" })).send().await.expect(200);
    let grant = node.get(format!("/v1/grants/{wide}"), &owner.key).send().await.expect(200);
    assert_eq!(grant.body.get("revoked_at"), None);
    node.post("/v1/grants/revoke", &owner.key, json!({ "tenant_slug": "t" })).send().await.expect(200);
    let grant = node.get(format!("/v1/grants/{wide}"), &owner.key).send().await.expect(200);
    assert!(grant.body["revoked_at"].is_string());
}

#[tokio::test]
async fn a_revocation_is_known_and_signed_before_sessions_are_fenced() {
    let (node, owner) = node().await;
    let grants = node.get("/v1/grants?tenant_slug=u", &owner.key).send().await.expect(200);
    let id = grants.body["items"][0]["id"].as_str().unwrap().to_owned();
    let answer = node.delete(format!("/v1/grants/{id}?wait_ms=10000"), &owner.key).send().await.expect(200);
    assert_eq!(answer.body["grants"][0]["id"], id.as_str());
    assert_eq!(answer.body["sessions"], counts(1));

    let target = Target::Grant(id.parse().unwrap());
    let (targets, reason, wait) = node.data_plane.last_fence();
    assert_eq!((targets.into_iter().collect::<Vec<_>>(), reason, wait), (vec![target], FenceReason::Revoked, Duration::from_secs(10)));
    assert!(node.context.revocations.read().revoked(target).is_some());
    let log = node.context.catalog.revocations().await.unwrap();
    assert!(log.iter().any(|signed| signed.record.target == target && signed.verifies(&node.context.verifying_keys())));

    node.delete(format!("/v1/grants/{id}"), &owner.key).send().await.expect_error(404, "grant_not_found");
    node.get(format!("/v1/grants/{id}"), &owner.key).send().await.expect(200);
}

#[tokio::test]
async fn deleting_a_tenant_revokes_all_it_has() {
    let (node, owner) = node().await;
    let answer = node.delete("/v1/tenants/t", &owner.key).send().await.expect(200);
    assert_eq!(answer.body["tenant"]["slug"], "t");
    assert_eq!(answer.body["grants"].as_array().unwrap().len(), 3);
    assert_eq!(answer.body["sessions"], counts(3));
    for _ in 0..2 {
        node.delete("/v1/tenants/t", &owner.key).send().await.expect_error(404, "tenant_not_found");
    }
    node.post("/v1/grants/revoke", &owner.key, json!({ "tenant_slug": "t" })).send().await.expect_error(404, "tenant_not_found");

    // A tenant of the same name is another tenant.
    node.tenant(&owner, "t").await;
    let grants = node.get("/v1/grants?tenant_slug=t", &owner.key).send().await.expect(200);
    assert!(grants.body["items"].as_array().unwrap().iter().all(|grant| grant["revoked_at"].is_string()));
    node.ticket(&owner, "t", "r1", "one", 60).await;
}

#[tokio::test]
async fn revoking_a_key_ends_the_sessions_it_opened_and_no_others() {
    let (node, owner) = node().await;
    let key = node.post("/v1/api-keys", &owner.key, json!({})).send().await.expect(201);
    node.mount_with_key(&owner, &key.str("key"), "one").await;
    node.mount_with_key(&owner, &owner.key, "one").await;
    let answer = node.delete(format!("/v1/api-keys/{}", key.str("id")), &owner.key).send().await.expect(200);
    assert_eq!(answer.body["sessions"], counts(1));
    let left = node.get("/v1/sessions", &owner.key).send().await.expect(200);
    assert_eq!(left.body["items"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn a_session_can_be_ended_by_itself() {
    let (node, owner) = node().await;
    let all = node.get("/v1/sessions", &owner.key).send().await.expect(200);
    let session = all.body["items"][0].clone();
    for field in [
        "workspace",
        "tenant_slug",
        "runtime_id",
        "grant_id",
        "ticket_id",
        "mode",
        "host",
        "agent",
        "remote_addr",
        "state",
        "opened_at",
        "last_heard_at",
        "lease_ends_at",
    ] {
        assert!(session[field].is_string(), "{field} in {session}");
    }
    let at = |field: &str| serde_json::from_value::<Timestamp>(session[field].clone()).unwrap();
    assert_eq!(at("lease_ends_at").since_ms(at("last_heard_at")), DEFAULT_LEASE_MS);
    assert_eq!((&session["connected"], &session["state"]), (&json!(true), &json!("live")));
    let path = format!("/v1/sessions/{}", session["id"].as_str().unwrap());
    let answer = node.delete(&path, &owner.key).send().await.expect(200);
    assert_eq!((&answer.body["session"]["id"], &answer.body["sessions"]), (&session["id"], &counts(1)));
    node.delete(&path, &owner.key).send().await.expect_error(404, "session_not_found");
    assert_eq!(live(&node, &owner).await.len(), 3);
}

#[tokio::test]
async fn a_revocation_goes_on_when_the_caller_hangs_up() {
    let (node, owner) = node().await;
    let held = node.data_plane.hold_fencing().await;
    let mut call = Box::pin(node.delete("/v1/tenants/t", &owner.key).send());
    assert!(call.as_mut().now_or_never().is_none());
    drop(call);
    eventually("the tenant is gone", async || node.get("/v1/tenants/t", &owner.key).send().await.status == 404).await;
    assert_eq!(live(&node, &owner).await.len(), 4, "the fence still waits");
    drop(held);
    until_live(&node, &owner, 1).await;
}

#[tokio::test]
async fn a_store_that_was_away_for_a_moment_changes_nothing() {
    for fault in [Fault::Fail, Fault::LoseAnswer] {
        let (node, owner) = node().await;
        node.faults.set_plan(FaultPlan::new(0).at(StoreOp::Write, 1, fault));
        let answer = node.delete("/v1/tenants/t", &owner.key).send().await.expect(200);
        assert_eq!(answer.body["sessions"], counts(3));
        assert_eq!(node.faults.injected(), 1);
    }
}

#[tokio::test]
async fn a_revocation_of_unknown_outcome_is_enforced_and_can_be_repeated() {
    for (fault, again) in [(Fault::Fail, 200), (Fault::LoseAnswer, 404)] {
        let (node, owner) = node().await;
        let id = node.get("/v1/grants?tenant_slug=u", &owner.key).send().await.body["items"][0]["id"].as_str().unwrap().to_owned();
        node.faults.set_plan(FaultPlan::new(0).with_probability(StoreOp::Write, 1.0, fault));
        let answer = node.delete(format!("/v1/grants/{id}"), &owner.key).send().await.expect_error(503, "unavailable");
        assert_eq!(answer.header("retry-after"), "1");
        until_live(&node, &owner, 3).await;
        let target = Target::Grant(id.parse().unwrap());
        assert!(node.context.revocations.read().revoked(target).is_some());

        node.faults.set_plan(FaultPlan::new(0));
        let ticket = node.ticket(&owner, "u", "r1", "one", 60).await;
        let token = ticket["token"].as_str().unwrap();
        let claims = artifacts_core::ticket::verify(token, &node.context.verifying_keys(), node.context.clock.wall()).unwrap();
        assert_ne!(Target::Grant(claims.grant), target, "a ticket on it would open nothing");
        node.delete(format!("/v1/grants/{id}"), &owner.key).send().await.expect(again);
        let grant = node.get(format!("/v1/grants/{id}"), &owner.key).send().await.expect(200);
        assert!(grant.body["revoked_at"].is_string());
    }
}

async fn until_live(node: &TestNode, owner: &Owner, count: usize) {
    eventually("the sessions are fenced", async || live(node, owner).await.len() == count).await;
}
