//! The nodes, the object store, the mounts, the network between them, and the time.
//!
//! Everything that happens is an [`event::Event`] with its time. Processes have clocks of their own and may stand still or die; ways through
//! the network may be cut in either direction. What decides is `core`; the shells here do what those of the product do, and everything
//! that is done is judged by who sees all of it.

mod event;
mod fault;
mod faults;
mod handling;
mod host;
mod hosting;
mod judge;
mod life;
mod locks;
mod network;
mod opening;
mod owner;
mod programs;
mod revoking;
mod tally;
mod trace;
mod weather;
#[allow(clippy::module_inception, reason = "a file is named after its main type")]
mod world;

pub use world::World;
