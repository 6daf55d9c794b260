use std::collections::VecDeque;

use artifacts_core::namespace::{Errno, Mutation, Nanos, Op, Outcome};
use artifacts_core::protocol::{Answer, Request};

use super::in_flight::Settled;

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

/// One thing to do.
pub(super) enum Step {
    /// An op, which happened when it was made.
    Commit(Op, OpDone),
    /// A question.
    Ask(Request, Answered),
    /// A wait until everything that was committed before, in this batch and ever, is durable.
    Durable(Durable),
}

impl Step {
    /// It does not come about.
    pub(super) fn refused(self, errno: Errno) -> Ready {
        match self {
            Self::Commit(_, done) => Ready::Applied(done, Err(errno)),
            Self::Ask(_, done) => Ready::Answered(done, Err(errno)),
            Self::Durable(done) => Ready::Durable(done, Err(errno)),
        }
    }
}

/// Several things to do one after the other.
pub(super) struct Steps {
    pub(super) steps: VecDeque<Step>,
    /// How often something had to be fetched for them.
    pub(super) fetches: u32,
}

/// Several things to do that belong together: in this order, and what is sent leaves with one flush.
pub(crate) struct Batch {
    wall_ns: Nanos,
    steps: VecDeque<Step>,
}

impl Batch {
    /// For things that happen at this time.
    pub(super) fn new(wall_ns: Nanos) -> Self {
        Self { wall_ns, steps: VecDeque::with_capacity(2) }
    }

    /// An op, which happens now.
    pub(crate) fn commit(&mut self, mutation: Mutation, done: impl FnOnce(Result<Box<Outcome>, Errno>) + Send + 'static) {
        self.steps.push_back(Step::Commit(Op { mutation, time: self.wall_ns }, Box::new(done)));
    }

    /// A question.
    pub(crate) fn ask(&mut self, request: Request, done: impl FnOnce(Result<Answer, Errno>) + Send + 'static) {
        self.steps.push_back(Step::Ask(request, Box::new(done)));
    }

    /// A wait until everything that was committed before, in this batch and ever, is durable.
    pub(crate) fn make_durable(&mut self, done: impl FnOnce(Result<(), Errno>) + Send + 'static) {
        self.steps.push_back(Step::Durable(Box::new(done)));
    }

    pub(super) fn into_steps(self) -> Steps {
        Steps { steps: self.steps, fetches: 0 }
    }
}
