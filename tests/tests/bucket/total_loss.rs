use std::fs::{self, File};
use std::io::Write as _;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, now};
use artifacts_tests::{Credential, Lab, Mount, NodeOptions, Scratch, mounted};
use rustix::process::Signal;
use serde_json::json;

use crate::place::Place;

const LIMIT: Duration = Duration::from_secs(180);
/// Enough that segments are put, and not only small data inside the metadata.
const LARGE_BYTES: usize = 3 << 20;

/// Nobody is served before the lease of the mount that is gone for good is over.
fn mount_after_grace(scratch: &Arc<Scratch>, credential: &Credential) -> Result<Mount> {
    let start = now();
    loop {
        match Mount::new(scratch, &format!("after-{}", start.elapsed().as_millis()), credential) {
            Err(error) if start.elapsed() > Duration::from_secs(40) => return Err(error),
            Err(_) => {}
            Ok(mount) => return Ok(mount),
        }
    }
}

/// "The bucket alone is enough to bring everything back": the node and the mount are killed and the node's disk is gone.
fn everything_comes_back(scratch: &Arc<Scratch>, place: Place) -> Result<()> {
    let Some(config) = place.configuration(scratch)? else { return Ok(()) };
    let mut lab = Lab::start_with(scratch, NodeOptions { config, ..NodeOptions::default() })?;
    let admin = lab.node.admin_token()?;
    let workspace = lab.workspace("task")?;
    lab.api.post("/v1/tenants", &json!({ "slug": "kept", "external_id": "e-1", "metadata": { "plan": "pro" } }))?;
    let unused = lab.ticket("kept", "runtime-9", &workspace, "rw")?;
    let gone = lab.ticket("revoked", "runtime-1", &workspace, "rw")?;
    lab.api.post("/v1/grants/revoke", &json!({ "tenant_slug": "revoked" }))?;
    let snapshot = |lab: &Lab| -> Result<_> {
        let lists = ["/v1/tenants", "/v1/grants", "/v1/workspaces", "/v1/api-keys"].map(|path| lab.api.list(path));
        lists.into_iter().collect::<Result<Vec<_>>>()
    };

    let mount = lab.mount("first", &workspace)?;
    fs::create_dir(mount.join("deep"))?;
    let large: Vec<u8> = (0..LARGE_BYTES).map(|at| (at / 7) as u8).collect();
    for (name, content) in [("small", &b"a few bytes"[..]), ("deep/large", &large)] {
        let mut file = File::create(mount.join(name))?;
        file.write_all(content)?;
        file.sync_all()?;
    }
    for number in 0..100 {
        let file = File::create(mount.join(format!("deep/{number}")))?;
        (&file).write_all(number.to_string().as_bytes())?;
    }
    File::open(mount.join("deep"))?.sync_all()?;
    let before = snapshot(&lab)?;

    let agent = mount.agent();
    lab.node.kill()?;
    agent.signal(Signal::KILL)?;
    mount.tear_down()?;
    fs::remove_dir_all(lab.node.data())?;
    lab.node.start_again().context("on the bucket alone")?;

    ensure!(snapshot(&lab)? == before, "the lists differ:\n{:#?}\n{before:#?}", snapshot(&lab)?);
    let exists = lab.api.with_token(&admin).send("POST", "/v1/accounts", Some(&json!({ "handle": "acme" })))?;
    exists.expect_error(409, "handle_exists")?;
    let mount = mount_after_grace(scratch, &Credential::Ticket(unused))?;
    ensure!(fs::read(mount.join("small"))? == b"a few bytes");
    ensure!(fs::read(mount.join("deep/large"))? == large);
    ensure!(fs::read_dir(mount.join("deep"))?.count() == 101);
    fs::write(mount.join("new"), "written after")?;
    let refused = Mount::attempt(scratch, &scratch.join("mnt/third"), &Credential::Ticket(gone))?;
    ensure!(!refused.status.success(), "a revoked ticket opens something");
    let report = lab.api.post(&format!("/v1/workspaces/{workspace}/fsck"), &json!({ "data": true }))?;
    ensure!(report["findings"].as_array().is_some_and(Vec::is_empty), "{report:#}");
    mount.unmount()
}

#[test]
fn a_bucket_alone_brings_everything_back() -> Result<()> {
    mounted("bucket-loss", LIMIT, |scratch| everything_comes_back(scratch, Place::Bucket))
}

#[test]
fn a_directory_alone_brings_everything_back() -> Result<()> {
    mounted("directory-loss", LIMIT, |scratch| everything_comes_back(scratch, Place::Directory))
}

/// What the mounts still remember comes back too, and in order, when it is the node alone that is lost.
#[test]
fn mounts_resend_what_was_not_durable() -> Result<()> {
    mounted("bucket-resend", LIMIT, |scratch| {
        let Some(mut config) = Place::Directory.configuration(scratch)? else { return Ok(()) };
        // However long a busy machine takes to start a node again.
        config["session_lease_ms"] = json!(60_000);
        let mut lab = Lab::start_with(scratch, NodeOptions { config, ..NodeOptions::default() })?;
        let workspace = lab.workspace("task")?;
        let mount = lab.mount("first", &workspace)?;
        for round in 0..3 {
            for number in 0..200 {
                fs::write(mount.join(format!("{round}-{number}")), format!("{number}"))?;
            }
            lab.node.kill()?;
            fs::remove_dir_all(lab.node.data())?;
            lab.node.start_again()?;
        }
        for round in 0..3 {
            for number in 0..200 {
                let name = format!("{round}-{number}");
                ensure!(fs::read_to_string(mount.join(&name)).context(name.clone())? == number.to_string(), "{name}");
            }
        }
        mount.unmount()
    })
}
