use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use artifacts_core::AccountId;
use artifacts_core::cluster::ShardMap;
use artifacts_tests::time::now;
use artifacts_tests::{Credential, Lab, Mount, NodeOptions, S3Server, Scratch, artifacts_binary, mounted};
use serde_json::{Value, json};

use crate::fixture::{Cluster, LIMIT, PATIENCE, SHARDS};

fn node(scratch: &Scratch, config: &Value, data: &Path, arguments: &[&str]) -> Result<()> {
    let file = scratch.join("moving.json");
    fs::write(&file, config.to_string())?;
    let mut command = Command::new(artifacts_binary()?);
    scratch.mark(&mut command).arg("node").arg("--config").arg(file).arg("--data").arg(data).args(arguments);
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// What was made on a node alone, and what it was made with.
struct Before {
    keys: Vec<String>,
    revoked: String,
    read_only: String,
    ticket: Value,
    workspace: String,
    /// Which shards the accounts lie in.
    homes: BTreeSet<u16>,
}

fn account(made: &Value) -> Result<(AccountId, String)> {
    let id = made["account"]["id"].as_str().context("id")?.parse().map_err(|error| anyhow::anyhow!("{error:?}"))?;
    Ok((id, made["api_key"]["key"].as_str().context("key")?.to_owned()))
}

/// A node with accounts, of one of them a workspace with a file, and a mount that died; all of it exported.
fn before(scratch: &Arc<Scratch>, file: &str) -> Result<Before> {
    let mut lab = Lab::start_with(scratch, NodeOptions { config: json!({}), ..NodeOptions::default() })?;
    let map = ShardMap::new(SHARDS).context("shards")?;
    let admin = lab.api.with_token(&lab.node.admin_token()?);
    let (mut keys, mut homes) = (vec![lab.api.token().to_owned()], BTreeSet::new());
    for number in 0..6 {
        let (id, key) = account(&admin.post("/v1/accounts", &json!({ "handle": format!("other{number}") }))?)?;
        homes.insert(map.of(id).0);
        keys.push(key);
    }
    let workspace = lab.workspace("task")?;
    let more = |scope: Value| lab.api.post("/v1/api-keys", &json!({ "scope": scope }));
    let read_only = more(json!({ "mode": "ro" }))?["key"].as_str().context("key")?.to_owned();
    let revoked = more(json!({}))?;
    lab.api.delete(&format!("/v1/api-keys/{}", revoked["id"].as_str().context("id")?))?;
    let ticket = lab.ticket("t", "later", &workspace, "rw")?;
    let mount = lab.mount("before", &workspace)?;
    fs::write(mount.join("file"), "written before")?;
    mount.unmount()?;
    let dead = lab.mount("dead", &workspace)?;
    dead.tear_down()?;
    lab.node.terminate()?;
    node(scratch, &json!({}), lab.node.data(), &["export", file])?;
    let revoked = revoked["key"].as_str().context("key")?.to_owned();
    Ok(Before { keys, revoked, read_only, ticket, workspace, homes })
}

fn mount_soon(scratch: &Arc<Scratch>, name: &str, credential: &Credential) -> Result<Mount> {
    let start = now();
    loop {
        match Mount::new(scratch, name, credential) {
            Err(_) if start.elapsed() < PATIENCE => {}
            outcome => return outcome,
        }
    }
}

/// Keys, tickets and accounts that were made on a node without shards work at every node of the cluster into which it moved,
/// wherever their secret leads and wherever their account lies.
#[test]
fn what_was_made_on_a_single_node_counts_at_every_node() -> Result<()> {
    mounted("cluster-moved", LIMIT, |scratch| {
        let Some(server) = S3Server::shared()? else { return Ok(()) };
        let blobs = server.bucket()?;
        let file = scratch.join("node.export");
        let file = file.to_str().context("a path")?;
        let before = before(scratch, file)?;
        ensure!(before.homes.len() > 1, "the accounts lie in one shard");
        let config = json!({ "store": "slate", "blobs": blobs, "cluster": { "shards": SHARDS } });
        node(scratch, &config, &scratch.join("importing"), &["import", file])?;
        let admin = fs::read_to_string(scratch.join("data/admin-token"))?.trim().to_owned();
        let cluster = Cluster::start_on(scratch, 3, &blobs, Some(admin))?;
        let path = format!("/v1/workspaces/{}", before.workspace);
        for at in 0..3 {
            let api = |token: &str| cluster.api(at, token);
            for key in &before.keys {
                let me = api(key)?.get("/v1/whoami")?;
                let name = format!("made-at-{at}");
                let made = api(key)?.post("/v1/workspaces", &json!({ "name": name }))?;
                ensure!(made["status"] == "active", "{me}");
                let new = api(key)?.post("/v1/api-keys", &json!({}))?["key"].as_str().context("key")?.to_owned();
                ensure!(api(&new)?.get("/v1/whoami")?["account"] == me["account"]);
            }
            let (owner, reader) = (api(&before.keys[0])?, api(&before.read_only)?);
            ensure!(reader.get(&path)?["status"] == "active");
            reader.send("DELETE", &path, None)?.expect_error(403, "forbidden")?;
            api(&before.revoked)?.send("GET", "/v1/whoami", None)?.expect_error(401, "unauthorized")?;
            api("tbo_unknown")?.send("GET", "/v1/whoami", None)?.expect_error(401, "unauthorized")?;
            let taken = json!({ "handle": "other1" });
            cluster.admin(at)?.send("POST", "/v1/accounts", Some(&taken))?.expect_error(409, "handle_exists")?;
            let wish = json!({ "mode": "exclusive", "ttl_ms": 60_000 });
            let held = owner.post(&format!("{path}/locks/build/acquire"), &wish)?;
            owner.post(&format!("{path}/locks/build/release"), &json!({ "lock_id": held["lock_id"] }))?;

            let key = before.keys[0].clone();
            let credential = Credential::Key { url: cluster.nodes[at].url(), key, workspace: before.workspace.clone() };
            // The lease of the mount that died may have moved along.
            let mount = mount_soon(scratch, &format!("key-{at}"), &credential)?;
            ensure!(fs::read_to_string(mount.join("file"))? == "written before");
            fs::write(mount.join(format!("{at}")), "written after")?;
            mount.unmount()?;
        }
        let mut ticket = before.ticket;
        // Where the nodes are is all that a ticket of before does not know.
        ticket["endpoints"] = json!([cluster.nodes[2].url()]);
        let mount = mount_soon(scratch, "ticket", &Credential::Ticket(ticket))?;
        ensure!(fs::read_dir(mount.path())?.count() == 4);
        mount.unmount()?;
        let report = cluster.api(1, &before.keys[0])?.post(&format!("{path}/fsck"), &json!({ "data": true }))?;
        ensure!(report["findings"].as_array().is_some_and(Vec::is_empty), "{report:#}");
        Ok(())
    })
}
