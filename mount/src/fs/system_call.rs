/// What a program asks of the file system, as the kernel passes it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are the calls' names")]
pub(crate) enum SystemCall {
    /// Not a call: a program has read something, and the time of that is noted.
    Access,
    CopyFileRange,
    Create,
    Fallocate,
    Flush,
    Fsync,
    GetAttr,
    GetLock,
    GetXattr,
    Link,
    ListXattr,
    Lookup,
    Lseek,
    Mkdir,
    Mknod,
    Open,
    OpenDir,
    Read,
    ReadDir,
    ReadLink,
    RemoveXattr,
    Rename,
    Rmdir,
    SetAttr,
    SetLock,
    SetXattr,
    StatFs,
    Symlink,
    Unlink,
    Write,
}

/// Calls that take about as long, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are their names")]
pub(crate) enum Family {
    Read,
    Write,
    Sync,
    Metadata,
    Lock,
}

impl Family {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [Self::Read, Self::Write, Self::Sync, Self::Metadata, Self::Lock];

    /// Its name in metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Metadata => "metadata",
            Self::Lock => "lock",
        }
    }
}

impl SystemCall {
    /// The name of its span.
    pub(crate) const fn span(self) -> &'static str {
        match self {
            Self::Access => "fs.access",
            Self::CopyFileRange => "fs.copy_file_range",
            Self::Create => "fs.create",
            Self::Fallocate => "fs.fallocate",
            Self::Flush => "fs.flush",
            Self::Fsync => "fs.fsync",
            Self::GetAttr => "fs.getattr",
            Self::GetLock => "fs.getlk",
            Self::GetXattr => "fs.getxattr",
            Self::Link => "fs.link",
            Self::ListXattr => "fs.listxattr",
            Self::Lookup => "fs.lookup",
            Self::Lseek => "fs.lseek",
            Self::Mkdir => "fs.mkdir",
            Self::Mknod => "fs.mknod",
            Self::Open => "fs.open",
            Self::OpenDir => "fs.opendir",
            Self::Read => "fs.read",
            Self::ReadDir => "fs.readdir",
            Self::ReadLink => "fs.readlink",
            Self::RemoveXattr => "fs.removexattr",
            Self::Rename => "fs.rename",
            Self::Rmdir => "fs.rmdir",
            Self::SetAttr => "fs.setattr",
            Self::SetLock => "fs.setlk",
            Self::SetXattr => "fs.setxattr",
            Self::StatFs => "fs.statfs",
            Self::Symlink => "fs.symlink",
            Self::Unlink => "fs.unlink",
            Self::Write => "fs.write",
        }
    }

    /// Its family; none of what the mount does by itself.
    pub(crate) const fn family(self) -> Option<Family> {
        Some(match self {
            Self::Access => return None,
            Self::Read => Family::Read,
            Self::Write | Self::CopyFileRange | Self::Fallocate => Family::Write,
            Self::Fsync | Self::Flush => Family::Sync,
            Self::GetLock | Self::SetLock => Family::Lock,
            _ => Family::Metadata,
        })
    }
}
