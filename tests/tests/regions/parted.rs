use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, now, sleep, wait_until};
use artifacts_tests::{Api, Credential, Host, Lan, Mount, NodeOptions, NodeProcess, S3Server, Scratch, mounted};
use serde_json::{Value, json};

use crate::fixture::{LIMIT, PATIENCE};
use crate::loss::expect_missed;

const GOSSIP: u16 = 7701;

/// One region: a node on a machine of its own.
struct Land {
    node: NodeProcess,
    _place: Arc<Scratch>,
}

fn land(scratch: &Scratch, name: &str, hosts: &[(&str, &Host)], server: &S3Server) -> Result<Land> {
    let key_file = scratch.join("ring-keys");
    fs::write(&key_file, base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [7; 32]))?;
    let host = hosts.iter().find(|(host, _)| *host == name).context("a host")?.1;
    let gossip = |host: &Host| format!("{}:{GOSSIP}", host.address());
    let config = json!({
        "store": "slate", "blobs": server.bucket()?, "region": name, "cluster": { "shards": 2 }, "session_lease_ms": 60_000,
        "ring": {
            "name": "test", "node": name, "listen": gossip(host), "key_file": key_file,
            "seeds": hosts.iter().map(|(_, host)| gossip(host)).collect::<Vec<_>>(),
            "regions": hosts.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        },
    });
    let place = Arc::new(Scratch::new(&format!("parted-{name}"), LIMIT)?);
    let options = NodeOptions { config, host: Some(host.clone()), ..NodeOptions::default() };
    let node = NodeProcess::start_with(&place, options).inspect_err(|_| place.show_logs())?;
    Ok(Land { node, _place: place })
}

/// The connection between two regions is lost, and both go on: each with what lives there. A mount of an account that lives beyond
/// the cut does nothing from when its right may have been revoked, and has ended when the cut does.
#[test]
fn two_regions_that_do_not_hear_each_other_go_on_and_nothing_revoked_does() -> Result<()> {
    mounted("regions-parted", LIMIT, |scratch| {
        let Some(lan) = Lan::new()? else { return Ok(()) };
        let (eu_host, us_host, s3_host) = (lan.host("eu")?, lan.host("us")?, lan.host("s3")?);
        let Some(server) = S3Server::start_in(&s3_host)? else { return Ok(()) };
        let hosts = [("eu", &eu_host), ("us", &us_host)];
        let (eu, us) = (land(scratch, "eu", &hosts, &server)?, land(scratch, "us", &hosts, &server)?);
        let admin = eu.node.admin_token()?;
        let (in_eu, in_us) = (Api::new(&eu.node.url())?, Api::new(&us.node.url())?);
        let reached = |api: &Api, live: usize| -> Result<()> {
            wait_until(&format!("{live} regions are heard"), PATIENCE, || {
                let Ok(status) = api.with_token(&admin).get("/v1/cluster") else { return Ok(false) };
                let regions = status["regions"].as_array().context("regions")?;
                Ok(regions.iter().filter(|region| region["live"] != 0).count() == live)
            })
        };
        reached(&in_eu, 2)?;
        reached(&in_us, 2)?;
        let account = |api: &Api, handle: &str| -> Result<String> {
            let made = api.with_token(&admin).post("/v1/accounts", &json!({ "handle": handle }))?;
            Ok(made["api_key"]["key"].as_str().context("key")?.to_owned())
        };
        let (acme, uncle) = (account(&in_eu, "acme")?, account(&in_us, "uncle")?);
        in_eu.with_token(&acme).post("/v1/workspaces", &json!({ "name": "there", "region": "us" }))?;
        in_us.with_token(&uncle).post("/v1/workspaces", &json!({ "name": "mine" }))?;
        let mount = |api: &Api, key: &str, workspace: &str| -> Result<Mount> {
            let body = json!({ "workspace": workspace, "mode": "rw", "ttl_seconds": 600 });
            let ticket: Value = api.with_token(key).post("/v1/tenants/t/runtimes/r/mount-tickets", &body)?["mount_ticket"].clone();
            let mount = Mount::new_in(&us_host, scratch, &workspace.replace('/', "-"), &Credential::Ticket(ticket))?;
            fs::write(mount.join("file"), "x")?;
            Ok(mount)
        };
        let (there, mine) = (mount(&in_eu, &acme, "acme/there")?, mount(&in_us, &uncle, "uncle/mine")?);

        lan.cut(&eu_host, &us_host)?;
        let start = now();
        let report = in_eu.with_token(&acme).post("/v1/grants/revoke", &json!({ "tenant_slug": "t" }))?;
        let answered = start.elapsed();
        // "Within one second of the revoke call's return": what is read from here on, does not succeed, though read before.
        sleep(Duration::from_secs(1));
        let (file, asked) = (there.join("file"), now());
        let reading = std::thread::spawn(move || -> (std::io::Result<Vec<u8>>, PathBuf, Duration) {
            let read = fs::read(&file);
            (read, file, asked.elapsed())
        });
        println!("revoked across a cut: answered after {answered:?}, {}", report["sessions"]);
        reached(&in_eu, 1)?;
        reached(&in_us, 1)?;
        ensure!(!reading.is_finished(), "read although its right was revoked");
        fs::write(mine.join("during"), "x")?;
        ensure!(in_us.with_token(&uncle).list("/v1/sessions")?.len() == 1);
        expect_missed(&in_us.with_token(&admin), "POST", "/v1/accounts", Some(json!({ "handle": "new" })), "eu")?;
        expect_missed(&in_us.with_token(&acme), "GET", "/v1/whoami", None, "eu")?;
        expect_missed(&in_eu.with_token(&uncle), "GET", "/v1/whoami", None, "us")?;
        account(&in_eu, "new")?;

        lan.restore(&eu_host, &us_host)?;
        reached(&in_eu, 2)?;
        reached(&in_us, 2)?;
        let (read, file, waited) = reading.join().map_err(|_| anyhow::anyhow!("a panic"))?;
        println!("what was revoked failed {waited:?} after the call");
        ensure!(read.as_ref().is_err_and(|error| error.kind() == ErrorKind::PermissionDenied), "{read:?}");
        ensure!(fs::read(file).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied));
        there.tear_down()?;
        ensure!(in_eu.with_token(&uncle).get("/v1/workspaces/uncle/mine")?["usage"]["inodes"] == 3);
        mine.unmount()
    })
}
