//! Reading and writing.

use std::sync::Arc;

use artifacts_core::namespace::{Errno, Extent, Ino, Mutation, Outcome, Position};
use artifacts_core::protocol::Answer;
use artifacts_trace::within;
use bytes::Bytes;
use fuser::{INodeNo, OpenFlags, ReplyData, ReplyWrite, WriteFlags};

use super::access_times;
use super::ahead::fetch_ahead;
use super::call::Call;
use super::join::join;
use super::system_call::SystemCall;
use crate::agent::Agent;
use crate::data::ReadRange;
use crate::gate::Holds;

pub(super) fn read(agent: &Arc<Agent>, ino: INodeNo, offset: u64, len: u32, flags: OpenFlags, reply: ReplyData) {
    let range = ReadRange { ino: agent.numbers.to_node(ino), offset, len: u64::from(len) };
    let is_noted = flags.0 & libc::O_NOATIME == 0;
    Call::begin(agent, SystemCall::Read, Holds::Pages, reply, move |call| {
        call.ask(range.request(offset), move |call, answer| {
            if is_noted && let Ok(Answer::Pieces { attr, .. }) = &answer {
                access_times::seen(&call.agent, attr);
            }
            answered(range, call, answer);
        });
    });
}

/// Most reads end here, in the thread that found the answer: small files and cached blocks.
fn answered(range: ReadRange, call: Call<ReplyData>, answer: Result<Answer, Errno>) {
    let size = match &answer {
        Ok(Answer::Pieces { attr, .. }) => attr.size,
        _ => 0,
    };
    let (plan, rest) = match range.plan(answer) {
        Ok(planned) => planned,
        Err(errno) => return call.fail(errno),
    };
    if let Some(ahead) = call.agent.read_ahead.read(range.ino, range.offset, range.len, size) {
        fetch_ahead(&call.agent, ahead);
    }
    if rest.is_none()
        && let Some(bytes) = call.agent.blocks.fill_from_memory(&plan)
    {
        return finish(call, bytes);
    }
    let (agent, context) = (Arc::clone(&call.agent), call.context());
    agent.work.clone().spawn(async move {
        let (bytes, plan) = within(context, range.fetch(&agent.session, &agent.blocks, plan, rest)).await;
        let is_good = bytes.is_ok();
        finish(call, bytes);
        if is_good {
            agent.blocks.bring_surroundings(&plan).await;
        }
    });
}

fn finish(mut call: Call<ReplyData>, bytes: Result<Bytes, Errno>) {
    call.moved(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64));
    call.finish(bytes, |reply, bytes| reply.data(&bytes));
}

/// A write on its way.
#[derive(Debug)]
struct Write {
    ino: Ino,
    position: Position,
    kernel_offset: u64,
    len: u32,
    kill_privileges: bool,
    is_sync: bool,
}

pub(super) fn write(
    agent: &Arc<Agent>,
    ino: INodeNo,
    offset: u64,
    data: &[u8],
    write_flags: WriteFlags,
    flags: OpenFlags,
    reply: ReplyWrite,
) {
    // Pages that are written back belong where they are; the flags are those of some descriptor then.
    let is_write_back = write_flags.contains(WriteFlags::FUSE_WRITE_CACHE);
    let appends = flags.0 & libc::O_APPEND != 0 && !is_write_back;
    let write = Write {
        ino: agent.numbers.to_node(ino),
        position: if appends { Position::End } else { Position::At(offset) },
        kernel_offset: offset,
        len: data.len() as u32,
        kill_privileges: write_flags.contains(WriteFlags::FUSE_WRITE_KILL_SUIDGID),
        // O_SYNC contains the bits of O_DSYNC.
        is_sync: flags.0 & libc::O_DSYNC != 0 && !is_write_back,
    };
    let data = Bytes::copy_from_slice(data);
    Call::begin(agent, SystemCall::Write, Holds::Pages, reply, move |call| {
        // A request holds no more than an extent may. How its bytes travel is the session's business.
        let extents = if data.is_empty() { Vec::new() } else { vec![Extent::inline(data)] };
        write.commit(call, extents);
    });
}

impl Write {
    fn commit(self, call: Call<ReplyWrite>, extents: Vec<Extent>) {
        let mutation = Mutation::Write { ino: self.ino, position: self.position, extents, kill_privileges: self.kill_privileges };
        if !self.is_sync {
            return call.commit(mutation, move |call, result| self.finish(call, result));
        }
        let (session, context) = (Arc::clone(&call.agent.session), call.context());
        call.agent.session.clone().when_room(move || {
            let (applied, durable) = join(move |applied: Result<Box<Outcome>, Errno>, durable: Result<(), Errno>| {
                self.finish(call, applied.and_then(|outcome| durable.map(|()| outcome)));
            });
            session.send(|batch| {
                batch.serve(context);
                batch.commit(mutation, applied);
                batch.make_durable(durable);
            });
        });
    }

    fn finish(self, mut call: Call<ReplyWrite>, result: Result<Box<Outcome>, Errno>) {
        call.moved(u64::from(self.len));
        if let Ok(outcome) = &result
            && outcome.written.is_some_and(|written| written.offset != self.kernel_offset)
        {
            // Another mount has appended meanwhile: the kernel has put the bytes into the wrong page.
            call.agent.caches.drop_file(call.agent.numbers.to_kernel(self.ino), || {});
        }
        call.finish(result, move |reply, _| reply.written(self.len));
    }
}
