//! The journal before the database: a batch is durable once it is here, which costs one `fdatasync` for all that wait.
//!
//! - **Order.** Batches get sequences without gaps and are recorded in that order ([`Log`]). A batch enters the
//!   [`Table`], and with it the view of readers, only when its record has been written.
//! - **The database holds a prefix of the journal.** Only what is durable here is applied there, in groups; a group is
//!   freed here only when it is durable there.
//! - **Recovery** ([`Remains`]) applies what was not freed once more. Batches say what is, not what changes, so applying
//!   a run of them twice, to its end, is applying it once. A write that was torn ends the run. What had been durable and
//!   is damaged is an error, never skipped (`replay.rs`).
//! - **Bounds.** The log has a largest size; whoever appends waits until some of it is freed.
//!
//! `record.rs`, `replay.rs`, `table.rs` and `merge.rs` touch no disk.

mod checkpoint;
mod log;
mod merge;
mod record;
mod replay;
mod segment;
mod table;

#[cfg(test)]
mod tests;

pub(super) use self::log::{Log, LogLimits, Remains, Room};
pub(super) use self::merge::{Entry, Merge};
pub(super) use self::table::{Frozen, Table};
