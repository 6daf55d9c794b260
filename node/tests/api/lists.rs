use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Owner, TestNode};

async fn walk(node: &TestNode, owner: &Owner, path: &str, limit: usize, field: &str) -> Vec<String> {
    let separator = if path.contains('?') { '&' } else { '?' };
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = node.get(format!("{path}{separator}limit={limit}{cursor}"), &owner.key).send().await.expect(200);
        let items = answer.body["items"].as_array().unwrap();
        assert!(!items.is_empty() && items.len() <= limit, "{path}: {}", answer.text);
        all.extend(items.iter().map(|item| item[field].as_str().unwrap().to_owned()));
        match &answer.body["next_cursor"] {
            Value::String(next) => cursor = format!("&cursor={next}"),
            Value::Null => return all,
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn every_list_comes_in_pages_that_join() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    for number in 0..7 {
        let name = format!("n{number}");
        node.workspace(&owner, &name).await;
        node.tenant(&owner, &name).await;
        node.key(&owner, json!({ "name": name })).await;
        let ticket = node.ticket(&owner, &name, "r", &name, 60).await;
        node.clock.advance(Duration::from_millis(5));
        node.mount(&ticket);
    }
    for (path, field) in
        [("/v1/workspaces", "name"), ("/v1/tenants", "slug"), ("/v1/grants", "id"), ("/v1/sessions", "id"), ("/v1/api-keys", "id")]
    {
        let whole = walk(&node, &owner, path, 200, field).await;
        assert_eq!(whole.len(), if path == "/v1/api-keys" { 8 } else { 7 });
        for limit in [1, 2, 3, 7, 8] {
            assert_eq!(walk(&node, &owner, path, limit, field).await, whole, "{path} by {limit}");
        }
    }
    assert_eq!(walk(&node, &owner, "/v1/tenants", 3, "slug").await, ["n0", "n1", "n2", "n3", "n4", "n5", "n6"]);
}

#[tokio::test]
async fn a_page_holds_50_unless_asked_and_200_at_most() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    for number in 0..205 {
        node.tenant(&owner, &format!("t{number}")).await;
    }
    for (query, expected) in [("", 50), ("?limit=200", 200), ("?limit=1000", 200)] {
        let answer = node.get(format!("/v1/tenants{query}"), &owner.key).send().await.expect(200);
        assert_eq!(answer.body["items"].as_array().unwrap().len(), expected);
        assert!(answer.body["next_cursor"].is_string());
    }
}

#[tokio::test]
async fn a_bad_cursor_or_limit_is_refused() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    let other = node.account("other").await;
    for name in ["a", "b"] {
        node.tenant(&owner, name).await;
        node.tenant(&other, name).await;
        node.workspace(&owner, name).await;
    }
    let cursor = node.get("/v1/tenants?limit=1", &owner.key).send().await.expect(200).str("next_cursor");
    node.get(format!("/v1/tenants?cursor={cursor}"), &owner.key).send().await.expect(200);
    for path in ["/v1/workspaces", "/v1/grants", "/v1/sessions", "/v1/api-keys"] {
        node.get(format!("{path}?cursor={cursor}"), &owner.key).send().await.expect_error(422, "invalid_request");
    }
    node.get(format!("/v1/tenants?cursor={cursor}"), &other.key).send().await.expect_error(422, "invalid_request");
    for query in ["cursor=x", "cursor=", "limit=0", "limit=1001", "limit=-1", "limit=x", "limit=1&limit=2", "unknown=1"] {
        let answer = node.get(format!("/v1/tenants?{query}"), &owner.key).send().await.expect_error(422, "invalid_request");
        let field = query.split('=').next().unwrap();
        assert!(answer.str("message").contains(field), "{query}: {}", answer.text);
    }
}

#[tokio::test]
async fn grants_and_sessions_can_be_filtered() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    for name in ["one", "two"] {
        node.workspace(&owner, name).await;
    }
    for (tenant, runtime, workspace) in [("t", "r1", "one"), ("t", "r2", "two"), ("u", "r1", "two")] {
        let ticket = node.ticket(&owner, tenant, runtime, workspace, 60).await;
        node.mount(&ticket);
    }
    for (query, expected) in [
        ("", 3),
        ("?tenant_slug=t", 2),
        ("?tenant_slug=none", 0),
        ("?runtime_id=r1", 2),
        ("?workspace=two", 2),
        ("?workspace=acme/two&tenant_slug=t", 1),
        ("?workspace=artifacts%3A%2F%2Facme%2Ftwo&runtime_id=r1&tenant_slug=t", 0),
    ] {
        for path in ["/v1/grants", "/v1/sessions"] {
            let answer = node.get(format!("{path}{query}"), &owner.key).send().await.expect(200);
            assert_eq!(answer.body["items"].as_array().unwrap().len(), expected, "{path}{query}");
        }
    }
}
