use crate::hashing::HashMap;
use crate::namespace::Ino;

/// So many inodes are remembered one by one; above, everything counts as forgotten.
const INODES_MAX: usize = 4096;

/// What was forgotten while questions were on their way.
///
/// A question goes to the node ahead of what was decided here and waits to be sent, so its answer may be older than that. It is
/// taken in beside what is known, which is newer; where what was known has been forgotten meanwhile, it would pass for the
/// newest.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    count: u64,
    all_at: u64,
    inodes: HashMap<Ino, u64>,
}

impl Forgotten {
    /// The instant of a question that is asked now.
    pub(super) fn now(&self) -> u64 {
        self.count
    }

    /// These are forgotten.
    pub(super) fn forget(&mut self, inodes: &[Ino]) {
        if self.inodes.len() + inodes.len() > INODES_MAX {
            return self.forget_all();
        }
        self.count += 1;
        self.inodes.extend(inodes.iter().map(|&ino| (ino, self.count)));
    }

    /// Everything is.
    pub(super) fn forget_all(&mut self) {
        self.count += 1;
        self.all_at = self.count;
        self.inodes.clear();
    }

    /// Whether an inode has been forgotten since this instant.
    pub(super) fn is_forgotten(&self, ino: Ino, since: u64) -> bool {
        since < self.all_at || self.inodes.get(&ino).is_some_and(|&at| since < at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_before_something_was_forgotten_is_not_learnt() {
        let mut forgotten = Forgotten::default();
        let before = forgotten.now();
        forgotten.forget(&[Ino(5)]);
        assert!(forgotten.is_forgotten(Ino(5), before) && !forgotten.is_forgotten(Ino(6), before));
        assert!(!forgotten.is_forgotten(Ino(5), forgotten.now()));
        let between = forgotten.now();
        forgotten.forget_all();
        assert!(forgotten.is_forgotten(Ino(6), between) && !forgotten.is_forgotten(Ino(5), forgotten.now()));
        let many: Vec<Ino> = (0..=INODES_MAX as u64).map(Ino).collect();
        let before = forgotten.now();
        forgotten.forget(&many);
        assert!(forgotten.is_forgotten(Ino(1 << 40), before), "too many to remember each");
    }
}
