//! The life of a mount session, as machines that know no clock and no network.
//!
//! On the node: [`Lifecycle`] decides when a session is live, lapsed or over; [`Inbox`] makes every op happen
//! exactly once, however often it is sent; [`Recovery`] puts what all mounts send again after a crash of the node
//! into the order in which it was first visible; [`OpenFiles`] knows which inodes outlive their last link; [`Absent`] who was away while others were served;
//! [`WorkspaceLease`] says which mount may decide by itself; [`FileLocks`] knows what mounts hold and wait for in the
//! workspace's table of locks.
//! In the mount: [`Standing`] says whether a call may be served at this moment; [`Outbox`] remembers every op until
//! it is durable; [`InodeRanges`] hands out inode numbers, and on the node checks them.
//!
//! Times are milliseconds of the caller's own monotonic clock, and count from the moment a request was sent.

mod absent;
mod file_locks;
mod inbox;
mod inode_ranges;
mod lifecycle;
mod open_files;
mod outbox;
mod recovery;
mod standing;
mod workspace_lease;

pub use absent::Absent;
pub use file_locks::{FileLocks, GivenAway, LockClaims};
pub use inbox::{Admission, Inbox, Progress};
pub use inode_ranges::InodeRanges;
pub use lifecycle::{Lifecycle, LifecycleEffect, Out, Phase};
pub use open_files::OpenFiles;
pub use outbox::{Disposition, Outbox};
pub use recovery::{Recovery, Resent};
pub use standing::{Standing, Verdict};
pub use workspace_lease::{LeaseEffect, WorkspaceLease};

/// How long the node keeps a session for an agent it does not hear from, unless the cluster says otherwise.
pub const DEFAULT_LEASE_MS: u64 = 10_000;
/// How old a mount's last proof of standing may be.
pub const PROOF_MS: u64 = 1_000;
/// How often a mount asks for a proof: four may be lost or late before it stalls.
pub const HEARTBEAT_MS: u64 = 200;
