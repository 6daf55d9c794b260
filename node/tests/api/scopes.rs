use serde_json::{Value, json};

use crate::harness::{Owner, TestNode};

async fn node() -> (TestNode, Owner) {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    for name in ["one", "two"] {
        node.workspace(&owner, name).await;
        node.tenant(&owner, name).await;
    }
    for (workspace, tenant) in [("one", "one"), ("one", "two"), ("two", "one"), ("two", "two")] {
        node.grant(&owner, workspace, json!({ "tenant_slug": tenant, "mode": "rw" })).await;
        let ticket = node.ticket(&owner, tenant, "r", workspace, 60).await;
        node.mount(&ticket);
    }
    (node, owner)
}

async fn count(node: &TestNode, path: &str, key: &str) -> usize {
    node.get(path, key).send().await.expect(200).body["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn lists_show_what_lies_in_the_scope() {
    let (node, owner) = node().await;
    // Scope, then how many workspaces, tenants, grants (two for each pair), sessions.
    for (scope, expected) in [
        (json!({}), [2, 2, 8, 4]),
        (json!({ "workspace": "one" }), [1, 0, 4, 2]),
        (json!({ "tenant": "two" }), [0, 1, 4, 2]),
        (json!({ "workspace": "acme/one", "tenant": "two" }), [0, 0, 2, 1]),
        (json!({ "mode": "ro" }), [2, 2, 8, 4]),
    ] {
        let key = node.key(&owner, json!({ "scope": scope })).await;
        let mut seen = [0; 4];
        for (index, path) in ["/v1/workspaces", "/v1/tenants", "/v1/grants", "/v1/sessions"].into_iter().enumerate() {
            seen[index] = count(&node, path, &key).await;
        }
        assert_eq!(seen, expected, "{scope}");
    }
}

#[tokio::test]
async fn what_lies_outside_the_scope_is_forbidden() {
    let (node, owner) = node().await;
    let ticket = |workspace: &str, mode: &str| json!({ "workspace": workspace, "mode": mode, "ttl_seconds": 5 });
    let grant = |tenant: &str, mode: &str| json!({ "tenant_slug": tenant, "mode": mode });
    let one =
        node.get("/v1/grants?tenant_slug=one&workspace=one", &owner.key).send().await.body["items"][0]["id"].as_str().unwrap().to_owned();
    let tickets = |tenant: &str| format!("/v1/tenants/{tenant}/runtimes/r2/mount-tickets");
    // The call, then whether a key confined to workspace `one`, to tenant `one`, to both, to `ro`, may make it.
    let table: [(&str, String, Option<Value>, [bool; 4]); 18] = [
        ("GET", "/v1/whoami".into(), None, [true; 4]),
        ("GET", "/v1/api-keys".into(), None, [false; 4]),
        ("POST", "/v1/api-keys".into(), Some(json!({ "scope": { "mode": "ro" } })), [false; 4]),
        ("GET", "/v1/workspaces/acme/one".into(), None, [true, false, false, true]),
        ("GET", "/v1/workspaces/acme/two".into(), None, [false, false, false, true]),
        ("GET", "/v1/workspaces/acme/none".into(), None, [false, false, false, true]),
        ("GET", "/v1/tenants/one".into(), None, [false, true, false, true]),
        ("GET", "/v1/tenants/two".into(), None, [false, false, false, true]),
        ("GET", format!("/v1/grants/{one}"), None, [true, true, true, true]),
        ("POST", "/v1/workspaces/acme/one/grants".into(), Some(grant("one", "ro")), [true, true, true, true]),
        ("POST", "/v1/workspaces/acme/one/grants".into(), Some(grant("one", "rw")), [true, true, true, false]),
        ("POST", "/v1/workspaces/acme/two/grants".into(), Some(grant("one", "ro")), [false, true, false, true]),
        ("POST", tickets("one"), Some(ticket("acme/one", "rw")), [true, true, true, false]),
        ("POST", tickets("two"), Some(ticket("one", "ro")), [true, false, false, true]),
        ("POST", "/v1/grants/revoke".into(), Some(json!({ "tenant_slug": "one", "runtime_id": "x" })), [false, true, false, false]),
        (
            "POST",
            "/v1/grants/revoke".into(),
            Some(json!({ "tenant_slug": "one", "workspace": "one", "runtime_id": "x" })),
            [true, true, true, false],
        ),
        ("POST", "/v1/workspaces".into(), Some(json!({ "name": "three" })), [false; 4]),
        ("DELETE", "/v1/tenants/two".into(), None, [false; 4]),
    ];
    let mut keys = Vec::new();
    for scope in
        [json!({ "workspace": "one" }), json!({ "tenant": "one" }), json!({ "workspace": "one", "tenant": "one" }), json!({ "mode": "ro" })]
    {
        keys.push((node.key(&owner, json!({ "scope": scope })).await, scope));
    }
    for (method, path, body, allowed) in table {
        for ((key, scope), allowed) in keys.iter().zip(allowed) {
            let call = node.call(method, &path).bearer(key);
            let call = match &body {
                Some(body) => call.json(body.clone()),
                None => call,
            };
            let answer = call.send().await;
            let what = format!("{method} {path} {body:?} by {scope}: {}", answer.text);
            assert_eq!(answer.status != 403, allowed, "{what}");
            if !allowed {
                answer.expect_error(403, "forbidden");
            }
        }
    }
}

#[tokio::test]
async fn a_key_confined_to_a_workspace_may_make_and_delete_that_one() {
    let (node, owner) = node().await;
    let key = node.key(&owner, json!({ "scope": { "workspace": "three" } })).await;
    node.post("/v1/workspaces", &key, json!({ "name": "three" })).send().await.expect(201);
    node.delete("/v1/workspaces/acme/three", &key).send().await.expect(202);
    let whoami = node.get("/v1/whoami", &key).send().await.expect(200);
    assert_eq!(whoami.body["scope"], json!({ "workspace": "acme/three" }));
}

#[tokio::test]
async fn a_read_only_key_ends_no_session() {
    let (node, owner) = node().await;
    let key = node.key(&owner, json!({ "scope": { "mode": "ro" } })).await;
    let session = node.get("/v1/sessions", &key).send().await.body["items"][0]["id"].as_str().unwrap().to_owned();
    node.delete(format!("/v1/sessions/{session}"), &key).send().await.expect_error(403, "forbidden");
    node.delete(format!("/v1/sessions/{session}"), &owner.key).send().await.expect(200);
}
