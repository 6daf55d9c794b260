use serde_json::json;

use crate::harness::TestNode;

#[tokio::test]
async fn usage_is_of_the_account_and_of_what_a_tenant_may_mount() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    for name in ["one", "two", "three"] {
        node.workspace(&owner, name).await;
    }
    node.tenant(&owner, "t").await;
    node.tenant(&owner, "none").await;
    node.grant(&owner, "two", json!({ "tenant_slug": "t", "mode": "ro" })).await;
    let revoked = node.grant(&owner, "one", json!({ "tenant_slug": "t", "mode": "ro" })).await;
    node.delete(format!("/v1/grants/{revoked}"), &owner.key).send().await.expect(200);

    let all = node.get("/v1/usage", &owner.key).send().await.expect(200).body;
    assert_eq!(all["total"], json!({ "workspaces": 3, "bytes": 126, "inodes": 21 }));
    let names: Vec<&str> = all["items"].as_array().unwrap().iter().map(|item| item["workspace"].as_str().unwrap()).collect();
    assert_eq!(names, ["acme/one", "acme/three", "acme/two"]);

    let first = node.get("/v1/usage?limit=2", &owner.key).send().await.expect(200).body;
    assert_eq!(first["total"]["workspaces"], 3, "of all, not of the page");
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = node.get(format!("/v1/usage?limit=2&cursor={cursor}"), &owner.key).send().await.expect(200).body;
    assert_eq!((second["items"].as_array().unwrap().len(), second.get("total")), (1, None));

    let tenant = node.get("/v1/usage?tenant_slug=t", &owner.key).send().await.expect(200).body;
    assert_eq!((&tenant["total"]["workspaces"], &tenant["items"][0]["workspace"]), (&json!(1), &json!("acme/two")));
    let none = node.get("/v1/usage?tenant_slug=none", &owner.key).send().await.expect(200).body;
    assert_eq!((&none["total"]["bytes"], &none["items"]), (&json!(0), &json!([])));
    node.get("/v1/usage?tenant_slug=missing", &owner.key).send().await.expect_error(404, "tenant_not_found");

    let scoped = node.key(&owner, json!({ "scope": { "workspace": "one" } })).await;
    let seen = node.get("/v1/usage", &scoped).send().await.expect(200).body;
    assert_eq!(seen["total"]["workspaces"], 1);
}

#[tokio::test]
async fn a_workspace_says_what_it_takes() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    node.workspace(&owner, "one").await;
    let storage = node.get("/v1/workspaces/acme/one/usage", &owner.key).send().await.expect(200).body;
    for (field, value) in
        [("bytes", 42), ("inodes", 7), ("inline_bytes", 2), ("segments", 3), ("stored_bytes", 80), ("live_bytes", 40), ("dead_segments", 1)]
    {
        assert_eq!(storage[field], value, "{field}");
    }
    node.get("/v1/workspaces/acme/two/usage", &owner.key).send().await.expect_error(404, "workspace_not_found");
}

#[tokio::test]
async fn a_check_names_what_is_wrong_and_repairs_only_when_asked() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    node.workspace(&owner, "one").await;
    let path = "/v1/workspaces/acme/one/fsck";
    let found = node.post(path, &owner.key, json!({})).send().await.expect(200).body;
    let finding =
        |message: &str, repairable: bool, repaired: bool| json!({ "message": message, "repairable": repairable, "repaired": repaired });
    assert_eq!(found["findings"], json!([finding("usage: recorded 1, counted 2", true, false), finding("a name is lost", false, false)]));
    assert_eq!((&found["clean"], &found["verified_bytes"]), (&json!(false), &json!(0)));
    let repaired = node.post(path, &owner.key, json!({ "repair": true, "data": true })).send().await.expect(200).body;
    assert_eq!(repaired["findings"][0]["repaired"], true);
    assert_eq!((&repaired["clean"], &repaired["verified_bytes"]), (&json!(false), &json!(42)), "damage is not repaired");
    let reader = node.key(&owner, json!({ "scope": { "mode": "ro" } })).await;
    node.post(path, &reader, json!({})).send().await.expect_error(403, "forbidden");
    node.post(path, &owner.key, json!({ "fix": true })).send().await.expect_error(422, "invalid_request");
}
