//! Every call by every kind of credential.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Owner, TestNode};

/// A call that names existing objects of `acme`, and what another account is told.
struct Case {
    method: &'static str,
    path: String,
    body: Option<Value>,
    /// None: the call names no object of the owner's.
    foreign: Option<&'static str>,
}

async fn cases(node: &TestNode, owner: &Owner) -> Vec<Case> {
    node.workspace(owner, "task").await;
    node.tenant(owner, "t").await;
    let grant = node.grant(owner, "task", json!({ "tenant_slug": "t", "mode": "rw" })).await;
    let ticket = node.ticket(owner, "t", "r", "task", 60).await;
    let session = node.mount(&ticket);
    let credential = node.post("/v1/mesh-credentials", &owner.key, json!({})).send().await.expect(201);
    let case = |method, path: String, body, foreign| Case { method, path, body, foreign };
    vec![
        case("GET", "/v1/whoami".into(), None, None),
        case("GET", "/v1/api-keys".into(), None, None),
        case("POST", "/v1/api-keys".into(), Some(json!({})), None),
        case("POST", "/v1/api-keys".into(), Some(json!({ "scope": { "workspace": "acme/task" } })), Some("workspace_not_found")),
        case("GET", "/v1/mesh-credentials".into(), None, None),
        case("POST", "/v1/mesh-credentials".into(), Some(json!({})), None),
        case("DELETE", format!("/v1/mesh-credentials/{}", credential.str("id")), None, Some("key_not_found")),
        case("GET", "/v1/tenants".into(), None, None),
        case("POST", "/v1/tenants".into(), Some(json!({ "slug": "new" })), None),
        case("GET", "/v1/tenants/t".into(), None, Some("tenant_not_found")),
        case("GET", "/v1/workspaces".into(), None, None),
        case("POST", "/v1/workspaces".into(), Some(json!({ "name": "new" })), None),
        case("GET", "/v1/workspaces/acme/task".into(), None, Some("workspace_not_found")),
        case(
            "POST",
            "/v1/workspaces/acme/task/grants".into(),
            Some(json!({ "tenant_slug": "t", "mode": "ro" })),
            Some("workspace_not_found"),
        ),
        case("GET", "/v1/grants".into(), None, None),
        case("GET", "/v1/grants?workspace=acme/task".into(), None, Some("workspace_not_found")),
        case("GET", format!("/v1/grants/{grant}"), None, Some("grant_not_found")),
        case(
            "POST",
            "/v1/tenants/t/runtimes/r/mount-tickets".into(),
            Some(json!({ "workspace": "acme/task", "mode": "ro", "ttl_seconds": 5 })),
            Some("workspace_not_found"),
        ),
        case("GET", "/v1/sessions".into(), None, None),
        case("GET", "/v1/sessions?workspace=acme/task".into(), None, Some("workspace_not_found")),
        case("POST", "/v1/grants/revoke".into(), Some(json!({ "tenant_slug": "t", "runtime_id": "none" })), Some("tenant_not_found")),
        case(
            "POST",
            "/v1/grants/revoke".into(),
            Some(json!({ "tenant_slug": "t", "workspace": "artifacts://acme/task", "runtime_id": "none" })),
            Some("workspace_not_found"),
        ),
        case("DELETE", format!("/v1/sessions/{session}"), None, Some("session_not_found")),
        case("DELETE", format!("/v1/grants/{grant}"), None, Some("grant_not_found")),
        case("DELETE", "/v1/tenants/t".into(), None, Some("tenant_not_found")),
        case("DELETE", "/v1/workspaces/acme/task".into(), None, Some("workspace_not_found")),
        case("DELETE", format!("/v1/api-keys/{}", owner.key_id), None, Some("key_not_found")),
    ]
}

#[tokio::test]
async fn no_call_serves_who_has_no_key_in_use() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    let cases = cases(&node, &owner).await;
    let expired = node.key(&owner, json!({ "ttl_seconds": 1 })).await;
    let revoked = node.post("/v1/api-keys", &owner.key, json!({})).send().await.expect(201);
    node.delete(format!("/v1/api-keys/{}", revoked.str("id")), &owner.key).send().await.expect(200);
    node.clock.advance(Duration::from_secs(1));
    let revoked = revoked.str("key");
    let unknown = format!("tbo_{}", "a".repeat(32));
    let long = "x".repeat(5_000);
    let credentials = [
        None,
        Some(format!("Bearer {expired}")),
        Some(format!("Bearer {revoked}")),
        Some(format!("Bearer {unknown}")),
        Some("Bearer ".to_owned()),
        Some("Bearer".to_owned()),
        Some(owner.key.clone()),
        Some(format!("Basic {}", owner.key)),
        Some(format!("Bearer {long}")),
    ];
    for case in &cases {
        let mut bodies = Vec::new();
        for credential in &credentials {
            let mut call = node.call(case.method, &case.path).header("x-request-id", "same");
            if let Some(credential) = credential {
                call = call.header("authorization", credential);
            }
            if let Some(body) = &case.body {
                call = call.json(body.clone());
            }
            let answer = call.send().await.expect_error(401, "unauthorized");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
            bodies.push(answer.text);
        }
        bodies.dedup();
        assert_eq!(bodies.len(), 1, "the answers tell the credentials apart: {bodies:?}");
    }
}

#[tokio::test]
async fn another_accounts_objects_do_not_exist() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    let stranger = node.account("stranger").await;
    for case in cases(&node, &owner).await {
        let send = |key: &str| {
            let call = node.call(case.method, &case.path).bearer(key).header("x-request-id", "same");
            match &case.body {
                Some(body) => call.json(body.clone()),
                None => call,
            }
        };
        let answer = send(&stranger.key).send().await;
        match case.foreign {
            Some(code) => {
                let foreign = answer.expect_error(404, code);
                // The same call to a node that has no such object at all, with the same letters in it.
                let empty = TestNode::start().await;
                let other = empty.account("stranger").await;
                let call = empty.call(case.method, &case.path).bearer(&other.key).header("x-request-id", "same");
                let call = match &case.body {
                    Some(body) => call.json(body.clone()),
                    None => call,
                };
                assert_eq!(foreign.text, call.send().await.text, "{} {}", case.method, case.path);
            }
            None => {
                assert!(answer.status.is_success(), "{} {}: {}", case.method, case.path, answer.text);
                assert!(!answer.text.contains("acme"), "{} {}: {}", case.method, case.path, answer.text);
            }
        }
        let own = send(&owner.key).send().await;
        assert!(own.status.is_success(), "{} {}: {}", case.method, case.path, own.text);
    }
}

#[tokio::test]
async fn a_bearer_scheme_is_read_as_the_rfc_says() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    for (value, status) in
        [(format!("bearer {}", owner.key), 200), (format!("BEARER  {}", owner.key), 200), (format!("Bearer\t{}", owner.key), 401)]
    {
        node.call("GET", "/v1/whoami").header("authorization", value).send().await.expect(status);
    }
    let twice = node.get("/v1/whoami", &owner.key).bearer(&owner.key);
    twice.send().await.expect_error(401, "unauthorized");
}
