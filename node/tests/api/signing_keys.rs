use std::time::Duration;

use artifacts_core::ticket::verify;
use serde_json::{Value, json};

use crate::harness::TestNode;

const DAY: Duration = Duration::from_secs(24 * 3600);
const MINUTE: Duration = Duration::from_secs(60);

async fn published(node: &TestNode) -> Vec<String> {
    let keys = node.call("GET", "/.well-known/jwks.json").send().await.expect(200).body;
    keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn signer(ticket: &Value) -> String {
    artifacts_core::ticket::peek_key(ticket["token"].as_str().unwrap()).unwrap().to_owned()
}

#[tokio::test]
async fn a_new_key_is_published_then_signs_and_the_old_one_goes_when_nothing_it_signed_lives() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    node.workspace(&owner, "w").await;
    let old = published(&node).await;
    let rotated = node.post("/v1/signing-keys/rotate", &node.admin_token(), json!({})).send().await.expect(200);
    let new = rotated.str("kid");
    assert_eq!(published(&node).await, [old[0].clone(), new.clone()]);

    let ticket = node.ticket(&owner, "t", "r", "w", 24 * 3600).await;
    assert_eq!(signer(&ticket), old[0], "not everybody knows the new one yet");
    node.clock.advance(2 * MINUTE);
    assert_eq!(signer(&node.ticket(&owner, "t", "r", "w", 60).await), new);
    let token = ticket["token"].as_str().unwrap();
    let stands = |node: &TestNode| verify(token, &node.context.verifying_keys(), node.context.clock.wall()).is_ok();
    node.clock.advance(DAY - 4 * MINUTE);
    let node = node.crash().await;
    assert!(stands(&node), "what the old key has signed counts until it has run out");
    assert_eq!(published(&node).await.len(), 2);
    node.clock.advance(5 * MINUTE);
    let node = node.crash().await;
    assert!(!stands(&node));
    assert_eq!(published(&node).await, [new]);
}

#[tokio::test]
async fn only_the_operator_replaces_keys() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    node.post("/v1/signing-keys/rotate", &owner.key, json!({})).send().await.expect_error(403, "forbidden");
    node.post("/v1/signing-keys/rotate", "tbo_x", json!({})).send().await.expect_error(401, "unauthorized");
    assert_eq!(published(&node).await.len(), 1);
}
