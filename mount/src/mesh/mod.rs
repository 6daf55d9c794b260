//! The agent's part in the mesh: a cell in which agents and control nodes gossip what was revoked, and how fresh that is.
//!
//! It is the part of a host agent, for all its mounts, or that of one mount alone ([`guest`]). Every mount whose right is of the account
//! goes by it as by the word of a second node: it stands, or it was taken. So it does not matter whether that comes over a stream or by
//! way of any neighbour, and a mount goes by whichever comes.
//!
//! Always true:
//! - what is heard counts for its signature alone ([`artifacts_core::hosts::HostProofs`]);
//! - nothing depends on the mesh: without a cell, or with one that is dead, mounts live by their streams;
//! - **the keys come from the node over the connection that the agent trusts with its credential or its session**, and so does the
//!   place;
//! - whatever ends the task is followed by another; what was known does not get lost with it;
//! - a guest opens no socket and asks nobody before a node has told it that guests are let in.

pub(crate) mod guest;
mod joining;
mod member;
mod membership;
mod options;
mod proving;

use std::sync::Arc;

use self::member::{Member, Part};
use crate::error::MountError;
use crate::time::SharedClock;
use crate::transport::{Trust, http_client};

pub use options::{GuestMesh, MeshOptions};
pub(crate) use proving::Mesh;

/// Takes part in the mesh as a host, for as long as the process lives.
pub(crate) async fn keep(mesh: Arc<Mesh>, clock: SharedClock, options: MeshOptions) {
    match part(&options) {
        Ok(part) => membership::keep(mesh, clock, part).await,
        Err(error) => tracing::error!(%error, "the host cannot join the mesh; its mounts live by their streams"),
    }
}

fn part(options: &MeshOptions) -> Result<Part, MountError> {
    let http = http_client(&Trust::load(options.ca_cert.as_deref())?)?;
    Ok(Part { member: Member::host(&options.credential)?, http, listen: options.listen, advertise: options.advertise })
}
