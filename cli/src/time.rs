//! The one place of this crate that reads a clock or waits.

use std::time::{Duration, Instant, SystemTime};

use artifacts_core::Timestamp;

/// The monotonic clock.
#[allow(clippy::disallowed_methods, reason = "the one wrapper")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The wall clock.
#[allow(clippy::disallowed_methods, reason = "the one wrapper")]
pub(crate) fn wall_clock() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_ms(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

/// Waits without holding a thread.
#[allow(clippy::disallowed_methods, reason = "the one wrapper")]
pub(crate) async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Waits on this thread.
#[allow(clippy::disallowed_methods, reason = "the one wrapper")]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
