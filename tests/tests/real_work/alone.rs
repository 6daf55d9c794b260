//! The lease of a lone mount: it decides by itself, and hands over without anybody noticing.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use anyhow::{Result, ensure};
use artifacts_tests::time::{Duration, sleep, wait_until};
use artifacts_tests::{Lab, mounted};
use rustix::process::Signal;
use serde_json::json;

use crate::faults::thaw_who_lost;

/// Long enough that a holder which is alive is never fenced on a busy machine, short enough to wait for.
const LEASE_MS: u64 = 6_000;
const HANG_GUARD: Duration = Duration::from_secs(10 * 60);

#[test]
fn what_a_lone_mount_decided_is_there_for_whoever_comes() -> Result<()> {
    mounted("handover", HANG_GUARD, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("shared")?;
        let one = lab.mount("one", &workspace)?;
        for round in 0..5 {
            let dir = one.join(format!("round-{round}"));
            fs::create_dir(&dir)?;
            for file in 0..200 {
                fs::write(dir.join(format!("f{file}")), format!("{round} {file} {}", "x".repeat(file * 11)))?;
            }
            let open = File::options().read(true).write(true).create(true).truncate(false).open(dir.join("open"))?;
            open.write_all_at(b"before", 0)?;
            let large = vec![round as u8 + 1; 3 << 20];
            fs::write(dir.join("large"), &large)?;
            ensure!(fs::metadata(dir.join("open"))?.len() == 6);
            // Removed while open: it must outlive the hand-over.
            let unlinked = File::options().read(true).write(true).create(true).truncate(true).open(dir.join("unlinked"))?;
            unlinked.write_all_at(b"still here", 0)?;
            fs::remove_file(dir.join("unlinked"))?;

            let other = lab.mount(&format!("other-{round}"), &workspace)?;
            let theirs = other.join(format!("round-{round}"));
            ensure!(fs::read_dir(&theirs)?.count() == 202, "the listing is not complete");
            for file in (0..200).step_by(17) {
                let text = fs::read_to_string(theirs.join(format!("f{file}")))?;
                ensure!(text == format!("{round} {file} {}", "x".repeat(file * 11)), "f{file} holds something else");
            }
            ensure!(fs::read(theirs.join("large"))? == large);
            // What the first mount's kernel believed is not believed any more.
            fs::remove_file(theirs.join("f3"))?;
            fs::write(theirs.join("f4"), "other")?;
            OpenOptions::new().write(true).open(theirs.join("open"))?.write_all_at(b"BEHIND", 3)?;
            ensure!(
                matches!(fs::metadata(dir.join("f3")), Err(error) if error.kind() == ErrorKind::NotFound),
                "a removed name is still believed"
            );
            ensure!(fs::metadata(dir.join("f4"))?.len() == 5 && fs::read(dir.join("f4"))? == b"other", "old content is still believed");
            ensure!(open.metadata()?.len() == 9, "old attributes of an open file are still believed");
            let mut bytes = [0; 9];
            open.read_exact_at(&mut bytes, 0)?;
            ensure!(&bytes == b"befBEHIND");
            let mut bytes = [0; 10];
            unlinked.read_exact_at(&mut bytes, 0)?;
            ensure!(&bytes == b"still here" && unlinked.metadata()?.nlink() == 0);
            other.unmount()?;
        }
        one.unmount()
    })
}

#[test]
fn a_frozen_holder_whose_lease_was_given_away_stays_failed_and_changes_nothing() -> Result<()> {
    mounted("frozen-holder", HANG_GUARD, |scratch| {
        let lab = Lab::start(scratch, &json!({ "session_lease_ms": LEASE_MS }))?;
        let workspace = lab.workspace("shared")?;
        let one = lab.mount("one", &workspace)?;
        fs::write(one.join("file"), "first")?;
        File::open(one.join("file"))?.sync_all()?;
        // Decided by the mount, and most likely not sent before it is frozen. No descriptor stays open: a program that
        // another test starts would inherit it and hang when it closes it.
        fs::write(one.join("file"), "late")?;
        one.agent().signal(Signal::STOP)?;

        let other = lab.mount("other", &workspace)?;
        let before = fs::read(other.join("file"))?;
        ensure!(before == b"first" || before == b"late" || before.is_empty(), "neither of what was written: {before:?}");
        fs::write(other.join("file"), "second")?;

        thaw_who_lost(one, other)
    })
}

#[test]
fn a_frozen_holder_that_nobody_waited_for_goes_on() -> Result<()> {
    mounted("thawed-holder", HANG_GUARD, |scratch| {
        let lab = Lab::start(scratch, &json!({ "session_lease_ms": LEASE_MS }))?;
        let workspace = lab.workspace("shared")?;
        let one = lab.mount("one", &workspace)?;
        fs::write(one.join("file"), "decided here")?;
        one.agent().signal(Signal::STOP)?;
        sleep(Duration::from_millis(LEASE_MS + 2_000));
        one.agent().signal(Signal::CONT)?;
        wait_until("the mount comes back with what it had not sent", Duration::from_secs(60), || {
            Ok(fs::read(one.join("file")).is_ok_and(|bytes| bytes == b"decided here"))
        })?;
        fs::write(one.join("more"), "and on")?;
        let other = lab.mount("other", &workspace)?;
        ensure!(fs::read(other.join("file"))? == b"decided here" && fs::read(other.join("more"))? == b"and on");
        other.unmount()?;
        one.unmount()
    })
}
