use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result};
use rustix::fs::{FlockOperation, flock};

use crate::Mount;
use crate::time::{Duration, monotonic_ns, sleep};

/// How long a lock is held before it is handed on, so that the other surely waits.
const HELD: Duration = Duration::from_millis(3);

/// Two mounts of one workspace take turns with the flock on a file `lock`, so often together. Answers the times from the call that
/// lets it go to the return of the one that waited for it on the other mount, in milliseconds.
///
/// # Errors
/// Those of the calls.
pub fn hand_off(mounts: [&Mount; 2], rounds: usize) -> Result<Vec<f64>> {
    File::create(mounts[0].join("lock"))?;
    let let_go_ns = AtomicU64::new(0);
    let turn = |mount: &Mount| -> Result<Vec<f64>> {
        let lock = File::open(mount.join("lock"))?;
        let mut took = Vec::new();
        for _ in 0..rounds / 2 {
            flock(&lock, FlockOperation::LockExclusive)?;
            let (got_ns, let_go) = (monotonic_ns(), let_go_ns.load(Ordering::SeqCst));
            if let_go > 0 {
                took.push(got_ns.saturating_sub(let_go) as f64 / 1e6);
            }
            sleep(HELD);
            let_go_ns.store(monotonic_ns(), Ordering::SeqCst);
            flock(&lock, FlockOperation::Unlock)?;
        }
        // Whoever is left alone waits for nobody.
        let_go_ns.store(0, Ordering::SeqCst);
        Ok(took)
    };
    std::thread::scope(|scope| {
        let holders: Vec<_> = mounts.iter().map(|mount| scope.spawn(|| turn(mount))).collect();
        let took = holders.into_iter().map(|holder| holder.join().ok().context("a holder panicked")?);
        Ok(took.collect::<Result<Vec<_>>>()?.concat())
    })
}
