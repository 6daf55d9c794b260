//! Copying whole trees between this machine and a workspace, for `import` and `export`.
//!
//! Always true:
//! - a file appears under its name only when it is complete, with its mode, owner, extended attributes and times; until
//!   then it is written under a name of its own beside it;
//! - a file that is there with the same length and mtime (to the nanosecond) is not copied again, so running the same
//!   command again goes on where the last run was ended;
//! - nothing is ever written through a symbolic link of the destination, and nothing is removed but what is replaced;
//! - what cannot be copied is listed at the end, and the rest is copied all the same, unless it is plain that nothing
//!   more can be written at all.

mod attributes;
mod bar;
mod copier;
mod entry;
mod file;
mod private_mount;
mod remote_path;
mod summary;
mod walk;

pub(crate) use bar::Bar;
pub(crate) use copier::{Transfer, run};
pub(crate) use private_mount::PrivateMount;
pub(crate) use remote_path::RemotePath;
pub(crate) use summary::Summary;
