use std::collections::VecDeque;

use artifacts_core::mount;
use artifacts_core::namespace::{Errno, Mutation, Nanos, Op, Outcome};
use artifacts_core::protocol::{Answer, Request};
use artifacts_core::trace::TraceContext;

/// Runs when an op has been applied or refused.
pub(super) type OpDone = Box<dyn FnOnce(Result<Box<Outcome>, Errno>) + Send>;
/// Runs when a request is answered.
pub(super) type Answered = Box<dyn FnOnce(Result<Answer, Errno>) + Send>;
/// Runs when ops are durable.
pub(super) type Durable = Box<dyn FnOnce(Result<(), Errno>) + Send>;
/// One thing to do.
pub(super) type Step = mount::Step<OpDone, Answered, Durable>;
/// Several things to do one after the other.
pub(super) type Steps = mount::Steps<OpDone, Answered, Durable>;
/// What comes of that.
pub(super) type Effects = mount::Effects<OpDone, Answered, Durable>;

/// Several things to do that belong together: in this order, and what is sent leaves with one flush.
pub(crate) struct Batch {
    wall_ns: Nanos,
    steps: VecDeque<Step>,
    call: Option<TraceContext>,
}

impl Batch {
    /// For things that happen at this time.
    pub(super) fn new(wall_ns: Nanos) -> Self {
        Self { wall_ns, steps: VecDeque::with_capacity(2), call: None }
    }

    /// All of it is for this call of a program, if that is traced.
    pub(crate) fn serve(&mut self, call: Option<TraceContext>) {
        self.call = call;
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
        Steps::from(self.steps).traced(self.call)
    }
}
