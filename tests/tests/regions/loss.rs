use std::fs;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, now, sleep, wait_until};
use artifacts_tests::{Api, Credential, Mount, mounted};
use serde_json::json;

use crate::fixture::{EU, LIMIT, PATIENCE, US, World};

/// An answer that says which region is missed.
pub(crate) fn expect_missed(api: &Api, method: &str, path: &str, body: Option<serde_json::Value>, region: &str) -> Result<()> {
    let answer = api.send(method, path, body.as_ref())?;
    answer.expect_error(503, "unavailable")?;
    ensure!(answer.retry_after.is_some(), "{}", answer.text);
    let message = answer.body["message"].as_str().context("message")?;
    ensure!(message.contains(&format!("`{region}`")), "{method} {path}: {message}");
    Ok(())
}

/// "Kill all nodes of us: eu works, us things answer 503 clearly; us comes back: everything is there."
#[test]
fn a_region_is_lost_and_comes_back() -> Result<()> {
    mounted("regions-loss", LIMIT, |scratch| {
        World::run(scratch, |world| {
            let (acme, uncle) = (world.account(0, "acme", "eu")?, world.account(2, "uncle", "us")?);
            for (key, name, region) in [(&acme, "here", "eu"), (&acme, "there", "us"), (&uncle, "mine", "us"), (&uncle, "away", "eu")] {
                world.api(1, key)?.post("/v1/workspaces", &json!({ "name": name, "region": region }))?;
            }
            let mount = |world: &World, key: &str, workspace: &str| {
                let ticket = world.ticket(1, key, workspace, "t")?;
                Mount::new(scratch, &workspace.replace('/', "-"), &Credential::Ticket(ticket))
            };
            let here = mount(world, &acme, "acme/here")?;
            let there = mount(world, &acme, "acme/there")?;
            let away = mount(world, &uncle, "uncle/away")?;
            for mount in [&here, &there, &away] {
                fs::write(mount.join("file"), "before")?;
                fs::File::open(mount.join("file"))?.sync_all()?;
            }

            let reached = |world: &World, region: &str, state: &str| -> Result<()> {
                let shown = world.status_command(0)?;
                let line =
                    shown.lines().find(|line| line.starts_with(region) && line.contains("reach")).context("no line of the region")?;
                ensure!(line.contains(state), "{shown}");
                Ok(())
            };
            reached(world, "us", "reached")?;

            world.lose(&US, &EU)?;
            reached(world, "us", "out of reach")?;
            reached(world, "eu", "reached")?;
            for node in EU {
                let (api, other) = (world.api(node, &acme)?, world.api(node, &uncle)?);
                // What is at home here goes on.
                fs::write(here.join(format!("during-{node}")), "x")?;
                ensure!(fs::read(here.join("file"))? == b"before");
                api.post("/v1/workspaces", &json!({ "name": format!("new-{node}") }))?;
                world.account(node, &format!("new-{node}"), "eu")?;
                ensure!(api.get("/v1/workspaces/acme/here")?["usage"]["inodes"].is_u64());
                world.ticket(node, &acme, "acme/here", "later")?;
                let revoked = api.post("/v1/grants/revoke", &json!({ "tenant_slug": "later" }))?;
                ensure!(revoked["grants"].as_array().is_some_and(|grants| grants.len() == 1), "{revoked}");
                // What is not, says so, and does not take long for it.
                let start = now();
                expect_missed(&api, "GET", "/v1/workspaces/acme/there", None, "us")?;
                expect_missed(&api, "GET", "/v1/sessions", None, "us")?;
                expect_missed(&api, "GET", "/v1/usage", None, "us")?;
                expect_missed(&api, "POST", "/v1/workspaces", Some(json!({ "name": "x", "region": "us" })), "us")?;
                expect_missed(&other, "GET", "/v1/whoami", None, "us")?;
                let account = json!({ "handle": "later", "region": "us" });
                expect_missed(&world.admin(node)?, "POST", "/v1/accounts", Some(account), "us")?;
                println!("six answers about a lost region took {:?}", start.elapsed());
                ensure!(start.elapsed() < Duration::from_secs(6), "nobody is waited for who is not there");
                let listed = api.list("/v1/workspaces")?;
                let without: Vec<_> =
                    listed.iter().filter(|workspace| workspace["usage"].is_null()).map(|workspace| &workspace["name"]).collect();
                ensure!(without == ["there"], "{listed:?}");
            }
            // Its account is out of reach, so nobody knows whether the right still stands.
            let asked = now();
            let path = away.join("file");
            let reading = std::thread::spawn(move || fs::read(path).map(|read| (read, asked.elapsed())));
            sleep(Duration::from_secs(3));
            ensure!(!reading.is_finished(), "read while nobody could say that it was allowed");

            world.bring_back(&US)?;
            let (read, waited) = reading.join().map_err(|_| anyhow::anyhow!("a panic"))??;
            println!("what could not be vouched for waited {waited:?}");
            ensure!(read == b"before");
            for (mount, key, workspace) in [(here, &acme, "acme/here"), (there, &acme, "acme/there"), (away, &uncle, "uncle/away")] {
                wait_until("it goes on", PATIENCE, || Ok(fs::write(mount.join("after"), "x").is_ok()))?;
                ensure!(fs::read(mount.join("file"))? == b"before");
                mount.unmount()?;
                let report = world.api(3, key)?.post(&format!("/v1/workspaces/{workspace}/fsck"), &json!({ "data": true }))?;
                ensure!(report["clean"] == true, "{report:#}");
            }
            ensure!(world.api(0, &uncle)?.list("/v1/workspaces")?.len() == 2);
            world.account(0, "later", "us")?;
            Ok(())
        })
    })
}

/// The region that keeps the handles is lost: the other one goes on, and makes no accounts meanwhile.
#[test]
fn without_the_first_region_others_go_on_and_make_no_accounts() -> Result<()> {
    mounted("regions-first", LIMIT, |scratch| {
        World::run(scratch, |world| {
            let uncle = world.account(3, "uncle", "us")?;
            world.api(2, &uncle)?.post("/v1/workspaces", &json!({ "name": "mine" }))?;
            let mount = Mount::new(scratch, "mine", &Credential::Ticket(world.ticket(2, &uncle, "uncle/mine", "t")?))?;
            fs::write(mount.join("file"), "x")?;
            world.lose(&EU, &US)?;
            for node in US {
                fs::write(mount.join(format!("during-{node}")), "x")?;
                ensure!(world.api(node, &uncle)?.list("/v1/sessions")?.len() == 1);
                expect_missed(&world.admin(node)?, "POST", "/v1/accounts", Some(json!({ "handle": "new" })), "eu")?;
                expect_missed(&world.api(node, "tbo_of_nobody")?, "GET", "/v1/whoami", None, "eu")?;
            }
            world.bring_back(&EU)?;
            world.account(2, "new", "us")?;
            mount.unmount()
        })
    })
}
