use std::collections::BTreeSet;

use artifacts_node::api::ALL_CODES;
use serde_json::Value;

use crate::harness::TestNode;

const CALLS: [&str; 56] = [
    "delete /v1/api-keys/{id}",
    "delete /v1/grants/{id}",
    "delete /v1/mesh-credentials/{id}",
    "delete /v1/sessions/{id}",
    "delete /v1/tenants/{slug}",
    "delete /v1/workspaces/{handle}/{name}",
    "delete /v1/workspaces/{handle}/{name}/files/{path}",
    "delete /v1/workspaces/{handle}/{name}/snapshots/{snapshot}",
    "get /.well-known/jwks.json",
    "get /healthz",
    "get /metrics",
    "get /openapi.json",
    "get /readyz",
    "get /v1/api-keys",
    "get /v1/audit",
    "get /v1/audit/events",
    "get /v1/cluster",
    "get /v1/grants",
    "get /v1/grants/{id}",
    "get /v1/mesh-credentials",
    "get /v1/mesh/cells",
    "get /v1/sessions",
    "get /v1/tenants",
    "get /v1/tenants/{slug}",
    "get /v1/tenants/{slug}/usage",
    "get /v1/usage",
    "get /v1/whoami",
    "get /v1/workspaces",
    "get /v1/workspaces/{handle}/{name}",
    "get /v1/workspaces/{handle}/{name}/files",
    "get /v1/workspaces/{handle}/{name}/files/{path}",
    "get /v1/workspaces/{handle}/{name}/locks",
    "get /v1/workspaces/{handle}/{name}/locks/events",
    "get /v1/workspaces/{handle}/{name}/snapshots",
    "get /v1/workspaces/{handle}/{name}/snapshots/{snapshot}",
    "get /v1/workspaces/{handle}/{name}/usage",
    "patch /v1/tenants/{slug}",
    "patch /v1/workspaces/{handle}/{name}",
    "post /v1/account/revoke-everything",
    "post /v1/accounts",
    "post /v1/api-keys",
    "post /v1/grants/revoke",
    "post /v1/mesh-credentials",
    "post /v1/signing-keys/rotate",
    "post /v1/tenants",
    "post /v1/tenants/{slug}/runtimes/{runtime_id}/mount-tickets",
    "post /v1/workspaces",
    "post /v1/workspaces/{handle}/{name}/files/move",
    "post /v1/workspaces/{handle}/{name}/fork",
    "post /v1/workspaces/{handle}/{name}/fsck",
    "post /v1/workspaces/{handle}/{name}/grants",
    "post /v1/workspaces/{handle}/{name}/locks/{lock}/acquire",
    "post /v1/workspaces/{handle}/{name}/locks/{lock}/release",
    "post /v1/workspaces/{handle}/{name}/locks/{lock}/renew",
    "post /v1/workspaces/{handle}/{name}/snapshots",
    "put /v1/workspaces/{handle}/{name}/files/{path}",
];

async fn document() -> Value {
    let node = TestNode::start().await;
    node.call("GET", "/openapi.json").send().await.expect(200).body
}

#[tokio::test]
async fn every_call_is_described_with_its_errors_and_credential() {
    let document = document().await;
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            described.insert(format!("{method} {path}"));
            let what = format!("{method} {path}: {operation}");
            assert!(operation["operationId"].is_string() && operation["tags"].is_array() && operation["summary"].is_string(), "{what}");
            assert!(operation["security"].is_array(), "{what}");
            if path.starts_with("/v1/") {
                for status in ["401", "403", "422", "429", "500", "503"] {
                    let schema = &operation["responses"][status]["content"]["application/json"]["schema"]["$ref"];
                    assert_eq!(schema, "#/components/schemas/ErrorBody", "{status} of {what}");
                }
                let keys =
                    operation["parameters"].as_array().into_iter().flatten().filter(|parameter| parameter["name"] == "Idempotency-Key");
                assert_eq!(keys.count(), usize::from(method == "post"), "{what}");
            }
        }
    }
    let expected: BTreeSet<String> = CALLS.iter().map(ToString::to_string).collect();
    assert_eq!(described, expected);
}

#[tokio::test]
async fn every_code_is_described() {
    let document = document().await;
    let codes: Vec<&str> =
        document["components"]["schemas"]["ErrorCode"]["enum"].as_array().unwrap().iter().map(|code| code.as_str().unwrap()).collect();
    assert_eq!(codes, ALL_CODES.map(|code| code.as_str()));
    assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len());
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str).map(ToOwned::to_owned));
                fields.values().for_each(|field| references(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = document().await;
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 15);
    for reference in found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    for scheme in ["api_key", "admin_token", "mount_ticket"] {
        assert_eq!(document["components"]["securitySchemes"][scheme]["scheme"], "bearer");
    }
}

#[tokio::test]
async fn ids_and_names_in_paths_say_how_they_look() {
    let document = document().await;
    let operations = document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
    let parameters = operations.flat_map(|operation| operation["parameters"].as_array().into_iter().flatten());
    let named = |parameter: &&Value| ["slug", "runtime_id", "id", "lock"].iter().any(|name| parameter["name"] == *name);
    let mut seen = 0;
    for parameter in parameters.filter(named) {
        let pattern = parameter["schema"]["pattern"].as_str().unwrap_or_default();
        assert!(pattern.starts_with('^') && pattern.ends_with('$'), "{parameter}");
        seen += 1;
    }
    assert!(seen > 8);
}

#[tokio::test]
async fn a_part_of_a_list_always_says_how_to_go_on() {
    let document = document().await;
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let lists: Vec<_> = schemas.values().filter(|schema| schema["properties"].get("next_cursor").is_some()).collect();
    assert!(lists.len() > 5);
    for list in lists {
        assert!(list["required"].as_array().unwrap().iter().any(|field| field == "next_cursor"), "{list}");
    }
}
