use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Extent, Ino, Name, Nanos};

/// One change of a namespace, with the time at which the caller says it happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Op {
    /// What it does.
    pub mutation: Mutation,
    /// When; the source of every timestamp it sets, unless the mutation names one of its own.
    pub time: Nanos,
}

/// What an op does. Errors are those of the system call it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mutation {
    /// open(2) with O_CREAT, mkdir(2), mknod(2), symlink(2).
    Create {
        /// Where.
        parent: Ino,
        /// As what.
        name: Name,
        /// Under which number; from a range leased to the session.
        ino: Ino,
        /// What it is.
        node: NewNode,
        /// Permission bits as they were asked for.
        mode: u16,
        /// The bits that the maker's umask takes off, unless the directory hands down an access control list.
        umask: u16,
        /// Owner.
        uid: u32,
        /// Group, unless the directory hands down its own.
        gid: u32,
    },
    /// link(2).
    Link {
        /// The file.
        ino: Ino,
        /// Where.
        parent: Ino,
        /// As what.
        name: Name,
    },
    /// unlink(2).
    Unlink {
        /// Where.
        parent: Ino,
        /// What.
        name: Name,
    },
    /// rmdir(2).
    RemoveDir {
        /// Where.
        parent: Ino,
        /// What.
        name: Name,
    },
    /// renameat2(2).
    Rename {
        /// From where.
        parent: Ino,
        /// What.
        name: Name,
        /// To where.
        new_parent: Ino,
        /// As what.
        new_name: Name,
        /// What happens to an entry that is in the way.
        mode: RenameMode,
    },
    /// chmod(2), chown(2), truncate(2), utimensat(2), in one.
    SetAttr {
        /// The inode.
        ino: Ino,
        /// What to set.
        set: SetAttr,
    },
    /// write(2), pwrite(2); without extents it changes nothing.
    Write {
        /// The file.
        ino: Ino,
        /// Where the first extent goes; the others follow without a gap.
        position: Position,
        /// The data, in order.
        extents: Vec<Extent>,
        /// Whether set-user-id and set-group-id fall (the kernel knows the writer's privileges).
        kill_privileges: bool,
    },
    /// Fallocate(2) with FALLOC_FL_PUNCH_HOLE or FALLOC_FL_ZERO_RANGE: reads as zeros from now on.
    Punch {
        /// The file.
        ino: Ino,
        /// From here.
        offset: u64,
        /// For so many bytes; with none it only grows the file, as fallocate(2) does without a flag.
        len: u64,
        /// Whether the file grows to the end of the range.
        extend: bool,
    },
    /// setxattr(2).
    SetXattr {
        /// The inode.
        ino: Ino,
        /// Full name, as in `user.mime_type`.
        name: Bytes,
        /// Value.
        value: Bytes,
        /// Whether it may or must exist.
        mode: XattrMode,
    },
    /// removexattr(2).
    RemoveXattr {
        /// The inode.
        ino: Ino,
        /// Full name.
        name: Bytes,
    },
    /// setxattr(2) and removexattr(2) of a POSIX access control list.
    SetAcl {
        /// The inode.
        ino: Ino,
        /// Which of its lists.
        kind: AclKind,
        /// The list in the kernel's format, version 2 of `posix_acl_xattr.h`; `None` removes it.
        acl: Option<Bytes>,
        /// Whether set-group-id falls, as it does when somebody outside the group sets an access list.
        kill_set_group_id: bool,
    },
    /// What read(2), readdir(3) and readlink(2) do to the time of last access; nothing else changes.
    Access {
        /// The inode.
        ino: Ino,
    },
    /// copy_file_range(2): the copy shares the blocks of the original. It may copy less than was asked for; the
    /// outcome says how much.
    Clone {
        /// The original.
        from: Ino,
        /// From here.
        from_offset: u64,
        /// The file to copy into, perhaps the same.
        to: Ino,
        /// To here.
        to_offset: u64,
        /// So many bytes, at most to the end of the original.
        len: u64,
        /// Whether set-user-id and set-group-id of the copy fall.
        kill_privileges: bool,
    },
}

/// The two access control lists of an inode (acl(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AclKind {
    /// Its own, which refines its mode.
    Access,
    /// That which a directory hands down to what is made in it.
    Default,
}

/// What a new inode is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NewNode {
    /// A regular file, empty.
    File,
    /// A directory, empty.
    Directory,
    /// A symbolic link to these bytes.
    Symlink(Bytes),
    /// A named pipe.
    Fifo,
    /// A Unix socket's name.
    Socket,
    /// A character device.
    CharDevice(u32),
    /// A block device.
    BlockDevice(u32),
}

/// The flags of renameat2(2), which exclude each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RenameMode {
    /// An entry in the way is replaced.
    Replace,
    /// RENAME_NOREPLACE.
    NoReplace,
    /// RENAME_EXCHANGE.
    Exchange,
}

/// The attributes that an op sets; those left out stay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAttr {
    /// Permission bits.
    pub mode: Option<u16>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Length; shorter cuts, longer adds a hole.
    pub size: Option<u64>,
    /// Last access.
    pub atime: Option<Nanos>,
    /// Last change of content.
    pub mtime: Option<Nanos>,
    /// Whether set-user-id and set-group-id fall, as they do when a stranger changes the length.
    pub kill_privileges: bool,
}

/// Where a write goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Position {
    /// At this offset.
    At(u64),
    /// At the end of the file as it is when the op is applied (O_APPEND).
    End,
}

/// The flags of setxattr(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum XattrMode {
    /// Create or replace.
    Any,
    /// XATTR_CREATE: EEXIST if it is there.
    Create,
    /// XATTR_REPLACE: ENODATA if it is not.
    Replace,
}

/// Where a write ended up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Offset of its first byte.
    pub offset: u64,
    /// How many bytes.
    pub len: u64,
}

impl Mutation {
    /// Which one it is, for metrics and traces.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Link { .. } => "link",
            Self::Unlink { .. } => "unlink",
            Self::RemoveDir { .. } => "remove_dir",
            Self::Rename { .. } => "rename",
            Self::SetAttr { .. } => "set_attr",
            Self::Write { .. } => "write",
            Self::Punch { .. } => "punch",
            Self::SetXattr { .. } => "set_xattr",
            Self::RemoveXattr { .. } => "remove_xattr",
            Self::SetAcl { .. } => "set_acl",
            Self::Access { .. } => "access",
            Self::Clone { .. } => "clone",
        }
    }

    /// The inodes it names that must exist, each of which has to lie within the session's scope.
    pub fn names(&self) -> Vec<Ino> {
        match self {
            Self::Create { parent, .. } | Self::Unlink { parent, .. } | Self::RemoveDir { parent, .. } => vec![*parent],
            Self::Link { ino, parent, .. } => vec![*ino, *parent],
            Self::Rename { parent, new_parent, .. } => vec![*parent, *new_parent],
            Self::SetAttr { ino, .. }
            | Self::Write { ino, .. }
            | Self::Punch { ino, .. }
            | Self::SetXattr { ino, .. }
            | Self::RemoveXattr { ino, .. }
            | Self::SetAcl { ino, .. }
            | Self::Access { ino } => vec![*ino],
            Self::Clone { from, to, .. } => vec![*from, *to],
        }
    }

    /// The names that it takes away or replaces. What they stand for changes.
    pub fn takes(&self) -> Vec<(Ino, &Name)> {
        match self {
            Self::Unlink { parent, name } | Self::RemoveDir { parent, name } => vec![(*parent, name)],
            Self::Rename { parent, name, new_parent, new_name, .. } => vec![(*parent, name), (*new_parent, new_name)],
            _ => Vec::new(),
        }
    }

    /// The number under which it creates an inode, if it does.
    pub fn creates(&self) -> Option<Ino> {
        match self {
            Self::Create { ino, .. } => Some(*ino),
            _ => None,
        }
    }
}
