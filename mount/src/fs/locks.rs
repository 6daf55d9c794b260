//! flock(2) and fcntl(2).
//!
//! A call that waits is a reply that has not been sent: no thread of the mount waits with it. The kernel tells of signals
//! in a way that the library cannot take, so while somebody waits a task looks at the waiting threads ([`watch`]).
//! Before a lock is given to a program, what the kernel may have cached of the file is dropped, unless nobody else can
//! have changed it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use artifacts_core::locks::{ByteRange, FileLock, LockSpace, Mode};
use artifacts_core::namespace::{Errno, Ino};
use artifacts_core::protocol::{Answer, LockConflict, Request};
use fuser::{FileHandle, INodeNo, LockOwner, ReplyEmpty, ReplyLock};
use parking_lot::Mutex;

use super::call::Call;
use super::system_call::SystemCall;
use super::thread::{LockCall, Thread};
use crate::agent::Agent;
use crate::gate::Holds;
use crate::time::pause;

/// How long a signal may wait for its thread.
const LOOK_EVERY_MS: u64 = 25;
/// With more waiting threads than this they are looked at less often.
const LOOKED_AT: u64 = 64;
/// The last byte that the kernel knows of.
const LAST_BYTE: u64 = i64::MAX as u64;

/// What the mount knows of open files for the sake of locks.
#[derive(Debug, Default)]
pub(crate) struct LockFiles {
    last_handle: AtomicU64,
    /// By handle: owners whose locks end with the open file description.
    ending: Mutex<HashMap<u64, Vec<(Ino, u64)>>>,
    /// Whether any locks do.
    any: AtomicBool,
    /// Whether waiting threads are being looked at.
    watching: AtomicBool,
}

impl LockFiles {
    /// A handle for a file that is opened with these flags.
    pub(super) fn new_handle(&self, flags: i32) -> FileHandle {
        let number = self.last_handle.fetch_add(2, Ordering::Relaxed) + 2;
        FileHandle(number | u64::from(flags & libc::O_ACCMODE == libc::O_RDONLY))
    }

    fn ends_with(&self, handle: FileHandle, ino: Ino, owner: u64) {
        self.any.store(true, Ordering::Release);
        let mut ending = self.ending.lock();
        let owners = ending.entry(handle.0).or_default();
        if !owners.contains(&(ino, owner)) {
            owners.push((ino, owner));
        }
    }

    fn ended(&self, handle: FileHandle) -> Vec<(Ino, u64)> {
        if !self.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        self.ending.lock().remove(&handle.0).unwrap_or_default()
    }
}

/// A lock as the kernel asks for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) thread: Thread,
    pub(super) ino: INodeNo,
    pub(super) handle: FileHandle,
    pub(super) owner: LockOwner,
    /// First and last byte.
    pub(super) range: (u64, u64),
    /// `F_RDLCK`, `F_WRLCK` or `F_UNLCK`.
    pub(super) kind: i32,
    pub(super) pid: u32,
}

impl Wanted {
    fn lock(&self, agent: &Agent, space: LockSpace) -> Result<FileLock, Errno> {
        let mode = match self.kind {
            libc::F_RDLCK => Mode::Shared,
            libc::F_WRLCK => Mode::Exclusive,
            _ => return Err(Errno::EINVAL),
        };
        Ok(FileLock { ino: agent.numbers.to_node(self.ino), space, mode, owner: self.owner.0, pid: self.pid })
    }

    fn bytes(&self) -> Result<LockSpace, Errno> {
        ByteRange::new(self.range.0, self.range.1).map(LockSpace::Range).ok_or(Errno::EINVAL)
    }

    /// What a call locks or unlocks. Where it cannot be told whether it is flock(2) or fcntl(2), both.
    fn spaces(&self, call: LockCall) -> Result<Vec<LockSpace>, Errno> {
        Ok(match call {
            LockCall::Flock => vec![LockSpace::Flock],
            LockCall::Process | LockCall::OpenFile => vec![self.bytes()?],
            LockCall::Unknown if self.range == (0, LAST_BYTE) => vec![self.bytes()?, LockSpace::Flock],
            LockCall::Unknown => vec![self.bytes()?],
        })
    }
}

/// Locks or unlocks.
pub(super) fn set(agent: &Arc<Agent>, wanted: Wanted, wait: bool, reply: ReplyEmpty) {
    if wanted.kind == libc::F_UNLCK {
        return unlock(agent, wanted, reply);
    }
    let call = wanted.thread.lock_call();
    let locks: Result<Vec<FileLock>, Errno> =
        wanted.spaces(call).and_then(|spaces| spaces.into_iter().map(|space| wanted.lock(agent, space)).collect());
    if matches!(call, LockCall::OpenFile | LockCall::Unknown) {
        agent.lock_files.ends_with(wanted.handle, agent.numbers.to_node(wanted.ino), wanted.owner.0);
    }
    let thread = wait.then_some(wanted.thread);
    Call::begin(agent, SystemCall::SetLock, Holds::Nothing, reply, move |call| match locks {
        Ok(locks) => take(call, locks.into(), Vec::new(), thread),
        Err(errno) => call.fail(errno),
    });
}

/// Takes locks one after the other; if one cannot be had, gives those before it back.
fn take(call: Call<ReplyEmpty>, mut locks: std::collections::VecDeque<FileLock>, mut taken: Vec<FileLock>, thread: Option<Thread>) {
    let agent = Arc::clone(&call.agent);
    let Some(lock) = locks.pop_front() else {
        let Some(ino) = taken.first().map(|lock| lock.ino) else { return call.fail(Errno::EINVAL) };
        return revalidate(call, ino);
    };
    let session = Arc::clone(&agent.session);
    session.lock(lock, thread.map(|thread| thread.0), call.context(), move |result| match result {
        Ok(()) => {
            taken.push(lock);
            take(call, locks, taken, thread);
        }
        Err(errno) => {
            for lock in taken {
                call.agent.session.unlock(lock.ino, lock.owner, lock.space, |_| {});
            }
            call.fail(errno);
        }
    });
    if thread.is_some() {
        watch(&agent);
    }
}

/// A lock is held: nothing that its holder reads may be older than what the holder before it has written.
fn revalidate(call: Call<ReplyEmpty>, ino: Ino) {
    let agent = Arc::clone(&call.agent);
    let lease = agent.session.whole_lease();
    if agent.inodes.has_fresh_pages(ino, lease) {
        return call.finish(Ok(()), |reply, ()| reply.ok());
    }
    agent.caches.drop_file(agent.numbers.to_kernel(ino), move || {
        call.agent.inodes.pages_dropped(ino, lease);
        call.finish(Ok(()), |reply, ()| reply.ok());
    });
}

fn unlock(agent: &Arc<Agent>, wanted: Wanted, reply: ReplyEmpty) {
    let ino = agent.numbers.to_node(wanted.ino);
    let owner = wanted.owner.0;
    let spaces = match agent.session.may_hold(ino, owner) {
        (false, false) => Ok(Vec::new()),
        (false, true) => wanted.bytes().map(|bytes| vec![bytes]),
        (true, false) => Ok(vec![LockSpace::Flock]),
        (true, true) => wanted.spaces(wanted.thread.lock_call()),
    };
    Call::begin(agent, SystemCall::SetLock, Holds::Nothing, reply, move |call| match spaces {
        Ok(spaces) => let_go(call, ino, owner, spaces.into()),
        Err(errno) => call.fail(errno),
    });
}

/// Lets go of locks one after the other, then answers that all went well.
fn let_go(call: Call<ReplyEmpty>, ino: Ino, owner: u64, mut spaces: std::collections::VecDeque<LockSpace>) {
    let Some(space) = spaces.pop_front() else { return call.finish(Ok(()), |reply, ()| reply.ok()) };
    let session = Arc::clone(&call.agent.session);
    session.unlock(ino, owner, space, move |result| match result {
        Ok(()) => let_go(call, ino, owner, spaces),
        Err(errno) => call.fail(errno),
    });
}

/// `F_GETLK`: who is in the way. The process is named as its own mount sees it; a kernel to which that number says
/// nothing shows 0.
pub(super) fn test(agent: &Arc<Agent>, wanted: Wanted, reply: ReplyLock) {
    let lock = wanted.bytes().and_then(|bytes| wanted.lock(agent, bytes));
    Call::begin(agent, SystemCall::GetLock, Holds::Nothing, reply, move |call| match lock {
        Ok(lock) => call.ask(Request::TestLock(lock), move |call, answer| {
            let found = answer.and_then(|answer| if let Answer::Conflict(found) = answer { Ok(found) } else { Err(Errno::EIO) });
            call.finish(found, move |reply, found| match found {
                Some(LockConflict { session, pid, range, mode }) => {
                    tracing::debug!(%session, pid, ino = lock.ino.0, "holds a lock that was asked about");
                    let kind = if mode == Mode::Shared { libc::F_RDLCK } else { libc::F_WRLCK };
                    reply.locked(range.start, range.end.min(LAST_BYTE), kind, pid);
                }
                None => reply.locked(wanted.range.0, wanted.range.1, libc::F_UNLCK, 0),
            });
        }),
        Err(errno) => call.fail(errno),
    });
}

/// Whether closing a file asks nobody: it was opened for reading, so there is no error of a write to tell, and its process
/// holds no locks on it.
pub(super) fn closes_at_once(agent: &Agent, ino: Ino, handle: FileHandle, owner: LockOwner) -> bool {
    handle.0 & 1 == 1 && !agent.session.may_hold(ino, owner.0).1
}

/// A process closes a file: its locks on it end, whichever descriptor they were made with (fcntl(2)). Then `then` runs.
pub(super) fn closing(call: Call<ReplyEmpty>, ino: Ino, owner: LockOwner, then: impl FnOnce(Call<ReplyEmpty>) + Send + 'static) {
    let session = Arc::clone(&call.agent.session);
    if session.may_hold(ino, owner.0).1 {
        // The session may be over; closing works all the same.
        session.unlock(ino, owner.0, LockSpace::WHOLE, move |_| then(call));
    } else {
        then(call);
    }
}

/// An open file description is gone, and its locks with it. `owner` is given if flock(2) was called on it.
pub(super) fn closed(agent: &Agent, ino: Ino, handle: FileHandle, owner: Option<LockOwner>) {
    let flocks = owner.map(|owner| (ino, owner.0));
    for (ino, owner) in agent.lock_files.ended(handle).into_iter().chain(flocks) {
        let (flock, ranges) = agent.session.may_hold(ino, owner);
        let spaces = [(flock, LockSpace::Flock), (ranges, LockSpace::WHOLE)];
        for (_, space) in spaces.into_iter().filter(|(held, _)| *held) {
            agent.session.unlock(ino, owner, space, |_| {});
        }
    }
}

/// Looks at the threads that wait for locks as long as there are any. One that has got a signal is sent on its way.
fn watch(agent: &Arc<Agent>) {
    if agent.lock_files.watching.swap(true, Ordering::SeqCst) {
        return;
    }
    let agent = Arc::clone(agent);
    agent.work.clone().spawn(async move {
        let mut waiters = agent.session.lock_waiters();
        loop {
            if waiters.is_empty() {
                agent.lock_files.watching.store(false, Ordering::SeqCst);
                // One that came meanwhile has found this task at work.
                if agent.session.lock_waiters().is_empty() || agent.lock_files.watching.swap(true, Ordering::SeqCst) {
                    return;
                }
            }
            pause(LOOK_EVERY_MS * (1 + waiters.len() as u64 / LOOKED_AT)).await;
            waiters = agent.session.lock_waiters();
            for &(id, thread) in &waiters {
                if Thread(thread).is_interrupted() {
                    agent.session.cancel_lock(id);
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(range: (u64, u64)) -> Wanted {
        Wanted { thread: Thread(0), ino: INodeNo(1), handle: FileHandle(1), owner: LockOwner(1), range, kind: libc::F_WRLCK, pid: 1 }
    }

    #[test]
    fn a_call_that_cannot_be_told_locks_both_spaces_unless_it_names_bytes() {
        let whole = LockSpace::Range(ByteRange { start: 0, end: LAST_BYTE });
        let some = LockSpace::Range(ByteRange { start: 3, end: 5 });
        assert_eq!(wanted((0, LAST_BYTE)).spaces(LockCall::Unknown), Ok(vec![whole, LockSpace::Flock]));
        assert_eq!(wanted((3, 5)).spaces(LockCall::Unknown), Ok(vec![some]));
        assert_eq!(wanted((0, LAST_BYTE)).spaces(LockCall::Flock), Ok(vec![LockSpace::Flock]));
        assert_eq!(wanted((0, LAST_BYTE)).spaces(LockCall::Process), Ok(vec![whole]));
        assert_eq!(wanted((5, 3)).spaces(LockCall::OpenFile), Err(Errno::EINVAL));
    }

    #[test]
    fn owners_end_with_their_handle_and_once() {
        let files = LockFiles::default();
        let (one, other) = (files.new_handle(libc::O_RDONLY), files.new_handle(libc::O_RDWR | libc::O_TRUNC));
        assert_eq!((one.0 & 1, other.0 & 1, one.0 != other.0), (1, 0, true), "the kind of opening shows");
        assert_eq!(files.ended(one), []);
        files.ends_with(one, Ino(7), 3);
        files.ends_with(one, Ino(7), 3);
        assert_eq!(files.ended(other), []);
        assert_eq!(files.ended(one), [(Ino(7), 3)]);
        assert_eq!(files.ended(one), []);
    }
}
