//! The node, its mounts, the network between them, and the time.

mod event;
mod faults;
mod judge;
mod life;
mod network;
mod programs;
mod tally;
mod trace;
#[allow(clippy::module_inception, reason = "a file is named after its main type")]
mod world;

pub use world::{Planted, World};
