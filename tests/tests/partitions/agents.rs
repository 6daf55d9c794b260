//! An agent that does not reach the owner of its workspace, and an owner that cannot be told of a revocation.

use std::fs::{self, File};

use anyhow::{Result, ensure};
use artifacts_tests::time::{Duration, monotonic_ns, now, sleep, wait_until};
use artifacts_tests::{Credential, Mount, mounted};
use rustix::io::Errno;
use serde_json::json;

use crate::fixture::{Cluster, LIMIT, PATIENCE};
use crate::load::{Writer, expect_saved};
use crate::probe::Probe;

/// Shorter than the lease of a session, and longer than a proof counts.
const STALL: Duration = Duration::from_secs(5);
/// Longer than the lease of a session.
const LAPSE: Duration = Duration::from_secs(14);
const SECOND_NS: u64 = 1_000_000_000;
/// What a call that was let through just in time may take until it returns.
const SLACK_NS: u64 = 800_000_000;

/// "A mount cut off from the network stalls …, resumes when the proof comes back, and answers EIO once its session lease has run
/// out." Other nodes that it does reach are no help: they send it to the owner.
#[test]
fn an_agent_that_does_not_reach_the_owner_stalls_and_comes_back() -> Result<()> {
    mounted("agent", LIMIT, |scratch| {
        Cluster::run_apart(scratch, 3, |cluster| {
            let net = cluster.net()?;
            let near = net.lan.host("near")?;
            let home = cluster.home(1, 2)?;
            let mount = Mount::new_in(&near, scratch, "m", &Credential::Ticket(cluster.ticket(0, &home, "t")?))?;
            let (writer, path) = (Writer::start(mount.path().to_owned()), mount.join("probed"));
            fs::write(&path, [0; 8])?;
            let probe = Probe::start(&File::options().read(true).write(true).open(&path)?, &path)?;
            for (cut, fails) in [(STALL, false), (LAPSE, true)] {
                sleep(Duration::from_secs(1));
                let cut_ns = monotonic_ns();
                net.lan.cut(&near, &net.nodes[2])?;
                sleep(cut);
                let (last_ns, failed_ns) = (probe.last_success_ns(), probe.last_failure_ns());
                net.lan.restore(&near, &net.nodes[2])?;
                let start = now();
                wait_until("the mount goes on", PATIENCE, || Ok(probe.last_success_ns() > last_ns))?;
                println!("cut for {cut:?}: stalled after {} ms, back after {:?}", (last_ns - cut_ns) / 1_000_000, start.elapsed());
                ensure!(last_ns < cut_ns + SECOND_NS + SLACK_NS, "it went on for {} ns without its owner", last_ns - cut_ns);
                ensure!((failed_ns > cut_ns) == fails, "cut for {cut:?}: errno {}", probe.errno());
            }
            ensure!(probe.errno() == Errno::IO.raw_os_error(), "it failed with {}", probe.errno());
            let written = writer.stop()?;
            ensure!(!written.saved.is_empty());
            expect_saved(mount.path(), &written)?;
            drop(probe);
            mount.unmount()
        })
    })
}

/// The owner of the account cannot tell the owner of the workspace, and neither is replaced, for the third node hears both. Access
/// ends all the same, within the second, and for good when the two hear each other again.
#[test]
fn a_revocation_that_cannot_be_told_ends_access_in_time() -> Result<()> {
    mounted("untold", LIMIT, |scratch| {
        Cluster::run_apart(scratch, 3, |cluster| {
            let net = cluster.net()?;
            let near = net.lan.host("near")?;
            let home = cluster.home(1, 2)?;
            let mount = Mount::new_in(&near, scratch, "m", &Credential::Ticket(cluster.ticket(0, &home, "t")?))?;
            let path = mount.join("probed");
            fs::write(&path, [0; 8])?;
            let probe = Probe::start(&File::options().read(true).write(true).open(&path)?, &path)?;
            sleep(Duration::from_secs(1));
            net.lan.cut(&net.nodes[1], &net.nodes[2])?;
            let start = now();
            let report = cluster.api(1, &home.key)?.post("/v1/grants/revoke", &json!({ "tenant_slug": "t" }))?;
            let told_ns = monotonic_ns();
            println!("answered after {:?}: {}", start.elapsed(), report["sessions"]);
            ensure!(report["sessions"]["confirmed"] == 0, "the mount could not be told: {report}");
            sleep(Duration::from_secs(3));
            let last_ns = probe.last_success_ns();
            println!("the last call succeeded {} ms after the answer", (last_ns as i64 - told_ns as i64) / 1_000_000);
            ensure!(last_ns < told_ns + SECOND_NS + SLACK_NS, "access went on for {} ns", last_ns - told_ns);
            net.lan.restore(&net.nodes[1], &net.nodes[2])?;
            wait_until("the mount is refused", PATIENCE, || Ok(probe.errno() == Errno::ACCESS.raw_os_error()))?;
            ensure!(probe.last_success_ns() == last_ns, "access came back");
            drop(probe);
            mount.tear_down()
        })
    })
}
