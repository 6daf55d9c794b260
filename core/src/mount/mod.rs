//! The mount's side of a session as a machine: what becomes of each thing that a program wants, by who may decide it.
//!
//! [`Mount`] knows every op, question and wait that is not settled, the leases that the mount holds, and in a replica what it
//! knows under them. What it is told goes in (steps of calls, frames of the node, the heartbeat, a stream that breaks or is
//! resumed); what is to be done comes out ([`Effects`]). It has no clock, no socket and no thread: whoever waits for something
//! is a value that comes back with the answer (`O` waits for ops, `R` for questions, `D` for durability), and times are
//! milliseconds of the caller's own clock.
//!
//! Always true:
//! - frames leave in the order in which their effects entered the machine, and ops without a gap;
//! - while no stream is up nothing is queued for one: a new stream begins with what [`Mount::relink`] answers;
//! - what waits is settled exactly once: by an answer, by [`Mount::interrupt`], or by [`Mount::expire`];
//! - an op is decided here only under leases on all that it changes, and a question is answered here only from what is leased;
//! - a lease goes back only after everything that was decided under it has been sent, and after the shell has dropped what the
//!   kernel believes ([`LeaseEnd`]);
//! - what may be shown to be believed is said in order ([`Belief`]). The shell carries that out before any frame leaves.

mod believed;
mod effects;
mod forgotten;
mod held_leases;
mod in_flight;
mod inode_leases;
mod lag;
mod local;
mod locks;
#[allow(clippy::module_inception, reason = "a file is named after its main type")]
mod mount;
mod open_counts;
mod questions;
mod step;
mod steps;
mod stream;
mod traces;
mod whole_lease;

#[cfg(test)]
mod tests;

pub use believed::{Belief, Believed};
pub use effects::{Effects, LeaseEnd, Note};
pub use in_flight::{Settled, touched};
pub use local::Upload;
pub use locks::{Locks, WishEnd};
pub use mount::Mount;
pub use step::{Step, Steps};
