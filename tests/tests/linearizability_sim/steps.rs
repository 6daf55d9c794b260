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
    Applied(Result<Outcome, Errno>),
    Answered(Result<Answer, Errno>),
    Durable(Result<(), Errno>),
    Closed,
}

impl Step {
    /// The end of a step that fails.
    pub(crate) fn refused(&self, errno: Errno) -> Came {
        match self {
            Self::Commit(_) => Came::Applied(Err(errno)),
            Self::Ask(_) => Came::Answered(Err(errno)),
            Self::Durable => Came::Durable(Err(errno)),
            Self::Close(_) => Came::Closed,
        }
    }
}
