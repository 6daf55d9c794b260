//! One process that serves all mounts of a machine.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, wait_until};
use artifacts_tests::{Credential, HostAgent, Lab, Lan, Mount, NodeOptions, Scratch, artifacts_binary, mounted};
use rustix::process::Signal;
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(3 * 60);
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn the_mounts_of_a_machine_share_one_process_and_nothing_else() -> Result<()> {
    mounted("host-agent", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let mut agent = HostAgent::start(scratch)?;
        let socket = scratch.join("run/agent.sock");
        ensure!(fs::metadata(&socket)?.permissions().mode() & 0o777 == 0o600, "others may connect");
        let workspaces = [lab.workspace("one")?, lab.workspace("two")?];
        let (one, two) = (lab.mount("one", &workspaces[0])?, lab.mount("two", &workspaces[1])?);
        let again = lab.mount("again", &workspaces[0])?;
        for mount in [&one, &two, &again] {
            ensure!(agent.serves(mount)?, "{} has a process of its own", mount.path().display());
        }
        fs::write(one.join("file"), "of one")?;
        fs::write(two.join("file"), "of two")?;
        ensure!(fs::read_to_string(again.join("file"))? == "of one" && fs::read_to_string(two.join("file"))? == "of two");

        // What is decided on one touches no other.
        lab.api.post("/v1/grants/revoke", &json!({ "tenant_slug": "two" }))?;
        let denied = fs::read_to_string(two.join("file")).expect_err("revoked");
        ensure!(denied.raw_os_error() == Some(libc_eacces()), "{denied}");
        ensure!(fs::read_to_string(one.join("file")).context("after a revocation of another")? == "of one");
        again.unmount().context("again")?;
        ensure!(agent.process().is_alive() && fs::read_to_string(one.join("file")).context("after an unmount")? == "of one");

        // A refusal leaves nothing behind, and says why.
        let refused = Mount::attempt(scratch, one.path(), &Credential::Ticket(lab.ticket("one", "r", &workspaces[0], "rw")?))?;
        ensure!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("already mounted"));
        let dir = scratch.join("mnt/deleted");
        fs::create_dir(&dir)?;
        let ticket = lab.ticket("one", "r", &workspaces[1], "rw")?;
        lab.api.delete("/v1/workspaces/acme/two")?;
        let refused = Mount::attempt(scratch, &dir, &Credential::Ticket(ticket))?;
        ensure!(!refused.status.success(), "a ticket for a workspace that is gone");

        // Its end is a clean unmount of all that it serves, with what nobody has saved yet.
        fs::write(one.join("late"), "not saved by anybody")?;
        agent.process().signal(Signal::TERM)?;
        let status = agent.wait()?;
        ensure!(status.success(), "it ended with {status}");
        ensure!(!one.is_mounted() && !socket.exists(), "something is left");
        one.abandon();
        two.abandon();
        let alone = lab.mount("alone", &workspaces[0])?;
        ensure!(alone.agent().pid() != agent.process().pid() && fs::read_to_string(alone.join("late"))? == "not saved by anybody");
        alone.unmount()
    })
}

#[test]
fn mounts_of_a_host_agent_that_died_fail_and_are_recovered() -> Result<()> {
    mounted("host-agent-dies", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({ "session_lease_ms": 3000 }))?;
        let mut agent = HostAgent::start(scratch)?;
        let workspace = lab.workspace("shared")?;
        let mount = lab.mount("one", &workspace)?;
        fs::write(mount.join("file"), "saved")?;
        fs::File::open(mount.join("file"))?.sync_all()?;
        agent.process().signal(Signal::KILL)?;
        agent.wait()?;
        ensure!(fs::read(mount.join("file")).is_err(), "a dead agent answers");
        mount.abandon();

        // The next agent takes the place of the dead one, whose socket is still there.
        let next = HostAgent::start(scratch)?;
        let ticket = lab.ticket("other", "r", &workspace, "rw")?;
        let recovered = Mount::new(scratch, "one", &Credential::Ticket(ticket))?;
        ensure!(next.serves(&recovered)? && fs::read_to_string(recovered.join("file"))? == "saved");
        recovered.unmount()
    })
}

#[test]
fn a_second_host_agent_is_refused_and_a_mount_may_go_without() -> Result<()> {
    mounted("host-agent-twice", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let agent = HostAgent::start(scratch)?;
        let mut second = Command::new(artifacts_binary()?);
        let second = scratch.mark(&mut second).arg("agent").stdin(Stdio::null()).output()?;
        let told = String::from_utf8_lossy(&second.stderr).into_owned();
        ensure!(second.status.code() == Some(1) && told.contains(&agent.process().pid().to_string()), "{}: {told}", second.status);
        let ticket = Credential::Ticket(lab.ticket("one", "r", &lab.workspace("shared")?, "rw")?);
        let mount = Mount::with_options(scratch, "one", &ticket, &["--no-agent"])?;
        ensure!(!agent.serves(&mount)?);
        mount.unmount()
    })
}

/// A container that can reach the socket sees another network than the agent, or other file systems.
#[test]
fn whoever_lives_in_another_network_serves_its_mounts_itself() -> Result<()> {
    mounted("host-agent-elsewhere", LIMIT, |scratch: &Arc<Scratch>| {
        let Some(lan) = Lan::new()? else { return Ok(()) };
        let (control, sandbox) = (lan.host("node")?, lan.host("box")?);
        let lab = Lab::start_with(scratch, NodeOptions { config: json!({}), host: Some(control), ..NodeOptions::default() })?;
        let agent = HostAgent::start(scratch)?;
        let ticket = Credential::Ticket(lab.ticket("one", "r", &lab.workspace("shared")?, "rw")?);
        let mount = Mount::new_in(&sandbox, scratch, "one", &ticket)?;
        ensure!(!agent.serves(&mount)?, "it was handed over");
        fs::write(mount.join("file"), "from the box")?;
        wait_until("its status", PATIENCE, || Ok(mount.status()?["health"] == "ok"))?;
        mount.unmount()
    })
}

const fn libc_eacces() -> i32 {
    rustix::io::Errno::ACCESS.raw_os_error()
}
