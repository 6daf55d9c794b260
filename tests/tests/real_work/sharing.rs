//! Leases on single inodes: mounts that share a workspace ask the node only about what they change under each other's hands.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, now, sleep};
use artifacts_tests::{Lab, mounted};
use rustix::process::Signal;
use serde_json::json;

use crate::faults::{kill_node_under, thaw_who_lost};

const LEASE_MS: u64 = 6_000;
const HANG_GUARD: Duration = Duration::from_secs(5 * 60);
const FILES: usize = 50;

/// What the node has had to do.
#[derive(Debug, Clone, Copy)]
struct Work {
    questions: u64,
    ops_decided_there: u64,
    ops_decided_by_mounts: u64,
}

impl Work {
    fn of(lab: &Lab) -> Result<Self> {
        let metrics = lab.api.without_token().send("GET", "/metrics", None)?.text;
        let value = |name: &str| -> Result<u64> {
            let Some(line) = metrics.lines().find(|line| line.starts_with(&format!("{name} "))) else { return Ok(0) };
            Ok(line.rsplit(' ').next().unwrap_or_default().parse::<f64>().with_context(|| line.to_owned())? as u64)
        };
        Ok(Self {
            questions: value("artifacts_questions_total")?,
            ops_decided_there: value(r#"artifacts_ops_total{decided_by="node"}"#)?,
            ops_decided_by_mounts: value(r#"artifacts_ops_total{decided_by="mount"}"#)?,
        })
    }
}

fn look(dir: &Path, expected: impl Fn(usize) -> String) -> Result<()> {
    ensure!(fs::read_dir(dir)?.count() == FILES, "the listing is not complete");
    for file in 0..FILES {
        let path = dir.join(format!("f{file}"));
        let text = expected(file);
        ensure!(fs::metadata(&path)?.len() == text.len() as u64 && fs::read_to_string(&path)? == text, "{} is old", path.display());
    }
    Ok(())
}

#[test]
fn what_nobody_changes_is_not_asked_for_twice_and_what_somebody_changes_is_seen() -> Result<()> {
    mounted("shared-reading", HANG_GUARD, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("shared")?;
        let (one, other) = (lab.mount("one", &workspace)?, lab.mount("other", &workspace)?);
        fs::create_dir(one.join("dir"))?;
        for file in 0..FILES {
            fs::write(one.join(format!("dir/f{file}")), format!("content {file}"))?;
        }
        let text = |file: usize| format!("content {file}");
        // The first looks bring leases, and times of access.
        for _ in 0..3 {
            look(&other.join("dir"), text)?;
            sleep(Duration::from_millis(1_200));
        }
        let before = Work::of(&lab)?;
        for _ in 0..20 {
            look(&other.join("dir"), text)?;
        }
        let after = Work::of(&lab)?;
        let asked = after.questions - before.questions + after.ops_decided_there - before.ops_decided_there;
        ensure!(asked < FILES as u64, "{asked} questions for what is known: {before:?} {after:?}");

        for round in 0..10 {
            let changed = format!("changed {round}, {}", "x".repeat(round));
            fs::write(one.join("dir/f7"), &changed)?;
            look(&other.join("dir"), |file| if file == 7 { changed.clone() } else { text(file) }).context("rewritten")?;
            fs::rename(one.join("dir/f8"), one.join("dir/away"))?;
            ensure!(!other.join("dir/f8").exists() && other.join("dir/away").exists(), "an old name is believed");
            fs::rename(other.join("dir/away"), other.join("dir/f8"))?;
            look(&one.join("dir"), |file| if file == 7 { changed.clone() } else { text(file) }).context("renamed")?;
        }
        one.unmount()?;
        other.unmount()
    })
}

#[test]
fn mounts_in_directories_of_their_own_decide_by_themselves() -> Result<()> {
    mounted("shared-writing", HANG_GUARD, |scratch| {
        const MADE: usize = 300;
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("shared")?;
        let mounts = [lab.mount("one", &workspace)?, lab.mount("other", &workspace)?];
        for (index, mount) in mounts.iter().enumerate() {
            fs::create_dir(mount.join(format!("dir-{index}")))?;
        }
        let before = Work::of(&lab)?;
        std::thread::scope(|scope| -> Result<()> {
            let make = |index: usize, dir: std::path::PathBuf| -> Result<()> {
                for file in 0..MADE {
                    fs::write(dir.join(format!("f{file}")), format!("{index} {file}"))?;
                }
                for file in (0..MADE).step_by(3) {
                    fs::rename(dir.join(format!("f{file}")), dir.join(format!("g{file}")))?;
                }
                Ok(())
            };
            let threads: Vec<_> = mounts
                .iter()
                .enumerate()
                .map(|(index, mount)| (index, mount.join(format!("dir-{index}"))))
                .map(|(index, dir)| scope.spawn(move || make(index, dir)))
                .collect();
            threads.into_iter().try_for_each(|thread| thread.join().ok().context("a writer panicked")?)
        })?;
        // What was decided has been sent by then.
        sleep(Duration::from_millis(500));
        let after = Work::of(&lab)?;
        let (there, here) =
            (after.ops_decided_there - before.ops_decided_there, after.ops_decided_by_mounts - before.ops_decided_by_mounts);
        ensure!(there < 40 && here >= 4 * MADE as u64, "{there} ops were decided at the node and {here} by the mounts");
        for (index, mount) in mounts.iter().rev().enumerate() {
            let dir = mount.join(format!("dir-{index}"));
            ensure!(fs::read_dir(&dir)?.count() == MADE);
            for file in 0..MADE {
                let name = if file % 3 == 0 { format!("g{file}") } else { format!("f{file}") };
                ensure!(fs::read_to_string(dir.join(name))? == format!("{index} {file}"), "{file} from the other side");
            }
        }
        mounts.into_iter().try_for_each(artifacts_tests::Mount::unmount)
    })
}

#[test]
fn whoever_reads_while_another_writes_sees_all_that_has_returned() -> Result<()> {
    mounted("shared-log", HANG_GUARD, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("shared")?;
        let (one, other) = (lab.mount("one", &workspace)?, lab.mount("other", &workspace)?);
        let (stop, written) = (AtomicBool::new(false), AtomicUsize::new(0));
        let record = |number: usize| format!("{number:07}\n");
        let mut log = OpenOptions::new().append(true).create(true).open(one.join("log"))?;
        std::thread::scope(|scope| -> Result<()> {
            let (stop, written) = (&stop, &written);
            let writer = scope.spawn(move || -> Result<()> {
                while !stop.load(Ordering::Acquire) {
                    log.write_all(record(written.load(Ordering::Acquire)).as_bytes())?;
                    written.fetch_add(1, Ordering::AcqRel);
                    // Each record is an extent of its own, and all of them are read again and again.
                    sleep(Duration::from_millis(5));
                }
                Ok(())
            });
            let read = |pause_ms: u64| -> Result<()> {
                let before = written.load(Ordering::Acquire);
                let text = fs::read_to_string(other.join("log"))?;
                ensure!(text.len() % 8 == 0, "a torn record");
                ensure!(text.len() / 8 >= before, "{} records are seen of {before} that had returned", text.len() / 8);
                ensure!(text.lines().enumerate().all(|(number, line)| line == format!("{number:07}")), "records out of order");
                sleep(Duration::from_millis(pause_ms));
                Ok(())
            };
            // Rarely, so that leases go to and fro; and then often, so that it is not worth having one.
            let result = (0..12).try_for_each(|_| read(400)).and_then(|()| (0..100).try_for_each(|_| read(3)));
            stop.store(true, Ordering::Release);
            writer.join().ok().context("the writer panicked")??;
            result
        })?;
        ensure!(fs::metadata(other.join("log"))?.len() == 8 * written.load(Ordering::Acquire) as u64);
        one.unmount()?;
        other.unmount()
    })
}

#[test]
fn a_frozen_holder_of_a_file_stays_failed_once_somebody_wanted_it_and_changes_nothing() -> Result<()> {
    mounted("frozen-file", HANG_GUARD, |scratch| {
        let lab = Lab::start(scratch, &json!({ "session_lease_ms": LEASE_MS }))?;
        let workspace = lab.workspace("shared")?;
        let (one, other) = (lab.mount("one", &workspace)?, lab.mount("other", &workspace)?);
        fs::write(other.join("elsewhere"), "mine")?;
        fs::write(one.join("file"), "first")?;
        File::open(one.join("file"))?.sync_all()?;
        fs::write(one.join("file"), "late")?;
        one.agent().signal(Signal::STOP)?;

        fs::write(other.join("elsewhere"), "mine still")?;
        let began = now();
        let before = fs::read(other.join("file"))?;
        ensure!(before == b"first" || before == b"late" || before.is_empty(), "neither of what was written: {before:?}");
        ensure!(began.elapsed() < Duration::from_millis(LEASE_MS + 3_000), "it took {:?}", began.elapsed());
        fs::write(other.join("file"), "second")?;

        thaw_who_lost(one, other)
    })
}

#[test]
fn a_killed_holder_is_waited_for_no_longer_than_its_lease_and_leaves_a_prefix() -> Result<()> {
    mounted("killed-file", HANG_GUARD, |scratch| {
        let lab = Lab::start(scratch, &json!({ "session_lease_ms": LEASE_MS }))?;
        let workspace = lab.workspace("shared")?;
        let (one, other) = (lab.mount("one", &workspace)?, lab.mount("other", &workspace)?);
        ensure!(fs::read_dir(other.path())?.count() == 0);
        fs::create_dir(one.join("dir"))?;
        for number in 0..100 {
            fs::write(one.join(format!("dir/{number:03}")), format!("content {number}"))?;
            if number == 59 {
                File::open(one.join("dir/059"))?.sync_all()?;
            }
        }
        one.agent().signal(Signal::KILL)?;
        let began = now();
        let mut names: Vec<_> = fs::read_dir(other.join("dir"))?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        ensure!(began.elapsed() < Duration::from_millis(LEASE_MS + 3_000), "it took {:?}", began.elapsed());
        names.sort();
        ensure!(names.len() >= 60, "only {} files are left though 60 were fsynced", names.len());
        for (number, name) in names.iter().enumerate() {
            ensure!(name.ends_with(format!("{number:03}")), "{} is there and an earlier one is not", name.display());
            let content = fs::read_to_string(name)?;
            let may_be_cut = number + 1 == names.len() && content.is_empty();
            ensure!(content == format!("content {number}") || may_be_cut, "{} holds {content:?}", name.display());
        }
        other.unmount()?;
        one.abandon();
        Ok(())
    })
}

#[test]
fn a_killed_node_loses_nothing_of_mounts_that_decide_by_themselves() -> Result<()> {
    mounted("shared-node-kills", HANG_GUARD, |scratch| {
        let mut lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("shared")?;
        let mounts = [lab.mount("one", &workspace)?, lab.mount("other", &workspace)?];
        let (stop, written) = (AtomicBool::new(false), [const { AtomicUsize::new(0) }; 2]);
        std::thread::scope(|scope| -> Result<()> {
            let threads: Vec<_> = mounts
                .iter()
                .zip(&written)
                .enumerate()
                .map(|(index, (mount, count))| {
                    let (dir, shared, stop) = (mount.join(format!("dir-{index}")), mount.join("both"), &stop);
                    scope.spawn(move || -> Result<()> {
                        fs::create_dir(&dir)?;
                        let both = OpenOptions::new().write(true).create(true).truncate(false).open(shared)?;
                        while !stop.load(Ordering::Acquire) {
                            let number = count.load(Ordering::Acquire);
                            fs::write(dir.join(format!("f{}", number % 40)), format!("{number}"))?;
                            both.write_all_at(format!("{number:07}").as_bytes(), 7 * index as u64)?;
                            count.store(number + 1, Ordering::Release);
                        }
                        Ok(())
                    })
                })
                .collect();
            kill_node_under(&mut lab, threads, (&written, &stop), (3, 100))
        })?;
        for mount in &mounts {
            for (index, count) in written.iter().enumerate() {
                let count = count.load(Ordering::Acquire);
                for number in count.saturating_sub(40)..count {
                    let text = fs::read_to_string(mount.join(format!("dir-{index}/f{}", number % 40)))?;
                    ensure!(text == format!("{number}"), "f{} of {index} under {} holds {text}", number % 40, mount.path().display());
                }
                let mut last = [0; 7];
                File::open(mount.join("both"))?.read_exact_at(&mut last, 7 * index as u64)?;
                ensure!(last == *format!("{:07}", count - 1).as_bytes(), "the last write of {index} is lost");
            }
        }
        mounts.into_iter().try_for_each(artifacts_tests::Mount::unmount)
    })
}
