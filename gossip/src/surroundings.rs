//! What gossip needs of the process that it runs in, so that this crate reads no clock and draws no numbers.

use std::sync::Arc;
use std::time::Duration;

/// Milliseconds of a clock that never steps and goes on in suspend.
pub type Monotonic = Arc<dyn Fn() -> u64 + Send + Sync>;
/// Fills bytes with numbers that nobody can predict.
pub type Random = Arc<dyn Fn(&mut [u8]) + Send + Sync>;
/// Counts what became of a datagram.
pub type Count = fn(&'static str);

/// Waits on the runtime of the caller.
#[allow(clippy::disallowed_methods, reason = "this is the wrapper")]
pub(crate) async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}
