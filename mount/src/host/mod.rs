//! The host agent: one process of a machine that serves all its mounts.
//!
//! It listens on a socket of the local machine. Whoever mounts hands the mount over to it ([`hand_over`]), and asks the mount
//! itself for everything after that, through the mount's own socket, as if it had a process of its own.
//!
//! Always true:
//! - only its own user, and root, are heard, and who hands a mount over speaks to nobody else: the kernel says who is at the
//!   other end;
//! - it mounts only for those who see the same file systems and the same network as itself. All others, such as a container
//!   that was given the socket, serve their mounts themselves;
//! - when it is told to end, every mount is saved and unmounted; when it dies, its mounts answer ENOTCONN and are recovered by
//!   being mounted again, as the mounts of any dead agent.

mod client;
mod host_agent;
mod message;
mod namespaces;

pub use client::hand_over;
pub use host_agent::{HostAgent, HostReport};
