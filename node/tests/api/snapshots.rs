use artifacts_core::SnapshotId;
use serde_json::json;

use crate::harness::{TestNode, eventually};

#[tokio::test]
async fn a_snapshot_is_found_by_name_and_id_and_forked_as_long_as_it_is_there() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    let stranger = node.account("stranger").await;
    let source = node.post("/v1/workspaces", &owner.key, json!({ "name": "w", "quota_bytes": 1_000 })).send().await.expect(201);
    node.workspace(&owner, "w2").await;
    let all = "/v1/workspaces/acme/w/snapshots";
    let made = node.post(all, &owner.key, json!({ "name": "v1.0" })).send().await.expect(201);
    for (field, value) in [("name", "v1.0"), ("workspace", "acme/w"), ("address", "acme/w@v1.0"), ("status", "active")] {
        assert_eq!(made.str(field), value);
    }
    let id: SnapshotId = made.str("id").parse().unwrap();
    assert_eq!(node.data_plane.copies().last().unwrap().0, source.str("id").parse().unwrap());
    node.post(all, &owner.key, json!({ "name": "v1.0" })).send().await.expect_error(409, "snapshot_exists");
    node.post(all, &owner.key, json!({ "name": id.to_string() })).send().await.expect_error(422, "invalid_request");
    let unnamed = node.post(all, &owner.key, json!({})).send().await.expect(201);
    assert_eq!(unnamed.str("name"), "2023-11-14T22:13:20Z");
    for reference in ["v1.0", &id.to_string()] {
        let path = format!("{all}/{reference}");
        assert_eq!(node.get(path.as_str(), &owner.key).send().await.expect(200).body, made.body);
        node.get(path.as_str(), &stranger.key).send().await.expect_error(404, "workspace_not_found");
        let elsewhere = path.replace("/w/", "/w2/");
        node.get(elsewhere, &owner.key).send().await.expect_error(404, "snapshot_not_found");
    }
    let names = |answer: crate::harness::Answer| -> Vec<String> {
        answer.body["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(node.get(all, &owner.key).send().await.expect(200)), [unnamed.str("name"), "v1.0".to_owned()]);
    assert_eq!(names(node.get("/v1/workspaces", &owner.key).send().await.expect(200)), ["w", "w2"], "a snapshot is none of them");

    let fork = "/v1/workspaces/acme/w/fork";
    let forked = node.post(fork, &owner.key, json!({ "name": "f", "snapshot": "v1.0" })).send().await.expect(201);
    assert_eq!((forked.str("forked_from"), &forked.body["quota_bytes"]), ("acme/w@v1.0".to_owned(), &json!(1_000)));
    assert_eq!(node.data_plane.copies().last().unwrap().0.bits(), id.bits(), "the snapshot was copied");
    node.post(fork, &owner.key, json!({ "name": "f" })).send().await.expect_error(409, "workspace_exists");
    node.post(fork, &owner.key, json!({ "name": "g", "snapshot": "none" })).send().await.expect_error(404, "snapshot_not_found");
    let forked = node.post(fork, &owner.key, json!({ "name": "g", "quota_bytes": 7 })).send().await.expect(201);
    assert_eq!((forked.str("forked_from"), &forked.body["quota_bytes"]), ("acme/w".to_owned(), &json!(7)));

    node.delete(format!("{all}/{id}"), &owner.key).send().await.expect(202);
    eventually("the snapshot is gone", async || node.get(format!("{all}/v1.0"), &owner.key).send().await.status == 404).await;
    assert!(node.data_plane.destroyed().iter().any(|destroyed| destroyed.bits() == id.bits()));
    node.post(all, &owner.key, json!({ "name": "v1.0" })).send().await.expect(201);
    node.delete("/v1/workspaces/acme/w", &owner.key).send().await.expect(202);
    eventually("the workspace is gone", async || node.get("/v1/workspaces/acme/w", &owner.key).send().await.status == 404).await;
    eventually("and its snapshots", async || node.data_plane.destroyed().len() == 4).await;
    assert_eq!(node.get("/v1/workspaces/acme/f", &owner.key).send().await.expect(200).body["status"], "active");
}

#[tokio::test]
async fn a_snapshot_is_handed_out_to_be_read_and_a_key_keeps_to_its_scope() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    for name in ["w", "other"] {
        node.workspace(&owner, name).await;
    }
    let all = "/v1/workspaces/acme/w/snapshots";
    node.post(all, &owner.key, json!({ "name": "s" })).send().await.expect(201);
    let tickets = "/v1/tenants/t/runtimes/r/mount-tickets";
    let ticket = |workspace: &str, mode: &str| json!({ "workspace": workspace, "mode": mode, "ttl_seconds": 60 });
    let made = node.post(tickets, &owner.key, ticket("acme/w@s", "ro")).send().await.expect(201);
    assert_eq!(made.body["mount_ticket"]["workspace"], "acme/w@s");
    node.post(tickets, &owner.key, ticket("acme/w@s", "rw")).send().await.expect_error(422, "invalid_request");
    node.post(tickets, &owner.key, ticket("acme/w@none", "ro")).send().await.expect_error(404, "snapshot_not_found");

    let scoped = node.key(&owner, json!({ "scope": { "workspace": "w" } })).await;
    node.post(all, &scoped, json!({ "name": "t" })).send().await.expect(201);
    node.post("/v1/workspaces/acme/w/fork", &scoped, json!({ "name": "f" })).send().await.expect_error(403, "forbidden");
    node.post("/v1/workspaces/acme/other/snapshots", &scoped, json!({})).send().await.expect_error(403, "forbidden");
    let reader = node.key(&owner, json!({ "scope": { "mode": "ro" } })).await;
    node.post(all, &reader, json!({})).send().await.expect_error(403, "forbidden");
    node.get(all, &reader).send().await.expect(200);
    node.get("/v1/workspaces/acme/w/files", &owner.key).send().await.expect_error(503, "unavailable");
}

#[tokio::test]
async fn a_copy_that_fails_or_is_interrupted_leaves_its_name_free() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    node.workspace(&owner, "w").await;
    node.data_plane.set_uncopyable(true);
    let fork = "/v1/workspaces/acme/w/fork";
    node.post(fork, &owner.key, json!({ "name": "f" })).send().await.expect_error(503, "unavailable");
    eventually("what was begun is gone", async || node.get("/v1/workspaces/acme/f", &owner.key).send().await.status == 404).await;
    node.data_plane.set_uncopyable(false);
    node.post(fork, &owner.key, json!({ "name": "f" })).send().await.expect(201);

    // The node dies while it copies.
    let data_plane = node.data_plane.clone();
    let held = data_plane.hold_copying().await;
    let asked = async { node.post(fork, &owner.key, json!({ "name": "g" })).send().await };
    let begun = eventually("it is begun", async || node.get("/v1/workspaces/acme/g", &owner.key).send().await.status == 200);
    tokio::select! {
        answer = asked => panic!("{answer:?}"),
        () = begun => {}
    }
    let creating = node.get("/v1/workspaces/acme/g", &owner.key).send().await.expect(200);
    assert_eq!(creating.str("status"), "creating");
    let ticket = json!({ "workspace": "g", "mode": "rw", "ttl_seconds": 60 });
    node.post("/v1/tenants/t/runtimes/r/mount-tickets", &owner.key, ticket).send().await.expect_error(409, "workspace_not_active");
    let node = node.crash().await;
    eventually("it is removed", async || node.get("/v1/workspaces/acme/g", &owner.key).send().await.status == 404).await;
    assert!(node.data_plane.destroyed().contains(&creating.str("id").parse().unwrap()));
    drop(held);
}
