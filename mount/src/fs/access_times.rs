//! Times of last access, by the rules of `relatime` (mount(8)): the first access after a change counts, and one a day.
//!
//! The kernel leaves them to the file system. Reads that its page cache answers are not seen here, which relatime
//! allows for: after a change the pages are gone, so the first read is seen. A new time is an op that nobody waits for;
//! of each inode at most one is under way, and no second one follows within a second while the inode stays as it is,
//! whatever clocks its times are from.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use artifacts_core::namespace::{Attr, Errno, Ino, Mutation, Nanos};
use artifacts_core::protocol::Request;
use parking_lot::Mutex;

use super::call::{Call, Reply, attr_of};
use super::system_call::SystemCall;
use crate::agent::Agent;
use crate::gate::Holds;

const SECOND: Nanos = 1_000_000_000;
const DAY: Nanos = 24 * 60 * 60 * SECOND;
/// So many inodes are remembered for the second that follows their op.
const NOTES_MAX: usize = 1024;

/// The times of an inode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) atime: Nanos,
    pub(super) mtime: Nanos,
    pub(super) ctime: Nanos,
}

impl From<&Attr> for Times {
    fn from(attr: &Attr) -> Self {
        Self { atime: attr.atime, mtime: attr.mtime, ctime: attr.ctime }
    }
}

impl Times {
    fn are_due(self, now: Nanos) -> bool {
        self.atime <= self.mtime || self.atime <= self.ctime || now.saturating_sub(self.atime) >= DAY
    }
}

/// Which times of access are on their way.
#[derive(Debug, Default)]
pub(crate) struct AccessTimes {
    is_off: AtomicBool,
    notes: Mutex<HashMap<Ino, Note>>,
}

#[derive(Debug)]
struct Note {
    sent_at: Nanos,
    ctime: Nanos,
    is_under_way: bool,
}

impl AccessTimes {
    /// From now on no time of access is told, as on a file system that is mounted read-only.
    pub(super) fn turn_off(&self) {
        self.is_off.store(true, Ordering::Relaxed);
    }

    /// Whether an access now is to be told; then it counts as under way.
    fn begin(&self, ino: Ino, times: Times, now: Nanos) -> bool {
        if !times.are_due(now) || self.is_off.load(Ordering::Relaxed) {
            return false;
        }
        let is_recent = |note: &Note| note.is_under_way || now.saturating_sub(note.sent_at).saturating_abs() < SECOND;
        let mut notes = self.notes.lock();
        match notes.get(&ino) {
            Some(note) if note.is_under_way || (is_recent(note) && note.ctime == times.ctime) => return false,
            Some(_) => {}
            None if notes.len() >= NOTES_MAX => {
                notes.retain(|_, note| is_recent(note));
                if notes.len() >= NOTES_MAX {
                    return false;
                }
            }
            None => {}
        }
        notes.insert(ino, Note { sent_at: now, ctime: times.ctime, is_under_way: true });
        true
    }

    fn end(&self, ino: Ino) {
        if let Some(note) = self.notes.lock().get_mut(&ino) {
            note.is_under_way = false;
        }
    }
}

/// Nobody hears of it.
struct Unheard;

impl Reply for Unheard {
    fn fail(self, _: Errno) {}
}

/// A program has read a file with these attributes.
pub(super) fn seen(agent: &Arc<Agent>, attr: &Attr) {
    note(agent, attr.ino, attr.into());
}

/// A program has read a directory or a symbolic link. The kernel has looked at it just before, so its times are known;
/// those of the root it may not have looked at.
pub(super) fn read(agent: &Arc<Agent>, ino: Ino) {
    if let Some(times) = agent.inodes.times(ino) {
        return note(agent, ino, times);
    }
    Call::begin(agent, SystemCall::Access, Holds::Nothing, Unheard, move |call| {
        call.ask(Request::Attr { ino }, |call, answer| {
            if let Ok(attr) = attr_of(answer) {
                seen(&call.agent, &attr);
            }
            call.finish(Ok(()), |_, ()| {});
        });
    });
}

fn note(agent: &Arc<Agent>, ino: Ino, times: Times) {
    let now = agent.session.clock.wall_ns();
    if !agent.inodes.access_times.begin(ino, times, now) {
        return;
    }
    Call::begin(agent, SystemCall::Access, Holds::Nothing, Noted { agent: Arc::clone(agent), ino }, move |call| {
        call.commit(Mutation::Access { ino }, move |call, result| {
            if result.is_ok() {
                call.agent.inodes.accessed(ino, now);
            }
            call.finish(result, |noted, _| drop(noted));
        });
    });
}

/// An access under way, until it is dropped.
struct Noted {
    agent: Arc<Agent>,
    ino: Ino,
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.agent.inodes.access_times.end(self.ino);
    }
}

impl Reply for Noted {
    fn fail(self, _: Errno) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: Ino = Ino(7);

    fn times(atime: Nanos, mtime: Nanos, ctime: Nanos) -> Times {
        Times { atime, mtime, ctime }
    }

    #[test]
    fn the_first_access_after_a_change_counts_and_one_a_day() {
        for (times, now, is_due) in [
            (times(5, 5, 5), 6, true),
            (times(6, 5, 5), 7, false),
            (times(6, 6, 5), 7, true),
            (times(6, 5, 6), 7, true),
            (times(6, 5, 5), 6 + DAY, true),
            (times(6, 5, 5), 5 + DAY, false),
            (times(Nanos::MAX, 5, 5), Nanos::MIN, false),
            (times(6, Nanos::MAX, 5), 7, true),
        ] {
            assert_eq!(times.are_due(now), is_due, "{times:?} at {now}");
        }
    }

    #[test]
    fn of_each_inode_one_is_under_way() {
        let access_times = AccessTimes::default();
        assert!(access_times.begin(FILE, times(5, 5, 5), 10));
        assert!(!access_times.begin(FILE, times(5, 6, 6), 10 + 2 * SECOND), "the first has not ended");
        assert!(access_times.begin(Ino(8), times(5, 5, 5), 10));
        access_times.end(FILE);
        assert!(!access_times.begin(FILE, times(5, 5, 5), 11), "nothing has changed, whatever the clocks say");
        assert!(access_times.begin(FILE, times(5, 6, 6), 12), "it has changed since");
        access_times.end(FILE);
        assert!(access_times.begin(FILE, times(5, 6, 6), 12 + SECOND));
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let access_times = AccessTimes::default();
        for ino in 0..NOTES_MAX as u64 {
            assert!(access_times.begin(Ino(ino), times(5, 5, 5), 10));
        }
        assert!(!access_times.begin(Ino(5000), times(5, 5, 5), 10 + 2 * SECOND), "all are under way");
        access_times.end(FILE);
        assert!(!access_times.begin(Ino(5000), times(5, 5, 5), 11), "the second is not over");
        assert!(access_times.begin(Ino(5000), times(5, 5, 5), 10 + SECOND));
        assert_eq!(access_times.notes.lock().len(), NOTES_MAX);
    }

    #[test]
    fn a_read_only_mount_tells_nothing() {
        let access_times = AccessTimes::default();
        access_times.turn_off();
        assert!(!access_times.begin(FILE, times(5, 5, 5), 10));
    }
}
