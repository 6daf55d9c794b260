//! One ticket, one live session: when it may be used again.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, wait_until};
use artifacts_tests::{Credential, EXIT_CONFLICT, Lab, Mount, mounted};
use rustix::process::Signal;
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(3 * 60);
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_ticket_in_use_mounts_again_only_after_a_clean_unmount() -> Result<()> {
    mounted("ticket-in-use", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("shared")?;
        let credential = Credential::Ticket(lab.ticket("alice", "runtime-1", &workspace, "rw")?);
        let first = Mount::new(scratch, "first", &credential)?;
        fs::write(first.join("file"), "from the first")?;

        let dir = scratch.join("mnt/second");
        fs::create_dir(&dir)?;
        for _ in 0..3 {
            let refused = Mount::attempt(scratch, &dir, &credential)?;
            let told = String::from_utf8_lossy(&refused.stderr).into_owned();
            ensure!(refused.status.code() == Some(EXIT_CONFLICT), "a second mount ended with {}: {told}", refused.status);
            ensure!(told.contains("ticket_in_use") || told.contains("in use"), "a second mount says {told}");
            ensure!(fs::read_dir(&dir)?.next().is_none(), "the refused mount left something");
        }
        fs::write(first.join("file"), "the first goes on")?;
        first.unmount()?;
        let second = Mount::new(scratch, "second", &credential).context("after a clean unmount")?;
        ensure!(fs::read_to_string(second.join("file"))? == "the first goes on");
        second.unmount()
    })
}

#[test]
fn a_ticket_mounts_again_once_the_lease_of_a_dead_agent_is_over() -> Result<()> {
    mounted("ticket-lapsed", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({ "session_lease_ms": 3000 }))?;
        let workspace = lab.workspace("shared")?;
        let credential = Credential::Ticket(lab.ticket("alice", "runtime-1", &workspace, "rw")?);
        let first = Mount::new(scratch, "first", &credential)?;
        fs::write(first.join("file"), "from the first")?;
        fs::File::open(first.join("file"))?.sync_all()?;
        first.agent_gone()?;
        let second = mount_when_lapsed(scratch, &credential)?;
        ensure!(fs::read_to_string(second.join("file"))? == "from the first");
        first.tear_down()?;
        second.unmount()
    })
}

/// "If somebody was [given what it held], the session is fenced and stays failed": the agent is frozen, its ticket
/// is mounted elsewhere, and when it thaws nothing of it gets through.
#[test]
fn a_thawed_agent_whose_place_was_taken_stays_failed() -> Result<()> {
    mounted("thawed", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({ "session_lease_ms": 3000 }))?;
        let workspace = lab.workspace("shared")?;
        let credential = Credential::Ticket(lab.ticket("alice", "runtime-1", &workspace, "rw")?);
        let first = Mount::new(scratch, "first", &credential)?;
        fs::write(first.join("file"), "old")?;
        first.agent().signal(Signal::STOP)?;
        let path = first.join("file");
        let stale = std::thread::spawn(move || fs::write(path, "written by the one whose place was taken"));
        let second = mount_when_lapsed(scratch, &credential);
        first.agent().signal(Signal::CONT)?;
        let second = second?;
        fs::write(second.join("file"), "new")?;
        let result = stale.join().ok().context("the writer panicked")?;
        ensure!(result.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EIO)), "the stale write ended with {result:?}");
        for _ in 0..20 {
            let error = fs::metadata(first.join("file")).err().and_then(|error| error.raw_os_error());
            ensure!(error == Some(libc::EIO), "a call on the fenced mount ended with {error:?} instead of EIO");
            artifacts_tests::time::sleep(Duration::from_millis(50));
        }
        ensure!(fs::read_to_string(second.join("file"))? == "new", "a write of the fenced mount got through");
        first.tear_down()?;
        second.unmount()
    })
}

fn mount_when_lapsed(scratch: &std::sync::Arc<artifacts_tests::Scratch>, credential: &Credential) -> Result<Mount> {
    let dir = scratch.join("mnt/second");
    fs::create_dir(&dir)?;
    let mut told = String::new();
    wait_until("the ticket can be used again", PATIENCE, || {
        // Each attempt that succeeds is a mount; the last one is taken over below.
        let output = Mount::attempt(scratch, &dir, credential)?;
        told = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success() || output.status.code() == Some(EXIT_CONFLICT), "{}: {told}", output.status);
        Ok(output.status.success())
    })
    .with_context(|| told.clone())?;
    Mount::adopt(scratch, "second")
}
