//! One workspace in use: its namespace in memory over the store, and the sessions that are attached to it.
//!
//! The [`WorkspaceActor`] is the only writer of the workspace's keys. It works off one message at a time, so the
//! order in which it applies ops is the workspace's order. An op is visible to everybody when it is applied; it is
//! durable when the flush that holds it has ended. A flush is one atomic batch of all changes since the one before
//! and of how far each session has come, so a crash leaves exactly a prefix of the order. A mount that is alone may hold the
//! workspace's lease and decide by itself; its ops then come in batches, and everybody else waits until it has given it back.

mod actor;
mod collection;
mod commit;
mod compaction;
mod copying;
mod errand;
mod flush;
mod fsck;
mod grace;
mod homes;
mod inode_leases;
mod keys;
mod layers;
mod lease;
mod member;
mod message;
mod packer;
mod packing;
mod purging;
mod questions;
mod quotas;
mod segment_reader;
mod sharing;
mod snapshot;
mod storage;
mod traces;
mod turns;
mod upkeep;
mod visit;
mod visitors;

#[cfg(test)]
mod tests;

pub(crate) use actor::{FenceSession, WorkspaceActor, WorkspaceArguments};
pub(crate) use copying::copy;
pub(crate) use fsck::check;
pub use fsck::{CheckFinding, CheckOptions, CheckReport};
pub use homes::SegmentHomes;
pub(crate) use keys::{WorkspaceKeys, holds_data, segment_key, workspace_of};
pub(crate) use message::{Attached, Attachment, FrameContext, Outbound, Sealed, WorkspaceMessage};
pub(crate) use quotas::encode_quotas;
pub(crate) use sharing::remove;
pub use storage::Storage;
pub(crate) use storage::storage;
pub(crate) use upkeep::AbsentWriters;
pub use upkeep::UpkeepRules;
pub(crate) use visit::{Condition, NewFile, Target, Version, Visit, VisitError, Visited};
