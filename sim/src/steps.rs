use artifacts_core::locks::FileLock;
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
    /// A lock on a file.
    Lock { lock: FileLock, wait: bool },
    /// Lets go of it.
    Unlock(FileLock),
}

/// What a step has come to.
#[derive(Debug, Clone)]
pub(crate) enum Came {
    Applied(Result<Box<Outcome>, Errno>),
    Answered(Result<Answer, Errno>),
    Durable(Result<(), Errno>),
    Closed,
    Locked(Result<(), Errno>),
}
