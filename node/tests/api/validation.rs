//! Each rule for input at its edges: refused with a message that names the field, or accepted.

use serde_json::{Value, json};

use crate::harness::TestNode;

/// A call whose body the cases change in one field.
async fn check(node: &TestNode, path: &str, key: &str, base: &Value, field: &str, value: Value, good: bool) {
    let mut body = base.clone();
    body[field] = value;
    let answer = node.post(path, key, body.clone()).send().await;
    if good {
        assert!(answer.status.is_success(), "{path} {body}: {}", answer.text);
    } else {
        let answer = answer.expect_error(422, "invalid_request");
        assert!(answer.str("message").contains(field), "{path} {body}: {}", answer.text);
    }
}

#[tokio::test]
async fn tenants() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    let long = |count: usize| "a".repeat(count);
    for (slug, good) in [
        ("a", true),
        ("0-", true),
        (&long(63), true),
        (&long(64), false),
        ("", false),
        ("-a", false),
        ("A", false),
        ("a_b", false),
        ("é", false),
    ] {
        check(&node, "/v1/tenants", &owner.key, &json!({}), "slug", json!(slug), good).await;
    }
    for wrong in [json!(null), json!(1), json!(["a"])] {
        check(&node, "/v1/tenants", &owner.key, &json!({}), "slug", wrong, false).await;
    }
    let filled = |bytes: usize| json!({ "k": "x".repeat(bytes - r#"{"k":""}"#.len()) });
    for (index, (field, value, good)) in [
        ("external_id", json!("cust 1"), true),
        ("external_id", json!(""), false),
        ("external_id", json!(long(255)), true),
        ("external_id", json!(long(256)), false),
        ("metadata", json!({}), true),
        ("metadata", filled(16 * 1024), true),
        ("metadata", filled(16 * 1024 + 1), false),
        ("metadata", json!("text"), false),
        ("metadata", json!([1]), false),
        ("externalId", json!("x"), false),
    ]
    .into_iter()
    .enumerate()
    {
        check(&node, "/v1/tenants", &owner.key, &json!({ "slug": format!("m{index}") }), field, value, good).await;
    }
    let shown = node.get("/v1/tenants/m0", &owner.key).send().await.expect(200);
    assert_eq!(shown.body["external_id"], "cust 1");
    assert_eq!(shown.body.get("metadata"), None);
}

#[tokio::test]
async fn workspaces() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    let long = |count: usize| "a".repeat(count);
    for (name, good) in
        [("A", true), ("a_B-9", true), (&long(63), true), (&long(64), false), ("", false), ("_a", false), ("a.b", false), ("acme/a", false)]
    {
        check(&node, "/v1/workspaces", &owner.key, &json!({}), "name", json!(name), good).await;
    }
    for (index, (field, value, good)) in [
        ("quota_bytes", json!(1), true),
        ("quota_bytes", json!(0), false),
        ("quota_bytes", json!(-1), false),
        ("quota_bytes", json!(1.5), false),
        ("quota_bytes", json!("1"), false),
        ("quota_bytes", json!(9_007_199_254_740_991_u64), true),
        ("quota_bytes", json!(9_007_199_254_740_992_u64), false),
        ("quota_inodes", json!(1), true),
        ("quota_inodes", json!(0), false),
        ("region", json!("local"), true),
        ("region", json!("elsewhere"), false),
        ("bucket", json!("x"), false),
    ]
    .into_iter()
    .enumerate()
    {
        check(&node, "/v1/workspaces", &owner.key, &json!({ "name": format!("w{index}") }), field, value, good).await;
    }
}

#[tokio::test]
async fn grants_tickets_and_revocations() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    node.workspace(&owner, "w").await;
    node.tenant(&owner, "t").await;
    let long = "r".repeat(128);
    let shared = [
        ("mode", json!("ro"), true),
        ("mode", json!("RW"), false),
        ("mode", json!("x"), false),
        ("subpath", json!("a/b/"), true),
        ("subpath", json!("/a"), false),
        ("subpath", json!("a/../b"), false),
        ("subpath", json!(""), false),
        ("ttl_seconds", json!(1), true),
        ("ttl_seconds", json!(0), false),
        ("ttl_seconds", json!(-1), false),
        ("ttl_seconds", json!(1.0), false),
        ("ttl_seconds", json!("60"), false),
        ("ttl_seconds", json!(u64::MAX), false),
        ("ttlSeconds", json!(60), false),
    ];
    let grant = json!({ "tenant_slug": "t", "mode": "rw" });
    let grants = "/v1/workspaces/acme/w/grants";
    let own = [
        ("ttl_seconds", json!(315_360_000), true),
        ("ttl_seconds", json!(315_360_001), false),
        ("ttl_seconds", json!(null), true),
        ("runtime_id", json!(long), true),
        ("runtime_id", json!(format!("{long}r")), false),
        ("runtime_id", json!(""), false),
        ("runtime_id", json!("a b"), false),
        ("tenant_slug", json!("T"), false),
    ];
    for (field, value, good) in shared.iter().chain(&own) {
        check(&node, grants, &owner.key, &grant, field, value.clone(), *good).await;
    }
    let ticket = json!({ "workspace": "w", "mode": "rw", "ttl_seconds": 60 });
    let tickets = "/v1/tenants/t/runtimes/r/mount-tickets";
    let own = [
        ("ttl_seconds", json!(86_400), true),
        ("ttl_seconds", json!(86_401), false),
        ("ttl_seconds", json!(null), false),
        ("workspace", json!(""), false),
        ("workspace", json!("a/b/c"), false),
        ("workspace", json!("http://acme/w"), false),
        ("renewable", json!(true), true),
        ("renewable", json!("yes"), false),
    ];
    for (field, value, good) in shared.iter().chain(&own) {
        check(&node, tickets, &owner.key, &ticket, field, value.clone(), *good).await;
    }
    for field in ["workspace", "mode", "ttl_seconds"] {
        let mut body = ticket.clone();
        body.as_object_mut().unwrap().remove(field);
        let answer = node.post(tickets, &owner.key, body).send().await.expect_error(422, "invalid_request");
        assert!(answer.str("message").contains(field), "{}", answer.text);
    }
    for (field, value, good) in [
        ("wait_ms", json!(0), true),
        ("wait_ms", json!(10_000), true),
        ("wait_ms", json!(10_001), false),
        ("wait_ms", json!(-1), false),
        ("grant_id", json!("x"), false),
    ] {
        check(&node, "/v1/grants/revoke", &owner.key, &json!({ "tenant_slug": "t" }), field, value, good).await;
    }
}

#[tokio::test]
async fn keys_and_accounts() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    for (field, value, good) in [
        ("name", json!("n"), true),
        ("name", json!(""), false),
        ("ttl_seconds", json!(0), false),
        ("ttl_seconds", json!(1), true),
        ("ttl_seconds", json!(-5), false),
        ("ttl_seconds", json!(315_360_001), false),
        ("expires_at", json!("2023-11-14T22:13:20Z"), false),
        ("expires_at", json!("2023-11-14T22:13:20.001Z"), true),
        ("expires_at", json!("tomorrow"), false),
        ("scope", json!({ "mode": "x" }), false),
        ("scope", json!({ "workspaces": "w" }), false),
        ("scope", json!({}), true),
        ("key", json!("tbo_mine"), false),
    ] {
        let named = if field == "scope" && value.get("workspaces").is_some() { "workspaces" } else { field };
        let answer = node.post("/v1/api-keys", &owner.key, json!({ field: value })).send().await;
        if good {
            answer.expect(201);
        } else {
            let answer = answer.expect_error(422, "invalid_request");
            assert!(answer.str("message").contains(named), "{field}: {}", answer.text);
        }
    }
    let both = json!({ "ttl_seconds": 5, "expires_at": "2030-01-01T00:00:00Z" });
    node.post("/v1/api-keys", &owner.key, both).send().await.expect_error(422, "invalid_request");
    let admin = node.admin_token();
    for (handle, good) in [("a", true), (&*"a".repeat(39), true), (&*"a".repeat(40), false), ("", false), ("A", false), ("a_b", false)] {
        check(&node, "/v1/accounts", &admin, &json!({}), "handle", json!(handle), good).await;
    }
}

#[tokio::test]
async fn paths_and_queries() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    for (method, path, named) in [
        ("GET", "/v1/tenants/Bad", "slug"),
        ("GET", "/v1/workspaces/Bad/w", "handle"),
        ("GET", "/v1/workspaces/acme/a.b", "name"),
        ("GET", "/v1/workspaces/acme/%FF", "name"),
        ("GET", "/v1/grants/none", "id"),
        ("DELETE", "/v1/grants/ws_00000000000000000000000000", "id"),
        ("DELETE", "/v1/sessions/x", "id"),
        ("DELETE", "/v1/api-keys/x", "id"),
        ("GET", "/v1/grants?tenant_slug=T", "tenant slug"),
        ("GET", "/v1/grants?runtime_id=", "runtime id"),
        ("GET", "/v1/grants?tenant=t", "tenant"),
        ("GET", "/v1/sessions?workspace=a/b/c", "workspace"),
        ("DELETE", "/v1/tenants/t?wait_ms=10001", "wait_ms"),
        ("DELETE", "/v1/tenants/t?wait_ms=x", "wait_ms"),
        ("DELETE", "/v1/workspaces/acme/w?force=1", "force"),
    ] {
        let answer = node.call(method, path).bearer(&owner.key).send().await.expect_error(422, "invalid_request");
        assert!(answer.str("message").contains(named), "{method} {path}: {}", answer.text);
    }
}
