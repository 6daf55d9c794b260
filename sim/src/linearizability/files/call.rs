use std::fmt::{self, Debug};

/// The number that a file has for as long as it lives.
pub type FileId = u64;

/// The content of a unit: who wrote it.
pub type Unit = u32;

/// How many names one directory has at the most.
const NAMES: u8 = 16;

/// A name in a directory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(u8);

impl Slot {
    /// A place in a directory; both are below 16.
    pub const fn new(dir: u8, name: u8) -> Self {
        Self(dir * NAMES + name)
    }

    /// Its directory.
    pub const fn dir(self) -> u8 {
        self.0 / NAMES
    }

    /// Its place there.
    pub const fn name(self) -> u8 {
        self.0 % NAMES
    }
}

impl Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.dir(), self.name())
    }
}

/// What a program asks for. Offsets and lengths are in units.
#[allow(missing_docs, reason = "the fields are the parameters of the calls")]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Call {
    /// open(2) of what is there; answers which file it is.
    Open(Slot),
    /// open(2) with `O_CREAT | O_EXCL`; answers which file it has become. If the answer may be lost, `id` says in advance.
    Create { slot: Slot, id: Option<FileId> },
    /// close(2).
    Close(FileId),
    /// pread(2).
    Read { file: FileId, at: u32, len: u32 },
    /// pwrite(2).
    Write { file: FileId, at: u32, units: Vec<Unit> },
    /// write(2) with `O_APPEND`.
    Append { file: FileId, units: Vec<Unit> },
    /// ftruncate(2).
    Truncate { file: FileId, len: u32 },
    /// fstat(2): the length.
    Length(FileId),
    /// What a name names, without opening it.
    Lookup(Slot),
    /// unlink(2).
    Unlink(Slot),
    /// renameat2(2), by itself or with `RENAME_NOREPLACE`.
    Rename { from: Slot, to: Slot, replace: bool },
    /// All of readdir(3), of a directory that fits into one answer of the kernel's.
    List(u8),
    /// flock(2) that waits.
    Lock { lock: u8, owner: u16, shared: bool },
    /// flock(2) with `LOCK_NB`.
    TryLock { lock: u8, owner: u16, shared: bool },
    /// flock(2) with `LOCK_UN`.
    Unlock { lock: u8, owner: u16 },
}

/// What comes back.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Answer {
    /// It is done.
    Done,
    /// Which file it is.
    File(FileId),
    /// What was read.
    Units(Vec<Unit>),
    /// A length.
    Length(u32),
    /// The names in a directory, in order.
    Names(Vec<u8>),
    /// An errno.
    Failed(i32),
}
