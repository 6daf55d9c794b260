use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// An inode number. Never given to another file later, so a stale one is harmless.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ino(pub u64);

impl Ino {
    /// The root directory of a workspace.
    pub const ROOT: Ino = Ino(1);
    /// The first number that is leased out to sessions; those below are reserved.
    pub const FIRST_LEASED: Ino = Ino(16);
}

impl fmt::Debug for Ino {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Nanoseconds since the Unix epoch, before it if negative. Enough until the year 2262.
pub type Nanos = i64;

/// What an inode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A Unix socket's name.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

/// The attributes of an inode as stat(2) shows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attr {
    /// The inode.
    pub ino: Ino,
    /// What it is.
    pub kind: FileKind,
    /// Permission bits with set-user-id, set-group-id and sticky: `0o7777` at most.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Hard links.
    pub nlink: u32,
    /// Length in bytes; of a symbolic link its target's; of a directory the number of its entries.
    pub size: u64,
    /// Bytes that hold data (holes do not count).
    pub allocated_bytes: u64,
    /// Device number of a special file.
    pub rdev: u32,
    /// Last access.
    pub atime: Nanos,
    /// Last change of content.
    pub mtime: Nanos,
    /// Last change of content or attributes.
    pub ctime: Nanos,
}

/// How far a clock may lag behind the last change of an inode before the inode's time goes back with it.
const LAG_MAX_NANOS: Nanos = 1_000_000_000;

/// What is stored of an inode: its attributes and what stat(2) does not show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inode {
    /// What stat(2) shows.
    pub attr: Attr,
    /// The directory it stands in; see the invariants of the module for files with several links.
    pub parent: Ino,
    /// A symbolic link's target; empty for anything else.
    pub target: Bytes,
    /// How many extended attributes it has, access control lists included.
    pub xattrs: u32,
    /// What their names and values count towards the quota on bytes.
    pub xattr_bytes: u64,
    /// Of a directory: how many orphans stood in it when they lost their last link. It stays, removed or not, until
    /// they are gone, so that it can be told where they lie.
    pub orphans: u32,
}

impl Inode {
    /// One that stands in `parent` and has nothing but its attributes.
    pub fn new(attr: Attr, parent: Ino) -> Self {
        Self { attr, parent, target: Bytes::new(), xattrs: 0, xattr_bytes: 0, orphans: 0 }
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.attr.kind == FileKind::Directory
    }

    /// Sets ctime, always forward: a clock that stands still or lags a little counts on by nanoseconds. One that is
    /// far behind is believed, or a single op from the future would stop the time of this inode until then.
    pub(super) fn change(&mut self, now: Nanos) {
        let last = self.attr.ctime;
        let lags = now <= last && last.saturating_sub(now) < LAG_MAX_NANOS;
        self.attr.ctime = if lags { last.saturating_add(1) } else { now };
    }

    /// Sets mtime and ctime. The new mtime has not been this inode's before (unless utimensat(2) made it so), so
    /// that whoever compares two values sees the change, however many fell into one tick of a clock.
    pub(super) fn touch(&mut self, now: Nanos) {
        self.change(now);
        if self.attr.ctime == self.attr.mtime {
            self.attr.ctime = self.attr.ctime.saturating_add(1);
        }
        self.attr.mtime = self.attr.ctime;
    }

    /// Clears what a change of content or owner by a stranger must clear: set-user-id, and set-group-id where the
    /// group may execute (on other files that bit once meant mandatory locking, see inode(7)). Directories keep
    /// both, as chown(2) says of Linux.
    pub(super) fn kill_privileges(&mut self) {
        if !self.is_dir() {
            self.attr.mode &= !0o4000;
            if self.attr.mode & 0o010 != 0 {
                self.attr.mode &= !0o2000;
            }
        }
    }
}

/// What a workspace holds, for statfs(2) and quotas.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Bytes of data in extents, of extended attributes (names and values) and of symbolic links' targets.
    pub bytes: u64,
    /// Inodes, the root included.
    pub inodes: u64,
}
