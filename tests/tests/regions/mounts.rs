use std::fs;
use std::io::ErrorKind;

use anyhow::{Result, ensure};
use artifacts_tests::time::{Duration, now, wait_until};
use artifacts_tests::{Credential, Mount, mounted};
use serde_json::json;

use crate::fixture::{ALL, LIMIT, World};

/// "A ticket made in eu mounts a us workspace via a eu endpoint", and so for every other pair of them; sessions are seen from
/// everywhere.
#[test]
fn a_mount_finds_its_workspace_from_any_region() -> Result<()> {
    mounted("regions-mounts", LIMIT, |scratch| {
        World::run(scratch, |world| {
            let acme = world.account(0, "acme", "eu")?;
            for (name, region) in [("here", "eu"), ("there", "us")] {
                world.api(2, &acme)?.post("/v1/workspaces", &json!({ "name": name, "region": region }))?;
            }
            for (name, workspace_at) in [("here", "eu"), ("there", "us")] {
                for node in ALL {
                    let tenant = format!("t{node}");
                    let mut ticket = world.ticket(node, &acme, &format!("acme/{name}"), &tenant)?;
                    let first = ticket["endpoints"][0].clone();
                    let home = ALL.iter().filter(|node| crate::fixture::region(**node) == workspace_at);
                    ensure!(home.map(|node| world.nodes[*node].url()).any(|url| first == url), "{name}: {first} comes first");
                    ticket["endpoints"] = json!([world.nodes[(node + 1) % 4].url()]);
                    let mount = Mount::new(scratch, &format!("{name}-ticket-{node}"), &Credential::Ticket(ticket))?;
                    fs::write(mount.join(format!("{node}")), "x".repeat(200_000))?;
                    let sessions = world.api((node + 2) % 4, &acme)?.list("/v1/sessions")?;
                    ensure!(sessions.len() == 1 && sessions[0]["workspace"] == format!("acme/{name}"), "{sessions:?}");
                    mount.unmount()?;
                    let credential = Credential::Key { url: world.nodes[node].url(), key: acme.clone(), workspace: format!("acme/{name}") };
                    let mount = Mount::new(scratch, &format!("{name}-key-{node}"), &credential)?;
                    ensure!(fs::read(mount.join(format!("{node}")))?.len() == 200_000);
                    mount.unmount()?;
                }
            }
            Ok(())
        })
    })
}

/// "Revocation at eu ends a us mount within a second": of a grant, a key, a session and a workspace, each through another node.
#[test]
fn a_revocation_ends_access_in_another_region() -> Result<()> {
    mounted("regions-revoke", LIMIT, |scratch| {
        World::run(scratch, |world| {
            let acme = world.account(0, "acme", "eu")?;
            world.api(0, &acme)?.post("/v1/workspaces", &json!({ "name": "there", "region": "us" }))?;
            let by_ticket = |node: usize| -> Result<Mount> {
                let ticket = world.ticket(node, &acme, "acme/there", &format!("t{node}"))?;
                Mount::new(scratch, &format!("m{node}"), &Credential::Ticket(ticket))
            };
            let denied = |mount: &Mount, what: &str| -> Result<()> {
                wait_until(what, Duration::from_secs(1), || {
                    Ok(fs::read(mount.join("file")).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied))
                })
            };
            for node in ALL {
                let mount = by_ticket(node)?;
                fs::write(mount.join("file"), "x")?;
                let (api, start) = (world.api(node, &acme)?, now());
                let report = match node {
                    0 | 2 => api.post("/v1/grants/revoke", &json!({ "tenant_slug": format!("t{node}") }))?,
                    _ => {
                        let id = api.list("/v1/sessions")?[0]["id"].as_str().unwrap_or_default().to_owned();
                        api.delete(&format!("/v1/sessions/{id}"))?
                    }
                };
                let told = start.elapsed();
                denied(&mount, "access ends")?;
                println!("through n{node}: answered after {told:?}, {}", report["sessions"]);
                ensure!(report["sessions"] == json!({ "matched": 1, "fenced": 1, "confirmed": 1 }), "{report}");
                mount.tear_down()?;
            }
            let more = world.api(1, &acme)?.post("/v1/api-keys", &json!({ "name": "more" }))?;
            let key = more["key"].as_str().unwrap_or_default().to_owned();
            let credential = Credential::Key { url: world.nodes[3].url(), key, workspace: "acme/there".to_owned() };
            let mount = Mount::new(scratch, "by-key", &credential)?;
            fs::write(mount.join("file"), "x")?;
            world.api(1, &acme)?.delete(&format!("/v1/api-keys/{}", more["id"].as_str().unwrap_or_default()))?;
            denied(&mount, "the key's access ends")?;
            mount.tear_down()?;
            let mount = by_ticket(0)?;
            fs::write(mount.join("file"), "x")?;
            world.api(0, &acme)?.delete("/v1/workspaces/acme/there")?;
            denied(&mount, "the workspace's access ends")?;
            mount.tear_down()
        })
    })
}
