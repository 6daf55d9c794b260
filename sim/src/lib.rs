//! Many nodes and mounts in one process, on simulated time, network and stores: a seed reproduces a run.

mod kernel;
mod link;
mod mount;
mod node;
mod program;
mod random;
mod steps;
mod tree;
mod world;

pub mod linearizability;

pub use random::Random;
pub use world::{Planted, World};
