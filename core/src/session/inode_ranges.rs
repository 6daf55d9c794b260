use serde::{Deserialize, Serialize};

use crate::namespace::Ino;
use crate::protocol::InodeRange;

/// The inode numbers leased to one session: the mount takes them in order, the node checks that a creation uses
/// one of them. A number is used at most once, because inode numbers never name two files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InodeRanges {
    ranges: Vec<InodeRange>,
}

impl InodeRanges {
    /// Adds a range.
    pub fn add(&mut self, range: InodeRange) {
        if range.count > 0 {
            self.ranges.push(range);
        }
    }

    /// Takes the next number; `None` when all are used.
    pub fn take(&mut self) -> Option<Ino> {
        let range = self.ranges.first_mut()?;
        let ino = Ino(range.first);
        range.first += 1;
        range.count -= 1;
        if range.count == 0 {
            self.ranges.remove(0);
        }
        Some(ino)
    }

    /// How many are left.
    pub fn remaining(&self) -> u64 {
        self.ranges.iter().map(|range| range.count).sum()
    }

    /// Whether the number was leased here.
    pub fn contains(&self, ino: Ino) -> bool {
        self.ranges.iter().any(|range| ino.0.checked_sub(range.first).is_some_and(|index| index < range.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_taken_once_and_in_order() {
        let mut ranges = InodeRanges::default();
        assert_eq!(ranges.take(), None);
        ranges.add(InodeRange { first: 10, count: 2 });
        ranges.add(InodeRange { first: 90, count: 0 });
        ranges.add(InodeRange { first: 100, count: 1 });
        assert_eq!(ranges.remaining(), 3);
        assert!(ranges.contains(Ino(11)) && ranges.contains(Ino(100)));
        assert!(!ranges.contains(Ino(9)) && !ranges.contains(Ino(12)) && !ranges.contains(Ino(90)));
        assert_eq!([ranges.take(), ranges.take(), ranges.take(), ranges.take()], [Some(Ino(10)), Some(Ino(11)), Some(Ino(100)), None]);
    }
}
