//! Open files: open(2), close(2), fsync(2), fallocate(2), lseek(2).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use artifacts_core::namespace::{Attr, Errno, FILE_MAX_BYTES, Ino, Mutation};
use artifacts_core::protocol::{Answer, Request};
use fuser::{FileHandle, FopenFlags, INodeNo, LockOwner, OpenFlags, ReplyEmpty, ReplyLseek, ReplyOpen};

use super::call::{Call, Reply, attr_of};
use super::locks;
use super::seek::{Seek, Step};
use super::system_call::SystemCall;
use crate::agent::Agent;
use crate::errno;
use crate::gate::Holds;
use crate::session::MountSession;

/// What an opening comes to that left together with a change of the same file. One that worked is withdrawn when
/// the change did not.
pub(super) fn after_change(
    session: &MountSession,
    ino: Ino,
    changed: Result<(), Errno>,
    opened: Result<Answer, Errno>,
) -> Result<Attr, Errno> {
    match (changed, opened) {
        (Err(errno), Ok(_)) => {
            session.closed(ino);
            Err(errno)
        }
        (Err(errno), Err(_)) => Err(errno),
        (Ok(()), opened) => attr_of(opened),
    }
}

pub(super) fn open(agent: &Arc<Agent>, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
    let ino = agent.numbers.to_node(ino);
    Call::begin(agent, SystemCall::Open, Holds::Nothing, reply, move |call| {
        call.ask(Request::Open { ino }, move |call, answer| finish_open(call, ino, flags, attr_of(answer)));
    });
}

fn finish_open(call: Call<ReplyOpen>, ino: Ino, flags: OpenFlags, result: Result<Attr, Errno>) {
    let agent = Arc::clone(&call.agent);
    call.finish(result.map_err(errno::of_inode), move |reply, _| {
        agent.inodes.opened(ino);
        reply.opened(agent.lock_files.new_handle(flags.0), how_to_cache(&agent, flags.0));
    });
}

/// How the kernel treats the pages of a file that is opened with these flags.
///
/// Writes pass the page cache by where the kernel can: through it, a write that begins or ends inside a page which is
/// not in the cache comes as several requests, and another mount's write could get in between. Reads pass it by while others
/// may write: before a cached one the kernel asks how long the file is, and of two such answers that overtake each other it
/// may keep the older, and then show a file that another mount has long made longer or shorter. Reading past the cache costs
/// nothing by this, because each read asks the node anyway.
pub(super) fn how_to_cache(agent: &Agent, flags: i32) -> FopenFlags {
    let reads_only = flags & libc::O_ACCMODE == libc::O_RDONLY;
    let is_cached = (reads_only && agent.is_alone()) || !agent.writes_directly.load(Ordering::Relaxed);
    if is_cached { FopenFlags::FOPEN_KEEP_CACHE } else { FopenFlags::FOPEN_DIRECT_IO }
}

/// The last descriptor of an open file description is closed. A program sees nothing of this, so the gate does not
/// either.
pub(super) fn release(agent: &Arc<Agent>, ino: INodeNo, handle: FileHandle, flock_owner: Option<LockOwner>, reply: ReplyEmpty) {
    let ino = agent.numbers.to_node(ino);
    locks::closed(agent, ino, handle, flock_owner);
    agent.inodes.released(ino);
    agent.session.closed(ino);
    reply.ok();
}

/// close(2): tells what has become of earlier writes, and waits for none. The process loses its locks on the file.
pub(super) fn flush(agent: &Arc<Agent>, ino: INodeNo, handle: FileHandle, owner: LockOwner, reply: ReplyEmpty) {
    let ino = agent.numbers.to_node(ino);
    if locks::closes_at_once(agent, ino, handle, owner) {
        return reply.ok();
    }
    Call::begin(agent, SystemCall::Flush, Holds::Nothing, reply, move |call| {
        locks::closing(call, ino, owner, move |call| {
            let loss = call.agent.session.take_loss(ino);
            call.finish(loss.map_or(Ok(()), Err), |reply, ()| reply.ok());
        });
    });
}

/// fsync(2) of a file or a directory: everything this mount did before it is durable when it returns.
pub(super) fn fsync(agent: &Arc<Agent>, ino: INodeNo, reply: ReplyEmpty) {
    let ino = agent.numbers.to_node(ino);
    Call::begin(agent, SystemCall::Fsync, Holds::Nothing, reply, move |call| {
        let (session, context) = (Arc::clone(&call.agent.session), call.context());
        session.send(|batch| {
            batch.serve(context);
            batch.make_durable(move |result| {
                let loss = call.agent.session.take_loss(ino);
                call.finish(result.and(loss.map_or(Ok(()), Err)), |reply, ()| reply.ok());
            });
        });
    });
}

/// What fallocate(2) asks for, as an op; `None` when there is nothing to do.
fn allocation(ino: Ino, offset: u64, len: u64, mode: i32) -> Result<Option<Mutation>, Errno> {
    const KEEP: i32 = libc::FALLOC_FL_KEEP_SIZE;
    const PUNCH_KEEP: i32 = libc::FALLOC_FL_PUNCH_HOLE | KEEP;
    const ZERO: i32 = libc::FALLOC_FL_ZERO_RANGE;
    const ZERO_KEEP: i32 = libc::FALLOC_FL_ZERO_RANGE | KEEP;
    let end = offset.checked_add(len).ok_or(Errno::EFBIG)?;
    if mode & KEEP == 0 && end > FILE_MAX_BYTES {
        return Err(Errno::EFBIG);
    }
    // Nothing lies behind the largest length, so there is nothing to clear either.
    let (start, end) = (offset.min(FILE_MAX_BYTES), end.min(FILE_MAX_BYTES));
    match mode {
        // Grows and clears nothing, whatever others append meanwhile.
        0 => Ok(Some(Mutation::Punch { ino, offset: end, len: 0, extend: true })),
        PUNCH_KEEP | ZERO_KEEP => Ok(Some(Mutation::Punch { ino, offset: start, len: end - start, extend: false })),
        ZERO => Ok(Some(Mutation::Punch { ino, offset: start, len: end - start, extend: true })),
        // Space is not reserved here, so there is none to reserve behind the end.
        KEEP => Ok(None),
        _ => Err(Errno::EOPNOTSUPP),
    }
}

pub(super) fn fallocate(agent: &Arc<Agent>, ino: INodeNo, offset: u64, len: u64, mode: i32, reply: ReplyEmpty) {
    let ino = agent.numbers.to_node(ino);
    Call::begin(agent, SystemCall::Fallocate, Holds::Pages, reply, move |call| match allocation(ino, offset, len, mode) {
        Ok(Some(mutation)) => call.commit(mutation, |call, result| call.finish(result, |reply, _| reply.ok())),
        Ok(None) => call.ask(Request::Attr { ino }, |call, answer| call.finish(attr_of(answer), |reply, _| reply.ok())),
        Err(errno) => call.fail(errno),
    });
}

/// SEEK_DATA and SEEK_HOLE; the kernel answers the others itself.
pub(super) fn lseek(agent: &Arc<Agent>, ino: INodeNo, offset: i64, whence: i32, reply: ReplyLseek) {
    let ino = agent.numbers.to_node(ino);
    let seek = match (u64::try_from(offset), whence) {
        (Ok(offset), libc::SEEK_DATA) => Seek::data(offset),
        (Ok(offset), libc::SEEK_HOLE) => Seek::hole(offset),
        (Err(_), libc::SEEK_DATA | libc::SEEK_HOLE) => return reply.error(fuser::Errno::ENXIO),
        _ => return reply.fail(Errno::EINVAL),
    };
    Call::begin(agent, SystemCall::Lseek, Holds::Nothing, reply, move |call| seek_on(call, ino, seek));
}

fn seek_on(call: Call<ReplyLseek>, ino: Ino, mut seek: Seek) {
    let (offset, len) = seek.range();
    call.ask(Request::Pieces { ino, offset, len }, move |call, answer| {
        let step = match answer {
            Ok(Answer::Pieces { attr, pieces, more }) => Ok(seek.step(attr.size, &pieces, more)),
            Ok(_) => Err(Errno::EIO),
            Err(errno) => Err(errno),
        };
        match step {
            Ok(Step::Again) => seek_on(call, ino, seek),
            Ok(Step::Found(found)) => call.finish(Ok(found), |reply, found| reply.offset(found as i64)),
            Ok(Step::Nothing) => call.finish(Ok(()), |reply, ()| reply.error(fuser::Errno::ENXIO)),
            Err(errno) => call.fail(errno),
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fallocate_becomes_the_op_that_clears_no_more_than_it_says() {
        let punch = |offset, len, extend| Ok(Some(Mutation::Punch { ino: Ino(5), offset, len, extend }));
        let (keep, hole, zero) = (libc::FALLOC_FL_KEEP_SIZE, libc::FALLOC_FL_PUNCH_HOLE, libc::FALLOC_FL_ZERO_RANGE);
        for (mode, offset, len, expected) in [
            (0, 10, 20, punch(30, 0, true)),
            (keep, 10, 20, Ok(None)),
            (hole | keep, 10, 20, punch(10, 20, false)),
            (hole | keep, 10, i64::MAX as u64 - 10, punch(10, FILE_MAX_BYTES - 10, false)),
            (zero, 10, 20, punch(10, 20, true)),
            (zero | keep, 10, 20, punch(10, 20, false)),
            (0, FILE_MAX_BYTES, 1, Err(Errno::EFBIG)),
            (hole, 10, 20, Err(Errno::EOPNOTSUPP)),
            (libc::FALLOC_FL_COLLAPSE_RANGE, 10, 20, Err(Errno::EOPNOTSUPP)),
        ] {
            assert_eq!(allocation(Ino(5), offset, len, mode), expected, "mode {mode:#x}");
        }
    }
}
