use artifacts_core::SessionId;
use artifacts_core::namespace::{Ino, Usage};
use artifacts_core::protocol::{ClientFrame, InodeRange, ServerFrame, Traced};
use artifacts_core::session::InodeRanges;
use artifacts_core::ticket::Mode;
use ractor::RpcReplyPort;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::upkeep::UpkeepMessage;
use super::visit::{Visit, VisitReply};
use crate::records::Quotas;
use crate::store::StoreError;

/// Where a session's frames go. Unbounded, because the stream lets in only so many questions at a time.
pub(crate) type Outbound = mpsc::UnboundedSender<ServerFrame>;

/// A session that attaches, for the first time or over a new connection.
#[derive(Debug)]
pub(crate) struct Attachment {
    pub(crate) session: SessionId,
    pub(crate) mode: Mode,
    pub(crate) root: Ino,
    pub(crate) inodes: InodeRanges,
    pub(crate) outbound: Outbound,
    /// Whether it resumes: then it sends again what was not durable, and ends that with `ResendDone`.
    pub(crate) resumes: bool,
}

/// A session that nothing is accepted of any more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sealed {
    /// Whether everything that it has done is durable.
    pub(crate) is_saved: bool,
}

/// What comes with a frame.
#[derive(Debug, Default)]
pub(crate) struct FrameContext {
    /// Bounds the mailbox: it is given back when the frame has been worked off. Frames that are answered bring none, theirs comes
    /// back with the answer.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
    /// Which traced calls it serves.
    pub(crate) traced: Option<Box<Traced>>,
}

/// The answer to an attachment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attached {
    /// The last op of the session that is durable.
    pub(crate) durable_seq: u64,
}

/// What a workspace is told.
#[derive(Debug)]
pub(crate) enum WorkspaceMessage {
    /// Which inode a subpath names; directories that are missing are made.
    ResolveRoot { path: Vec<String>, reply: RpcReplyPort<Result<Ino, StoreError>> },
    /// A session attaches.
    Attach(Attachment, RpcReplyPort<Result<Attached, StoreError>>),
    /// Inode numbers that nobody else gets, durably.
    ReserveInodes(RpcReplyPort<Result<InodeRange, StoreError>>),
    /// Ranges that have been added to an attached session.
    InodesAdded(SessionId, InodeRange),
    /// A frame of an attached session.
    Frame(SessionId, ClientFrame, FrameContext),
    /// From now on nothing of this session is accepted; what it held is let go.
    Seal(SessionId, RpcReplyPort<Sealed>),
    /// This session has lapsed: nobody waits for what it might send again.
    Lapsed(SessionId),
    /// This session had lapsed and is heard again.
    Heard(SessionId),
    /// The time in which the holder of this lease had to give it back is over.
    RecallExpired(u64),
    /// Time to see whether holders of leases on inodes have answered.
    LookAtLeases,
    /// These quotas hold from now on. Answered when no mount goes by others.
    SetQuotas(Quotas, Option<RpcReplyPort<Result<(), StoreError>>>),
    /// What the workspace holds.
    Usage(RpcReplyPort<Result<Usage, StoreError>>),
    /// A flush has ended.
    Flushed(Result<(), StoreError>),
    /// Time for what is done now and then.
    Tick,
    /// Make everything durable and answer.
    Drain(RpcReplyPort<Result<(), StoreError>>),
    /// The node itself looks at something or changes it.
    Visit(Visit, VisitReply),
    /// The node needs a file no more that it has found to read it.
    Leave(Ino),
    /// About what goes on beside ops.
    Upkeep(UpkeepMessage),
}
