//! flock(2) between mounts.

use std::fs::File;

use anyhow::{Context as _, Result};
use artifacts_tests::time::{Duration, now};
use artifacts_tests::{Mount, Table};
use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};

use crate::spread::Spread;

/// The share of grants that each of eight is to get, in percent.
const SHARE: (f64, f64) = (8.0, 18.0);

/// Whether a lock that is held on one mount is held for the other.
pub(crate) fn hold_between(one: &Mount, other: &Mount) -> Result<bool> {
    let held = File::create(one.join("lock"))?;
    let wanted = File::open(other.join("lock"))?;
    flock(&held, FlockOperation::LockExclusive)?;
    match flock(&wanted, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error).context("flock"),
    }
}

/// From the call that lets a lock go to the return of the one that waited for it on the other mount.
pub(crate) fn hand_off(mounts: &[Mount], rounds: usize) -> Result<Value> {
    let spread = Spread::of("flock hand-off", artifacts_tests::hand_off([&mounts[0], &mounts[1]], rounds)?);
    println!("\nhand-off of a lock from mount to mount, milliseconds ({})", Spread::wanted());
    let mut table = Table::new(&["", "p50", "p99", "max", ""]);
    table.row(spread.row());
    table.print();
    Ok(spread.to_json())
}

/// All mounts want one lock, all the time: how many grants each gets.
pub(crate) fn fairness(mounts: &[Mount], time: Duration) -> Result<Value> {
    File::create(mounts[0].join("lock"))?;
    let start = now();
    let contend = |mount: &Mount| -> Result<u64> {
        let lock = File::open(mount.join("lock"))?;
        let mut grants = 0;
        while start.elapsed() < time {
            flock(&lock, FlockOperation::LockExclusive)?;
            grants += 1;
            flock(&lock, FlockOperation::Unlock)?;
        }
        Ok(grants)
    };
    let grants = std::thread::scope(|scope| -> Result<Vec<u64>> {
        let threads: Vec<_> = mounts.iter().map(|mount| scope.spawn(|| contend(mount))).collect();
        threads.into_iter().map(|thread| thread.join().ok().context("a contender panicked")?).collect()
    })?;
    let all: u64 = grants.iter().sum();
    let shares: Vec<f64> = grants.iter().map(|&grants| grants as f64 * 100.0 / all.max(1) as f64).collect();
    let (least, most) = SHARE;
    println!(
        "\n{} mounts contend for one lock for {:.0} s: {all} grants, {:.0} a second ({least} to {most} % each)",
        mounts.len(),
        time.as_secs_f64(),
        all as f64 / time.as_secs_f64()
    );
    let mut table = Table::new(&["mount", "grants", "%", ""]);
    for (number, (grants, share)) in grants.iter().zip(&shares).enumerate() {
        let mark = if (least..=most).contains(share) { "" } else { "(short)" };
        table.row(vec![number.to_string(), grants.to_string(), format!("{share:.1}"), mark.to_owned()]);
    }
    table.print();
    Ok(json!({ "seconds": time.as_secs_f64(), "grants": grants, "percent": shares }))
}
