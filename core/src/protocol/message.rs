use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{LockAnswer, LockConflict, Traced};
use crate::leases::{Kind, Lease};
use crate::locks::{FileLock, LockSpace};
use crate::namespace::{Attr, DirEntry, Errno, Ino, Name, Op, Outcome, Piece, Usage};
use crate::replica::{Fetch, Records};

/// From a mount to the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientFrame {
    /// Asks for a proof of standing. `sent_ms` is the mount's own clock and comes back unread.
    Heartbeat {
        /// When the mount sent this, by its clock that does not stop in suspend.
        sent_ms: u64,
    },
    /// A question; the answer bears the same `id`.
    Request {
        /// Chosen by the mount.
        id: u32,
        /// The question.
        request: Request,
    },
    /// Ops in the mount's order.
    Commit {
        /// The mount has the results of all ops up to this one; the node may forget them.
        acked: u64,
        /// The ops, their numbers without a gap.
        ops: Vec<NumberedOp>,
    },
    /// Somebody waits for [`ServerFrame::Durable`] of this op: flush now rather than soon.
    Flush {
        /// The op.
        seq: u64,
    },
    /// After a resume: everything that was not durable has been sent again, and these inodes are open.
    ResendDone {
        /// Inodes that programs hold open.
        open: Vec<Ino>,
    },
    /// Nobody has these open on this mount any more.
    Closed {
        /// The inodes.
        inodes: Vec<Ino>,
    },
    /// The answer to [`ServerFrame::Fenced`]: every call fails and the kernel's caches are dropped.
    FenceConfirmed,
    /// The mount ends and has nothing left to save.
    Goodbye,
    /// The mount would like to hold the workspace's lease whenever nobody else has it mounted.
    WantLease,
    /// The first frame of a resumed stream whose mount holds the workspace's lease.
    ClaimLease {
        /// The lease's number.
        epoch: u64,
    },
    /// The mount gives the lease back: everything it decided by itself was sent before, and the kernel's caches are
    /// dropped. On a resumed stream, from one that holds none, it says just that, behind what is sent and asked again.
    ReturnLease,
    /// These inodes are open, though nobody asked the node to open them: the mount held the lease.
    Opened {
        /// The inodes.
        inodes: Vec<Ino>,
    },
    /// As `Commit`, of ops that the mount has decided by itself under leases on their inodes.
    Decided {
        /// As in `Commit`.
        acked: u64,
        /// As in `Commit`.
        ops: Vec<NumberedOp>,
    },
    /// The mount gives leases back, or only stops deciding: everything it decided under them was sent before, and what
    /// is not believed any more is dropped from the kernel's caches.
    GiveBack {
        /// Which.
        leases: Vec<Lease>,
        /// Whether it goes on believing.
        keep_read: bool,
    },
    /// The first frame of a resumed stream: all leases on inodes that the mount takes itself to hold.
    ClaimLeases {
        /// Which.
        leases: Vec<Lease>,
    },
    /// All locks of this mount: on a resumed stream before anything is asked again, and when calls may be served again after
    /// a lapse. What else the node believes it to hold or to wait for is let go.
    ClaimLocks {
        /// What programs hold.
        held: Vec<FileLock>,
        /// What may be held or wait: it was asked for under this number, and is going to be asked for again.
        asked: Vec<(u64, FileLock)>,
        /// What waits, and under which number.
        waiting: Vec<(u64, FileLock)>,
    },
    /// About the next frame. Sent only over a stream whose welcome asks for it, so it needs no version of its own.
    Traced(Traced),
}

impl ClientFrame {
    /// Whether it is served only while no other session holds the workspace's lease.
    pub const fn waits_for_lease(&self) -> bool {
        matches!(
            self,
            Self::Commit { .. }
                | Self::Decided { .. }
                | Self::Request { .. }
                | Self::Closed { .. }
                | Self::Opened { .. }
                | Self::Flush { .. }
        )
    }

    /// Whether it is served only once all sessions on record have said, after a restart of the node, what they had. Who wants
    /// the lease gets it behind what it says of an earlier one, and not before everybody is back.
    pub const fn waits_for_recovery(&self) -> bool {
        matches!(self, Self::Request { .. } | Self::Closed { .. } | Self::ReturnLease | Self::WantLease | Self::GiveBack { .. })
    }
}

/// The answer to an op that met a lease of somebody else: nothing has happened, and [`ServerFrame::ComeAgain`] will say
/// when to send it anew, under a new number.
pub const COME_AGAIN: Errno = Errno::EBUSY;

/// An op with its place in the mount's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberedOp {
    /// 1 for the session's first op.
    pub seq: u64,
    /// When sent again: its place in the workspace's order, if the mount had been told. Of one that was decided under leases
    /// a place right behind all that the mount had been told of by then: what it was decided on lies before that, and what
    /// others have done to the same inodes since lies behind.
    pub order: Option<u64>,
    /// The op.
    pub op: Op,
}

impl NumberedOp {
    /// Before everything that a node has placed.
    pub const FIRST: u64 = 1;
}

/// Questions to a namespace; see the functions of the same names in [`crate::namespace`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the variants are the functions' names and parameters")]
pub enum Request {
    Lookup {
        parent: Ino,
        name: Name,
    },
    Attr {
        ino: Ino,
    },
    /// As `Attr`, and from now on the inode outlives its last link until `Closed`.
    Open {
        ino: Ino,
    },
    ReadLink {
        ino: Ino,
    },
    ReadDir {
        dir: Ino,
        after: Option<Name>,
        limit: u32,
    },
    Pieces {
        ino: Ino,
        offset: u64,
        len: u64,
    },
    Xattr {
        ino: Ino,
        name: Bytes,
    },
    XattrNames {
        ino: Ino,
    },
    Usage,
    /// More inode numbers for this session.
    ReserveInodes,
    /// Records as they are stored, for the holder of the workspace's lease.
    Fetch(Fetch),
    /// As `Fetch`, and with the records a lease on the inode to which they belong.
    Learn {
        /// What.
        fetch: Fetch,
        /// What the lease is to allow.
        kind: Kind,
    },
    /// Write leases on these inodes.
    Acquire {
        /// Which.
        inodes: Vec<Ino>,
    },
    /// A lock on a file. Asked again with the same number it is the same wish.
    Lock {
        /// Chosen by the mount, for [`Request::CancelLock`] and [`ServerFrame::LockSettled`].
        id: u64,
        lock: FileLock,
        /// Whether to queue if it cannot be had now.
        wait: bool,
    },
    /// Lets go of whatever its owner holds of this.
    Unlock {
        ino: Ino,
        owner: u64,
        space: LockSpace,
    },
    /// Whether somebody is in the way of this lock.
    TestLock(FileLock),
    /// A lock that waits is not wanted any more.
    CancelLock {
        id: u64,
    },
}

impl Request {
    /// Which one it is, for traces.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Lookup { .. } => "lookup",
            Self::Attr { .. } => "attr",
            Self::Open { .. } => "open",
            Self::ReadLink { .. } => "read_link",
            Self::ReadDir { .. } => "read_dir",
            Self::Pieces { .. } => "pieces",
            Self::Xattr { .. } => "xattr",
            Self::XattrNames { .. } => "xattr_names",
            Self::Usage => "usage",
            Self::ReserveInodes => "reserve_inodes",
            Self::Fetch(_) => "fetch",
            Self::Learn { .. } => "learn",
            Self::Acquire { .. } => "acquire",
            Self::Lock { .. } => "lock",
            Self::Unlock { .. } => "unlock",
            Self::TestLock(_) => "test_lock",
            Self::CancelLock { .. } => "cancel_lock",
        }
    }

    /// Whether it asks for leases, and is answered when whoever holds them has given them back.
    pub const fn wants_leases(&self) -> bool {
        matches!(self, Self::Learn { .. } | Self::Acquire { .. })
    }

    /// The inode that a question to the namespace is about.
    pub const fn about(&self) -> Option<Ino> {
        match self {
            Self::Lookup { parent: ino, .. }
            | Self::Attr { ino }
            | Self::Open { ino }
            | Self::ReadLink { ino }
            | Self::ReadDir { dir: ino, .. }
            | Self::Pieces { ino, .. }
            | Self::Xattr { ino, .. }
            | Self::XattrNames { ino } => Some(*ino),
            _ => None,
        }
    }

    /// Whether it is for the workspace's table of locks, and not for its namespace.
    pub const fn is_about_locks(&self) -> bool {
        matches!(self, Self::Lock { .. } | Self::Unlock { .. } | Self::TestLock(_) | Self::CancelLock { .. })
    }
}

/// From the node to a mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerFrame {
    /// The session stood after the moment in which this heartbeat was sent.
    Proof {
        /// The heartbeat's `sent_ms`.
        sent_ms: u64,
    },
    /// The answer to a request.
    Reply {
        /// The request's.
        id: u32,
        /// The answer.
        result: Result<Answer, Errno>,
    },
    /// These ops have happened, or been refused, for everybody.
    Applied(Vec<OpResult>),
    /// Every op up to this one survives the loss of the node's process.
    Durable {
        /// The op.
        seq: u64,
    },
    /// The session is over and nothing of it is accepted any more.
    Fenced(FenceReason),
    /// The node shuts down in good order: reconnect, here or elsewhere.
    Closing,
    /// The mount holds the workspace's lease from now on: nobody else changes anything.
    Lease {
        /// The lease's number.
        epoch: u64,
        /// Quota on bytes.
        bytes: Option<u64>,
        /// Quota on inodes.
        inodes: Option<u64>,
    },
    /// Somebody else wants in: send what was decided, drop the caches, give the lease back.
    Recall {
        /// The lease's number.
        epoch: u64,
    },
    /// Somebody waits for these leases on inodes.
    RecallLeases {
        /// Which.
        leases: Vec<Lease>,
        /// Whether it is enough to stop deciding.
        keep_read: bool,
    },
    /// Ops of this mount that the node has decided, and answers next, have changed these inodes. The mount's leases on
    /// them stand; what it knows of them is out of date.
    Changed {
        /// The inodes.
        inodes: Vec<Ino>,
    },
    /// What an op met that was answered with [`COME_AGAIN`] is out of its way.
    ComeAgain {
        /// The op.
        seq: u64,
    },
    /// A lock that waited is held, or will not come.
    LockSettled {
        /// The number under which it was asked for.
        id: u64,
        /// Why not.
        result: Result<(), Errno>,
    },
}

/// What became of one op.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpResult {
    /// The op.
    pub seq: u64,
    /// Its place in the workspace's order.
    pub order: u64,
    /// What it answers.
    pub result: Result<Outcome, Errno>,
}

/// Answers to [`Request`]s.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// To `Lookup`, `Attr`, `Open`.
    Attr(Attr),
    /// To `ReadLink` and `Xattr`.
    Bytes(Bytes),
    /// To `ReadDir`.
    Entries(Vec<DirEntry>),
    /// To `Pieces`: the file's attributes, its data within the range, and whether there may be more in it.
    Pieces {
        /// The file.
        attr: Attr,
        /// In order.
        pieces: Vec<Piece>,
        /// If true, ask again from the end of the last piece.
        more: bool,
    },
    /// To `XattrNames`.
    Names(Vec<Bytes>),
    /// To `Usage`: what is held, and the quotas on bytes and inodes.
    Usage {
        /// Held.
        usage: Usage,
        /// Quota on bytes.
        bytes: Option<u64>,
        /// Quota on inodes.
        inodes: Option<u64>,
    },
    /// To `ReserveInodes`.
    Inodes(InodeRange),
    /// To `Fetch`.
    Records(Records),
    /// To `Learn`: the leases that the mount has got. Records of an inode come only with a lease on it. Without one on the
    /// inode that was asked for, it is the node that answers and decides for now.
    Learnt {
        /// The leases.
        leases: Vec<Lease>,
        /// The records.
        records: Records,
    },
    /// To `Acquire`: what the mount has got of it.
    Leases(Vec<Lease>),
    /// To `Lock`.
    Lock(LockAnswer),
    /// To `Unlock`: from now on others may have it.
    Unlocked,
    /// To `TestLock`: who is in the way.
    Conflict(Option<LockConflict>),
    /// To `CancelLock`: false if it does not wait, because it is held.
    Cancelled(bool),
}

/// Inode numbers that one session alone may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InodeRange {
    /// The first.
    pub first: u64,
    /// How many.
    pub count: u64,
}

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FenceReason {
    /// Its grant, key, tenant or itself was revoked.
    Revoked,
    /// Its ticket or key has run out.
    Expired,
    /// Its lease ran out and what it held was given to somebody else.
    LeaseLost,
    /// Its workspace is being deleted.
    WorkspaceDeleted,
}

impl FenceReason {
    /// What every system call under the mount point answers from now on.
    pub const fn errno(self) -> Errno {
        match self {
            Self::Revoked | Self::Expired | Self::WorkspaceDeleted => Errno::EACCES,
            Self::LeaseLost => Errno::EIO,
        }
    }

    /// For programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::LeaseLost => "lease_lost",
            Self::WorkspaceDeleted => "workspace_deleted",
        }
    }

    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Revoked => "access was revoked",
            Self::Expired => "the credential has expired",
            Self::LeaseLost => "the lease ran out and somebody else has mounted in its place",
            Self::WorkspaceDeleted => "the workspace was deleted",
        }
    }
}
