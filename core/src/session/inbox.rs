use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::namespace::{Errno, Outcome};

/// What to do with an op that has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Apply it: it is the next one.
    Apply,
    /// It has been applied or refused; answer this again. `None`: it took effect before a restart of the node,
    /// and what it answered in detail is not known any more.
    Duplicate(Option<Result<Outcome, Errno>>),
    /// Ops before it are missing: the sender breaks the protocol.
    Gap,
}

/// Makes each op of one session happen once.
///
/// The part that must outlive the node, [`Progress`], is written in the same atomic batch as the ops' changes; so
/// after a crash the record of what has happened and what has happened agree.
#[derive(Debug, Clone, Default)]
pub struct Inbox {
    applied: u64,
    acked: u64,
    results: BTreeMap<u64, Result<Outcome, Errno>>,
}

/// The durable part of an [`Inbox`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The last op that was applied or refused.
    pub applied: u64,
    /// Those refused of which the mount may not know yet.
    pub refused: Vec<(u64, Errno)>,
}

impl Inbox {
    /// Goes on where a record left off.
    pub fn resume(progress: Progress) -> Self {
        let results = progress.refused.into_iter().map(|(seq, errno)| (seq, Err(errno))).collect();
        Self { applied: progress.applied, acked: 0, results }
    }

    /// The last op that was applied or refused.
    pub const fn applied(&self) -> u64 {
        self.applied
    }

    /// Judges the op numbered `seq`.
    pub fn admit(&self, seq: u64) -> Admission {
        if seq == self.applied + 1 {
            Admission::Apply
        } else if seq <= self.applied {
            Admission::Duplicate(self.results.get(&seq).cloned())
        } else {
            Admission::Gap
        }
    }

    /// Notes what became of the op that [`Inbox::admit`] let through.
    pub fn record(&mut self, seq: u64, result: Result<Outcome, Errno>) {
        self.applied = seq;
        self.results.insert(seq, result);
    }

    /// The mount has the results up to `seq`.
    pub fn acknowledge(&mut self, seq: u64) {
        // Nobody has results of ops that have not happened.
        let seq = seq.min(self.applied);
        if seq > self.acked {
            self.acked = seq;
            self.results = self.results.split_off(&(seq + 1));
        }
    }

    /// What must be written with the changes.
    pub fn progress(&self) -> Progress {
        let refused = |(&seq, result): (&u64, &Result<Outcome, Errno>)| Some((seq, *result.as_ref().err()?));
        Progress { applied: self.applied, refused: self.results.iter().filter_map(refused).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_op_happens_once_however_often_it_comes() {
        let mut inbox = Inbox::default();
        assert_eq!(inbox.admit(1), Admission::Apply);
        assert_eq!(inbox.admit(2), Admission::Gap);
        inbox.record(1, Ok(Outcome::default()));
        inbox.record(2, Err(Errno::EEXIST));
        assert_eq!(inbox.admit(1), Admission::Duplicate(Some(Ok(Outcome::default()))));
        assert_eq!(inbox.admit(2), Admission::Duplicate(Some(Err(Errno::EEXIST))));
        assert_eq!(inbox.admit(3), Admission::Apply);
        inbox.acknowledge(1);
        assert_eq!(inbox.admit(1), Admission::Duplicate(None));
        assert_eq!(inbox.admit(2), Admission::Duplicate(Some(Err(Errno::EEXIST))));
    }

    #[test]
    fn a_restarted_node_knows_what_happened_and_what_was_refused() {
        let mut inbox = Inbox::default();
        inbox.record(1, Ok(Outcome::default()));
        inbox.record(2, Err(Errno::ENOENT));
        let inbox = Inbox::resume(inbox.progress());
        assert_eq!(inbox.admit(1), Admission::Duplicate(None));
        assert_eq!(inbox.admit(2), Admission::Duplicate(Some(Err(Errno::ENOENT))));
        assert_eq!(inbox.admit(3), Admission::Apply);
    }

    #[test]
    fn an_acknowledgement_of_what_has_not_happened_counts_up_to_what_has() {
        let mut inbox = Inbox::default();
        inbox.record(1, Err(Errno::EIO));
        inbox.acknowledge(u64::MAX);
        inbox.record(2, Err(Errno::ENOENT));
        assert_eq!(inbox.progress().refused, [(2, Errno::ENOENT)]);
    }

    #[test]
    fn acknowledged_results_are_forgotten() {
        let mut inbox = Inbox::default();
        for seq in 1..=1_000 {
            inbox.record(seq, Err(Errno::EIO));
            inbox.acknowledge(seq - 1);
        }
        assert_eq!(inbox.progress().refused, [(1_000, Errno::EIO)]);
    }
}
