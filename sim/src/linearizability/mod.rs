//! Decides whether what several clients saw of a shared object can be explained by one order of all their operations, in
//! which each takes effect at one instant between its call and its return (Herlihy and Wing, "Linearizability", 1990).
//!
//! - [`Operation`]: what one client called, when, and what came back, if anything did.
//! - [`Model`]: what the object does when one operation comes after the other.
//! - [`check`]: the decision, a pure function of the two.
//! - [`files`]: the model of a few files and directories of a workspace.
//!
//! The search is that of Wing and Gong ("Testing and verifying concurrent objects", 1993) in the form of Lowe ("Testing for
//! linearizability", 2017), just in time: it goes through calls and returns in the order of time, keeps every
//! configuration that could be the truth (a state, and which open operations have taken effect in it), and lets an
//! operation take effect only when a return leaves no other way. So its cost grows with the length of a history, and
//! exponentially only with the number of operations that are open at once and that nothing tells apart.
//!
//! Always true: a history that is called a violation has no such order, one that is called linearizable has one, and when
//! more configurations are possible than fit into the bound, the answer is that it is undecided.
//!
//! Linearizability is local: histories of objects that share nothing are checked one by one, and together stand for the
//! whole.

mod checker;
mod model;
mod operation;
mod shrink;
mod verdict;

pub mod files;

#[cfg(test)]
mod tests;

pub use self::checker::{CONFIGURATIONS_MAX, check};
pub use self::model::Model;
pub use self::operation::Operation;
pub use self::verdict::{Verdict, Violation};
