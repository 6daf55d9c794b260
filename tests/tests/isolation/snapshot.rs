//! What an account has, to compare before and after; and an account with one of everything.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::{Api, Lab, RawStream, Scratch};
use serde_json::{Value, json};

use crate::operations::Names;

/// An account with a workspace, a tenant, a grant, a second key and a live session.
pub(crate) struct Victim {
    pub(crate) lab: Lab,
    pub(crate) names: Names,
    session: RawStream,
}

impl Victim {
    /// Makes it, on a node of its own.
    pub(crate) fn new(scratch: &Arc<Scratch>) -> Result<Self> {
        // Its session says nothing for as long as the test is busy elsewhere, and that asks as fast as it can.
        let lab = Lab::start(scratch, &json!({ "session_lease_ms": 120_000, "rate_limit": 0 }))?;
        let address = lab.workspace("project")?;
        let key = lab.api.post("/v1/api-keys", &json!({ "name": "second" }))?;
        let mesh_credential = lab.api.post("/v1/mesh-credentials", &json!({ "name": "host" }))?;
        let ticket = lab.ticket("tenant-a", "runtime-a", &address, "rw")?;
        let (session, welcome) = RawStream::open_with_ticket(lab.node.port(), &ticket)?;
        let wanted = json!({ "mode": "exclusive", "ttl_ms": 3_600_000, "note": "the victim's" });
        let held = lab.api.post(&format!("/v1/workspaces/{address}/locks/deploy/acquire"), &wanted)?;
        lab.api.send("PUT", &format!("/v1/workspaces/{address}/files/secret"), None)?.success()?;
        lab.api.post(&format!("/v1/workspaces/{address}/snapshots"), &json!({ "name": "first" }))?;
        let names = Names {
            lock: "deploy".to_owned(),
            lock_id: held["lock_id"].as_str().context("a lock without an id")?.to_owned(),
            handle: "acme".to_owned(),
            workspace: "project".to_owned(),
            tenant: "tenant-a".to_owned(),
            runtime: "runtime-a".to_owned(),
            grant: lab.grant_of("tenant-a", "runtime-a")?,
            key: key["id"].as_str().context("a key without an id")?.to_owned(),
            mesh_credential: mesh_credential["id"].as_str().context("a credential without an id")?.to_owned(),
            session: welcome.session.to_string(),
        };
        Ok(Self { lab, names, session })
    }

    /// Checks that the victim's session still stands.
    pub(crate) fn expect_standing(&mut self) -> Result<()> {
        self.session.expect_standing()
    }
}

/// Names of the same form that nobody has.
pub(crate) fn nobody(names: &Names) -> Names {
    // The last character of an id may be any of its alphabet.
    let other = |id: &str| {
        let (head, tail) = id.split_at(id.len() - 1);
        format!("{head}{}", if tail == "0" { "1" } else { "0" })
    };
    Names {
        handle: "nobody".to_owned(),
        workspace: "nothing".to_owned(),
        tenant: "no-tenant".to_owned(),
        runtime: "no-runtime".to_owned(),
        grant: other(&names.grant),
        key: other(&names.key),
        mesh_credential: other(&names.mesh_credential),
        session: other(&names.session),
        lock: "no-lock".to_owned(),
        lock_id: other(&names.lock_id),
    }
}

/// Everything that the account of `api` has, as the API tells it, without what changes by itself.
pub(crate) fn snapshot(api: &Api) -> Result<Vec<(String, Value)>> {
    let mut lists = Vec::new();
    for path in ["/v1/api-keys", "/v1/tenants", "/v1/workspaces", "/v1/grants", "/v1/sessions"] {
        let mut items = api.list(path)?;
        for item in &mut items {
            if let Some(fields) = item.as_object_mut() {
                fields.retain(|name, _| !name.starts_with("last_") && name != "lease_ends_at" && name != "usage");
            }
        }
        items.sort_by_key(|item| item["id"].to_string());
        lists.push((path.to_owned(), Value::Array(items)));
    }
    for workspace in api.list("/v1/workspaces")?.iter().filter(|workspace| workspace["status"] == "active") {
        let path = format!("/v1/workspaces/{}/locks", workspace["address"].as_str().context("a workspace without an address")?);
        let mut locks = api.list(&path)?;
        for holder in locks.iter_mut().filter_map(|lock| lock["holders"].as_array_mut()).flatten().filter_map(Value::as_object_mut) {
            holder.retain(|name, _| name != "age_ms" && name != "since" && name != "expires_at");
        }
        lists.push((path.clone(), Value::Array(locks)));
        for below in ["files", "snapshots"] {
            let path = path.replace("/locks", &format!("/{below}"));
            lists.push((path.clone(), Value::Array(api.list(&path)?)));
        }
    }
    Ok(lists)
}

/// Checks that nothing has changed.
pub(crate) fn expect_unchanged(what: &str, api: &Api, before: &[(String, Value)]) -> Result<()> {
    for ((path, before), (_, after)) in before.iter().zip(snapshot(api)?) {
        ensure!(*before == after, "{what} changed {path}:\n{before}\n{after}");
    }
    Ok(())
}
