use std::fmt::Display;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How long a disk that failed is left alone.
const REST_MS: u64 = 60_000;

/// Keeps the cache away from a disk that has just failed it, and the log from hearing of it more than once.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    off_until_ms: AtomicU64,
    told: AtomicBool,
}

impl Breaker {
    /// Whether the disk may be tried.
    pub(super) fn is_on(&self, now_ms: u64) -> bool {
        now_ms >= self.off_until_ms.load(Ordering::Relaxed)
    }

    /// The disk has failed.
    pub(super) fn trip(&self, now_ms: u64, what: &str, error: impl Display) {
        self.off_until_ms.store(now_ms + REST_MS, Ordering::Relaxed);
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "the cache on disk {what}: it is left alone and tried again every minute");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lets_the_disk_rest_for_a_while() {
        let breaker = Breaker::default();
        assert!(breaker.is_on(0));
        breaker.trip(100, "fails", "no reason");
        assert!(!breaker.is_on(100 + REST_MS - 1));
        assert!(breaker.is_on(100 + REST_MS));
    }
}
