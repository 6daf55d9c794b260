use std::time::{Duration, Instant};

use super::access::Locks;
use super::wish::ttl_ms;
use crate::api::{ApiError, HeldLock};
use crate::time;
use crate::ttl::Ttl;

/// How long to wait before a renewal that did not get through is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(500);
/// A command gets this long to end by itself at the most.
const LONGEST_GRACE: Duration = Duration::from_secs(5);

/// Renews a lock for as long as somebody needs it.
///
/// The lock's time is counted from when its acquisition or renewal was sent, so here it never ends later than at the node.
pub(super) struct Keeper<'a> {
    pub(super) locks: &'a Locks,
    pub(super) lock: &'a str,
    pub(super) lock_id: &'a str,
    pub(super) ttl: Ttl,
    /// When its acquisition or renewal was sent.
    pub(super) renewed: Instant,
}

/// Why a lock is lost.
#[derive(Debug)]
pub(super) enum LockLost {
    /// The node says so.
    Told(ApiError),
    /// No renewal got through in time, and the lock is about to run out.
    Silence(Option<ApiError>),
}

impl std::fmt::Display for LockLost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Told(error) => error.fmt(f),
            Self::Silence(Some(error)) => write!(f, "it could not be renewed in time: {error}"),
            Self::Silence(None) => f.write_str("it could not be renewed in time"),
        }
    }
}

impl Keeper<'_> {
    /// How long before the lock's end it counts as lost, so that whoever relies on it is gone by then.
    pub(super) fn grace(&self) -> Duration {
        (self.whole() / 4).min(LONGEST_GRACE)
    }

    fn whole(&self) -> Duration {
        Duration::from_secs(self.ttl.seconds())
    }

    /// Renews a lock that was waited for, once: nobody knows how much of its time is over.
    ///
    /// # Errors
    /// The API's.
    pub(super) async fn begin(&mut self) -> Result<(), ApiError> {
        let sent = time::now();
        if self.renewed.elapsed() > self.whole() / 10 {
            self.renew().await?;
            self.renewed = sent;
        }
        Ok(())
    }

    async fn renew(&self) -> Result<HeldLock, ApiError> {
        self.locks.client.renew_lock(&self.locks.workspace, self.lock, self.lock_id, ttl_ms(self.ttl)).await
    }

    /// Returns when the lock is lost, or about to be.
    pub(super) async fn keep(&mut self) -> LockLost {
        let mut last = None;
        loop {
            let lost_at = self.renewed + self.whole() - self.grace();
            let next = if last.is_none() { self.renewed + self.whole() / 3 } else { time::now() + TRY_AGAIN };
            if !wait_until(next, lost_at).await {
                return LockLost::Silence(last);
            }
            let sent = time::now();
            match tokio::time::timeout(lost_at.saturating_duration_since(sent), self.renew()).await {
                Ok(Ok(_)) => {
                    self.renewed = sent;
                    last = None;
                }
                Ok(Err(error)) if is_final(&error) => return LockLost::Told(error),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the lock was not renewed");
                    last = Some(error);
                }
                Err(_) => return LockLost::Silence(last),
            }
        }
    }
}

/// Waits until `next`. False if `end` comes first.
async fn wait_until(next: Instant, end: Instant) -> bool {
    time::sleep(next.min(end).saturating_duration_since(time::now())).await;
    next < end
}

/// Whether asking again would bring the same.
fn is_final(error: &ApiError) -> bool {
    matches!(error, ApiError::Answer { status: 400..=428, .. })
}
