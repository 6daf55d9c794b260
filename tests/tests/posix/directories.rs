//! Large directories, and directories that change while they are looked at.

use std::collections::HashMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{Lab, mounted};
use rustix::fs::{AtFlags, CWD, FileType, Mode, StatxFlags, mknodat, statx};
use serde_json::json;

const ENTRIES: usize = 20_000;
const MAKERS: usize = 4;

fn make(path: &Path) -> Result<()> {
    mknodat(CWD, path, FileType::RegularFile, Mode::RUSR, 0).with_context(|| path.display().to_string())
}

/// POSIX readdir(3): what is there all the while is returned exactly once; what comes and goes may or may not be.
#[test]
fn a_large_directory_is_read_whole_while_entries_come_and_go() -> Result<()> {
    mounted("large-directory", Duration::from_secs(20 * 60), |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("large")?;
        let (mount, other) = (lab.mount("one", &workspace)?, lab.mount("other", &workspace)?);
        let dir = mount.join("dir");
        fs::create_dir(&dir)?;
        std::thread::scope(|scope| {
            let makers: Vec<_> = (0..MAKERS)
                .map(|maker| {
                    let dir = &dir;
                    scope.spawn(move || (maker..ENTRIES).step_by(MAKERS).try_for_each(|index| make(&dir.join(format!("stays-{index:05}")))))
                })
                .collect();
            makers.into_iter().try_for_each(|maker| maker.join().map_err(|_| anyhow::anyhow!("a maker panicked"))?)
        })?;

        let is_done = AtomicBool::new(false);
        let (rounds, listings) = std::thread::scope(|scope| {
            let churn = scope.spawn(|| -> Result<usize> {
                let mut rounds = 0;
                while !is_done.load(Ordering::Relaxed) {
                    // Before, between and behind what stays.
                    for prefix in ["a", "stays-1", "z"] {
                        let (path, renamed) = (dir.join(format!("{prefix}-{rounds}")), dir.join(format!("{prefix}-{rounds}-renamed")));
                        make(&path)?;
                        fs::rename(&path, &renamed)?;
                        fs::remove_file(&renamed)?;
                    }
                    rounds += 1;
                }
                Ok(rounds)
            });
            let listings: Result<Vec<_>> = [&dir, &other.join("dir"), &dir].into_iter().map(|dir| list(dir)).collect();
            is_done.store(true, Ordering::Relaxed);
            (churn.join(), listings)
        });
        let rounds = rounds.map_err(|_| anyhow::anyhow!("the churn panicked"))??;
        ensure!(rounds > 0, "nothing came and went");
        for (index, seen) in listings?.iter().enumerate() {
            let stays: Vec<_> = seen.keys().filter(|name| stays(name)).collect();
            ensure!(stays.len() == ENTRIES, "listing {index}: {} of {ENTRIES} entries that stay", stays.len());
            let twice = seen.iter().find(|(_, times)| **times > 1);
            ensure!(twice.is_none(), "listing {index}: {twice:?}");
        }
        println!("{ENTRIES} entries read three times while {rounds} times three others came and went");
        other.unmount()?;
        mount.unmount()
    })
}

/// Whether a name is one of those that stay: `stays-00000`, but not `stays-1-234`.
fn stays(name: &[u8]) -> bool {
    name.strip_prefix(b"stays-").is_some_and(|number| number.len() == 5 && number.iter().all(u8::is_ascii_digit))
}

/// Each name with how often it was returned.
fn list(dir: &Path) -> Result<HashMap<Vec<u8>, usize>> {
    let mut seen = HashMap::new();
    for entry in fs::read_dir(dir)? {
        *seen.entry(entry?.file_name().as_bytes().to_vec()).or_default() += 1;
    }
    Ok(seen)
}

/// What the kernel believes of a directory, and what it is told when it has to ask: (links, mtime).
fn attributes(dir: &Path, sync: AtFlags) -> Result<(u32, i64, u32)> {
    let found = statx(CWD, dir, sync, StatxFlags::BASIC_STATS)?;
    Ok((found.stx_nlink, found.stx_mtime.tv_sec, found.stx_mtime.tv_nsec))
}

#[test]
fn who_looks_at_a_directory_while_it_changes_makes_nobody_believe_what_was() -> Result<()> {
    mounted("watched-directory", Duration::from_secs(5 * 60), |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("watched")?;
        let mount = lab.mount("one", &workspace)?;
        for round in 0..100 {
            let dir = mount.join(format!("{round}"));
            fs::create_dir(&dir)?;
            let ended = AtomicBool::new(false);
            std::thread::scope(|threads| {
                for _ in 0..4 {
                    threads.spawn(|| {
                        while !ended.load(Ordering::Relaxed) {
                            let _ = fs::metadata(&dir);
                        }
                    });
                }
                let made = (0..6).try_for_each(|number| fs::create_dir(dir.join(number.to_string())));
                ended.store(true, Ordering::Relaxed);
                made
            })?;
            let (believed, found) = (attributes(&dir, AtFlags::empty())?, attributes(&dir, AtFlags::STATX_FORCE_SYNC)?);
            ensure!(believed == found, "round {round}: {believed:?} is believed, and it is {found:?}");
        }
        mount.unmount()
    })
}
