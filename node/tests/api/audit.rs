use std::time::Duration;

use artifacts_core::{AccountId, AuditId, SessionId};
use artifacts_node::audit::AuditEvent;
use artifacts_node::store::StoreOp;
use artifacts_node::store::fault::{Fault, FaultPlan};
use serde_json::{Value, json};

use crate::harness::{Owner, TestNode};
use crate::lock_events::Events;

async fn entries(node: &TestNode, key: &str, query: &str) -> Vec<Value> {
    node.get(format!("/v1/audit{query}"), key).send().await.expect(200).body["items"].as_array().unwrap().clone()
}

async fn kinds(node: &TestNode, key: &str, query: &str) -> Vec<String> {
    entries(node, key, query).await.iter().map(|entry| entry["kind"].as_str().unwrap().to_owned()).collect()
}

async fn node() -> (TestNode, Owner) {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    node.workspace(&owner, "w").await;
    (node, owner)
}

#[tokio::test]
async fn each_change_is_in_the_trail_with_who_made_it() {
    let (node, owner) = node().await;
    let key = owner.key.as_str();
    let second = node.post("/v1/api-keys", key, json!({ "scope": { "tenant": "t" } })).send().await.expect(201);
    let ticket = node.ticket(&owner, "t", "r", "w", 600).await;
    node.ticket(&owner, "t", "r", "w", 60).await;
    node.call("PATCH", "/v1/workspaces/acme/w").bearer(key).json(json!({ "quota_bytes": 5 })).send().await.expect(200);
    let session = node.mount(&ticket);
    node.delete(format!("/v1/sessions/{session}"), key).send().await.expect(200);
    node.post("/v1/grants/revoke", &second.str("key"), json!({ "tenant_slug": "t" })).send().await.expect(200);
    node.delete("/v1/tenants/t", key).send().await.expect(200);
    node.delete(format!("/v1/api-keys/{}", second.str("id")), key).send().await.expect(200);
    let expected = [
        "account_created",
        "workspace_created",
        "api_key_created",
        "tenant_created",
        "grant_created",
        "ticket_issued",
        "ticket_issued",
        "workspace_changed",
        "session_revoked",
        "grant_revoked",
        "tenant_deleted",
        "api_key_revoked",
    ];
    assert_eq!(kinds(&node, key, "").await, expected);
    let all = entries(&node, key, "").await;
    assert_eq!(all[0]["by"], json!({ "kind": "operator" }));
    assert_eq!(all[1]["by"], json!({ "kind": "api_key", "key_id": owner.key_id }));
    assert_eq!(all[9]["by"]["key_id"], second.str("id").as_str(), "whoever revoked");
    let issued = &all[5];
    assert_eq!((&issued["ticket_id"], &issued["runtime_id"], &issued["mode"]), (&ticket["id"], &json!("r"), &json!("rw")));
    assert_eq!(issued["grant_id"], all[4]["grant_id"]);
    assert_eq!((&all[8]["session_id"], &all[8]["tenant_slug"]), (&json!(session.to_string()), &json!("t")));

    let text = node.get("/v1/audit", key).send().await.text;
    for secret in [owner.key.as_str(), second.body["key"].as_str().unwrap(), ticket["token"].as_str().unwrap()] {
        assert!(!text.contains(secret));
    }
    let node = node.crash().await;
    assert_eq!(kinds(&node, key, "").await, expected, "it survives a crash, in its order");
}

#[tokio::test]
async fn a_list_is_filtered_confined_and_read_page_by_page() {
    let (node, owner) = node().await;
    let other = node.account("other").await;
    node.workspace(&owner, "v").await;
    for (tenant, workspace) in [("t", "w"), ("u", "w"), ("t", "v")] {
        node.ticket(&owner, tenant, "r", workspace, 60).await;
    }
    node.clock.advance(Duration::from_secs(10));
    let later = node.context.clock.wall();
    node.ticket(&owner, "u", "s", "v", 60).await;
    let key = owner.key.as_str();
    for (query, count) in [
        ("?kind=ticket_issued", 4),
        ("?kind=ticket_issued&tenant_slug=t", 2),
        ("?kind=ticket_issued&workspace=w", 2),
        ("?kind=ticket_issued&workspace=acme/v&tenant_slug=u", 1),
        ("?runtime_id=s", 2),
        ("?tenant_slug=none", 0),
        (&format!("?since={later}"), 2),
    ] {
        assert_eq!(kinds(&node, key, query).await.len(), count, "{query}");
    }
    assert_eq!(kinds(&node, &other.key, "").await, ["account_created"], "another account's is another trail");
    let confined = node.key(&owner, json!({ "scope": { "workspace": "v" } })).await;
    let seen = entries(&node, &confined, "").await;
    assert!(seen.len() >= 4 && seen.iter().all(|entry| entry["workspace"] == "acme/v"), "{seen:?}");

    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = node.get(format!("/v1/audit?limit=3{cursor}"), key).send().await.expect(200).body;
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 3);
        paged.extend(items.iter().map(|entry| entry["id"].clone()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let all: Vec<Value> = entries(&node, key, "").await.iter().map(|entry| entry["id"].clone()).collect();
    assert_eq!(paged, all);
    node.get("/v1/audit?kind=nonsense", key).send().await.expect_error(422, "invalid_request");
    node.get("/v1/audit?workspace=other/w", key).send().await.expect_error(404, "workspace_not_found");
    node.get("/v1/audit?cursor=x", key).send().await.expect_error(422, "invalid_request");
}

#[tokio::test]
async fn a_fork_and_a_snapshot_are_in_the_trail_when_they_are_there() {
    let (node, owner) = node().await;
    let key = owner.key.as_str();
    node.post("/v1/workspaces/acme/w/snapshots", key, json!({ "name": "s" })).send().await.expect(201);
    node.post("/v1/workspaces/acme/w/fork", key, json!({ "name": "f", "snapshot": "s" })).send().await.expect(201);
    node.data_plane.set_uncopyable(true);
    node.post("/v1/workspaces/acme/w/fork", key, json!({ "name": "g" })).send().await.expect_error(503, "unavailable");
    node.delete("/v1/workspaces/acme/w/snapshots/s", key).send().await.expect(202);
    let told = entries(&node, key, "?kind=workspace_created").await;
    let of: Vec<_> = told.iter().map(|entry| (entry["workspace"].as_str().unwrap(), entry["copied_from"].as_str())).collect();
    assert_eq!(of, [("acme/w", None), ("acme/w@s", Some("acme/w")), ("acme/f", Some("acme/w@s"))]);
    assert!(told.iter().all(|entry| entry["by"]["key_id"] == owner.key_id.as_str()));
    let deleted = entries(&node, key, "?kind=workspace_deleted&workspace=w").await;
    assert_eq!(deleted[0]["workspace"], "acme/w@s");
}

#[tokio::test]
async fn a_stream_tells_what_happens_and_goes_on_where_it_was() {
    let (node, owner) = node().await;
    let path = "/v1/audit/events";
    let mut events = Events::at(&node, &owner.key, path, None).await;
    let ready = events.next().await.unwrap();
    assert_eq!(ready.kind, "ready");
    node.ticket(&owner, "t", "r", "w", 60).await;
    let first = events.next().await.unwrap();
    assert_eq!((first.kind.as_str(), &first.data["tenant_slug"]), ("tenant_created", &json!("t")));
    let (second, third) = (events.next().await.unwrap(), events.next().await.unwrap());
    assert_eq!((second.kind.as_str(), third.kind.as_str()), ("grant_created", "ticket_issued"));
    drop(events);
    node.ticket(&owner, "t", "r", "w", 60).await;
    let mut again = Events::at(&node, &owner.key, path, first.id.as_deref()).await;
    for kind in ["grant_created", "ticket_issued", "ticket_issued"] {
        assert_eq!(again.next().await.unwrap().kind, kind);
    }
    let mut from_ready = Events::at(&node, &owner.key, "/v1/audit/events?kind=ticket_issued", ready.id.as_deref()).await;
    assert_eq!(from_ready.next().await.unwrap().id, third.id, "filtered");
    let key = node.post("/v1/api-keys", &owner.key, json!({})).send().await.expect(201);
    let mut ending = Events::at(&node, &key.str("key"), path, None).await;
    assert_eq!(ending.next().await.unwrap().kind, "ready");
    node.delete(format!("/v1/api-keys/{}", key.str("id")), &owner.key).send().await.expect(200);
    assert!(ending.next().await.is_none(), "it ends with its key");
    node.get(path, &owner.key).header("last-event-id", "x").send().await.expect_error(422, "invalid_request");
}

/// The account with this key.
async fn account(node: &TestNode, key: &str) -> AccountId {
    node.get("/v1/whoami", key).send().await.expect(200).body["account"]["id"].as_str().unwrap().parse().unwrap()
}

/// That a mount of a tenant is out, as the owner of its workspace passes it on.
fn out(number: u128, tenant: &str) -> AuditEvent {
    let entry = json!({
        "id": AuditId::from_bits(number), "at": "2026-01-01T00:00:00Z", "kind": "session_out", "by": { "kind": "node" },
        "workspace": "acme/w", "tenant_slug": tenant, "session_id": SessionId::from_bits(number), "host": "h",
        "reason": "revoked", "revoked": "grant", "how": "confirmed", "after_ms": 38,
    });
    serde_json::from_value(entry).unwrap()
}

#[tokio::test]
async fn who_listens_hears_of_each_mount_in_its_scope_that_goes_out() {
    let (node, owner) = node().await;
    let stranger = node.account("other").await;
    let of_tenant = node.key(&owner, json!({ "scope": { "tenant": "t" } })).await;
    let path = "/v1/audit/events?kind=session_out";
    let mut listeners = Vec::new();
    for key in [&owner.key, &of_tenant, &stranger.key] {
        let mut events = Events::at(&node, key, path, None).await;
        assert_eq!(events.next().await.unwrap().kind, "ready");
        listeners.push(events);
    }
    let (own, other) = (account(&node, &owner.key).await, account(&node, &stranger.key).await);
    let take = async |account, event: AuditEvent| node.context.audit.take(&node.context, account, &[event]).await.unwrap();
    take(own, out(1, "u")).await;
    take(own, out(2, "t")).await;
    // Passed on again by a node that did not know that it had.
    take(own, out(2, "t")).await;
    take(own, out(3, "t")).await;
    take(other, out(4, "t")).await;
    let mut heard = Vec::new();
    for (events, expected) in listeners.iter_mut().zip([&[1, 2, 3][..], &[2, 3], &[4]]) {
        for number in expected {
            let event = events.next().await.unwrap();
            assert_eq!(event.data["session_id"], json!(SessionId::from_bits(*number)));
            let told = (&event.data["how"], &event.data["revoked"], &event.data["after_ms"]);
            assert_eq!(told, (&json!("confirmed"), &json!("grant"), &json!(38)));
            heard.push(event.id);
        }
    }
    // Who was away after the first has missed two.
    let mut again = Events::at(&node, &owner.key, path, heard[0].as_deref()).await;
    for number in [2, 3] {
        assert_eq!(again.next().await.unwrap().data["session_id"], json!(SessionId::from_bits(number)));
    }
}

#[tokio::test]
async fn neither_the_change_nor_its_entry_is_there_without_the_other() {
    let (node, owner) = node().await;
    let before = kinds(&node, &owner.key, "").await;
    node.faults.set_plan(FaultPlan::new(0).with_probability(StoreOp::Write, 1.0, Fault::Fail));
    node.post("/v1/tenants", &owner.key, json!({ "slug": "t" })).send().await.expect_error(503, "unavailable");
    node.faults.set_plan(FaultPlan::new(0));
    node.get("/v1/tenants/t", &owner.key).send().await.expect_error(404, "tenant_not_found");
    assert_eq!(kinds(&node, &owner.key, "").await, before);
    node.tenant(&owner, "t").await;
    assert_eq!(kinds(&node, &owner.key, "").await.last().unwrap(), "tenant_created");
}

#[tokio::test]
async fn what_is_older_than_the_retention_is_dropped_from_the_front() {
    let (node, owner) = node().await;
    let catalog = &node.context.catalog;
    node.clock.advance(Duration::from_secs(3600));
    let horizon = node.context.clock.wall();
    node.tenant(&owner, "t").await;
    assert_eq!(catalog.trim_audits(horizon).await.unwrap(), 2);
    assert_eq!(kinds(&node, &owner.key, "").await, ["tenant_created"]);
    assert_eq!(catalog.trim_audits(horizon).await.unwrap(), 0);
}
