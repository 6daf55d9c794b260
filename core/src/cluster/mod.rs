//! How the nodes of a cluster share its work.

mod placement;

#[cfg(test)]
mod tests;

pub use placement::{Move, Placement};
