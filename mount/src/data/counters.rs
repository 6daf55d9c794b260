use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds.
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Where it stands.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What became of the blocks that were asked for, since the mount began.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Found in memory, or already on their way.
    pub(crate) hits: Counter,
    /// Found on disk.
    pub(crate) disk_hits: Counter,
    /// Fetched while a program waited.
    pub(crate) misses: Counter,
    /// Bytes fetched before anybody asked for them.
    pub(crate) prefetched_bytes: Counter,
}
