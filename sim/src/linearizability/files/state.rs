use std::collections::BTreeMap;
use std::sync::Arc;

use super::{FileId, Slot, Unit};

/// What the directories hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct State {
    /// What the names name.
    pub names: BTreeMap<Slot, FileId>,
    /// Every file that has a name or is open.
    pub files: BTreeMap<FileId, File>,
    /// Who holds which lock, and whether they share it.
    pub locks: BTreeMap<u8, BTreeMap<u16, bool>>,
}

/// One file.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct File {
    /// Its content.
    pub units: Arc<Vec<Unit>>,
    /// How often it is open.
    pub opens: u32,
    /// The name that it had before its last renaming.
    pub came_from: Option<Slot>,
}

impl State {
    /// The same, when nothing is open and nobody is under way: what only they could tell apart is forgotten.
    #[must_use]
    pub fn at_rest(mut self) -> Self {
        self.files.retain(|file, _| self.names.values().any(|named| named == file));
        self.files.values_mut().for_each(|file| (file.opens, file.came_from) = (0, None));
        self
    }

    /// Forgets a file that nobody can come to any more.
    pub(super) fn let_go(&mut self, file: FileId) {
        let is_open = self.files.get(&file).is_some_and(|file| file.opens > 0);
        if !is_open && !self.names.values().any(|&named| named == file) {
            self.files.remove(&file);
        }
    }

    /// Whether somebody may take a lock.
    pub(super) fn is_free(&self, lock: u8, owner: u16, shared: bool) -> bool {
        let holders = self.locks.get(&lock);
        holders.is_none_or(|holders| holders.iter().all(|(&holder, &shares)| holder == owner || (shared && shares)))
    }
}
