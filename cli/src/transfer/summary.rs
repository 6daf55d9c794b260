use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use serde::Serialize;

/// So many failures are listed one by one.
const LISTED_MAX: usize = 100;

/// What a transfer has done so far, counted by several threads.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) files: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) unchanged: AtomicU64,
    pub(super) directories: AtomicU64,
    pub(super) links: AtomicU64,
    pub(super) others: AtomicU64,
    pub(super) left_out: AtomicU64,
    failed: AtomicU64,
    listed: Mutex<Vec<FailedFile>>,
}

/// A file that could not be copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FailedFile {
    /// Relative to the source.
    pub(crate) path: String,
    /// Why.
    pub(crate) reason: String,
}

/// What a transfer has done.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Summary {
    /// Regular files that were copied.
    pub(crate) files: u64,
    /// What was copied of them.
    pub(crate) bytes: u64,
    /// What was there already.
    pub(crate) unchanged: u64,
    /// Directories, made or found.
    pub(crate) directories: u64,
    /// Further names of files that have several.
    pub(crate) hard_links: u64,
    /// Symbolic links, named pipes, sockets and devices.
    pub(crate) others: u64,
    /// Devices, which only root may make.
    pub(crate) left_out: u64,
    /// What could not be copied.
    pub(crate) failed: u64,
    /// The first of those.
    pub(crate) failures: Vec<FailedFile>,
    /// Whether it was ended before it was done.
    pub(crate) interrupted: bool,
    /// Whether nothing was written.
    pub(crate) dry_run: bool,
    /// How long it took.
    pub(crate) duration_ms: u64,
}

impl Tally {
    /// Counts a failure.
    pub(super) fn fail(&self, path: &Path, reason: String) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        let mut listed = self.listed.lock();
        if listed.len() < LISTED_MAX {
            let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
            listed.push(FailedFile { path: path.display().to_string(), reason });
        }
    }

    /// What it has come to.
    pub(super) fn sum(&self) -> Summary {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Summary {
            files: count(&self.files),
            bytes: count(&self.bytes),
            unchanged: count(&self.unchanged),
            directories: count(&self.directories),
            hard_links: count(&self.links),
            others: count(&self.others),
            left_out: count(&self.left_out),
            failed: count(&self.failed),
            failures: self.listed.lock().clone(),
            ..Summary::default()
        }
    }
}

/// Counts one more.
pub(super) fn one(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_all_counted_and_the_first_are_listed() {
        let tally = Tally::default();
        for _ in 0..150 {
            tally.fail(Path::new(""), "no".to_owned());
        }
        let sum = tally.sum();
        assert_eq!((sum.failed, sum.failures.len(), sum.failures[0].path.as_str()), (150, LISTED_MAX, "."));
    }
}
