//! The locks of one workspace: `flock`, `fcntl` byte ranges and named locks in one [`LockTable`].
//!
//! Always true:
//! - Two holders of one thing agree with each other: no two share a byte of a file, or a name, of which one is alone.
//! - Waiters are served in the order in which they came. A newcomer that conflicts with somebody who waits queues behind,
//!   so readers starve no writer; one that conflicts with nobody is served at once. The one exception: where keeping
//!   the order would make two wait for each other for ever, the later one passes.
//! - Whoever can be served has been served: after every call nobody waits who has nothing to wait for.
//! - A request is refused as a deadlock only if, at that moment, everybody it would wait for waits for it.
//! - Every grant bears a fencing token greater than all before it.
//!
//! Times are milliseconds of the caller's monotonic clock.

mod byte_range;
mod file_lock;
mod held_locks;
mod holder;
mod mode;
mod named;
mod request;
mod resource;
mod space;
mod table;
mod wait_graph;

#[cfg(test)]
mod tests;

pub use byte_range::ByteRange;
pub use file_lock::{FileLock, LockSpace};
pub use held_locks::HeldLocks;
pub use holder::{FileOwner, Holder, NamedHolder};
pub use mode::Mode;
pub use named::{Expired, NotHeld};
pub use request::{Grant, Outcome, Refusal, Request, WaiterId, Waiting};
pub use resource::Resource;
pub use space::{Held, Waiter};
pub use table::LockTable;
