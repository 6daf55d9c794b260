//! The one place that reads clocks and waits for them.
//!
//! Rights and leases are measured on CLOCK_BOOTTIME, which goes on while the machine sleeps; only timestamps that
//! programs see come from the wall clock. What decides takes a [`Clock`], so a test may bring its own.

use std::fmt::Debug;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use artifacts_core::Timestamp;
use artifacts_core::namespace::Nanos;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};

/// Where the agent's time comes from.
pub(crate) trait Clock: Send + Sync + Debug + 'static {
    /// Milliseconds of a clock that never steps and goes on in suspend.
    fn boot_ms(&self) -> u64;
    /// Nanoseconds since the Unix epoch. May step.
    fn wall_ns(&self) -> Nanos;
    /// Nanoseconds of a clock that never steps: for how long something took.
    fn steady_ns(&self) -> u64;
}

/// A shared clock.
pub(crate) type SharedClock = Arc<dyn Clock>;

/// The machine's clocks.
#[derive(Debug, Default)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn boot_ms(&self) -> u64 {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
    }

    fn wall_ns(&self) -> Nanos {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        now.tv_sec * 1_000_000_000 + now.tv_nsec
    }

    fn steady_ns(&self) -> u64 {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    }
}

/// The wall clock's time, for people.
pub(crate) fn timestamp(clock: &dyn Clock) -> Timestamp {
    Timestamp::from_unix_ms(u64::try_from(clock.wall_ns() / 1_000_000).unwrap_or_default())
}

/// Waits on the runtime of the caller.
#[allow(clippy::disallowed_methods, reason = "this is the wrapper")]
pub(crate) async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// Blocks the thread until an instant of CLOCK_BOOTTIME, which also passes while the machine sleeps.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: OwnedFd,
}

impl Alarm {
    /// A new alarm.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub(crate) fn new() -> std::io::Result<Self> {
        let timer = rustix::time::timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC)?;
        Ok(Self { timer })
    }

    /// Returns at `at_ms`, at once if that has passed.
    ///
    /// # Errors
    /// None that a valid timer gives.
    pub(crate) fn wait_until(&self, at_ms: u64) -> std::io::Result<()> {
        // An all-zero value would disarm the timer.
        let at_ms = at_ms.max(1);
        let value = Timespec { tv_sec: (at_ms / 1000) as i64, tv_nsec: (at_ms % 1000 * 1_000_000) as _ };
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::time::timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &Itimerspec { it_interval: never, it_value: value })?;
        let mut count = [0; 8];
        loop {
            match rustix::io::read(&self.timer, &mut count) {
                Err(rustix::io::Errno::INTR) => {}
                other => return other.map(drop).map_err(Into::into),
            }
        }
    }
}

/// A clock that a test moves by hand.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct ManualClock(std::sync::atomic::AtomicU64);

#[cfg(test)]
impl ManualClock {
    pub(crate) fn set(&self, ms: u64) {
        self.0.store(ms, std::sync::atomic::Ordering::SeqCst);
    }
}

#[cfg(test)]
impl Clock for ManualClock {
    fn boot_ms(&self) -> u64 {
        self.0.load(std::sync::atomic::Ordering::SeqCst)
    }

    fn wall_ns(&self) -> Nanos {
        self.boot_ms() as Nanos * 1_000_000
    }

    fn steady_ns(&self) -> u64 {
        self.boot_ms() * 1_000_000
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_alarm_rings_no_earlier_than_it_was_set_to() {
        let (clock, alarm) = (SystemClock, Alarm::new().unwrap());
        let at_ms = clock.boot_ms() + 20;
        alarm.wait_until(at_ms).unwrap();
        assert!(clock.boot_ms() >= at_ms);
        alarm.wait_until(0).unwrap();
    }
}
