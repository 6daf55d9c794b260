//! The one place where the node reads clocks.

use std::sync::Arc;

use artifacts_core::Timestamp;

/// Waits on the runtime of the caller.
#[allow(clippy::disallowed_methods, reason = "this is the wrapper")]
pub(crate) async fn pause(duration: std::time::Duration) {
    tokio::time::sleep(duration).await;
}

/// Where the node's time comes from. Simulations bring their own.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock: for records that people read and for the expiry of credentials. May step.
    fn wall(&self) -> Timestamp;
    /// Milliseconds of a clock that never steps and goes on in suspend: for leases.
    fn monotonic_ms(&self) -> u64;
}

/// A shared clock.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clocks.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the wrapper")]
    fn wall(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_unix_ms(since_epoch.as_millis() as u64)
    }

    #[allow(unsafe_code, reason = "clock_gettime has no safe wrapper in std")]
    fn monotonic_ms(&self) -> u64 {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `now` is a valid place for one timespec. CLOCK_BOOTTIME exists on every supported kernel.
        unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut now) };
        now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
    }
}
