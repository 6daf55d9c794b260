use std::sync::atomic::{AtomicU64, Ordering};

use artifacts_core::namespace::Errno;

use super::system_call::Family;
use crate::control::CallStatus;

/// The bounds of the histogram of system calls, in nanoseconds.
const BOUNDS_NS: [u64; 12] = [
    50_000,
    100_000,
    500_000,
    1_000_000,
    5_000_000,
    10_000_000,
    50_000_000,
    100_000_000,
    500_000_000,
    1_000_000_000,
    5_000_000_000,
    30_000_000_000,
];

/// How the system calls of one mount went, since it began.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    families: [Answered; Family::ALL.len()],
}

/// Those of one family.
#[derive(Debug, Default)]
struct Answered {
    ok: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    took_ns: AtomicU64,
    moved_bytes: AtomicU64,
    /// How many took no longer than each bound, and longer than the one before.
    by_bound: [AtomicU64; BOUNDS_NS.len()],
}

impl Calls {
    /// A call was answered.
    pub(super) fn answered(&self, family: Family, errno: Option<Errno>, took_ns: u64, moved_bytes: u64) {
        let of = &self.families[family as usize];
        let add = |counter: &AtomicU64, count: u64| {
            counter.fetch_add(count, Ordering::Relaxed);
        };
        let result = match errno {
            None => &of.ok,
            // What the mount itself answers when it cannot do what it should.
            Some(Errno::EIO) => &of.failed,
            Some(_) => &of.refused,
        };
        add(result, 1);
        add(&of.took_ns, took_ns);
        if moved_bytes > 0 {
            add(&of.moved_bytes, moved_bytes);
        }
        if let Some(counter) = of.by_bound.get(BOUNDS_NS.partition_point(|&bound| bound < took_ns)) {
            add(counter, 1);
        }
    }

    /// The numbers, by family.
    pub(crate) fn status(&self) -> Vec<CallStatus> {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let of = |family: &Family| {
            let of = &self.families[*family as usize];
            let mut so_far = 0;
            let within = BOUNDS_NS.iter().zip(&of.by_bound).map(|(bound_ns, counter)| {
                so_far += load(counter);
                (*bound_ns as f64 / 1e9, so_far)
            });
            CallStatus {
                family: family.name().to_owned(),
                within: within.collect(),
                ok: load(&of.ok),
                refused: load(&of.refused),
                failed: load(&of.failed),
                took_seconds: load(&of.took_ns) as f64 / 1e9,
                bytes: load(&of.moved_bytes),
            }
        };
        Family::ALL.iter().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn calls_are_counted_by_family_and_result_and_by_how_long_they_took() {
        let calls = Calls::default();
        calls.answered(Family::Read, None, 50_000, 4096);
        calls.answered(Family::Read, None, 50_001, 100);
        calls.answered(Family::Read, Some(Errno::ENOENT), 2_000_000, 0);
        calls.answered(Family::Read, Some(Errno::EIO), u64::MAX / 2, 0);
        let status = calls.status();
        assert_eq!(status.len(), Family::ALL.len());
        let read = status.iter().find(|of| of.family == "read").unwrap();
        assert_eq!((read.ok, read.refused, read.failed, read.bytes), (2, 1, 1, 4196));
        let within = |seconds: f64| read.within.iter().find(|(bound, _)| *bound == seconds).unwrap().1;
        assert_eq!((within(0.000_05), within(0.000_1), within(0.001), within(0.005), within(30.0)), (1, 2, 2, 3, 3));
        assert!(status.iter().filter(|of| of.family != "read").all(|of| of.ok == 0));
    }
}
