//! The namespace of one workspace: inodes, directory entries, extents and extended attributes, and the one
//! deterministic machine that changes them.
//!
//! [`apply`] takes a [`View`] of the records and one [`Op`] and gives either the changed records or an [`Errno`]
//! and no change at all. An op carries everything that is not a function of the state: inode numbers (from ranges
//! leased to the session), times, extents. So the node, a mount under a lease and the simulator compute the same
//! result. The machine trusts nothing in an op: names, modes, cycles, quotas, the scope of the session, and that
//! each extent lies in a segment which this workspace has.
//!
//! A view may lack a record that it would have to fetch first. It then answers [`Missing`], the shell fetches it
//! and calls again; the machine keeps no state in between.
//!
//! Always true between two ops:
//! - every dentry names an inode that exists, every inode but the root and the orphans is named by `nlink` dentries
//!   (a directory by exactly one, its `nlink` is 2 and one for each directory in it);
//! - a directory's `parent` is where its dentry stands; so is a file's while it has one link, and with more links
//!   its parents are counted in [`Key::Parent`];
//! - extents of one inode do not overlap, none is longer than [`EXTENT_MAX_BYTES`], none lies past the file's size;
//! - an orphan's `parent` exists, a removed directory included, and counts it under `orphans`; so it can be told
//!   whether it lies within the scope of a session;
//! - an access control list agrees with the mode (`acl`), and only directories have one to hand down;
//! - an inode counts its extended attributes;
//! - [`Usage`] is the sum over all inodes, a segment's `live_bytes` the sum over the extents that lie in it.
//!
//! [`check`] looks for all of this in a whole namespace. And across ops: mtime changes with every change of content,
//! ctime with every change at all, and neither comes back to a value that it has had (unless a clock is set back).

mod acl;
mod apply;
pub mod check;
mod checksums;
mod clone;
mod errno;
mod extent;
mod inode;
pub(crate) mod key;
mod link;
mod list;
mod op;
mod prune;
mod read;
mod repoint;
mod scope;
mod transaction;
mod view;
mod walk;
mod write;
mod xattr;

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

pub use acl::{ACL_ACCESS, ACL_DEFAULT, ACL_MAX_BYTES};
pub use apply::{Applied, Context, Limits, Outcome, Stop, apply, apply_all, format, purge};
pub use checksums::{Checksums, ChecksumsOf, PART_BYTES};
pub use errno::Errno;
pub use extent::{EXTENT_MAX_BYTES, Extent, SegmentRecord, Source};
pub use inode::{Attr, FileKind, Ino, Inode, Nanos, Usage};
pub use key::{Key, Name, Record};
pub use list::{Listed, list};
pub use op::{AclKind, Mutation, NewNode, Op, Position, RenameMode, SetAttr, Written, XattrMode};
pub use prune::prune;
pub use read::{DirEntry, Piece, attr, lookup, orphans, pieces, pieces_from, read_dir, read_link, resolve, usage, xattr, xattr_names};
pub use repoint::{Amendment, Relocation, amend, repoint};
pub use scope::within;
pub use transaction::Changes;
pub use view::{MemoryView, Missing, View, encoded_start};
pub use walk::{Place, walk};

/// The longest file name, in bytes (NAME_MAX).
pub const NAME_MAX_BYTES: usize = 255;
/// The longest symbolic link, in bytes (PATH_MAX less its NUL).
pub const SYMLINK_MAX_BYTES: usize = 4095;
/// The largest file, in bytes: 16 TiB, as on ext4.
pub const FILE_MAX_BYTES: u64 = 16 << 40;
/// The most hard links one file may have, as on ext4.
pub const LINK_MAX: u32 = 65_000;
/// The longest extended attribute value, in bytes (XATTR_SIZE_MAX).
pub const XATTR_MAX_BYTES: usize = 65_536;
