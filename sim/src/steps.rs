use artifacts_core::namespace::{Errno, Ino, Mutation, Outcome};
use artifacts_core::protocol::{Answer, Request};

/// What a mount is asked to do, one after the other.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A change.
    Commit(Mutation),
    /// A question.
    Ask(Request),
    /// Until everything so far is durable.
    Durable,
    /// A handle is closed; nobody waits for it.
    Close(Ino),
}

/// What a step has come to.
#[derive(Debug, Clone)]
pub(crate) enum Came {
    Applied(Result<Box<Outcome>, Errno>),
    Answered(Result<Answer, Errno>),
    Durable(Result<(), Errno>),
    Closed,
}
