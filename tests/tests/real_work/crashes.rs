//! Nodes and agents that are killed in the middle of work.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, sleep};
use artifacts_tests::{Credential, Lab, Mount, mounted};
use serde_json::json;

use crate::faults::kill_node_under;

const KILLS: usize = 5;

/// Writers go on through five kills of the node: every call succeeds in the end, every record is there once, and
/// in its place.
#[test]
fn a_killed_node_loses_and_repeats_nothing_of_a_live_mount() -> Result<()> {
    mounted("node-kills", Duration::from_secs(10 * 60), |scratch| {
        let mut lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("busy")?;
        let mount = lab.mount("writer", &workspace)?;
        let (stop, written) = (AtomicBool::new(false), [const { AtomicUsize::new(0) }; 3]);
        std::thread::scope(|scope| -> Result<()> {
            let threads: Vec<_> = written
                .iter()
                .enumerate()
                .map(|(writer, count)| {
                    let (path, stop) = (mount.join(format!("log-{writer}")), &stop);
                    scope.spawn(move || write_until(&path, writer == 0, stop, count))
                })
                .collect();
            kill_node_under(&mut lab, threads, (&written, &stop), (KILLS, 20))
        })?;
        let counts: Vec<usize> = written.into_iter().map(AtomicUsize::into_inner).collect();
        expect_logs(mount.path(), &counts)?;
        mount.unmount()?;
        let mount = lab.mount("reader", &workspace)?;
        expect_logs(mount.path(), &counts)?;
        mount.unmount()
    })
}

/// Without fsync a crash of the agent keeps a prefix of its operations; what was fsynced is in it.
#[test]
fn a_killed_agent_keeps_a_prefix_with_all_that_was_fsynced() -> Result<()> {
    mounted("agent-kill", Duration::from_secs(5 * 60), |scratch| {
        let lab = Lab::start(scratch, &json!({ "session_lease_ms": 3000 }))?;
        let workspace = lab.workspace("crash")?;
        let mount = lab.mount("victim", &workspace)?;
        for number in 0..100 {
            fs::write(mount.join(format!("{number:03}")), format!("content {number}"))?;
            if number == 59 {
                File::open(mount.join("059"))?.sync_all()?;
            }
        }
        mount.agent_gone()?;
        let ticket = lab.ticket("victim", "runtime-2", &workspace, "rw")?;
        let again = Mount::new(scratch, "victim", &Credential::Ticket(ticket))?;
        mount.abandon();
        let mut names: Vec<PathBuf> = fs::read_dir(again.path())?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        names.sort();
        ensure!(names.len() >= 60, "only {} files are left though 60 were fsynced", names.len());
        for (number, name) in names.iter().enumerate() {
            ensure!(name.ends_with(format!("{number:03}")), "{} is there and an earlier one is not", name.display());
            let content = fs::read_to_string(name)?;
            // Making the last file and writing it are two operations.
            let cut = number + 1 == names.len() && content.is_empty();
            ensure!(cut || content == format!("content {number}"), "{}: {content:?}", name.display());
        }
        again.unmount()
    })
}

/// Appends numbered records until told to stop; `count` says how many calls have returned.
fn write_until(path: &Path, fsync: bool, stop: &AtomicBool, count: &AtomicUsize) -> Result<()> {
    let mut log = OpenOptions::new().append(true).create(true).open(path)?;
    while !stop.load(Ordering::Acquire) {
        let number = count.load(Ordering::Acquire);
        log.write_all(format!("record {number}\n").as_bytes()).with_context(|| format!("record {number}"))?;
        if fsync {
            log.sync_all().with_context(|| format!("fsync of record {number}"))?;
        }
        count.store(number + 1, Ordering::Release);
        // It is the kills that count, not how long the logs get.
        sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn expect_logs(dir: &Path, counts: &[usize]) -> Result<()> {
    for (writer, &count) in counts.iter().enumerate() {
        let text = fs::read_to_string(dir.join(format!("log-{writer}")))?;
        let differs = text.lines().zip(0..).find(|(line, number)| *line != format!("record {number}"));
        ensure!(differs.is_none(), "log-{writer}: {differs:?}");
        ensure!(text.lines().count() == count, "log-{writer}: {} records of {count}", text.lines().count());
    }
    Ok(())
}
