//! Reading and writing.

use std::sync::Arc;

use artifacts_core::namespace::{Errno, Extent, Ino, Mutation, Outcome, Position};
use artifacts_core::protocol::{Answer, Request};
use bytes::Bytes;
use fuser::{INodeNo, OpenFlags, ReplyData, ReplyWrite, WriteFlags};

use super::access_times;
use super::ahead::fetch_ahead;
use super::call::Call;
use super::join::join;
use crate::agent::Agent;
use crate::data::{BlockError, Plan};
use crate::gate::Holds;
use crate::time::pause;

/// How often a read begins anew because the file was overwritten under it and its old blocks are gone.
const READ_ATTEMPTS: u32 = 5;
/// How long it waits before each, so that what is under way comes to its end.
const GONE_PAUSE_MS: u64 = 20;

pub(super) fn read(agent: &Arc<Agent>, ino: INodeNo, offset: u64, len: u32, flags: OpenFlags, reply: ReplyData) {
    let range = Range { ino: agent.numbers.to_node(ino), offset, len: u64::from(len) };
    let is_noted = flags.0 & libc::O_NOATIME == 0;
    Call::begin(agent, Holds::Pages, reply, move |call| {
        call.ask(range.request(offset), move |call, answer| {
            if is_noted && let Ok(Answer::Pieces { attr, .. }) = &answer {
                access_times::seen(&call.agent, attr);
            }
            range.answered(call, answer);
        });
    });
}

#[derive(Debug, Clone, Copy)]
struct Range {
    ino: Ino,
    offset: u64,
    len: u64,
}

impl Range {
    /// Asks for the part of the range that begins at `from`.
    fn request(self, from: u64) -> Request {
        Request::Pieces { ino: self.ino, offset: from, len: self.offset.saturating_add(self.len).saturating_sub(from) }
    }

    /// Most reads end here, in the thread that found the answer: small files and cached blocks.
    fn answered(self, call: Call<ReplyData>, answer: Result<Answer, Errno>) {
        let size = match &answer {
            Ok(Answer::Pieces { attr, .. }) => attr.size,
            _ => 0,
        };
        let (plan, rest) = match self.plan(answer) {
            Ok(planned) => planned,
            Err(errno) => return call.fail(errno),
        };
        if let Some(ahead) = call.agent.read_ahead.read(self.ino, self.offset, self.len, size) {
            fetch_ahead(&call.agent, ahead);
        }
        if rest.is_none()
            && let Some(bytes) = call.agent.blocks.fill_from_memory(&plan)
        {
            return finish(call, bytes);
        }
        let agent = Arc::clone(&call.agent);
        agent.work.clone().spawn(async move {
            let (bytes, plan) = self.fetch(&agent, plan, rest).await;
            let is_good = bytes.is_ok();
            finish(call, bytes);
            if is_good {
                agent.blocks.bring_surroundings(&plan).await;
            }
        });
    }

    /// Begins a plan, and says where to ask for the rest if the answer did not hold all of it.
    fn plan(self, answer: Result<Answer, Errno>) -> Result<(Plan, Option<u64>), Errno> {
        let Answer::Pieces { attr, pieces, more } = answer? else { return Err(Errno::EIO) };
        let mut plan = Plan::new(self.offset, self.len, attr.size);
        let rest = self.rest(self.offset, &pieces, more)?;
        plan.add(self.offset, pieces)?;
        Ok((plan, rest))
    }

    fn rest(self, asked_from: u64, pieces: &[artifacts_core::namespace::Piece], more: bool) -> Result<Option<u64>, Errno> {
        let Some(last) = pieces.last().filter(|_| more) else { return Ok(None) };
        let end = last.offset.checked_add(u64::from(last.extent.len)).ok_or(Errno::EIO)?;
        // An answer that leads nowhere would be asked for without end.
        if end <= asked_from { Err(Errno::EIO) } else { Ok(Some(end).filter(|&end| end < self.offset.saturating_add(self.len))) }
    }

    /// The bytes, and how they were put together at last.
    async fn fetch(self, agent: &Agent, mut plan: Plan, rest: Option<u64>) -> (Result<Bytes, Errno>, Plan) {
        let bytes = self.try_fetch(agent, &mut plan, rest).await;
        (bytes, plan)
    }

    async fn try_fetch(self, agent: &Agent, plan: &mut Plan, mut rest: Option<u64>) -> Result<Bytes, Errno> {
        for _ in 0..READ_ATTEMPTS {
            while let Some(from) = rest {
                let Answer::Pieces { pieces, more, .. } = agent.session.answer(self.request(from)).await? else { return Err(Errno::EIO) };
                rest = self.rest(from, &pieces, more)?;
                plan.add(self.offset, pieces)?;
            }
            match agent.blocks.fill(plan).await {
                Ok(bytes) => return Ok(bytes),
                Err(BlockError::Failed(errno)) => return Err(errno),
                Err(BlockError::Gone) => {
                    pause(GONE_PAUSE_MS).await;
                    agent.session.forget_extents(self.ino);
                    (*plan, rest) = self.plan(agent.session.answer(self.request(self.offset)).await)?;
                }
            }
        }
        tracing::error!(ino = self.ino.0, offset = self.offset, "blocks that the node names cannot be found");
        Err(Errno::EIO)
    }
}

fn finish(call: Call<ReplyData>, bytes: Result<Bytes, Errno>) {
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
    Call::begin(agent, Holds::Pages, reply, move |call| {
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
        let session = Arc::clone(&call.agent.session);
        call.agent.session.clone().when_room(move || {
            let (applied, durable) = join(move |applied: Result<Box<Outcome>, Errno>, durable: Result<(), Errno>| {
                self.finish(call, applied.and_then(|outcome| durable.map(|()| outcome)));
            });
            session.send(|batch| {
                batch.commit(mutation, applied);
                batch.make_durable(durable);
            });
        });
    }

    fn finish(self, call: Call<ReplyWrite>, result: Result<Box<Outcome>, Errno>) {
        if let Ok(outcome) = &result
            && outcome.written.is_some_and(|written| written.offset != self.kernel_offset)
        {
            // Another mount has appended meanwhile: the kernel has put the bytes into the wrong page.
            call.agent.caches.drop_file(call.agent.numbers.to_kernel(self.ino), || {});
        }
        call.finish(result, move |reply, _| reply.written(self.len));
    }
}
