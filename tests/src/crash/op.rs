//! What a writer does, and the record of it.

use std::fmt;
use std::sync::Arc;

/// An error number of Linux.
pub type Errno = i32;

/// One call. Paths are relative to the mount; a handle is one of the writer's own open files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// `open` with O_CREAT and O_EXCL.
    Create {
        /// The new file.
        path: String,
        /// Where it is kept open.
        handle: u8,
        /// With O_APPEND.
        append: bool,
    },
    /// `open` of a file that should be there.
    Open {
        /// The file.
        path: String,
        /// Where it is kept open.
        handle: u8,
        /// With O_APPEND.
        append: bool,
    },
    /// `pwrite`; at the end if the handle was opened with O_APPEND.
    Write {
        /// Where to.
        handle: u8,
        /// From where on, in bytes.
        offset: u64,
        /// What.
        data: Payload,
    },
    /// `ftruncate`.
    Truncate {
        /// Which file.
        handle: u8,
        /// The new length.
        len: u64,
    },
    /// `pread` of the whole file.
    Read {
        /// Which file.
        handle: u8,
    },
    /// `mkdir`.
    Mkdir(String),
    /// `rmdir`.
    Rmdir(String),
    /// `unlink`.
    Unlink(String),
    /// `rename`.
    Rename {
        /// The old name.
        from: String,
        /// The new one, which is replaced.
        to: String,
    },
    /// `link`.
    Link {
        /// The file.
        from: String,
        /// Its other name.
        to: String,
    },
    /// `fsync` of an open file.
    SyncFile {
        /// Which.
        handle: u8,
    },
    /// `fsync` of a directory.
    SyncDirectory(String),
}

impl Op {
    /// Whether its success promises that everything before it survives.
    pub const fn is_sync(&self) -> bool {
        matches!(self, Self::SyncFile { .. } | Self::SyncDirectory(_))
    }
}

/// Data that no other write has: its bytes are a function of the seed.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    seed: u64,
    bytes: Arc<[u8]>,
}

impl Payload {
    /// The data of a seed, `len` bytes. None of them is zero, so they differ from a hole.
    pub fn new(seed: u64, len: usize) -> Self {
        let mut random = super::Random::new(seed);
        let words = std::iter::repeat_with(move || random.next().to_le_bytes());
        Self { seed, bytes: words.flatten().map(|byte| byte.max(1)).take(len).collect() }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of {:#x}", self.bytes.len(), self.seed)
    }
}

/// What came back.
#[derive(Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Success.
    Done,
    /// Success, with these bytes.
    Bytes(Vec<u8>),
    /// Refused, as a file system refuses.
    Failed(Errno),
    /// Nothing, or an error that says that the mount was lost: it may have happened or not.
    Unknown,
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Bytes(bytes) => write!(f, "{} bytes, {}", bytes.len(), &blake3::hash(bytes).to_hex()[..16]),
            Self::Failed(errno) => write!(f, "{}", std::io::Error::from_raw_os_error(*errno)),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// A call, when it was made and what came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The call.
    pub op: Op,
    /// When it was made.
    pub start_ns: u64,
    /// When it returned; `None` while it has not.
    pub end_ns: Option<u64>,
    /// What came back.
    pub outcome: Outcome,
}

impl Record {
    /// Whether the call has come back with an answer.
    pub fn has_returned(&self) -> bool {
        self.outcome != Outcome::Unknown
    }
}
