use std::sync::Arc;

use artifacts_core::namespace::{Attr, Errno, Ino, Mutation, Outcome};
use artifacts_core::protocol::{Answer, Request};
use artifacts_core::trace::TraceContext;
use fuser::{
    Generation, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLock, ReplyLseek, ReplyOpen,
    ReplyStatfs, ReplyWrite, ReplyXattr,
};

use super::operation::Operation;
use super::system_call::SystemCall;
use super::thread::Thread;
use crate::agent::Agent;
use crate::errno;
use crate::gate::Holds;

/// Inode numbers are never used twice.
pub(super) const GENERATION: Generation = Generation(0);

/// Where an answer goes.
pub(crate) trait Reply: Send + 'static {
    /// Answers with an error.
    fn fail(self, errno: Errno);
}

macro_rules! replies {
    ($($reply:ident)*) => {$(
        impl Reply for $reply {
            fn fail(self, errno: Errno) {
                self.error(errno::to_kernel(errno));
            }
        }
    )*};
}

replies! { ReplyAttr ReplyCreate ReplyData ReplyDirectory ReplyEmpty ReplyEntry ReplyIoctl ReplyLock ReplyLseek ReplyOpen ReplyStatfs ReplyWrite ReplyXattr }

/// Who asks, and since when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker {
    /// When the call began: see `Beliefs::show` of the session.
    pub(crate) stamp: u64,
    /// The thread, if it is known.
    pub(crate) thread: Option<u32>,
}

/// A call that the gate has let in. Its answer goes through the gate again; dropped unanswered it fails with EIO.
pub(crate) struct Call<R> {
    /// The mount.
    pub(super) agent: Arc<Agent>,
    /// Who asks, and since when.
    pub(super) asker: Asker,
    holds: Holds,
    operation: Operation,
    reply: R,
}

impl<R: Reply> Call<R> {
    /// Lets a call in: `work` runs when the mount may serve.
    pub(super) fn begin(agent: &Arc<Agent>, call: SystemCall, holds: Holds, reply: R, work: impl FnOnce(Self) + Send + 'static) {
        Self::begin_for(None, agent, call, holds, reply, work);
    }

    /// As [`Call::begin`], of this thread.
    pub(super) fn begin_for(
        thread: Option<Thread>,
        agent: &Arc<Agent>,
        call: SystemCall,
        holds: Holds,
        reply: R,
        work: impl FnOnce(Self) + Send + 'static,
    ) {
        // Threads of another namespace have the number 0.
        let thread = thread.map(|Thread(thread)| thread).filter(|&thread| thread != 0);
        let operation = Operation::begin(agent, call);
        let asker = Asker { stamp: agent.session.beliefs.stamp(), thread };
        let call = Self { agent: Arc::clone(agent), asker, holds, operation, reply };
        agent.gate.enter(holds, move |verdict| match verdict {
            Ok(()) => work(call),
            Err(errno) => {
                let Self { agent, operation, reply, .. } = call;
                operation.end(&agent, Some(errno));
                reply.fail(errno);
            }
        });
    }

    /// Answers: with `success`, or with an errno, as soon as the gate lets the answer out. `success` only sends.
    pub(super) fn finish<T: Send + 'static>(self, result: Result<T, Errno>, success: impl FnOnce(R, T) + Send + 'static) {
        let Self { agent, holds, operation, reply, .. } = self;
        let gate = Arc::clone(&agent.gate);
        gate.leave(holds, move |verdict| {
            let result = verdict.and(result);
            operation.end(&agent, result.as_ref().err().copied());
            match result {
                Ok(value) => success(reply, value),
                Err(errno) => reply.fail(errno),
            }
        });
    }

    /// Its span, if it is traced.
    pub(super) fn context(&self) -> Option<TraceContext> {
        self.operation.context()
    }

    /// It has read or written so many bytes, if it succeeds.
    pub(super) fn moved(&mut self, bytes: u64) {
        self.operation.moved(bytes);
    }

    /// Names in these directories were made, removed or renamed by this call. Comes before its answer.
    pub(super) fn names_changed(&self, directories: &[Ino]) {
        directories.iter().for_each(|&dir| self.agent.names_changed(dir, self.asker));
    }

    /// Answers with an error.
    pub(super) fn fail(self, errno: Errno) {
        self.finish(Err::<(), _>(errno), |_, ()| {});
    }

    /// Asks the node.
    pub(super) fn ask(self, request: Request, then: impl FnOnce(Self, Result<Answer, Errno>) + Send + 'static) {
        let (session, context) = (Arc::clone(&self.agent.session), self.context());
        session.send(|batch| {
            batch.serve(context);
            batch.ask(request, move |result| then(self, result));
        });
    }

    /// Commits an op, once there is room for it.
    pub(super) fn commit(self, mutation: Mutation, then: impl FnOnce(Self, Result<Box<Outcome>, Errno>) + Send + 'static) {
        let (session, context) = (Arc::clone(&self.agent.session), self.context());
        self.agent.session.clone().when_room(move || {
            session.send(|batch| {
                batch.serve(context);
                batch.commit(mutation, move |result| then(self, result));
            });
        });
    }

    /// Goes on once pages that these attributes would make look fresh, and are not, have been dropped. Under a lease nobody
    /// else writes, so pages are fresh.
    pub(super) fn with_pages_checked(self, attr: &Attr, then: impl FnOnce(Self) + Send + 'static) {
        if self.agent.inodes.observe(attr) && !self.agent.session.beliefs.has_everything(self.asker.stamp) {
            let agent = Arc::clone(&self.agent);
            agent.caches.drop_file(agent.numbers.to_kernel(attr.ino), move || then(self));
        } else {
            then(self);
        }
    }
}

/// The attributes in an answer; anything else breaks the protocol.
pub(super) fn attr_of(result: Result<Answer, Errno>) -> Result<Attr, Errno> {
    match result? {
        Answer::Attr(attr) => Ok(attr),
        _ => Err(Errno::EIO),
    }
}
