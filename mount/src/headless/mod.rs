//! Mounts without a kernel: the program that opens one makes the calls itself, by inode. All the rest is as behind FUSE:
//! the session and its stream, leases, the gate, the data path. Made for generating load: none has a thread of its own,
//! so one process holds thousands, in the runtime of whoever opens them.
//!
//! Always true: a call passes the gate on its way in and on its way out, so it is held without a fresh proof and fails
//! after a fence as one of a program would. Nothing but blocks is cached here, so whatever lease is recalled can be given
//! back at once.

mod calls;
mod headless_mount;

pub use headless_mount::{Headless, HeadlessMount};
