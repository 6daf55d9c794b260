//! What programs do with locks. Locks are the node's; the mount remembers what its programs hold, so that it can claim
//! that over a new stream, and so that closing a file without locks asks nobody.

use std::sync::Arc;

use artifacts_core::locks::{FileLock, LockSpace};
use artifacts_core::namespace::{Errno, Ino};
use artifacts_core::protocol::{Answer, Request};
use artifacts_core::trace::TraceContext;

use super::MountSession;

/// Runs when a lock is held, or cannot be had.
pub(super) type LockDone = Box<dyn FnOnce(Result<(), Errno>) + Send>;

impl MountSession {
    /// Asks for a lock. If a thread is named it waits, for as long as it takes.
    pub(crate) fn lock(
        self: &Arc<Self>,
        lock: FileLock,
        thread: Option<u32>,
        call: Option<TraceContext>,
        done: impl FnOnce(Result<(), Errno>) + Send + 'static,
    ) {
        let at_us = u64::try_from(self.clock.wall_ns() / 1_000).unwrap_or_default();
        let id = self.shared.lock().locks.begin(at_us, lock, thread, Box::new(done));
        let session = Arc::clone(self);
        self.send(|batch| {
            batch.serve(call);
            batch.ask(Request::Lock { id, lock, wait: thread.is_some() }, move |result| session.lock_answered(id, lock, result));
        });
    }

    fn lock_answered(self: &Arc<Self>, id: u64, lock: FileLock, result: Result<Answer, Errno>) {
        let answer = result.and_then(|answer| if let Answer::Lock(answer) = answer { Ok(answer) } else { Err(Errno::EIO) });
        let settled = self.shared.lock().locks.answered(id, answer);
        let Some((done, result)) = settled else { return };
        if result == Err(Errno::EIO) {
            // Not known to be refused: whatever the node makes of it, nobody waits for it.
            self.ask(Request::CancelLock { id }, |_| {});
            self.unlock(lock.ino, lock.owner, lock.space, |_| {});
        }
        done(result);
    }

    /// A lock that waited has come, or will not.
    pub(super) fn lock_settled(&self, id: u64, result: Result<(), Errno>) {
        let settled = self.shared.lock().locks.settled(id, result);
        if let Some((done, result)) = settled {
            done(result);
        }
    }

    /// A thread does not want to wait any more. It goes on once the node says that it does not: until then the lock may
    /// still come.
    pub(crate) fn cancel_lock(self: &Arc<Self>, id: u64) {
        if !self.shared.lock().locks.cancel(id) {
            return;
        }
        let session = Arc::clone(self);
        self.ask(Request::CancelLock { id }, move |result| match result {
            Ok(Answer::Cancelled(true)) => session.lock_settled(id, Err(Errno::EINTR)),
            // It has been granted, and that is on its way here; or nobody could be asked.
            _ => session.shared.lock().locks.not_cancelled(id),
        });
    }

    /// Lets go of a lock. `done` runs when others may have it.
    pub(crate) fn unlock(self: &Arc<Self>, ino: Ino, owner: u64, space: LockSpace, done: impl FnOnce(Result<(), Errno>) + Send + 'static) {
        self.shared.lock().locks.held.released(ino, owner, space);
        self.ask(Request::Unlock { ino, owner, space }, |result| done(result.map(drop)));
    }

    /// What an owner may hold of a file: a lock of flock(2), and locks of fcntl(2).
    pub(crate) fn may_hold(&self, ino: Ino, owner: u64) -> (bool, bool) {
        self.shared.lock().locks.held.may_have(ino, owner)
    }

    /// The threads that wait for locks, and the number under which each is cancelled.
    pub(crate) fn lock_waiters(&self) -> Vec<(u64, u32)> {
        self.shared.lock().locks.threads()
    }
}
