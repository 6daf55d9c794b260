use super::{ByteRange, FileOwner, Held, Holder, Mode, NamedHolder, Resource};
use crate::name::LockName;
use crate::namespace::Ino;

/// A wish for a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What.
    pub resource: Resource,
    /// Who.
    pub holder: Holder,
    /// Which bytes; all of them for anything but [`Resource::Range`].
    pub range: ByteRange,
    /// How.
    pub mode: Mode,
    /// Whether to queue if it cannot be had now.
    pub wait: bool,
}

impl Request {
    /// flock(2): `LOCK_SH` or `LOCK_EX`, without `LOCK_NB` if `wait`.
    pub fn flock(ino: Ino, owner: FileOwner, mode: Mode, wait: bool) -> Self {
        Self { resource: Resource::Flock(ino), holder: Holder::File(owner), range: ByteRange::WHOLE, mode, wait }
    }

    /// fcntl(2): `F_SETLK`, or `F_SETLKW` if `wait`.
    pub fn range(ino: Ino, owner: FileOwner, range: ByteRange, mode: Mode, wait: bool) -> Self {
        Self { resource: Resource::Range(ino), holder: Holder::File(owner), range, mode, wait }
    }

    /// A named lock.
    pub fn named(name: LockName, holder: NamedHolder, mode: Mode, wait: bool) -> Self {
        Self { resource: Resource::Named(name), holder: Holder::Named(holder), range: ByteRange::WHOLE, mode, wait }
    }
}

/// Names somebody who waits. Never used twice by one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaiterId(pub(super) u64);

/// What became of a [`Request`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is held.
    Granted {
        /// Greater than every one before.
        fencing_token: u64,
    },
    /// It waits; a [`Grant`] will come.
    Queued(WaiterId),
    /// No.
    Refused(Refusal),
}

/// Why a request was refused. The table is as if it had not come, except that flock(2) has lost what it wanted to convert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Somebody has it, or waits for it and was earlier, and the request would not wait.
    WouldBlock {
        /// Who has it; absent if nobody does and others only wait for it.
        held: Option<Box<Held>>,
    },
    /// It would wait for ever: each of these waits for the next, and the last for the first, which is the one refused.
    Deadlock {
        /// Who waits for what.
        cycle: Vec<Waiting>,
    },
    /// It is in use with another number of permits, or not as a semaphore, or only as one.
    Mismatch {
        /// How it is in use.
        mode: Mode,
    },
    /// There are too many locks.
    Full,
}

/// Who waits for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Who.
    pub holder: Holder,
    /// For what.
    pub resource: Resource,
}

/// Somebody who waited has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Who waited.
    pub waiter: WaiterId,
    /// What is held.
    pub resource: Resource,
    /// By whom.
    pub holder: Holder,
    /// See [`Outcome::Granted`].
    pub fencing_token: u64,
}
