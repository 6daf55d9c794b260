use std::fs;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{Credential, Lab, Mount, mounted};
use rustix::io::Errno;
use serde_json::json;

use super::isolation::fsck;

const HANG_GUARD: Duration = Duration::from_secs(5 * 60);

#[test]
fn a_snapshot_is_what_was_there_and_is_only_read() -> Result<()> {
    mounted("snapshots", HANG_GUARD, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let (api, address) = (&lab.api, lab.workspace("project")?);
        let snapshots = format!("/v1/workspaces/{address}/snapshots");
        let mount = lab.mount("live", &address)?;
        for number in 0..5 {
            fs::write(mount.join("state"), format!("state {number}"))?;
            // What the call on the mount had returned before is in it, fsynced or not.
            api.post(&snapshots, &json!({ "name": format!("s{number}") }))?;
        }
        fs::write(mount.join("state"), "later")?;
        api.send("POST", &snapshots, Some(&json!({ "name": "s1" })))?.expect_error(409, "snapshot_exists")?;
        let listed = api.list(&snapshots)?;
        ensure!(listed.len() == 5 && listed[3]["address"] == "acme/project@s3", "{listed:?}");
        ensure!(api.list("/v1/workspaces")?.len() == 1, "a snapshot is no workspace of its own");

        let credential = Credential::Key { url: lab.node.url(), key: api.token().to_owned(), workspace: format!("{address}@s3") };
        let old = Mount::new(scratch, "old", &credential)?;
        ensure!(fs::read_to_string(old.join("state"))? == "state 3", "not what was there");
        let refused = fs::write(old.join("state"), "x").err().and_then(|error| error.raw_os_error());
        ensure!(refused == Some(Errno::ROFS.raw_os_error()), "{refused:?}");
        let body = json!({ "workspace": format!("{address}@s1"), "mode": "rw", "ttl_seconds": 60 });
        api.send("POST", "/v1/tenants/t/runtimes/r/mount-tickets", Some(&body))?.expect_error(422, "invalid_request")?;
        let ticket = lab.ticket("t", "r", &format!("{address}@s1"), "ro")?;
        let older = Mount::new(scratch, "older", &Credential::Ticket(ticket))?;
        ensure!(fs::read_to_string(older.join("state"))? == "state 1", "not what was there");

        let id = listed[2]["id"].as_str().context("no id")?;
        let fork = api.post(&format!("/v1/workspaces/{address}/fork"), &json!({ "name": "from-s2", "snapshot": id }))?;
        ensure!(fork["forked_from"] == "acme/project@s2", "{fork}");
        let fork = lab.mount("fork", "acme/from-s2")?;
        ensure!(fs::read_to_string(fork.join("state"))? == "state 2", "not what was there");
        fs::write(fork.join("state"), "goes on")?;

        let deleted = api.delete(&format!("{snapshots}/s3"))?;
        ensure!(deleted["sessions"]["fenced"] == 1, "{deleted}");
        ensure!(fs::read_to_string(old.join("state")).is_err(), "a deleted snapshot is still read");
        api.delete(&format!("/v1/workspaces/{address}"))?;
        ensure!(fs::read_to_string(older.join("state")).is_err(), "a workspace takes its snapshots with it");
        ensure!(fs::read_to_string(fork.join("state"))? == "goes on", "a fork of a snapshot stays");
        fsck(api, "acme/from-s2").map(drop)
    })
}
