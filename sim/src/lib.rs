//! Many nodes and mounts in one process, on simulated time, network and stores: a seed reproduces a run.
//!
//! - [`World`]: nodes, an object store, mounts with kernels and programs above them, the network, and what goes wrong.
//! - [`run`]: one seed: a phase with faults, then healing, then every session has to do its work.
//! - [`sweep`]: many seeds, on all cores.
//! - [`Planted`]: faults that have to be found.
//! - [`scale`]: revocation with thousands of agents that gossip.
//! - [`linearizability`]: the checker, and the model of a few files; tests on real mounts use them, too.

mod clock;
mod kernel;
mod link;
mod mount;
mod node;
mod planted;
mod program;
mod random;
mod ring;
mod run;
mod steps;
mod store;
mod sweep;
mod tree;
mod world;

#[cfg(test)]
mod tests;

pub mod linearizability;
pub mod scale;

pub use planted::{Planted, UnknownFault};
pub use random::Random;
pub use run::{OPS, Report, run};
pub use sweep::{Settings, Sweep, sweep};
pub use world::World;
