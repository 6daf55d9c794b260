use std::fs;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::{Credential, Mount, mounted};
use serde_json::json;

use crate::fixture::{Cluster, LIMIT};

/// Whatever node is asked, and wherever account and workspace are.
#[test]
fn any_node_answers_any_call() -> Result<()> {
    mounted("cluster-any", LIMIT, |scratch| {
        Cluster::run(scratch, 3, |cluster| {
            let home = cluster.home(1, 2)?;
            let path = format!("/v1/workspaces/{}", home.workspace);
            let keys = cluster.api(0, "")?.without_token().get("/.well-known/jwks.json")?;
            for node in 0..3 {
                let api = cluster.api(node, &home.key)?;
                ensure!(api.get("/v1/whoami")?["account"]["handle"] == home.handle.as_str());
                ensure!(api.get(&path)?["status"] == "active");
                ensure!(api.get(&format!("{path}/usage"))?["segments"] == 0);
                ensure!(api.post(&format!("{path}/fsck"), &json!({}))?["clean"] == true);
                ensure!(cluster.api(node, "")?.without_token().get("/.well-known/jwks.json")? == keys);
                api.send("GET", "/v1/workspaces/nobody/w1", None)?.expect_error(404, "workspace_not_found")?;
                for none in ["a.b.c", "a.b"] {
                    cluster.api(node, none)?.send("GET", "/v1/whoami", None)?.expect_error(401, "unauthorized")?;
                }
                cluster.api(node, "tbo_unknown")?.send("GET", "/v1/whoami", None)?.expect_error(401, "unauthorized")?;
                cluster.api(node, "")?.without_token().send("GET", "/v1/whoami", None)?.expect_error(401, "unauthorized")?;
                api.send("GET", "/v1/nothing", None)?.expect_error(404, "not_found")?;
                let twice = cluster.admin(node)?.send("POST", "/v1/accounts", Some(&json!({ "handle": home.handle })))?;
                twice.expect_error(409, "handle_exists")?;
                api.send("POST", "/v1/accounts", Some(&json!({ "handle": "other" })))?.expect_error(403, "forbidden")?;
                // Wherever the account is to lie.
                for number in 0..4 {
                    let once = |asked: usize| {
                        let body = json!({ "handle": format!("once-{node}-{number}") }).to_string().into_bytes();
                        let key = format!("{node}-{number}");
                        let headers = [("idempotency-key", key.as_str())];
                        cluster.admin(asked)?.send_bytes("POST", "/v1/accounts", &headers, Some(("application/json", body)))?.success()
                    };
                    ensure!(once(node)? == once((node + 1) % 3)?);
                }
                let made = api.post("/v1/workspaces", &json!({ "name": format!("made-at-{node}") }))?;
                ensure!(made["status"] == "active");
                api.delete(&format!("/v1/workspaces/{}/made-at-{node}", home.handle))?;
                // What only nodes may say counts for nothing in a client's mouth.
                let forged = api.send_bytes("GET", "/v1/whoami", &[("artifacts-passed-on", "AAAA.AAAA")], None)?;
                forged.expect_error(401, "unauthorized")?;
            }
            Ok(())
        })
    })
}

/// "A POST that is sent again gets the answer of the first time", at whatever node.
#[test]
fn an_account_is_made_once_however_often_it_is_asked_for() -> Result<()> {
    mounted("cluster-once", LIMIT, |scratch| {
        Cluster::run(scratch, 3, |cluster| {
            for number in 0..8 {
                let body = ("application/json", json!({ "handle": format!("once{number}") }).to_string().into_bytes());
                let key = format!("key-{number}");
                let mut made = Vec::new();
                for node in 0..3 {
                    let headers = [("idempotency-key", key.as_str())];
                    made.push(cluster.admin(node)?.send_bytes("POST", "/v1/accounts", &headers, Some(body.clone()))?.success()?);
                }
                ensure!(made[0]["api_key"]["key"].is_string() && made.iter().all(|answer| *answer == made[0]), "{made:?}");
            }
            Ok(())
        })
    })
}

/// A named lock is one lock at every node; its owner is where the workspace is.
#[test]
fn named_locks_are_the_same_at_every_node() -> Result<()> {
    mounted("cluster-locks", LIMIT, |scratch| {
        Cluster::run(scratch, 3, |cluster| {
            let home = cluster.home(0, 1)?;
            let ticket = cluster.ticket(2, &home, "t")?;
            let bearer = ticket["token"].as_str().context("token")?.to_owned();
            let path = format!("/v1/workspaces/{}/locks/build", home.workspace);
            let wish = json!({ "mode": "exclusive", "ttl_ms": 60_000 });
            let mut last = 0;
            for node in 0..3 {
                let held = cluster.api(node, &bearer)?.post(&format!("{path}/acquire"), &wish)?;
                let token = held["fencing_token"].as_u64().context("fencing_token")?;
                ensure!(token > last, "{token} after {last}");
                last = token;
                for other in 0..3 {
                    let api = cluster.api(other, &home.key)?;
                    api.send("POST", &format!("{path}/acquire"), Some(&wish))?.expect_error(409, "lock_held")?;
                    let listed = api.list(&format!("/v1/workspaces/{}/locks", home.workspace))?;
                    ensure!(listed.len() == 1, "{listed:?}");
                }
                let body = json!({ "lock_id": held["lock_id"] });
                cluster.api((node + 1) % 3, &home.key)?.post(&format!("{path}/release"), &body)?;
            }
            Ok(())
        })
    })
}

/// An agent that comes to another node than the owner's is sent there.
#[test]
fn a_mount_finds_the_owner_from_any_node() -> Result<()> {
    mounted("cluster-redirect", LIMIT, |scratch| {
        Cluster::run(scratch, 3, |cluster| {
            let home = cluster.home(0, 2)?;
            for node in 0..3 {
                let mut ticket = cluster.ticket(node, &home, &format!("t{node}"))?;
                ensure!(ticket["endpoints"].as_array().is_some_and(|known| known.len() == 3), "{ticket}");
                ticket["endpoints"] = json!([cluster.nodes[node].url()]);
                let mount = Mount::new(scratch, &format!("by-ticket-{node}"), &Credential::Ticket(ticket))?;
                fs::write(mount.join(format!("{node}")), "x".repeat(200_000))?;
                ensure!(fs::read_dir(mount.path())?.count() == 2 * node + 1);
                mount.unmount()?;
                let credential =
                    Credential::Key { url: cluster.nodes[node].url(), key: home.key.clone(), workspace: home.workspace.clone() };
                let mount = Mount::new(scratch, &format!("by-key-{node}"), &credential)?;
                fs::write(mount.join(format!("key-{node}")), "x")?;
                ensure!(cluster.api((node + 1) % 3, &home.key)?.list("/v1/sessions")?.len() == 1);
                mount.unmount()?;
            }
            Ok(())
        })
    })
}
