//! The vocabulary of Artifacts and the state machines that decide everything.
//!
//! Nothing here does I/O, reads a clock, draws a random number or starts a task: input goes in, effects come
//! out. The control node, the mount agent and the simulator run these same machines and differ only in the
//! shells around them. `core` depends on no other crate of the workspace.

pub mod cluster;
mod hashing;

pub mod error_code;
pub mod hosts;
pub mod id;
pub mod leases;
pub mod locks;
pub mod mesh;
pub mod mount;
pub mod name;
pub mod namespace;
pub mod protocol;
pub mod replica;
pub mod revocation;
pub mod session;
pub mod ticket;
pub mod time;
pub mod trace;

pub use error_code::ErrorCode;
pub use id::{
    AccountId, AuditId, GrantId, Id, KeyId, LockId, RevocationId, SegmentId, SessionId, SnapshotId, TenantId, TicketId, WorkspaceId,
};
pub use time::Timestamp;
