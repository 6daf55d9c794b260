use artifacts_core::protocol::FenceReason;
use serde_json::json;

use crate::harness::{TestNode, eventually};

#[tokio::test]
async fn a_workspace_is_made_shown_and_deleted() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    let body = json!({ "name": "Task_1", "quota_bytes": 1_000_000, "quota_inodes": 10 });
    let made = node.post("/v1/workspaces", &owner.key, body).send().await.expect(201);
    assert!(made.str("id").starts_with("ws_"));
    for (field, value) in [
        ("name", json!("Task_1")),
        ("handle", json!("acme")),
        ("address", json!("acme/Task_1")),
        ("status", json!("active")),
        ("region", json!("local")),
        ("quota_bytes", json!(1_000_000)),
        ("quota_inodes", json!(10)),
        ("usage", json!({ "bytes": 42, "inodes": 7 })),
    ] {
        assert_eq!(made.body[field], value, "{field}");
    }
    assert_eq!(node.get("/v1/workspaces/acme/Task_1", &owner.key).send().await.expect(200).body, made.body);
    let again = json!({ "name": "Task_1" });
    node.post("/v1/workspaces", &owner.key, again.clone()).send().await.expect_error(409, "workspace_exists");

    let ticket = node.ticket(&owner, "t", "r", "Task_1", 60).await;
    node.mount(&ticket);
    let held = node.data_plane.hold_destruction().await;
    let deleting = node.delete("/v1/workspaces/acme/Task_1", &owner.key).send().await.expect(202);
    assert_eq!((&deleting.body["id"], &deleting.body["status"]), (&made.body["id"], &json!("deleting")));
    assert_eq!(deleting.body["sessions"], json!({ "matched": 1, "fenced": 1, "confirmed": 1 }));
    assert_eq!(node.data_plane.last_fence().1, FenceReason::WorkspaceDeleted);
    assert_eq!(node.get("/v1/workspaces/acme/Task_1", &owner.key).send().await.expect(200).body["status"], "deleting");
    node.post("/v1/workspaces", &owner.key, again.clone()).send().await.expect_error(409, "workspace_exists");
    node.delete("/v1/workspaces/acme/Task_1", &owner.key).send().await.expect(202);
    drop(held);

    until_gone(&node, "/v1/workspaces/acme/Task_1", &owner.key).await;
    assert!(node.data_plane.destroyed().contains(&made.str("id").parse().unwrap()));
    node.delete("/v1/workspaces/acme/Task_1", &owner.key).send().await.expect_error(404, "workspace_not_found");
    let new = node.post("/v1/workspaces", &owner.key, again).send().await.expect(201);
    assert_ne!(new.body["id"], made.body["id"], "the name is free, the workspace is another one");
}

#[tokio::test]
async fn a_deletion_that_a_crash_interrupted_is_taken_up_again() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    let id = node.workspace(&owner, "task").await.str("id");
    {
        let data_plane = node.data_plane.clone();
        let _held = data_plane.hold_destruction().await;
        node.delete("/v1/workspaces/acme/task", &owner.key).send().await.expect(202);
        node.control.stop().await;
    }
    assert!(node.data_plane.destroyed().is_empty());
    let node = node.crash().await;
    until_gone(&node, "/v1/workspaces/acme/task", &owner.key).await;
    assert_eq!(node.data_plane.destroyed(), [id.parse().unwrap()]);
}

async fn until_gone(node: &TestNode, path: &str, key: &str) {
    eventually("the workspace is gone", async || node.get(path, key).send().await.status == 404).await;
}
