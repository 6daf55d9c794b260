//! A mount that hears nothing: it stalls, then fails, and comes back with all it had.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, ensure};
use artifacts_core::session::PROOF_MS;
use artifacts_tests::time::{Duration, monotonic_ns, sleep};
use artifacts_tests::{Hammer, Lab, mounted};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(5 * 60);
/// What a call that was let through just in time may take until it returns.
const SLACK: Duration = Duration::from_millis(800);
const FREEZE: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(30);

/// "A mount cut off from the network stalls within one second of the last proof that its grant still stands,
/// resumes when the proof comes back."
#[test]
fn a_silent_node_stalls_the_mount_and_nothing_is_lost() -> Result<()> {
    mounted("stall", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("shared")?;
        let mount = lab.mount("alice", &workspace)?;
        let hammer = Hammer::start(&mount.join("hammer"))?;
        let (stop, log) = (AtomicBool::new(false), mount.join("log"));
        let records = std::thread::scope(|scope| -> Result<usize> {
            let writer = scope.spawn(|| -> Result<usize> {
                let mut log = OpenOptions::new().append(true).create(true).open(&log)?;
                let mut number = 0;
                while !stop.load(Ordering::Acquire) {
                    log.write_all(format!("record {number}\n").as_bytes())?;
                    number += 1;
                }
                Ok(number)
            });
            let stalled = stall_once(&lab, &hammer);
            stop.store(true, Ordering::Release);
            let records = writer.join().ok().context("the writer panicked")??;
            stalled.map(|()| records)
        })?;
        let traces = hammer.stop()?;
        ensure!(traces.iter().all(|trace| trace.errno == 0), "a stalled call failed: {traces:?}");
        mount.unmount()?;
        let mount = lab.mount("bob", &workspace)?;
        let text = fs::read_to_string(mount.join("log"))?;
        ensure!(text.lines().eq((0..records).map(|number| format!("record {number}"))), "records are lost");
        mount.unmount()
    })
}

fn stall_once(lab: &Lab, hammer: &Hammer) -> Result<()> {
    hammer.wait_all_succeed(PATIENCE)?;
    let frozen_ns = monotonic_ns();
    lab.node.freeze()?;
    sleep(FREEZE);
    let (traces, thawed) = (hammer.traces(), lab.node.thaw());
    let latest_ns = frozen_ns + PROOF_MS * 1_000_000 + SLACK.as_nanos() as u64;
    let late: Vec<_> = traces.iter().filter(|trace| trace.last_success_ended_ns > latest_ns).collect();
    thawed?;
    ensure!(late.is_empty(), "calls succeeded without a proof of standing (node frozen at {frozen_ns} ns): {late:?}");
    hammer.wait_all_succeed(PATIENCE).context("after the node came back")
}

/// "… and answers EIO once its session lease has run out. If nobody was given what it held meanwhile, it comes
/// back by itself with its unsaved data."
#[test]
fn beyond_the_lease_calls_fail_and_the_mount_comes_back_by_itself() -> Result<()> {
    mounted("lease-over", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({ "session_lease_ms": 3000 }))?;
        let workspace = lab.workspace("shared")?;
        let mount = lab.mount("alice", &workspace)?;
        let hammer = Hammer::start(&mount.join("hammer"))?;
        let contents: Vec<String> = (0..50).map(|number| format!("unsaved {number} {}", "u".repeat(number * 200))).collect();
        for (number, content) in contents.iter().enumerate() {
            fs::write(mount.join(format!("unsaved-{number}")), content)?;
        }
        lab.node.freeze()?;
        let failed = hammer.wait_all_failed(PATIENCE);
        let traces = hammer.traces();
        lab.node.thaw()?;
        failed.context("with the node silent for longer than the lease")?;
        ensure!(traces.iter().all(|trace| trace.errno == libc::EIO && trace.other_errno == 0), "another error than EIO: {traces:?}");

        hammer.wait_all_succeed(PATIENCE).context("after the node came back")?;
        hammer.stop()?;
        let other = lab.mount("bob", &workspace)?;
        for at in [&mount, &other] {
            for (number, content) in contents.iter().enumerate() {
                let read = fs::read_to_string(at.join(format!("unsaved-{number}")))?;
                ensure!(read == *content, "unsaved-{number} under {} came back as {} bytes", at.path().display(), read.len());
            }
        }
        fs::write(mount.join("afterwards"), "writable")?;
        ensure!(fs::read_to_string(other.join("afterwards"))? == "writable");
        other.unmount()?;
        mount.unmount()
    })
}
