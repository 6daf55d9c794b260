//! The part of an agent in the mesh: how it asks for its cell, and what it knows of revocations from there.
//!
//! An agent is a host's, which the account runs and which has a mesh credential, or a guest's: one mount, in a sandbox, which has its
//! session and nothing else ([`GuestBearer`]). A host is in one cell of its account ([`Cells`](crate::mesh::Cells) forms them), and knows from gossip what was revoked in the
//! account's shard and how fresh that is ([`HostProofs`]). What it hears there comes from members that may be hostile: it counts for
//! its signature, and for nothing else. `docs/design/0021-cells.md` tells the whole of it. From there on a guest does what a host does.

mod call;
mod guest;
mod pace;
mod proofs;

#[cfg(test)]
mod tests;

pub use call::{CellAnswer, CellPlace, JOIN_PATH, JoinCell};
pub use guest::{GuestBearer, InvalidBearer, guest_name};
pub use pace::Pace;
pub use proofs::HostProofs;
