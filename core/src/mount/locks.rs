use std::collections::BTreeMap;

use crate::locks::{FileLock, HeldLocks, LockSpace};
use crate::namespace::Errno;
use crate::protocol::{ClientFrame, LockAnswer};

/// The locks of this mount's programs: what they hold, and what they wait for. `W` waits for a lock.
///
/// A wait for a lock has no limit in time. It ends exactly once: with the node's answer, when the node confirms that it
/// is cancelled, or by [`Locks::interrupt`].
#[derive(Debug)]
pub struct Locks<W> {
    /// What they hold.
    pub held: HeldLocks,
    wishes: BTreeMap<u64, Wish<W>>,
    next_id: u64,
}

#[derive(Debug)]
struct Wish<W> {
    lock: FileLock,
    /// The thread that waits, if it does.
    thread: Option<u32>,
    /// The node has it in a queue. If not, it has been asked and has not answered.
    is_queued: bool,
    is_cancelled: bool,
    waiter: W,
}

/// A wish that has come to its end.
pub type WishEnd<W> = (W, Result<(), Errno>);

impl<W> Default for Locks<W> {
    fn default() -> Self {
        Self { held: HeldLocks::default(), wishes: BTreeMap::new(), next_id: 0 }
    }
}

impl<W> Locks<W> {
    /// A lock is about to be asked for, under the number that this answers. `thread` is who waits if it cannot be had.
    ///
    /// Numbers follow the time of day, in microseconds, as far as that goes forward: a node that has to build its queues anew from
    /// what mounts say has no better way to tell who came first.
    pub fn begin(&mut self, at_us: u64, lock: FileLock, thread: Option<u32>, waiter: W) -> u64 {
        let id = self.next_id.max(at_us);
        self.next_id = id + 1;
        self.held.asked(&lock);
        self.wishes.insert(id, Wish { lock, thread, is_queued: false, is_cancelled: false, waiter });
        id
    }

    /// The node has answered the question for a lock, or it came to nothing.
    pub fn answered(&mut self, id: u64, answer: Result<LockAnswer, Errno>) -> Option<WishEnd<W>> {
        let wish = self.wishes.get_mut(&id)?;
        let FileLock { ino, owner, space, .. } = wish.lock;
        match answer {
            Ok(LockAnswer::Granted) => self.settled(id, Ok(())),
            Ok(LockAnswer::Queued) => {
                wish.is_queued = true;
                if space == LockSpace::Flock {
                    // flock(2): who converts a lock gives up what it had.
                    self.held.lost(ino, owner, space);
                }
                None
            }
            Err(errno) => {
                if space == LockSpace::Flock && errno == Errno::EAGAIN {
                    self.held.lost(ino, owner, space);
                }
                self.settled(id, Err(errno))
            }
        }
    }

    /// A wish has come to its end.
    pub fn settled(&mut self, id: u64, result: Result<(), Errno>) -> Option<WishEnd<W>> {
        let wish = self.wishes.remove(&id)?;
        if result.is_ok() {
            self.held.granted(wish.lock);
        }
        Some((wish.waiter, result))
    }

    /// Whether a wish is to be cancelled that is not yet about to be.
    pub fn cancel(&mut self, id: u64) -> bool {
        self.wishes.get_mut(&id).is_some_and(|wish| !std::mem::replace(&mut wish.is_cancelled, true))
    }

    /// The node could not be asked to cancel: it may be asked again.
    pub fn not_cancelled(&mut self, id: u64) {
        if let Some(wish) = self.wishes.get_mut(&id) {
            wish.is_cancelled = false;
        }
    }

    /// The threads that wait, by wish.
    pub fn threads(&self) -> Vec<(u64, u32)> {
        self.wishes.iter().filter_map(|(&id, wish)| Some((id, wish.thread?))).collect()
    }

    /// What a new stream says of locks, before anything is asked again.
    pub fn claims(&self) -> ClientFrame {
        let (waiting, asked): (Vec<_>, Vec<_>) = self.wishes.iter().partition(|(_, wish)| wish.is_queued);
        let named = |wishes: Vec<(&u64, &Wish<W>)>| wishes.into_iter().map(|(&id, wish)| (id, wish.lock)).collect();
        ClientFrame::ClaimLocks { held: self.held.all().collect(), asked: named(asked), waiting: named(waiting) }
    }

    /// Ends every wait.
    pub fn interrupt(&mut self, errno: Errno) -> Vec<WishEnd<W>> {
        std::mem::take(&mut self.wishes).into_values().map(|wish| (wish.waiter, Err(errno))).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::locks::Mode;
    use crate::namespace::Ino;

    use super::*;

    fn lock(owner: u64, space: LockSpace) -> FileLock {
        FileLock { ino: Ino(7), space, mode: Mode::Exclusive, owner, pid: 10 }
    }

    fn claims(locks: &Locks<&str>) -> (Vec<u64>, Vec<u64>, Vec<u64>) {
        let ClientFrame::ClaimLocks { held, asked, waiting } = locks.claims() else { unreachable!() };
        let ids = |wishes: Vec<(u64, FileLock)>| wishes.into_iter().map(|(id, _)| id).collect();
        (held.into_iter().map(|lock| lock.owner).collect(), ids(asked), ids(waiting))
    }

    #[test]
    fn a_new_stream_claims_what_is_held_what_was_asked_and_what_waits() {
        let mut locks = Locks::default();
        let first = locks.begin(0, lock(1, LockSpace::Flock), None, "first");
        let second = locks.begin(0, lock(2, LockSpace::Flock), Some(20), "second");
        let third = locks.begin(0, lock(3, LockSpace::Flock), Some(30), "third");
        assert_eq!(locks.answered(first, Ok(LockAnswer::Granted)), Some(("first", Ok(()))));
        assert_eq!(locks.answered(second, Ok(LockAnswer::Queued)), None);
        assert_eq!(claims(&locks), (vec![1], vec![third], vec![second]));
        assert_eq!(locks.threads(), [(second, 20), (third, 30)]);
        locks.held.released(Ino(7), 1, LockSpace::Flock);
        assert_eq!(locks.settled(second, Ok(())), Some(("second", Ok(()))));
        assert_eq!(locks.settled(second, Ok(())), None, "told twice");
        assert_eq!(claims(&locks), (vec![2], vec![third], vec![]));
    }

    #[test]
    fn a_wait_ends_once_and_is_cancelled_once() {
        let mut locks = Locks::default();
        let id = locks.begin(0, lock(1, LockSpace::WHOLE), Some(10), "w");
        assert!(locks.cancel(id) && !locks.cancel(id));
        locks.not_cancelled(id);
        assert!(locks.cancel(id));
        assert_eq!(locks.interrupt(Errno::EIO), [("w", Err(Errno::EIO))]);
        assert_eq!(locks.answered(id, Ok(LockAnswer::Granted)), None);
        assert!(!locks.cancel(id));
        assert_eq!(claims(&locks), (vec![], vec![], vec![]));
        assert_eq!(locks.held.may_have(Ino(7), 1), (false, true), "the node may have granted it all the same");
    }

    #[test]
    fn a_flock_that_is_converted_is_lost_while_it_waits_and_a_range_is_not() {
        let mut locks = Locks::default();
        for space in [LockSpace::Flock, LockSpace::WHOLE] {
            let shared = locks.begin(0, FileLock { mode: Mode::Shared, ..lock(1, space) }, None, "shared");
            assert!(locks.answered(shared, Ok(LockAnswer::Granted)).is_some());
            let exclusive = locks.begin(0, lock(1, space), Some(10), "exclusive");
            assert_eq!(locks.answered(exclusive, Ok(LockAnswer::Queued)), None);
            assert_eq!(locks.held.all().count(), usize::from(space != LockSpace::Flock));
            assert_eq!(locks.settled(exclusive, Err(Errno::EINTR)), Some(("exclusive", Err(Errno::EINTR))));
            assert_eq!(locks.held.all().count(), usize::from(space != LockSpace::Flock));
        }
    }
}
