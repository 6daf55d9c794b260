use serde_json::json;

use crate::harness::TestNode;

#[tokio::test]
async fn a_node_that_is_alone_has_no_cells_and_confined_keys_see_none() {
    let node = TestNode::start().await;
    let owner = node.account("acme").await;
    node.workspace(&owner, "w").await;
    let none = json!({ "region": node.context.config.region, "nodes": [], "hosts_max": 48, "cells": [] });
    let reader = node.key(&owner, json!({ "scope": { "mode": "ro" } })).await;
    for key in [&owner.key, &reader] {
        assert_eq!(node.get("/v1/mesh/cells", key).send().await.expect(200).body, none);
    }
    for scope in [json!({ "workspace": "w" }), json!({ "tenant": "t" })] {
        let key = node.key(&owner, json!({ "scope": scope })).await;
        node.get("/v1/mesh/cells", &key).send().await.expect_error(403, "forbidden");
    }
    let credential = node.post("/v1/mesh-credentials", &owner.key, json!({})).send().await.expect(201);
    node.get("/v1/mesh/cells", &credential.str("secret")).send().await.expect_error(403, "forbidden");
}
