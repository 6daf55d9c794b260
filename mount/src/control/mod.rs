//! The control socket of each mount: how `artifacts status` and `artifacts unmount` talk to the agent's process.
//!
//! A Unix socket in a directory that only its owner may enter, one JSON line each way. The client side never looks at
//! a path inside a mount, and never waits without a limit, so a dead or stuck agent costs a message, not a hang.

mod client;
mod exchange;
mod message;
mod server;

pub use client::{list, status, unmount};
pub(crate) use exchange::exchange;
pub(crate) use message::{Answer, Question};
pub use message::{CacheStatus, CallStatus, DeadMount, DiskCacheStatus, GossipStatus, ListedMount, MountStatus, UnmountReport};
pub(crate) use server::{Listening, UnmountRequest};
