//! Faults of nodes and agents, as several tests make them.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::ScopedJoinHandle;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, sleep, wait_until};
use artifacts_tests::{Lab, Mount};
use rustix::process::Signal;

/// Kills the node so many times, each time once every writer has written more than `records` since, and starts it again. Then
/// the writers are told to stop, and are awaited.
pub(crate) fn kill_node_under(
    lab: &mut Lab,
    threads: Vec<ScopedJoinHandle<'_, Result<()>>>,
    (written, stop): (&[AtomicUsize], &AtomicBool),
    (kills, records): (usize, usize),
) -> Result<()> {
    let killed = (0..kills).try_for_each(|_| {
        let before: Vec<usize> = written.iter().map(|count| count.load(Ordering::Acquire)).collect();
        wait_until("every writer gets on", Duration::from_secs(60), || {
            ensure!(threads.iter().all(|thread| !thread.is_finished()), "a writer gave up");
            Ok(written.iter().zip(&before).all(|(count, before)| count.load(Ordering::Acquire) > before + records))
        })?;
        lab.node.kill()?;
        sleep(Duration::from_millis(300));
        lab.node.start_again()
    });
    stop.store(true, Ordering::Release);
    for thread in threads {
        thread.join().ok().context("a writer panicked")??;
    }
    killed
}

/// Thaws a mount whose `file` was given to another, which has written `second` into it: the thawed one fails, and what it
/// still has to send changes nothing.
pub(crate) fn thaw_who_lost(one: Mount, other: Mount) -> Result<()> {
    one.agent().signal(Signal::CONT)?;
    wait_until("the mount that lost its lease fails with EIO", Duration::from_secs(60), || {
        Ok(fs::metadata(one.join("file")).err().is_some_and(|error| error.raw_os_error() == Some(libc::EIO)))
    })?;
    ensure!(fs::write(one.join("file"), "later").is_err(), "it still writes");
    sleep(Duration::from_millis(500));
    ensure!(fs::read(other.join("file"))? == b"second", "a late write of the thawed mount took effect");
    other.unmount()?;
    let _ = one.try_unmount()?;
    Ok(())
}
