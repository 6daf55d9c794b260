//! The session stream as the mount sees it.
//!
//! [`InFlight`] is the machine: it knows every op, question and wait that is not settled, what to send again after a
//! reconnect, and what each arriving frame settles. [`MountSession`] is the shell that everybody calls: it numbers and
//! encodes under one lock and writes to the socket from the calling thread, so that an answer costs no thread
//! hand-off beyond those of the network. [`connection`] keeps the stream up and reads it.
//!
//! A mount that is alone holds the workspace's lease. Then [`local`] answers questions and decides ops at once, in a replica
//! of the namespace, and what it decided is sent in batches: with every heartbeat, when there is much of it, and when
//! somebody waits for durability. A recall ends that: what comes meanwhile waits until everything has been sent.
//!
//! Locks are asked of the node whoever decides: [`locking`].
//!
//! Always true:
//! - frames go out in the order in which their effects entered [`InFlight`], and ops without a gap;
//! - while no stream is up nothing is queued for one: a new stream begins with what [`InFlight::resume`] says;
//! - completions run outside all locks of this module, on the thread that found the answer;
//! - once [`MountSession::interrupt`] has been called, nothing waits any more and nothing new may wait, until a proof
//!   revives the session.

mod batch;
mod beliefs;
pub(crate) mod connection;
mod held_leases;
mod in_flight;
mod inode_leases;
mod inode_supply;
mod lag;
mod local;
mod locking;
mod locks;
mod mount_session;
mod open_counts;
mod opening;
mod outlet;
mod steps;

pub(crate) use in_flight::touched;
pub(crate) use mount_session::{LeaseEnd, MountSession, Uploader};
pub(crate) use opening::{Opener, bury};
