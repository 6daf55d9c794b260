//! What every member of a mesh needs between chitchat and [`artifacts_core::mesh`], whoever runs it: a control node, or the simulation.

pub mod codec;

#[cfg(test)]
mod tests;
