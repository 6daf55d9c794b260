use artifacts_core::locks::{Held, Mode, NotHeld, Waiting};
use artifacts_core::name::LockName;
use artifacts_core::revocation::Target;
use artifacts_core::{LockId, SessionId, TicketId, Timestamp};
use ractor::RpcReplyPort;
use tokio::sync::oneshot;

use super::event::{EventId, Subscription};
use super::files::FileMessage;
use super::record::LockRight;
use super::view::LockView;

/// What a [`super::actor::LockActor`] is told.
#[derive(Debug)]
pub(crate) enum LockMessage {
    /// Of the locks on files.
    File(FileMessage),
    /// A session has not been heard for its lease.
    Lapsed(SessionId),
    /// A session that may have lapsed is heard again.
    Heard(SessionId),
    /// Nothing of a session is accepted any more: what it held passes on.
    Gone(SessionId),
    /// A session on record holds nothing that the table does not know.
    Settled(SessionId),
    /// A named lock is wanted.
    Acquire(Box<Acquire>),
    /// Somebody has waited long enough. Answers why in vain, or nothing if it does not wait any more.
    Withdraw(LockId, RpcReplyPort<Option<AcquireRefusal>>),
    /// Nobody is there for a named lock, whether it is held or waited for.
    GiveUp(LockId),
    /// A named lock is wanted for longer.
    Renew { which: Which, ttl_ms: u64, reply: RpcReplyPort<Result<Lease, Lost>> },
    /// A named lock is not needed any more.
    Release { which: Which, reply: RpcReplyPort<Result<(), Lost>> },
    /// Rights have ended: what was locked by them is free.
    Revoke { targets: Vec<Target>, tickets: Vec<TicketId>, reply: RpcReplyPort<()> },
    /// Everything that is locked or waited for.
    List(RpcReplyPort<Vec<LockView>>),
    /// Events from now on, and those after one that is known already.
    Subscribe(Option<EventId>, RpcReplyPort<Subscription>),
    /// Tokens up to this one may be given.
    Reserved(u64),
    /// Time has passed.
    Tick,
    /// Answers when everything before is durable.
    Drain(RpcReplyPort<()>),
}

/// A named lock as somebody wants it.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Which.
    pub name: LockName,
    /// How.
    pub mode: Mode,
    /// How long it lasts without a renewal.
    pub ttl_ms: u64,
    /// Whether to queue.
    pub wait: bool,
    /// For people.
    pub note: Option<String>,
    /// Between whom deadlocks are found.
    pub owner: Option<String>,
    /// By what right.
    pub right: LockRight,
    /// When that right ends.
    pub until: Option<Timestamp>,
}

/// A [`Wish`] and who waits for its answer.
#[derive(Debug)]
pub(crate) struct Acquire {
    /// What it will be known by.
    pub(crate) lock: LockId,
    pub(crate) wish: Wish,
    pub(crate) reply: oneshot::Sender<Result<Lease, AcquireRefusal>>,
}

/// A named lock that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Whoever knows it may renew and release the lock.
    pub lock_id: LockId,
    /// Greater than every one before in the workspace.
    pub fencing_token: u64,
    /// When it runs out.
    pub expires_at: Timestamp,
}

/// Why a named lock was not had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AcquireRefusal {
    /// Somebody has it, or others wait for it.
    Held(Option<Box<Held>>),
    /// It would be waited for without an end.
    Deadlock(Vec<Waiting>),
    /// It is in use in another mode.
    Mismatch(Mode),
    /// There are too many locks.
    Full,
    /// The right to it has been revoked or has run out.
    Revoked,
    /// It could not be put on record.
    Unwritten,
}

/// A named lock that is held, as somebody speaks of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Which {
    /// Its name.
    pub name: LockName,
    /// Under which it is held.
    pub lock_id: LockId,
    /// Only if it was taken by this right.
    pub taken_by: Option<LockRight>,
}

/// Why a named lock was neither renewed nor released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// It is not held under this id, or not under this name.
    NotHeld,
    /// It was taken by another right.
    Others,
    /// That could not be put on record.
    Unwritten,
}

impl From<NotHeld> for Lost {
    fn from(NotHeld: NotHeld) -> Self {
        Self::NotHeld
    }
}
