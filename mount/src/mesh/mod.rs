//! The host agent's part in the mesh: a cell in which hosts and control nodes gossip what was revoked, and how fresh that is.
//!
//! Every mount of the agent whose right is of the credential's account goes by it as by the word of a second node: it stands, or it
//! was taken. So it does not matter whether that comes over a stream or by way of any neighbour, and a mount goes by whichever comes.
//!
//! Always true:
//! - what is heard counts for its signature alone ([`artifacts_core::hosts::HostProofs`]);
//! - nothing depends on the mesh: without a cell, or with one that is dead, mounts live by their streams;
//! - **the keys come from the node over the connection that the host trusts with its credential**, and so does the place;
//! - whatever ends the task is followed by another; what was known does not get lost with it.

mod joining;
mod membership;
mod options;
mod proving;

pub(crate) use membership::keep;
pub use options::MeshOptions;
pub(crate) use proving::Mesh;
