//! Every operation of the API with a request that is in good order, derived from the node's own description, so
//! that an operation which is added later cannot be forgotten here.

use anyhow::{Context as _, Result, bail, ensure};
use artifacts_tests::Api;
use serde_json::{Value, json};

/// What the requests name.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub(crate) handle: String,
    pub(crate) workspace: String,
    pub(crate) tenant: String,
    pub(crate) runtime: String,
    pub(crate) grant: String,
    pub(crate) key: String,
    pub(crate) mesh_credential: String,
    pub(crate) session: String,
    pub(crate) lock: String,
    pub(crate) lock_id: String,
}

/// Who may make a call, and what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    /// Nothing of anybody's; needs no credential.
    Public,
    /// The cluster; needs the admin token.
    Cluster,
    /// The caller's own account, whatever the request says.
    Caller,
    /// Objects that the request names.
    Named,
}

/// One call, ready to be made.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) method: String,
    pub(crate) template: String,
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
    pub(crate) about: About,
}

impl Operation {
    /// Makes the call with this credential.
    pub(crate) fn call(&self, api: &Api) -> Result<artifacts_tests::Reply> {
        api.send(&self.method, &self.path, self.body.as_ref())
    }

    /// Whether it only reads.
    pub(crate) fn reads(&self) -> bool {
        self.method == "GET"
    }

    /// Whether a mount ticket of the workspace is a credential for it.
    pub(crate) fn takes_tickets(&self) -> bool {
        self.template.contains("/locks") || self.template.contains("/{name}/files")
    }

    /// For messages.
    pub(crate) fn title(&self) -> String {
        format!("{} {}", self.method, self.template)
    }
}

/// All operations that the node describes, about the objects of `names`.
///
/// # Errors
/// If the description cannot be had, or describes an operation that is not known here.
pub(crate) fn all(api: &Api, names: &Names) -> Result<Vec<Operation>> {
    let description = api.without_token().get("/openapi.json")?;
    let paths = description["paths"].as_object().context("the description has no paths")?;
    let mut operations = Vec::new();
    for (template, methods) in paths {
        for method in methods.as_object().context("a path without methods")?.keys() {
            if ["get", "post", "put", "patch", "delete"].contains(&method.as_str()) {
                operations.push(operation(&method.to_uppercase(), template, names)?);
            }
        }
    }
    // The contract's own list: a call that is not described would not be tested.
    for expected in CONTRACT {
        ensure!(operations.iter().any(|operation| operation.title() == expected), "{expected} is not in /openapi.json");
    }
    Ok(operations)
}

const CONTRACT: [&str; 50] = [
    "POST /v1/accounts",
    "GET /v1/cluster",
    "GET /v1/whoami",
    "POST /v1/api-keys",
    "GET /v1/api-keys",
    "DELETE /v1/api-keys/{id}",
    "POST /v1/mesh-credentials",
    "GET /v1/mesh-credentials",
    "DELETE /v1/mesh-credentials/{id}",
    "GET /v1/mesh/cells",
    "POST /v1/tenants",
    "GET /v1/tenants",
    "GET /v1/tenants/{slug}",
    "PATCH /v1/tenants/{slug}",
    "GET /v1/tenants/{slug}/usage",
    "DELETE /v1/tenants/{slug}",
    "POST /v1/workspaces",
    "GET /v1/workspaces",
    "GET /v1/workspaces/{handle}/{name}",
    "PATCH /v1/workspaces/{handle}/{name}",
    "DELETE /v1/workspaces/{handle}/{name}",
    "POST /v1/workspaces/{handle}/{name}/fsck",
    "GET /v1/workspaces/{handle}/{name}/usage",
    "GET /v1/workspaces/{handle}/{name}/locks",
    "GET /v1/workspaces/{handle}/{name}/locks/events",
    "POST /v1/workspaces/{handle}/{name}/locks/{lock}/acquire",
    "POST /v1/workspaces/{handle}/{name}/locks/{lock}/renew",
    "POST /v1/workspaces/{handle}/{name}/locks/{lock}/release",
    "GET /v1/workspaces/{handle}/{name}/files",
    "GET /v1/workspaces/{handle}/{name}/files/{path}",
    "PUT /v1/workspaces/{handle}/{name}/files/{path}",
    "DELETE /v1/workspaces/{handle}/{name}/files/{path}",
    "POST /v1/workspaces/{handle}/{name}/files/move",
    "POST /v1/workspaces/{handle}/{name}/snapshots",
    "GET /v1/workspaces/{handle}/{name}/snapshots",
    "GET /v1/workspaces/{handle}/{name}/snapshots/{snapshot}",
    "DELETE /v1/workspaces/{handle}/{name}/snapshots/{snapshot}",
    "POST /v1/workspaces/{handle}/{name}/fork",
    "GET /v1/usage",
    "GET /v1/audit",
    "GET /v1/audit/events",
    "POST /v1/account/revoke-everything",
    "POST /v1/workspaces/{handle}/{name}/grants",
    "GET /v1/grants",
    "GET /v1/grants/{id}",
    "DELETE /v1/grants/{id}",
    "POST /v1/grants/revoke",
    "POST /v1/tenants/{slug}/runtimes/{runtime_id}/mount-tickets",
    "GET /v1/sessions",
    "DELETE /v1/sessions/{id}",
];

fn operation(method: &str, template: &str, names: &Names) -> Result<Operation> {
    let Names { handle, workspace, tenant, runtime, grant, key, mesh_credential, session, lock, lock_id } = names;
    let address = format!("{handle}/{workspace}");
    let grant_body = json!({ "tenant_slug": tenant, "runtime_id": runtime, "mode": "rw" });
    let ticket_body = json!({ "workspace": address, "mode": "rw", "ttl_seconds": 60 });
    let (about, path, body) = match (method, template) {
        ("GET", "/healthz" | "/readyz" | "/metrics" | "/openapi.json" | "/.well-known/jwks.json") => {
            (About::Public, template.to_owned(), None)
        }
        ("GET", "/v1/cluster") => (About::Cluster, template.to_owned(), None),
        ("POST", "/v1/accounts") => (About::Cluster, template.to_owned(), Some(json!({ "handle": "intruder" }))),
        ("POST", "/v1/signing-keys/rotate") => (About::Cluster, template.to_owned(), Some(json!({}))),
        (
            "GET",
            "/v1/whoami"
            | "/v1/api-keys"
            | "/v1/mesh-credentials"
            | "/v1/mesh/cells"
            | "/v1/tenants"
            | "/v1/workspaces"
            | "/v1/sessions"
            | "/v1/usage"
            | "/v1/audit"
            | "/v1/audit/events",
        ) => (About::Caller, template.to_owned(), None),
        ("POST", "/v1/account/revoke-everything") => (About::Caller, template.to_owned(), Some(json!({}))),
        ("POST", "/v1/api-keys") => (About::Caller, template.to_owned(), Some(json!({ "name": "another" }))),
        ("POST", "/v1/mesh-credentials") => (About::Caller, template.to_owned(), Some(json!({ "name": "another" }))),
        ("DELETE", "/v1/mesh-credentials/{id}") => (About::Named, format!("/v1/mesh-credentials/{mesh_credential}"), None),
        ("POST", "/v1/tenants") => (About::Caller, template.to_owned(), Some(json!({ "slug": "another" }))),
        ("POST", "/v1/workspaces") => (About::Caller, template.to_owned(), Some(json!({ "name": "another" }))),
        ("DELETE", "/v1/api-keys/{id}") => (About::Named, format!("/v1/api-keys/{key}"), None),
        ("GET" | "DELETE", "/v1/tenants/{slug}") => (About::Named, format!("/v1/tenants/{tenant}"), None),
        ("GET", "/v1/tenants/{slug}/usage") => (About::Named, format!("/v1/tenants/{tenant}/usage"), None),
        ("PATCH", "/v1/tenants/{slug}") => (About::Named, format!("/v1/tenants/{tenant}"), Some(json!({}))),
        ("PATCH", "/v1/workspaces/{handle}/{name}") => (About::Named, format!("/v1/workspaces/{address}"), Some(json!({}))),
        ("GET" | "DELETE", "/v1/workspaces/{handle}/{name}") => (About::Named, format!("/v1/workspaces/{address}"), None),
        ("GET", "/v1/workspaces/{handle}/{name}/usage") => (About::Named, format!("/v1/workspaces/{address}/usage"), None),
        ("POST", "/v1/workspaces/{handle}/{name}/fsck") => (About::Named, format!("/v1/workspaces/{address}/fsck"), Some(json!({}))),
        ("GET", "/v1/workspaces/{handle}/{name}/locks") => (About::Named, format!("/v1/workspaces/{address}/locks"), None),
        ("GET", "/v1/workspaces/{handle}/{name}/locks/events") => (About::Named, format!("/v1/workspaces/{address}/locks/events"), None),
        ("POST", "/v1/workspaces/{handle}/{name}/locks/{lock}/acquire") => {
            let body = json!({ "mode": "exclusive", "ttl_ms": 1_000 });
            (About::Named, format!("/v1/workspaces/{address}/locks/another/acquire"), Some(body))
        }
        ("POST", "/v1/workspaces/{handle}/{name}/locks/{lock}/renew") => {
            let body = json!({ "lock_id": lock_id, "ttl_ms": 86_400_000 });
            (About::Named, format!("/v1/workspaces/{address}/locks/{lock}/renew"), Some(body))
        }
        ("POST", "/v1/workspaces/{handle}/{name}/locks/{lock}/release") => {
            (About::Named, format!("/v1/workspaces/{address}/locks/{lock}/release"), Some(json!({ "lock_id": lock_id })))
        }
        ("GET", "/v1/workspaces/{handle}/{name}/files") => (About::Named, format!("/v1/workspaces/{address}/files"), None),
        ("GET" | "PUT" | "DELETE", "/v1/workspaces/{handle}/{name}/files/{path}") => {
            (About::Named, format!("/v1/workspaces/{address}/files/secret"), None)
        }
        ("POST", "/v1/workspaces/{handle}/{name}/files/move") => {
            (About::Named, format!("/v1/workspaces/{address}/files/move"), Some(json!({ "from": "secret", "to": "another" })))
        }
        ("GET", "/v1/workspaces/{handle}/{name}/snapshots") => (About::Named, format!("/v1/workspaces/{address}/snapshots"), None),
        ("POST", "/v1/workspaces/{handle}/{name}/snapshots") => {
            (About::Named, format!("/v1/workspaces/{address}/snapshots"), Some(json!({ "name": "another" })))
        }
        ("GET" | "DELETE", "/v1/workspaces/{handle}/{name}/snapshots/{snapshot}") => {
            (About::Named, format!("/v1/workspaces/{address}/snapshots/first"), None)
        }
        ("POST", "/v1/workspaces/{handle}/{name}/fork") => {
            (About::Named, format!("/v1/workspaces/{address}/fork"), Some(json!({ "name": "another" })))
        }
        ("POST", "/v1/workspaces/{handle}/{name}/grants") => (About::Named, format!("/v1/workspaces/{address}/grants"), Some(grant_body)),
        ("GET", "/v1/grants") => (About::Named, format!("/v1/grants?tenant_slug={tenant}&runtime_id={runtime}&workspace={address}"), None),
        ("GET" | "DELETE", "/v1/grants/{id}") => (About::Named, format!("/v1/grants/{grant}"), None),
        ("POST", "/v1/grants/revoke") => (About::Named, template.to_owned(), Some(json!({ "tenant_slug": tenant }))),
        ("POST", "/v1/tenants/{slug}/runtimes/{runtime_id}/mount-tickets") => {
            (About::Named, format!("/v1/tenants/{tenant}/runtimes/{runtime}/mount-tickets"), Some(ticket_body))
        }
        ("GET" | "DELETE", "/v1/sessions/{id}") => (About::Named, format!("/v1/sessions/{session}"), None),
        _ => bail!("the node has an operation that no test of isolation knows yet: {method} {template}"),
    };
    Ok(Operation { method: method.to_owned(), template: template.to_owned(), path, body, about })
}
