use serde_json::json;

use crate::harness::TestNode;

#[tokio::test]
async fn every_error_has_the_same_body() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    let key = &owner.key;
    node.call("GET", "/nowhere").send().await.expect_error(404, "not_found");
    node.get("/v1/nowhere", key).send().await.expect_error(404, "not_found");
    let answer = node.call("PUT", "/v1/tenants").send().await.expect_error(405, "method_not_allowed");
    for method in ["GET", "HEAD", "POST"] {
        assert!(answer.header("allow").contains(method), "{:?}", answer.headers);
    }
    node.delete("/v1/accounts", key).send().await.expect_error(405, "method_not_allowed");

    let call = || node.call("POST", "/v1/tenants").bearer(key);
    for malformed in ["{", "", "[]", "null", "\"x\"", "{\"slug\":\"a\"} x", "{\"slug\":\"a\",\"slug\":\"b\"}", "\u{0}"] {
        call().raw("application/json", malformed).send().await.expect_error(422, "invalid_request");
    }
    for media in ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonx"] {
        call().raw(media, "{\"slug\":\"a\"}").send().await.expect_error(415, "unsupported_media_type");
    }
    for media in ["application/json; charset=utf-8", "Application/JSON", "application/merge-patch+json"] {
        let body = json!({ "slug": format!("t{}", media.len()) });
        call().raw(media, body.to_string()).send().await.expect(201);
    }
    let padded = |bytes: usize| format!("{{\"slug\":\"big\"{}}}", " ".repeat(bytes - "{\"slug\":\"big\"}".len()));
    call().raw("application/json", padded(64 * 1024 + 1)).send().await.expect_error(413, "payload_too_large");
    call()
        .raw("application/json", padded(64 * 1024 + 1))
        .header("idempotency-key", "k")
        .send()
        .await
        .expect_error(413, "payload_too_large");
    call().raw("application/json", padded(64 * 1024)).send().await.expect(201);
}

#[tokio::test]
async fn every_answer_names_its_request() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    let given = node.get("/v1/whoami", &owner.key).header("x-request-id", "trace-1").send().await.expect(200);
    assert_eq!(given.header("x-request-id"), "trace-1");
    let refused = node.get("/v1/whoami", &owner.key).header("x-request-id", "a b").send().await.expect(200);
    assert!(refused.header("x-request-id").starts_with("req_"));
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json", "/.well-known/jwks.json", "/nowhere"] {
        assert!(!node.call("GET", path).send().await.header("x-request-id").is_empty(), "{path}");
    }
}

#[tokio::test]
async fn a_credential_that_calls_too_fast_is_told_when_to_come_back() {
    let node = TestNode::start_with(|config| config.rate_limit = 5).await;
    let owner = node.account("acme").await;
    let other = node.account("other").await;
    for _ in 0..10 {
        node.get("/v1/whoami", &owner.key).send().await.expect(200);
    }
    let answer = node.get("/v1/whoami", &owner.key).send().await.expect_error(429, "rate_limited");
    assert_eq!(answer.header("retry-after"), "1");
    node.get("/v1/whoami", &other.key).send().await.expect(200);
    node.call("GET", "/healthz").send().await.expect(200);
    node.clock.advance(std::time::Duration::from_millis(200));
    node.get("/v1/whoami", &owner.key).send().await.expect(200);
    node.get("/v1/whoami", &owner.key).send().await.expect_error(429, "rate_limited");
}

#[tokio::test]
async fn metrics_count_requests_by_route_and_never_by_name() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    node.workspace(&owner, "very-special-name").await;
    node.get("/v1/workspaces/acme/very-special-name", &owner.key).send().await.expect(200);
    node.call("BREW", "/v1/tenants").send().await.expect_error(405, "method_not_allowed");
    let metrics = node.call("GET", "/metrics").send().await.expect(200);
    assert!(metrics.header("content-type").starts_with("text/plain"));
    let wanted = r#"artifacts_http_requests_total{method="GET",route="/v1/workspaces/{handle}/{name}",status="200"}"#;
    assert!(metrics.text.contains(wanted), "{}", metrics.text);
    assert!(metrics.text.contains("artifacts_http_request_duration_seconds_bucket"));
    for secret in ["very-special-name", "BREW", owner.key.as_str()] {
        assert!(!metrics.text.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn two_nodes_in_one_process_both_serve_metrics() {
    let (one, two) = (TestNode::start().await, TestNode::start().await);
    one.call("GET", "/metrics").send().await.expect(200);
    two.call("GET", "/metrics").send().await.expect(200);
}

#[tokio::test]
async fn a_handler_that_panics_answers_and_the_next_request_works() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    node.workspace(&owner, "task").await;
    node.data_plane.break_usage();
    node.get("/v1/workspaces/acme/task", &owner.key).send().await.expect_error(500, "internal");
    // This one runs in a task of its own.
    node.delete("/v1/workspaces/acme/task", &owner.key).send().await.expect_error(500, "internal");
    node.get("/v1/whoami", &owner.key).send().await.expect(200);
}
