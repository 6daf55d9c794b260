use serde::{Deserialize, Serialize};

/// Bytes of a file, both ends included, as FUSE and the kernel number them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ByteRange {
    /// The first byte.
    pub start: u64,
    /// The last byte.
    pub end: u64,
}

impl ByteRange {
    /// Every byte there is and will be.
    pub const WHOLE: Self = Self { start: 0, end: u64::MAX };

    /// From `start` to `end`, both included; nothing when they are the wrong way round.
    pub fn new(start: u64, end: u64) -> Option<Self> {
        (start <= end).then_some(Self { start, end })
    }

    /// Whether they share a byte.
    pub fn overlaps(self, other: Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }

    /// Whether they share a byte or leave none between them.
    pub(super) fn touches(self, other: Self) -> bool {
        self.start <= other.end.saturating_add(1) && other.start <= self.end.saturating_add(1)
    }

    /// The smallest range with all bytes of both.
    pub(super) fn union(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// What of this lies before and behind `other`, which overlaps it.
    pub(super) fn without(self, other: Self) -> impl Iterator<Item = Self> {
        let before = other.start.checked_sub(1).and_then(|end| Self::new(self.start, end));
        let behind = other.end.checked_add(1).and_then(|start| Self::new(start, self.end));
        before.into_iter().chain(behind)
    }
}

impl ByteRange {
    /// What of this is not in `other`.
    pub fn minus(self, other: Self) -> Vec<Self> {
        if self.overlaps(other) { self.without(other).collect() } else { vec![self] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, end: u64) -> ByteRange {
        ByteRange { start, end }
    }

    #[test]
    fn ranges_at_their_edges() {
        assert_eq!(ByteRange::new(2, 1), None);
        assert!(range(0, 5).overlaps(range(5, 9)) && !range(0, 4).overlaps(range(5, 9)));
        assert!(range(0, 4).touches(range(5, 9)) && !range(0, 3).touches(range(5, 9)));
        assert!(range(9, u64::MAX).touches(range(0, u64::MAX)), "no overflow at the end");
        let parts = |a: ByteRange, b| a.without(b).collect::<Vec<_>>();
        assert_eq!(parts(range(0, 9), range(3, 5)), [range(0, 2), range(6, 9)]);
        assert_eq!(parts(range(3, 5), range(0, 9)), []);
        assert_eq!(parts(ByteRange::WHOLE, range(1, u64::MAX)), [range(0, 0)]);
        assert_eq!(parts(ByteRange::WHOLE, range(0, 7)), [range(8, u64::MAX)]);
        assert_eq!(range(0, 4).minus(range(5, 9)), [range(0, 4)]);
        assert_eq!(range(0, 4).minus(range(1, 9)), [range(0, 0)]);
    }
}
