use std::collections::VecDeque;

use super::Settled;
use crate::namespace::{Errno, Op};
use crate::protocol::Request;
use crate::trace::TraceContext;

/// One thing to do, and who waits for it.
#[derive(Debug)]
pub enum Step<O, R, D> {
    /// An op, which happened when it was made.
    Commit(Op, O),
    /// A question.
    Ask(Request, R),
    /// A wait until everything that was committed before, in these steps and ever, is durable.
    Durable(D),
}

impl<O, R, D> Step<O, R, D> {
    /// It does not come about.
    pub(super) fn refused(self, errno: Errno) -> Settled<O, R, D> {
        match self {
            Self::Commit(_, waiter) => Settled::Applied(waiter, Err(errno)),
            Self::Ask(_, waiter) => Settled::Answered(waiter, Err(errno)),
            Self::Durable(waiter) => Settled::Durable(waiter, Err(errno)),
        }
    }
}

/// Several things to do one after the other.
#[derive(Debug)]
pub struct Steps<O, R, D> {
    pub(super) steps: VecDeque<Step<O, R, D>>,
    /// How often something had to be fetched for them.
    pub(super) fetches: u32,
    /// The call of a program that they serve, if it is traced.
    pub(super) call: Option<TraceContext>,
}

impl<O, R, D> Steps<O, R, D> {
    /// The same, for this traced call.
    #[must_use]
    pub fn traced(self, call: Option<TraceContext>) -> Self {
        Self { call, ..self }
    }

    /// The call of a program that they serve, if it is traced.
    pub fn call(&self) -> Option<TraceContext> {
        self.call
    }
}

impl<O, R, D> From<VecDeque<Step<O, R, D>>> for Steps<O, R, D> {
    fn from(steps: VecDeque<Step<O, R, D>>) -> Self {
        Self { steps, fetches: 0, call: None }
    }
}
