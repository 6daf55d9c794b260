//! Decides whether what is left after a crash may be left: a prefix of the operations with everything that was fsynced.
//!
//! - [`Op`] and [`Record`]: what a writer on a mount did, when, and what came back. Kept by the harness, outside the mount.
//! - [`State`]: what a file system holds after some of these operations; the reference.
//! - [`Image`]: what is really there, read through a fresh mount.
//! - [`check`]: the decision, a pure function of the three.
//! - [`Generator`] and [`Writer`]: which operation comes next, from a seed; and the thread that does them.
//!
//! The promises that are checked stand in `docs/semantics.md`, "Durability".

mod checker;
mod generator;
mod image;
mod op;
mod state;
mod writer;

#[cfg(test)]
mod tests;

pub use self::checker::{Cut, Fault, History, Kept, MountHistory, check};
pub use self::generator::Generator;
pub use self::image::{Image, Node};
pub use self::op::{Errno, Op, Outcome, Payload, Record};
pub use self::state::{OWN, SHARED, State};
pub use self::writer::Writer;
pub use artifacts_sim::Random;
