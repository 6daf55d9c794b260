//! The part of a namespace that a mount under the workspace's lease knows, and in which it applies its own ops.
//!
//! While a mount holds the lease nobody else changes the workspace, so what it has learnt stays true but for its own
//! changes, and [`Replica`] with [`crate::namespace::apply`] decides every op as the node will when the op comes to it.
//! What the replica does not know it says ([`crate::namespace::Missing`]); the shell asks the node with a [`Fetch`] and
//! lets the replica [`Replica::learn`] the answer.
//!
//! Always true:
//! - a row that an op of this mount has changed is newer than anything the node tells, until the node has applied the
//!   op; so it is never replaced by what is learnt and never forgotten before;
//! - absence is known only where it was said: of a row that was asked for, of a range that was read, or of everything
//!   below an inode that was made here;
//! - the accounts of segments are the node's alone, and so is the removal of an orphan's records: the replica takes off
//!   what an orphan counts for ([`Replica::purge`]) and forgets it.

mod fetch;
mod intervals;
mod known;
#[allow(clippy::module_inception, reason = "a file is named after its main type")]
mod replica;
mod table;

#[cfg(test)]
mod tests;

pub use fetch::{Fetch, Records};
pub use replica::Replica;
