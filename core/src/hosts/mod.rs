//! The part of a host's agent in the mesh: how it asks for its cell, and what it knows of revocations from there.
//!
//! A host is in one cell of its account ([`Cells`](crate::mesh::Cells) forms them), and knows from gossip what was revoked in the
//! account's shard and how fresh that is ([`HostProofs`]). What it hears there comes from members that may be hostile: it counts for
//! its signature, and for nothing else. `docs/design/0021-cells.md` tells the whole of it.

mod call;
mod proofs;

#[cfg(test)]
mod tests;

pub use call::{CellAnswer, CellPlace, JOIN_PATH, JoinCell};
pub use proofs::HostProofs;
