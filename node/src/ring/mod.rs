//! The ring of control nodes: who is there, who is alive, and calls from one to another.
//!
//! [`Ring`] is a handle; behind it one task lives through one [`Incarnation`](artifacts_core::mesh::Incarnation) after
//! another. Each has a gossip instance of its own over the one UDP socket of the process; when an instance ends (its
//! task panicked, this node was frozen for so long that the others have suspected it, the table of senders is full, or
//! others remember a later life), the next begins with a higher generation, which is on disk before it is used.
//!
//! - **Without ring settings there is no ring**: no socket, no task, no file.
//! - **chitchat sees nothing that did not pass [`artifacts_core::mesh`]**, and its event callbacks are not used: once an
//!   interval its state is read, under its lock, into a [`RingView`] that others watch.
//! - **The ring only suggests.** Who owns a shard is decided by the store.
//!
//! - **What others say besides is passed on unread** ([`Rumours`]).
//!
//! `docs/design/0012-ring.md` tells why.

mod caller;
mod calls;
mod config;
mod error;
mod handle;
mod lives;
mod task;
mod view;

#[cfg(test)]
mod tests;

pub use artifacts_gossip::Rumours;
pub use caller::{CallFailed, Caller};
pub use config::RingConfig;
pub use error::RingError;
pub use handle::{Ring, RingSeat};
pub use view::RingView;

pub(crate) use calls::{FeedStatus, Holdings, STATUS_PATH, StatusAnswer, UnitStatus, answer, open, router};
pub(crate) use handle::state_of;
