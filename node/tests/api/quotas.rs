use artifacts_node::records::Quotas;
use serde_json::{Value, json};

use crate::harness::{Owner, TestNode};

async fn node() -> (TestNode, Owner) {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    (node, owner)
}

async fn create(node: &TestNode, owner: &Owner, body: Value) -> crate::harness::Answer {
    node.post("/v1/workspaces", &owner.key, body).send().await
}

async fn change(node: &TestNode, path: &str, key: &str, body: Value) -> crate::harness::Answer {
    node.call("PATCH", path).bearer(key).json(body).send().await
}

#[tokio::test]
async fn a_workspaces_quotas_are_changed_lifted_and_left() {
    let (node, owner) = node().await;
    create(&node, &owner, json!({ "name": "w", "quota_bytes": 100, "quota_inodes": 10 })).await.expect(201);
    let path = "/v1/workspaces/acme/w";
    let changed = change(&node, path, &owner.key, json!({ "quota_bytes": 200 })).await.expect(200);
    assert_eq!((&changed.body["quota_bytes"], &changed.body["quota_inodes"]), (&json!(200), &json!(10)));
    assert_eq!(node.data_plane.last_quotas(), Quotas { bytes: Some(200), inodes: Some(10) });
    let lifted = change(&node, path, &owner.key, json!({ "quota_inodes": null })).await.expect(200);
    assert_eq!((&lifted.body["quota_bytes"], lifted.body.get("quota_inodes")), (&json!(200), None));
    assert_eq!(node.data_plane.last_quotas(), Quotas { bytes: Some(200), inodes: None });

    for (body, field) in
        [(json!({ "quota_bytes": 0 }), "quota_bytes"), (json!({ "quota": 1 }), "quota"), (json!({ "quota_inodes": "1" }), "")]
    {
        let refused = change(&node, path, &owner.key, body).await.expect_error(422, "invalid_request");
        assert!(refused.text.contains(field), "{}", refused.text);
    }
    change(&node, "/v1/workspaces/acme/none", &owner.key, json!({})).await.expect_error(404, "workspace_not_found");
    change(&node, "/v1/workspaces/other/w", &owner.key, json!({})).await.expect_error(404, "workspace_not_found");
    for scope in [json!({ "workspace": "w" }), json!({ "mode": "ro" })] {
        let key = node.key(&owner, json!({ "scope": scope })).await;
        change(&node, path, &key, json!({ "quota_bytes": 999 })).await.expect_error(403, "forbidden");
    }
    let node = node.crash().await;
    let kept = node.get(path, &owner.key).send().await.expect(200);
    assert_eq!(kept.body["quota_bytes"], 200);
}

#[tokio::test]
async fn a_tenants_workspaces_are_given_no_more_than_it_has() {
    let (node, owner) = node().await;
    create(&node, &owner, json!({ "name": "w", "tenant_slug": "t" })).await.expect_error(404, "tenant_not_found");
    node.post("/v1/tenants", &owner.key, json!({ "slug": "t", "quota_bytes": 100 })).send().await.expect(201);
    let needed = create(&node, &owner, json!({ "name": "w", "tenant_slug": "t" })).await.expect_error(422, "invalid_request");
    assert!(needed.text.contains("100 can still be given"), "{}", needed.text);
    let made = create(&node, &owner, json!({ "name": "one", "tenant_slug": "t", "quota_bytes": 60 })).await.expect(201);
    assert_eq!(made.body["tenant_slug"], "t");
    create(&node, &owner, json!({ "name": "two", "tenant_slug": "t", "quota_bytes": 41 })).await.expect_error(507, "quota_exceeded");
    create(&node, &owner, json!({ "name": "two", "tenant_slug": "t", "quota_bytes": 40 })).await.expect(201);
    create(&node, &owner, json!({ "name": "not-its", "quota_bytes": 1_000 })).await.expect(201);

    let two = "/v1/workspaces/acme/two";
    change(&node, two, &owner.key, json!({ "quota_bytes": 41 })).await.expect_error(507, "quota_exceeded");
    change(&node, two, &owner.key, json!({ "quota_bytes": null })).await.expect_error(422, "invalid_request");
    change(&node, two, &owner.key, json!({ "quota_bytes": 30 })).await.expect(200);

    let usage = node.get("/v1/tenants/t/usage", &owner.key).send().await.expect(200).body;
    let figures =
        json!({ "tenant_slug": "t", "workspaces": 2, "bytes": 84, "inodes": 14, "given_bytes": 90, "given_inodes": 0, "quota_bytes": 100 });
    assert_eq!(usage, figures);

    let tenant = "/v1/tenants/t";
    change(&node, tenant, &owner.key, json!({ "quota_bytes": 89 })).await.expect_error(507, "quota_exceeded");
    change(&node, tenant, &owner.key, json!({ "quota_inodes": 10 })).await.expect_error(507, "quota_exceeded");
    let changed = change(&node, tenant, &owner.key, json!({ "quota_bytes": 90 })).await.expect(200);
    assert_eq!(changed.body["quota_bytes"], 90);
    let key = node.key(&owner, json!({ "scope": { "tenant": "t" } })).await;
    change(&node, tenant, &key, json!({ "quota_bytes": 1_000 })).await.expect_error(403, "forbidden");
    node.get("/v1/tenants/t/usage", &key).send().await.expect(200);

    // A fork is one of its workspaces, a snapshot is none.
    let fork = format!("{two}/fork");
    change(&node, tenant, &owner.key, json!({ "quota_bytes": 95 })).await.expect(200);
    node.post(format!("{two}/snapshots"), &owner.key, json!({ "name": "s" })).send().await.expect(201);
    node.post(fork.as_str(), &owner.key, json!({ "name": "three" })).send().await.expect_error(507, "quota_exceeded");
    let wish = json!({ "name": "three", "snapshot": "s", "quota_bytes": 5 });
    let forked = node.post(fork.as_str(), &owner.key, wish).send().await.expect(201);
    assert_eq!((&forked.body["tenant_slug"], &forked.body["quota_bytes"]), (&json!("t"), &json!(5)));
    node.delete("/v1/workspaces/acme/three", &owner.key).send().await.expect(202);

    // What a workspace was given is free again when it is gone.
    node.delete("/v1/workspaces/acme/one", &owner.key).send().await.expect(202);
    crate::harness::eventually("the workspaces are gone", async || {
        let mut gone = 0;
        for name in ["one", "three"] {
            gone += u8::from(node.get(format!("/v1/workspaces/acme/{name}"), &owner.key).send().await.status == 404);
        }
        gone == 2
    })
    .await;
    change(&node, two, &owner.key, json!({ "quota_bytes": 90 })).await.expect(200);
    change(&node, tenant, &owner.key, json!({ "quota_bytes": null })).await.expect(200);
    change(&node, two, &owner.key, json!({ "quota_bytes": null })).await.expect(200);
}

#[tokio::test]
async fn a_tenant_that_is_made_anew_covers_what_its_name_was_given() {
    let (node, owner) = node().await;
    node.tenant(&owner, "t").await;
    create(&node, &owner, json!({ "name": "w", "tenant_slug": "t", "quota_bytes": 60 })).await.expect(201);
    node.delete("/v1/tenants/t", &owner.key).send().await.expect(200);
    change(&node, "/v1/workspaces/acme/w", &owner.key, json!({ "quota_bytes": 70 })).await.expect(200);
    node.post("/v1/tenants", &owner.key, json!({ "slug": "t", "quota_bytes": 69 })).send().await.expect_error(507, "quota_exceeded");
    node.post("/v1/tenants", &owner.key, json!({ "slug": "t", "quota_bytes": 70 })).send().await.expect(201);
}
