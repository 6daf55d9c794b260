use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::harness::TestNode;

#[tokio::test]
async fn an_account_comes_with_a_key_that_says_who_it_is() {
    let node = TestNode::start().await;
    let answer = node.post("/v1/accounts", &node.admin_token(), json!({ "handle": "acme" })).send().await.expect(201);
    assert!(answer.body["account"]["id"].as_str().unwrap().starts_with("acc_"));
    assert_eq!(answer.body["account"]["handle"], "acme");
    assert_eq!(answer.body["account"]["created_at"], "2023-11-14T22:13:20Z");
    let key = answer.body["api_key"]["key"].as_str().unwrap();
    assert!(key.starts_with("tbo_") && key.len() == 36, "{key}");

    let whoami = node.get("/v1/whoami", key).send().await.expect(200);
    assert_eq!(whoami.body["account"], answer.body["account"]);
    assert_eq!(whoami.body["key_id"], answer.body["api_key"]["id"]);
    assert_eq!(whoami.body.get("scope"), None);

    node.post("/v1/accounts", &node.admin_token(), json!({ "handle": "acme" })).send().await.expect_error(409, "handle_exists");
}

#[tokio::test]
async fn what_is_to_live_in_a_region_that_there_is_not_is_refused() {
    let node = TestNode::start().await;
    let account = |handle: &str, region: &str| json!({ "handle": handle, "region": region });
    let here = node.post("/v1/accounts", &node.admin_token(), account("here", "local")).send().await.expect(201);
    assert_eq!(here.body["account"]["region"], "local");
    let key = here.body["api_key"]["key"].as_str().unwrap();
    node.post("/v1/accounts", &node.admin_token(), account("there", "mars")).send().await.expect_error(422, "invalid_request");
    let made = node.post("/v1/workspaces", key, json!({ "name": "w", "region": "local" })).send().await.expect(201);
    assert_eq!(made.body["region"], "local");
    node.post("/v1/workspaces", key, json!({ "name": "v", "region": "mars" })).send().await.expect_error(422, "invalid_request");
}

#[tokio::test]
async fn two_accounts_at_once_never_share_a_handle() {
    let node = TestNode::start().await;
    let token = node.admin_token();
    let calls = (0..8).map(|_| node.post("/v1/accounts", &token, json!({ "handle": "acme" })).send());
    let answers = futures_util::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 409).count(), 7);
}

#[tokio::test]
async fn the_admin_token_makes_accounts_and_nothing_else() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    let body = json!({ "handle": "other" });
    node.post("/v1/accounts", &owner.key, body.clone()).send().await.expect_error(403, "forbidden");
    node.post("/v1/accounts", "garbage", body.clone()).send().await.expect_error(401, "unauthorized");
    node.call("POST", "/v1/accounts").json(body).send().await.expect_error(401, "unauthorized");
    node.get("/v1/whoami", &node.admin_token()).send().await.expect_error(401, "unauthorized");
    node.get("/v1/tenants", &node.admin_token()).send().await.expect_error(401, "unauthorized");
}

#[tokio::test]
async fn the_admin_token_is_private_survives_a_restart_and_can_be_replaced() {
    let node = TestNode::start().await;
    let path = node.data.path().join("admin-token");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let first = node.admin_token();

    let node = node.crash().await;
    assert_eq!(node.admin_token(), first);
    node.account("one").await;

    // Moved to a vault: it goes on to count, and no other is made.
    std::fs::remove_file(&path).unwrap();
    let node = node.crash().await;
    assert!(!path.exists());
    node.post("/v1/accounts", &first, json!({ "handle": "two" })).send().await.expect(201);

    // An empty file asks for a new one.
    std::fs::write(&path, "").unwrap();
    let node = node.crash().await;
    assert_ne!(node.admin_token(), first);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    node.account("three").await;
    node.post("/v1/accounts", &first, json!({ "handle": "four" })).send().await.expect_error(401, "unauthorized");
}

#[tokio::test]
async fn api_keys_are_made_listed_and_revoked() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    node.clock.advance(std::time::Duration::from_secs(1));
    let made = node.post("/v1/api-keys", &owner.key, json!({ "name": "ci", "ttl_seconds": 60 })).send().await.expect(201);
    assert_eq!(made.body["name"], "ci");
    assert_eq!(made.body["expires_at"], "2023-11-14T22:14:21Z");
    let secret = made.str("key");
    node.get("/v1/whoami", &secret).send().await.expect(200);

    let list = node.get("/v1/api-keys", &owner.key).send().await.expect(200);
    assert_eq!(list.body["items"].as_array().unwrap().len(), 2);
    assert_eq!(list.body["items"][0]["id"], owner.key_id.as_str());
    assert!(!list.text.contains("tbo_"), "a secret is shown once");

    let path = format!("/v1/api-keys/{}", made.str("id"));
    let revoked = node.delete(&path, &owner.key).send().await.expect(200);
    assert_eq!(revoked.body["api_key"]["id"], made.body["id"]);
    assert_eq!(revoked.body["sessions"], json!({ "matched": 0, "fenced": 0, "confirmed": 0 }));
    assert!(revoked.body["api_key"]["revoked_at"].is_string());
    node.get("/v1/whoami", &secret).send().await.expect_error(401, "unauthorized");
    node.delete(&path, &owner.key).send().await.expect_error(404, "key_not_found");
}

#[tokio::test]
async fn mesh_credentials_are_no_api_keys() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    let path = "/v1/mesh-credentials";
    let made = node.post(path, &owner.key, json!({ "name": "rack 7" })).send().await.expect(201);
    assert_eq!((&made.body["name"], &made.body["expires_at"]), (&json!("rack 7"), &json!("2024-02-12T22:13:20Z")), "90 days");
    assert!(made.body["endpoints"].is_array());
    let secret = made.str("secret");
    assert!(secret.starts_with("tbm_"));

    // It opens nothing of the API, and is in no list of keys, nor any key in its list.
    for (method, at) in [("GET", "/v1/whoami"), ("GET", path), ("GET", "/v1/api-keys"), ("POST", "/v1/workspaces")] {
        let call = node.call(method, at).bearer(&secret);
        let call = if method == "POST" { call.json(json!({ "name": "w" })) } else { call };
        call.send().await.expect_error(403, "forbidden");
    }
    let keys = node.get("/v1/api-keys", &owner.key).send().await.expect(200);
    assert!(!keys.text.contains(&made.str("id")));
    let listed = node.get(path, &owner.key).send().await.expect(200);
    assert!(listed.body["items"].as_array().unwrap().len() == 1 && !listed.text.contains("tbm_"), "{}", listed.text);
    let confined = node.key(&owner, json!({ "scope": { "mode": "ro" } })).await;
    node.get(path, &confined).send().await.expect_error(403, "forbidden");

    // Each is revoked by its own call.
    let (as_key, as_credential) = (format!("/v1/api-keys/{}", made.str("id")), format!("{path}/{}", made.str("id")));
    node.delete(&as_key, &owner.key).send().await.expect_error(404, "key_not_found");
    node.delete(format!("{path}/{}", owner.key_id), &owner.key).send().await.expect_error(404, "key_not_found");
    let revoked = node.delete(&as_credential, &owner.key).send().await.expect(200);
    assert!(revoked.body["revoked_at"].is_string());
    node.delete(&as_credential, &owner.key).send().await.expect_error(404, "key_not_found");
    node.get("/v1/whoami", &secret).send().await.expect_error(401, "unauthorized");
}

#[tokio::test]
async fn nothing_in_the_store_tells_a_secret() {
    use artifacts_node::store::{KeyRange, Store as _};
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    let call = node.post("/v1/api-keys", &owner.key, json!({ "name": "ci" })).header("idempotency-key", "once");
    let secret = call.send().await.expect(201).str("key");
    let rows = node.store.scan(KeyRange::all(), usize::MAX).await.unwrap();
    for needle in [&owner.key, &secret, &node.admin_token()] {
        let needle = needle.trim_start_matches("tbo_").as_bytes();
        let leaks =
            rows.iter().any(|(key, value)| [key, value].iter().any(|bytes| bytes.windows(needle.len()).any(|window| window == needle)));
        assert!(!leaks);
    }
}
