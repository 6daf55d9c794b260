//! Every call with a key of the same account that is confined to something else.

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{Api, local};
use serde_json::{Value, json};

use crate::operations::{About, Operation, all};
use crate::snapshot::{Victim, expect_unchanged, snapshot};

#[test]
fn a_key_does_nothing_outside_its_scope() -> Result<()> {
    local("scoped-keys", Duration::from_secs(5 * 60), |scratch| {
        let mut victim = Victim::new(scratch)?;
        victim.lab.workspace("elsewhere")?;
        victim.lab.api.post("/v1/tenants", &json!({ "slug": "tenant-b" }))?;
        let scopes = [
            json!({ "workspace": "acme/elsewhere" }),
            json!({ "tenant": "tenant-b" }),
            json!({ "mode": "ro" }),
            json!({ "workspace": "acme/elsewhere", "tenant": "tenant-b" }),
            json!({ "workspace": "acme/elsewhere", "tenant": "tenant-b", "mode": "ro" }),
        ];
        let mut keys = Vec::new();
        for scope in scopes {
            let key = victim.lab.api.post("/v1/api-keys", &json!({ "name": scope.to_string(), "scope": scope }))?;
            keys.push((scope, victim.lab.api.with_token(key["key"].as_str().context("no secret")?)));
        }
        let before = snapshot(&victim.lab.api)?;
        for operation in all(&victim.lab.api, &victim.names)? {
            for (scope, key) in &keys {
                let what = || format!("{} with a key confined to {scope}", operation.title());
                check(&operation, scope, key, &victim).with_context(what)?;
                expect_unchanged(&what(), &victim.lab.api, &before)?;
            }
        }
        victim.expect_standing()
    })
}

/// What is managed by keys without a scope alone.
const MANAGED: [&str; 2] = ["/v1/api-keys", "/v1/mesh-credentials"];

/// The objects that `operation` names lie outside `scope` as far as it names a workspace or a tenant.
fn check(operation: &Operation, scope: &Value, key: &Api, victim: &Victim) -> Result<()> {
    let only_mode = scope.get("workspace").is_none() && scope.get("tenant").is_none();
    let reply = operation.call(key)?;
    match operation.about {
        About::Public => return Ok(()),
        // Reading everything else is what a key of mode `ro` is for.
        About::Caller | About::Named if operation.reads() && only_mode && !MANAGED.contains(&operation.template.as_str()) => {
            ensure!(reply.status == 200, "{} {}", reply.status, reply.text);
            return Ok(());
        }
        // Lists and whoami answer, and tell of nothing outside.
        About::Caller | About::Named if operation.reads() && reply.status == 200 => {
            for hidden in outside(scope, victim) {
                ensure!(!reply.text.contains(&hidden), "tells of {hidden}: {}", reply.text);
            }
            return Ok(());
        }
        _ => {}
    }
    let documented = (reply.status == 403 && reply.code() == "forbidden")
        || (reply.status == 404 && reply.code().ends_with("_not_found"))
        || (operation.about == About::Cluster && reply.status == 401);
    ensure!(documented, "{} {}", reply.status, reply.text);
    reply.expect_error(reply.status, reply.code())
}

/// Ids that belong to the workspace and the tenant which the scope leaves out.
fn outside(scope: &Value, victim: &Victim) -> Vec<String> {
    let mut hidden =
        vec![victim.names.grant.clone(), victim.names.session.clone(), victim.names.key.clone(), victim.names.mesh_credential.clone()];
    if scope.get("workspace").is_some() {
        hidden.push("\"project\"".to_owned());
    }
    if scope.get("tenant").is_some() {
        hidden.push("\"tenant-a\"".to_owned());
    }
    hidden
}

/// What is inside the scope works, and hands out nothing beyond it.
#[test]
fn a_scoped_key_works_inside_its_scope_and_widens_nothing() -> Result<()> {
    local("scope-inside", Duration::from_secs(2 * 60), |scratch| {
        let victim = Victim::new(scratch)?;
        let root = &victim.lab.api;
        let scope = json!({ "workspace": "acme/project", "tenant": "tenant-a", "mode": "ro" });
        let key = root.post("/v1/api-keys", &json!({ "scope": scope }))?;
        let key = root.with_token(key["key"].as_str().context("no secret")?);
        let path = "/v1/tenants/tenant-a/runtimes/runtime-s/mount-tickets";
        let ticket = |mode: &str| json!({ "workspace": "acme/project", "mode": mode, "ttl_seconds": 60 });

        ensure!(key.get("/v1/whoami")?["scope"]["mode"] == "ro", "whoami does not tell the scope");
        let grants = key.list("/v1/grants")?;
        ensure!(grants.len() == 1, "a key for this tenant and workspace sees {grants:?}");
        let made = key.post(path, &ticket("ro")).context("a ticket within the scope")?;
        ensure!(made["mount_ticket"]["mode"] == "ro", "{made}");
        key.send("POST", path, Some(&ticket("rw")))?.expect_error(403, "forbidden")?;
        // Nor can it make itself a key that may do more.
        for wider in [json!({}), json!({ "mode": "rw" }), json!({ "workspace": "acme/project" })] {
            key.send("POST", "/v1/api-keys", Some(&json!({ "scope": wider })))?.expect_error(403, "forbidden")?;
        }
        Ok(())
    })
}
