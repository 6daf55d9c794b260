//! The session stream as the mount sees it.
//!
//! [`artifacts_core::mount::Mount`] is the machine: it knows every op, question and wait that is not settled and every lease that
//! is held, and says what becomes of each. [`MountSession`] is the shell that everybody calls: whatever enters the machine does
//! so under one lock, and its frames are encoded there and written to the socket from the calling thread, so that an answer
//! costs no thread hand-off beyond those of the network. [`connection`] keeps the stream up and reads it.
//!
//! A second stream, to another node, brings proofs and nothing else: [`witness`].
//!
//! Locks are asked of the node whoever decides: [`locking`].
//!
//! Always true:
//! - frames go out in the order in which the machine says them;
//! - completions run outside all locks of this module, on the thread that found the answer;
//! - once [`MountSession::interrupt`] has been called, nothing waits any more and nothing new may wait, until a proof
//!   revives the session.

mod batch;
mod beliefs;
mod carriers;
pub(crate) mod connection;
mod inode_supply;
mod leases;
mod locking;
mod mount_session;
mod opening;
mod outlet;
mod witness;

pub(crate) use mount_session::{MountSession, Uploader};
pub(crate) use opening::{Opener, bury};
