use artifacts_core::namespace::{Errno, Mutation, Nanos, Op, Outcome};
use artifacts_core::protocol::{Answer, ClientFrame, Request};

use super::in_flight::Settled;
use super::mount_session::Shared;

/// Runs when an op has been applied or refused.
pub(super) type OpDone = Box<dyn FnOnce(Result<Box<Outcome>, Errno>) + Send>;
/// Runs when a request is answered.
pub(super) type Answered = Box<dyn FnOnce(Result<Answer, Errno>) + Send>;
/// Runs when ops are durable.
pub(super) type Durable = Box<dyn FnOnce(Result<(), Errno>) + Send>;
/// One of these with what it waits for.
pub(super) type Ready = Settled<OpDone, Answered, Durable>;

impl Ready {
    /// Tells the one who waits. Never under a lock.
    pub(super) fn run(self) {
        match self {
            Self::Applied(done, result) => done(result),
            Self::Answered(done, result) => done(result),
            Self::Durable(done, result) => done(result),
        }
    }
}

/// Several things to send that belong together: they leave in this order, with one flush.
pub(crate) struct Batch<'a> {
    pub(super) shared: &'a mut Shared,
    pub(super) now_ms: u64,
    pub(super) wall_ns: Nanos,
    pub(super) frames: Vec<ClientFrame>,
    /// Those that may not wait now.
    pub(super) ready: Vec<Ready>,
}

impl Batch<'_> {
    /// An op, which happens now.
    pub(crate) fn commit(&mut self, mutation: Mutation, done: impl FnOnce(Result<Box<Outcome>, Errno>) + Send + 'static) {
        let op = Op { mutation, time: self.wall_ns };
        match self.shared.in_flight.commit(op, Box::new(done), self.now_ms) {
            Ok(frame) => self.frames.push(frame),
            Err((done, errno)) => self.ready.push(Ready::Applied(done, Err(errno))),
        }
    }

    /// A question.
    pub(crate) fn ask(&mut self, request: Request, done: impl FnOnce(Result<Answer, Errno>) + Send + 'static) {
        match self.shared.in_flight.ask(request, Box::new(done), self.now_ms) {
            Ok(frame) => self.frames.push(frame),
            Err((done, errno)) => self.ready.push(Ready::Answered(done, Err(errno))),
        }
    }

    /// A wait until everything that was committed before, in this batch and ever, is durable.
    pub(crate) fn make_durable(&mut self, done: impl FnOnce(Result<(), Errno>) + Send + 'static) {
        let seq = self.shared.in_flight.last_seq();
        match self.shared.in_flight.wait_durable(seq, Box::new(done), self.now_ms) {
            Ok(frame) => self.frames.extend(frame),
            Err((done, result)) => self.ready.push(Ready::Durable(done, result)),
        }
    }
}
