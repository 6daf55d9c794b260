use std::collections::BTreeSet;

use crate::hashing::{HashMap, HashSet};
use crate::namespace::Ino;

/// How many handles programs have on each inode, of which the node has been told that they are open, and which it may be
/// told are closed.
///
/// An inode counts as open from the moment the question to open it is sent. So no `Closed` overtakes an `Open`: one
/// that waits to be sent is withdrawn when the inode is opened again.
#[derive(Debug, Default)]
pub(super) struct OpenCounts {
    handles: HashMap<Ino, u32>,
    /// Those that the node counts as open for this mount.
    told: HashSet<Ino>,
    closed: BTreeSet<Ino>,
}

impl OpenCounts {
    /// One handle more, of which the node is not told.
    pub(super) fn open(&mut self, ino: Ino) {
        *self.handles.entry(ino).or_default() += 1;
        self.closed.remove(&ino);
    }

    /// One handle more, or about to be, of which the node is asked.
    pub(super) fn open_told(&mut self, ino: Ino) {
        self.open(ino);
        self.told.insert(ino);
    }

    /// One handle less. Answers whether it was the last.
    pub(super) fn close(&mut self, ino: Ino) -> bool {
        let Some(count) = self.handles.get_mut(&ino) else { return false };
        *count -= 1;
        if *count > 0 {
            return false;
        }
        self.handles.remove(&ino);
        if self.told.contains(&ino) {
            self.closed.insert(ino);
        }
        true
    }

    /// Whether programs have it open.
    pub(super) fn is_open(&self, ino: Ino) -> bool {
        self.handles.contains_key(&ino)
    }

    /// The node is about to be told that an inode is open. False if it knows.
    pub(super) fn tell(&mut self, ino: Ino) -> bool {
        self.told.insert(ino)
    }

    /// The node is about to be told that an inode is closed. False if it need not be.
    pub(super) fn untell(&mut self, ino: Ino) -> bool {
        self.closed.remove(&ino);
        self.told.remove(&ino)
    }

    /// The node is about to be told of all that is open. Answers what it does not know.
    pub(super) fn tell_all(&mut self) -> Vec<Ino> {
        self.handles.keys().copied().filter(|&ino| self.told.insert(ino)).collect()
    }

    /// The node is about to be told which of these are open. Answers what it does not know.
    pub(super) fn tell_of(&mut self, inodes: impl Iterator<Item = Ino>) -> Vec<Ino> {
        inodes.filter(|ino| self.handles.contains_key(ino) && self.told.insert(*ino)).collect()
    }

    /// Inodes that are open; the node is about to be told exactly these.
    pub(super) fn tell_anew(&mut self) -> Vec<Ino> {
        self.closed.clear();
        self.told = self.handles.keys().copied().collect();
        self.open_inodes()
    }

    /// Inodes that are open.
    pub(super) fn open_inodes(&self) -> Vec<Ino> {
        self.handles.keys().copied().collect()
    }

    /// How many handles there are.
    pub(super) fn handles(&self) -> u64 {
        self.handles.values().map(|&count| u64::from(count)).sum()
    }

    /// How many inodes wait to be reported closed.
    pub(super) fn closed_len(&self) -> usize {
        self.closed.len()
    }

    /// The inodes to report closed.
    pub(super) fn take_closed(&mut self) -> Vec<Ino> {
        let closed = std::mem::take(&mut self.closed);
        for ino in &closed {
            self.told.remove(ino);
        }
        closed.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_is_said_once_and_only_of_what_is_closed() {
        let mut counts = OpenCounts::default();
        counts.open_told(Ino(7));
        counts.open_told(Ino(7));
        assert!(!counts.close(Ino(7)));
        assert_eq!(counts.take_closed(), []);
        assert!(counts.close(Ino(7)));
        counts.open_told(Ino(7));
        assert_eq!(counts.take_closed(), [], "opened again before it was said");
        assert_eq!(counts.open_inodes(), [Ino(7)]);
        counts.close(Ino(7));
        assert!(!counts.close(Ino(7)));
        assert_eq!(counts.take_closed(), [Ino(7)]);
        assert_eq!(counts.take_closed(), []);
        assert_eq!(counts.handles(), 0);
    }

    #[test]
    fn the_node_hears_of_what_it_does_not_know_and_only_of_that() {
        let mut counts = OpenCounts::default();
        counts.open(Ino(7));
        counts.open_told(Ino(8));
        counts.close(Ino(7));
        assert_eq!(counts.take_closed(), [], "it never heard of it");
        counts.open(Ino(7));
        assert_eq!(counts.tell_all(), [Ino(7)]);
        assert_eq!(counts.tell_all(), []);
        assert!(!counts.tell(Ino(7)));
        counts.open(Ino(9));
        assert_eq!(counts.tell_of([Ino(7), Ino(9), Ino(10)].into_iter()), [Ino(9)]);
        counts.close(Ino(9));
        assert!(counts.untell(Ino(9)));
        counts.close(Ino(7));
        assert!(counts.untell(Ino(7)) && !counts.untell(Ino(7)));
        assert_eq!(counts.take_closed(), [], "said already");
        counts.close(Ino(8));
        assert_eq!((counts.tell_anew(), counts.closed_len()), (vec![], 0));
    }
}
