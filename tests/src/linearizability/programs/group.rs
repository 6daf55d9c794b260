use std::path::PathBuf;

use crate::linearizability::files::Slot;

/// How many groups there are. What happens in one has nothing to do with another, so each has a history of its own.
pub const GROUPS: usize = 3;
/// How many directories each has.
pub const DIRS: u8 = 2;
/// How many names are used in each directory.
pub const NAMES: u8 = 3;

/// A few directories, and where they are below a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group(pub usize);

impl Group {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..GROUPS).map(Self)
    }

    /// How long a unit is. The files of the last group are written and read many pages at a time, those of the others lie
    /// within one.
    pub fn unit_bytes(self) -> usize {
        if self.is_wide() { 6_000 } else { 16 }
    }

    /// Whether its files are written and read many pages at a time.
    pub fn is_wide(self) -> bool {
        self.0 == GROUPS - 1
    }

    /// A directory of it, below the mount.
    pub fn dir(self, dir: u8) -> PathBuf {
        PathBuf::from(format!("group-{}/dir-{dir}", self.0))
    }

    /// A name in it, below the mount.
    pub fn path(self, slot: Slot) -> PathBuf {
        self.dir(slot.dir()).join(format!("name-{}", slot.name()))
    }

    /// The file on which locks are taken.
    pub fn lock(self) -> PathBuf {
        PathBuf::from(format!("group-{}/lock", self.0))
    }

    /// All names of a group.
    pub fn slots() -> impl Iterator<Item = Slot> {
        (0..DIRS).flat_map(|dir| (0..NAMES).map(move |name| Slot::new(dir, name)))
    }
}
