use serde::{Deserialize, Serialize};

use super::{ByteRange, FileOwner, Mode, Resource};
use crate::SessionId;
use crate::namespace::Ino;

/// What of a file is locked. flock(2) and fcntl(2) do not see each other's locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LockSpace {
    /// The file, as flock(2) locks it.
    Flock,
    /// Bytes of it, as fcntl(2) locks them.
    Range(ByteRange),
}

impl LockSpace {
    /// All bytes, as fcntl(2) locks them.
    pub const WHOLE: Self = Self::Range(ByteRange::WHOLE);

    /// Whether it can be: a range from a client may be the wrong way round.
    pub fn is_valid(self) -> bool {
        matches!(self, Self::Range(range) if range.start <= range.end) || self == Self::Flock
    }

    /// Which bytes; of flock(2) all.
    pub fn range(self) -> ByteRange {
        match self {
            Self::Flock => ByteRange::WHOLE,
            Self::Range(range) => range,
        }
    }

    /// What the table of the workspace calls it.
    pub fn resource(self, ino: Ino) -> Resource {
        match self {
            Self::Flock => Resource::Flock(ino),
            Self::Range(_) => Resource::Range(ino),
        }
    }
}

/// A lock on a file that a process of a mount has or wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileLock {
    /// The file.
    pub ino: Ino,
    /// What of it.
    pub space: LockSpace,
    /// How; never [`Mode::Semaphore`].
    pub mode: Mode,
    /// FUSE's `lock_owner`: an open file description for flock(2), a process's table of files for fcntl(2).
    pub owner: u64,
    /// The process, as its mount sees it.
    pub pid: u32,
}

impl FileLock {
    /// Whether a client may ask for it.
    pub fn is_valid(&self) -> bool {
        self.space.is_valid() && !matches!(self.mode, Mode::Semaphore { .. })
    }

    /// Who, when it is a lock of this session.
    pub fn file_owner(&self, session: SessionId) -> FileOwner {
        FileOwner { session, owner: self.owner, pid: self.pid }
    }
}
