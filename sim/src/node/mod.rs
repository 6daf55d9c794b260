//! The workspace and its sessions at the node, as the actors there drive the machines.

mod commit;
mod ending;
mod faults;
mod leases;
mod locks;
mod member;
#[allow(clippy::module_inception, reason = "a file is named after its main type")]
mod node;
mod noting;
mod questions;
mod recovery;

pub(crate) use faults::Faults;
pub(crate) use node::{Counts, Node, Todo};
pub(crate) use recovery::{Durable, Stored};
