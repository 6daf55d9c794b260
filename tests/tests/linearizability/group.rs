use std::path::PathBuf;

use artifacts_tests::linearizability::files::Slot;

/// How many groups there are. What happens in one has nothing to do with another, so each has a history of its own.
pub(crate) const GROUPS: usize = 3;
/// How many directories each has.
pub(crate) const DIRS: u8 = 2;
/// How many names are used in each directory.
pub(crate) const NAMES: u8 = 3;

/// A few directories, and where they are below a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Group(pub(crate) usize);

impl Group {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..GROUPS).map(Self)
    }

    /// How long a unit is. The files of the last group are written and read many pages at a time, those of the others lie
    /// within one.
    pub(crate) fn unit_bytes(self) -> usize {
        if self.is_wide() { 6_000 } else { 16 }
    }

    pub(crate) fn is_wide(self) -> bool {
        self.0 == GROUPS - 1
    }

    pub(crate) fn dir(self, dir: u8) -> PathBuf {
        PathBuf::from(format!("group-{}/dir-{dir}", self.0))
    }

    pub(crate) fn path(self, slot: Slot) -> PathBuf {
        self.dir(slot.dir()).join(format!("name-{}", slot.name()))
    }

    /// The file on which locks are taken.
    pub(crate) fn lock(self) -> PathBuf {
        PathBuf::from(format!("group-{}/lock", self.0))
    }

    pub(crate) fn slots() -> impl Iterator<Item = Slot> {
        (0..DIRS).flat_map(|dir| (0..NAMES).map(move |name| Slot::new(dir, name)))
    }
}
