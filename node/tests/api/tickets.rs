use std::time::Duration;

use artifacts_core::ticket::{Jwks, Mode, TicketFile, verify};
use serde_json::json;

use crate::harness::TestNode;

const PATH: &str = "/v1/tenants/acme-inc/runtimes/task-4711/mount-tickets";

#[tokio::test]
async fn one_call_makes_tenant_grant_and_ticket() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    node.workspace(&owner, "task").await;
    for address in ["task", "acme/task", "artifacts://acme/task"] {
        let body = json!({ "workspace": address, "mode": "rw", "ttl_seconds": 3600, "subpath": "a/b", "renewable": true });
        let answer = node.post(PATH, &owner.key, body).send().await.expect(201);
        let file: TicketFile = serde_json::from_value(answer.body["mount_ticket"].clone()).unwrap();
        assert_eq!((file.version, file.workspace.as_str(), file.mode), (1, "acme/task", Mode::Rw));
        assert_eq!(file.endpoints, ["https://node.test"]);
        assert_eq!(answer.body["mount_ticket"]["expires_at"], "2023-11-14T23:13:20Z");

        let jwks = node.call("GET", "/.well-known/jwks.json").send().await.expect(200);
        let keys = serde_json::from_value::<Jwks>(jwks.body).unwrap().verifying_keys();
        let claims = verify(&file.token, &keys, node.context.clock.wall()).unwrap();
        assert_eq!((claims.jti, claims.exp, claims.mode), (file.id, file.expires_at.unix_seconds(), Mode::Rw));
        assert_eq!((claims.tenant.as_str(), claims.runtime.as_str()), ("acme-inc", "task-4711"));
        assert_eq!(claims.subpath.unwrap().as_str(), "a/b");
        assert!(claims.renewable);
    }
    node.get("/v1/tenants/acme-inc", &owner.key).send().await.expect(200);
    let grants = node.get("/v1/grants", &owner.key).send().await.expect(200);
    assert_eq!(grants.body["items"].as_array().unwrap().len(), 1, "the grant is used again: {}", grants.text);
    assert_eq!(grants.body["items"][0]["runtime_id"], "task-4711");
    assert_eq!(grants.body["items"][0]["expires_at"], "2023-11-14T23:13:20Z");
}

#[tokio::test]
async fn a_ticket_draws_on_a_grant_that_lasts_and_otherwise_on_a_new_one() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    node.workspace(&owner, "task").await;
    node.tenant(&owner, "t").await;
    node.grant(&owner, "task", json!({ "tenant_slug": "t", "mode": "rw" })).await;
    let own = node.grant(&owner, "task", json!({ "tenant_slug": "t", "runtime_id": "r", "mode": "rw", "ttl_seconds": 100 })).await;
    let grant_of = |ticket: &serde_json::Value| {
        let claims = verify(ticket["token"].as_str().unwrap(), &node.context.verifying_keys(), node.context.clock.wall()).unwrap();
        (claims.grant.to_string(), claims.exp)
    };
    assert_eq!(grant_of(&node.ticket(&owner, "t", "r", "task", 100).await).0, own);
    let (longer, exp) = grant_of(&node.ticket(&owner, "t", "r", "task", 101).await);
    assert_ne!(longer, own);
    let grant = node.get(format!("/v1/grants/{longer}"), &owner.key).send().await.expect(200);
    let end: artifacts_core::Timestamp = serde_json::from_value(grant.body["expires_at"].clone()).unwrap();
    assert_eq!(end.unix_seconds(), exp, "a ticket never outlives its grant");
    let other = grant_of(&node.ticket(&owner, "t", "other", "task", 10).await).0;
    assert!(other != own && other != longer);

    node.delete(format!("/v1/grants/{own}"), &owner.key).send().await.expect(200);
    assert_eq!(grant_of(&node.ticket(&owner, "t", "r", "task", 10).await).0, longer, "a revoked grant gives no tickets");
}

#[tokio::test]
async fn a_ticket_outlives_the_key_that_signed_it_and_a_crash() {
    let node = TestNode::start_with(|config| config.signing_key_hours = 1).await;
    let owner = node.account("acme").await;
    node.workspace(&owner, "task").await;
    let ticket = node.ticket(&owner, "t", "r", "task", 86_400).await;
    let jwks = async |node: &TestNode| {
        let answer = node.call("GET", "/.well-known/jwks.json").send().await.expect(200);
        serde_json::from_value::<Jwks>(answer.body).unwrap()
    };
    let before = jwks(&node).await;
    assert_eq!(before.keys.len(), 1);
    // The configuration after a crash is the default one: a key of 30 days.
    node.clock.advance(Duration::from_secs(31 * 24 * 3600 / 2));
    let node = node.crash().await;
    assert_eq!(jwks(&node).await, before);
    node.clock.advance(Duration::from_secs(31 * 24 * 3600 / 2));
    let node = node.crash().await;
    let after = jwks(&node).await;
    assert_eq!(after.keys.len(), 2, "the old key stays published");
    assert_eq!(after.keys[0], before.keys[0]);
    let token = ticket["token"].as_str().unwrap();
    assert!(verify(token, &after.verifying_keys(), artifacts_core::Timestamp::from_unix_ms(1_700_000_000_000)).is_ok());
}

#[tokio::test]
async fn a_missing_or_dying_workspace_gives_no_ticket_and_no_grant() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    node.account("other").await;
    let ticket = |workspace: &str| json!({ "workspace": workspace, "mode": "rw", "ttl_seconds": 5 });
    for missing in ["none", "acme/none", "other/none"] {
        node.post(PATH, &owner.key, ticket(missing)).send().await.expect_error(404, "workspace_not_found");
    }
    node.get("/v1/tenants/acme-inc", &owner.key).send().await.expect_error(404, "tenant_not_found");

    node.workspace(&owner, "task").await;
    node.tenant(&owner, "t").await;
    let _held = node.data_plane.hold_destruction().await;
    node.delete("/v1/workspaces/acme/task", &owner.key).send().await.expect(202);
    node.post(PATH, &owner.key, ticket("task")).send().await.expect_error(409, "workspace_not_active");
    let body = json!({ "tenant_slug": "t", "mode": "rw" });
    node.post("/v1/workspaces/acme/task/grants", &owner.key, body).send().await.expect_error(409, "workspace_not_active");
}

#[tokio::test]
async fn tickets_at_once_share_one_grant() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    node.workspace(&owner, "task").await;
    let body = json!({ "workspace": "task", "mode": "rw", "ttl_seconds": 60 });
    let answers = futures_util::future::join_all((0..8).map(|_| node.post(PATH, &owner.key, body.clone()).send())).await;
    let ids: std::collections::BTreeSet<String> =
        answers.into_iter().map(|answer| answer.expect(201).body["mount_ticket"]["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 8);
    assert_eq!(node.get("/v1/grants", &owner.key).send().await.body["items"].as_array().unwrap().len(), 1);
}
