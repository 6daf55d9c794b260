//! What the agent asks of the kernel besides answering its requests: mounting and unmounting, the table of mounts,
//! dropping caches, read-ahead.
//!
//! A mount point whose agent is dead answers every path lookup with ENOTCONN, and one whose agent is stuck never
//! answers; so nothing here looks at a path inside a mount before the table of mounts has said what is there.

mod caches;
mod mount_point;
mod mount_table;
mod mounting;
mod read_ahead;

pub(crate) use caches::Caches;
pub(crate) use mount_point::MountPoint;
pub(crate) use mount_table::{MountEntry, MountTable};
pub(crate) use mounting::{Unmounting, mount, unmount};
pub(crate) use read_ahead::raise_read_ahead;

/// The type under which our mounts stand in the table of mounts.
pub(crate) const FILE_SYSTEM_TYPE: &str = "fuse.artifacts";
