//! Many who want one lock: nothing is lost, nobody is refused, and everybody gets a fair part.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, now};
use artifacts_tests::{Mount, Scratch};

use crate::crowd;
use crate::locker::Locker;

const TAKE_FLOCK: &str = "lambda fd: flock(fd, LOCK_EX)";
const GIVE_FLOCK: &str = "lambda fd: flock(fd, LOCK_UN)";
const TAKE_FCNTL: &str = "lambda fd: lock(fd, F_WRLCK, wait=True)";
const GIVE_FCNTL: &str = "lambda fd: lock(fd, F_UNLCK)";
/// How often each of four mounts increments the counter.
const TIMES: usize = 1000;

#[test]
fn four_mounts_count_under_flock() -> Result<()> {
    count("count-flock", TAKE_FLOCK, GIVE_FLOCK)
}

/// Also: no EDEADLK under mere contention.
#[test]
fn four_mounts_count_under_fcntl() -> Result<()> {
    count("count-fcntl", TAKE_FCNTL, GIVE_FCNTL)
}

fn count(name: &str, take: &str, give: &str) -> Result<()> {
    crowd(name, 4, |scratch, mounts| {
        fs::write(mounts[0].join("counter"), "0")?;
        let start = now();
        everywhere(scratch, mounts, &format!("count('counter', {TIMES}, {take}, {give})"), |mount, said| {
            ensure!(said == "None", "in {}: {said}", mount.display());
            Ok(())
        })?;
        let (expected, took) = (mounts.len() * TIMES, start.elapsed());
        println!("{name}: {expected} increments in {took:?}, {:?} each", took / u32::try_from(expected)?);
        for mount in mounts {
            let counted = fs::read_to_string(mount.join("counter"))?;
            ensure!(counted == expected.to_string(), "{counted} instead of {expected} in {}", mount.path().display());
        }
        Ok(())
    })
}

/// Eight mounts contend for one lock: each gets between 8 and 18 % of the grants. `ARTIFACTS_SUITES=full` does it for 30
/// seconds instead of 6.
#[test]
fn eight_mounts_get_a_fair_part_of_a_lock_each() -> Result<()> {
    let seconds = if std::env::var_os("ARTIFACTS_SUITES").is_some_and(|value| value == "full") { 30 } else { 6 };
    for (name, take, give) in [("fair-flock", TAKE_FLOCK, GIVE_FLOCK), ("fair-fcntl", TAKE_FCNTL, GIVE_FCNTL)] {
        crowd(name, 8, |scratch, mounts| {
            fs::write(mounts[0].join("contended"), "")?;
            let mut grants = Vec::new();
            everywhere(scratch, mounts, &format!("hold('contended', {take}, {give}, {seconds})"), |mount, said| {
                grants.push(said.parse::<u64>().with_context(|| format!("in {}: {said}", mount.display()))?);
                Ok(())
            })?;
            let sum: u64 = grants.iter().sum();
            let parts: Vec<f64> = grants.iter().map(|&part| part as f64 * 100.0 / sum as f64).collect();
            println!("{name}: {sum} grants in {seconds} s, parts in %: {parts:.1?}");
            ensure!(sum > 100, "only {sum} grants");
            ensure!(parts.iter().all(|part| (8.0..=18.0).contains(part)), "the parts are not fair: {parts:.1?} %");
            Ok(())
        })?;
    }
    Ok(())
}

/// Has a process in each mount do the same thing at the same time.
fn everywhere(scratch: &Scratch, mounts: &[Mount], what: &str, mut take: impl FnMut(&Path, &str) -> Result<()>) -> Result<()> {
    let mut lockers = mounts.iter().map(|mount| Locker::start(scratch, mount.path())).collect::<Result<Vec<_>>>()?;
    // All are there before the first begins.
    lockers.iter_mut().try_for_each(|locker| locker.expect("None", "None"))?;
    lockers.iter_mut().try_for_each(|locker| locker.tell(what))?;
    for (mount, locker) in mounts.iter().zip(&mut lockers) {
        let said = locker.answer_within(Duration::from_secs(5 * 60)).with_context(|| mount.path().display().to_string())?;
        take(mount.path(), &said)?;
    }
    Ok(())
}
