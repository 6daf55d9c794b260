use std::time::{Duration, SystemTime, UNIX_EPOCH};

use artifacts_core::namespace::{Attr, FileKind, Ino, Nanos};
use fuser::{FileAttr, FileType, INodeNo, TimeOrNow};

/// What stat(2) names as the best size for reads and writes: a request of the kernel's without a copy more than needed.
const BLOCK_SIZE: u32 = 128 * 1024;
/// What stat(2) shows as the length of a directory, whatever is in it.
const DIRECTORY_BYTES: u64 = 4096;

/// The kernel knows the root of a mount as inode 1, whichever directory of the workspace that is. A session that is
/// confined to a subtree never sees the workspace's own inode 1, so no two inodes meet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InodeNumbers {
    root: Ino,
}

impl InodeNumbers {
    /// For a session with this root.
    pub(crate) const fn new(root: Ino) -> Self {
        Self { root }
    }

    /// As the node knows it.
    pub(crate) fn to_node(self, ino: INodeNo) -> Ino {
        if ino == INodeNo::ROOT { self.root } else { Ino(ino.0) }
    }

    /// As the kernel knows it.
    pub(crate) fn to_kernel(self, ino: Ino) -> u64 {
        if ino == self.root { INodeNo::ROOT.0 } else { ino.0 }
    }

    /// The directory that the mount shows as its root.
    pub(crate) const fn root(self) -> Ino {
        self.root
    }

    /// In the kernel's form.
    pub(super) fn attr(self, attr: &Attr) -> FileAttr {
        let is_dir = attr.kind == FileKind::Directory;
        FileAttr {
            ino: INodeNo(self.to_kernel(attr.ino)),
            size: if is_dir { DIRECTORY_BYTES } else { attr.size },
            blocks: if is_dir { DIRECTORY_BYTES / 512 } else { attr.allocated_bytes.div_ceil(512) },
            atime: to_system(attr.atime),
            mtime: to_system(attr.mtime),
            ctime: to_system(attr.ctime),
            crtime: UNIX_EPOCH,
            kind: kind(attr.kind),
            perm: attr.mode,
            nlink: attr.nlink,
            uid: attr.uid,
            gid: attr.gid,
            rdev: attr.rdev,
            blksize: BLOCK_SIZE,
            flags: 0,
        }
    }
}

/// In the kernel's form.
pub(super) fn kind(kind: FileKind) -> FileType {
    match kind {
        FileKind::File => FileType::RegularFile,
        FileKind::Directory => FileType::Directory,
        FileKind::Symlink => FileType::Symlink,
        FileKind::Fifo => FileType::NamedPipe,
        FileKind::Socket => FileType::Socket,
        FileKind::CharDevice => FileType::CharDevice,
        FileKind::BlockDevice => FileType::BlockDevice,
    }
}

fn to_system(nanos: Nanos) -> SystemTime {
    let distance = Duration::from_nanos(nanos.unsigned_abs());
    if nanos >= 0 { UNIX_EPOCH + distance } else { UNIX_EPOCH - distance }
}

/// A time that a program sets. What does not fit is the nearest that does.
pub(super) fn to_nanos(time: TimeOrNow, now: Nanos) -> Nanos {
    let TimeOrNow::SpecificTime(time) = time else { return now };
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => Nanos::try_from(since.as_nanos()).unwrap_or(Nanos::MAX),
        Err(error) => {
            // The library subtracts the fraction of a second from the epoch where the kernel adds it.
            let before = error.duration();
            let seconds = Nanos::try_from(before.as_secs()).unwrap_or(Nanos::MAX);
            seconds.saturating_neg().saturating_mul(1_000_000_000).saturating_add(Nanos::from(before.subsec_nanos()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subtrees_root_is_inode_1_to_the_kernel() {
        let whole = InodeNumbers::new(Ino::ROOT);
        assert_eq!((whole.to_kernel(Ino(1)), whole.to_node(INodeNo(1)), whole.to_kernel(Ino(9))), (1, Ino(1), 9));
        let part = InodeNumbers::new(Ino(77));
        assert_eq!((part.to_kernel(Ino(77)), part.to_node(INodeNo(1)), part.to_node(INodeNo(9))), (1, Ino(77), Ino(9)));
    }

    #[test]
    fn times_survive_both_ways_also_before_1970() {
        for nanos in [0, 1, 1_700_000_000_123_456_789, -1, -1_500_000_000, Nanos::MAX] {
            // As the library hands a time in: seconds towards minus infinity, then the fraction the wrong way.
            let (seconds, fraction) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
            let given = if seconds >= 0 {
                UNIX_EPOCH + Duration::new(seconds.unsigned_abs(), fraction as u32)
            } else {
                UNIX_EPOCH - Duration::new(seconds.unsigned_abs(), fraction as u32)
            };
            assert_eq!(to_nanos(TimeOrNow::SpecificTime(given), 5), nanos);
        }
        assert_eq!(to_nanos(TimeOrNow::Now, 5), 5);
        assert_eq!(to_system(-1_500_000_000), UNIX_EPOCH - Duration::from_millis(1_500));
        assert_eq!(to_nanos(TimeOrNow::SpecificTime(UNIX_EPOCH + Duration::from_secs(1 << 40)), 0), Nanos::MAX);
    }
}
