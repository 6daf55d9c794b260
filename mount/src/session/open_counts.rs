use std::collections::{BTreeSet, HashMap};

use artifacts_core::namespace::Ino;

/// How many handles programs have on each inode, and which inodes the node may be told are closed.
///
/// An inode counts as open from the moment the question to open it is sent. So no `Closed` overtakes an `Open`: one
/// that waits to be sent is withdrawn when the inode is opened again.
#[derive(Debug, Default)]
pub(crate) struct OpenCounts {
    handles: HashMap<Ino, u32>,
    closed: BTreeSet<Ino>,
}

impl OpenCounts {
    /// One handle more, or about to be.
    pub(crate) fn open(&mut self, ino: Ino) {
        *self.handles.entry(ino).or_default() += 1;
        self.closed.remove(&ino);
    }

    /// One handle less.
    pub(crate) fn close(&mut self, ino: Ino) {
        let Some(count) = self.handles.get_mut(&ino) else { return };
        *count -= 1;
        if *count == 0 {
            self.handles.remove(&ino);
            self.closed.insert(ino);
        }
    }

    /// Inodes that are open.
    pub(crate) fn open_inodes(&self) -> Vec<Ino> {
        self.handles.keys().copied().collect()
    }

    /// How many handles there are.
    pub(crate) fn handles(&self) -> u64 {
        self.handles.values().map(|&count| u64::from(count)).sum()
    }

    /// How many inodes wait to be reported closed.
    pub(crate) fn closed_len(&self) -> usize {
        self.closed.len()
    }

    /// The inodes to report closed.
    pub(crate) fn take_closed(&mut self) -> Vec<Ino> {
        std::mem::take(&mut self.closed).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_is_said_once_and_only_of_what_is_closed() {
        let mut counts = OpenCounts::default();
        counts.open(Ino(7));
        counts.open(Ino(7));
        counts.close(Ino(7));
        assert_eq!(counts.take_closed(), []);
        counts.close(Ino(7));
        counts.open(Ino(7));
        assert_eq!(counts.take_closed(), [], "opened again before it was said");
        assert_eq!(counts.open_inodes(), [Ino(7)]);
        counts.close(Ino(7));
        counts.close(Ino(7));
        assert_eq!(counts.take_closed(), [Ino(7)]);
        assert_eq!(counts.take_closed(), []);
        assert_eq!(counts.handles(), 0);
    }
}
