//! Gossip: chitchat behind sealed datagrams, for the ring of control nodes and for the cells of agents.
//!
//! What is decided about a datagram is decided in [`artifacts_core::mesh`]; here are the sockets around it.
//!
//! - **chitchat sees nothing that did not pass there** ([`SealedTransport`]), and its event callbacks are not used.
//! - **A [`Cell`] lives one life after another**: when its gossip task ends, for whatever reason, the next begins with a higher
//!   generation, and says all of it again.
//! - **Several cells share a [`Port`]**: a datagram of none of them is dropped before anything is copied.
//!
//! How the ring lives is told in the node, which has a membership of its own around the same transport.

mod cell;
pub mod codec;
mod port;
mod rumours;
mod socket;
mod surroundings;

#[cfg(test)]
mod tests;

pub use cell::{Cell, CellMember, FORGET_DEAD_AFTER};
pub use port::Port;
pub use rumours::{Heard, PREFIX, Rumours};
pub use socket::{Ending, SealedTransport, SharedEndpoint, TransportParts, bind};
pub use surroundings::{Count, Monotonic, Random};
