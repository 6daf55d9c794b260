//! The locks of workspaces: one `LockActor` for each workspace in which anything is locked.
//!
//! The actor owns the [`LockTable`](artifacts_core::locks::LockTable) and works off one message at a time. What always
//! holds:
//!
//! - A named lock that was answered as held is on record, durably, until it is released or runs out: it outlives the
//!   node's process. So does what the fencing tokens have come to; none is ever given twice.
//! - Locks on files live in memory. After a restart their mounts claim them, and until every session on record has done so or
//!   has run out no file is locked anew.
//! - A session that has lapsed keeps its locks as long as nobody wants them. If somebody does it is fenced first, and only when
//!   nothing of it is accepted any more do its locks pass on.
//! - Whoever waited and is not there any more has no lock: what was granted in vain is given back.

mod actor;
mod event;
mod files;
mod handle;
mod journal;
mod message;
mod named;
mod record;
mod registry;
mod view;

pub use event::{EventId, EventKind, LockEvent, Resumed};
pub(crate) use files::FileMessage;
pub use handle::{Claim, LockHandle};
pub use message::{AcquireRefusal, Lease, Lost, Which, Wish};
pub use record::LockRight;
pub use registry::{FenceSession, Locks};
pub use view::{HolderView, LockView, Party, WaiterView};
