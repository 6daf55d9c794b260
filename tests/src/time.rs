//! The one place where the tests read a clock or sleep.

use std::time::{Instant, SystemTime};

pub use std::time::Duration;

use anyhow::{Result, bail};

/// A point in time to measure from.
#[allow(clippy::disallowed_methods, reason = "this is the module that wraps it")]
pub fn now() -> Instant {
    Instant::now()
}

/// The time of day.
#[allow(clippy::disallowed_methods, reason = "this is the module that wraps it")]
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// Milliseconds since the Unix epoch.
pub fn unix_ms() -> u64 {
    wall().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Nanoseconds of CLOCK_MONOTONIC: comparable between all threads and processes of the machine.
pub fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Does nothing for a while.
#[allow(clippy::disallowed_methods, reason = "this is the module that wraps it")]
pub fn sleep(pause: Duration) {
    std::thread::sleep(pause);
}

/// Asks again every few milliseconds until `done` says yes.
///
/// # Errors
/// Those of `done`, and one that names `what` when `limit` has passed.
pub fn wait_until(what: &str, limit: Duration, mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = now();
    while !done()? {
        if start.elapsed() > limit {
            bail!("waited {limit:?} in vain: {what}");
        }
        sleep(Duration::from_millis(5));
    }
    Ok(())
}
