use std::collections::VecDeque;

use artifacts_core::namespace::Ino;
use artifacts_core::protocol::InodeRange;
use artifacts_core::session::InodeRanges;

/// Inode numbers for creations, asked for before they run out.
#[derive(Debug)]
pub(crate) struct InodeSupply<W> {
    ranges: InodeRanges,
    /// Below so many left, more are asked for.
    low_water: u64,
    asked: bool,
    waiting: VecDeque<W>,
}

impl<W> InodeSupply<W> {
    /// Begins with the range of the welcome.
    pub(crate) fn new(range: InodeRange) -> Self {
        let mut ranges = InodeRanges::default();
        ranges.add(range);
        Self { ranges, low_water: range.count / 4, asked: false, waiting: VecDeque::new() }
    }

    /// The next number.
    pub(crate) fn take(&mut self) -> Option<Ino> {
        self.ranges.take()
    }

    /// Waits for more numbers.
    pub(crate) fn wait(&mut self, waiter: W) {
        self.waiting.push_back(waiter);
    }

    /// Whether to ask for more now. Answers true once until the answer is in.
    pub(crate) fn should_ask(&mut self) -> bool {
        let ask = !self.asked && (self.ranges.remaining() < self.low_water || self.ranges.remaining() == 0);
        self.asked |= ask;
        ask
    }

    /// The answer is in; those who waited may try again.
    pub(crate) fn answered(&mut self, range: Option<InodeRange>) -> VecDeque<W> {
        self.asked = false;
        if let Some(range) = range {
            self.ranges.add(range);
        }
        std::mem::take(&mut self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_asked_for_once_before_the_last_is_gone() {
        let mut supply = InodeSupply::<u8>::new(InodeRange { first: 100, count: 8 });
        let mut asked_at = Vec::new();
        for taken in 1..=8 {
            assert_eq!(supply.take(), Some(Ino(99 + taken)));
            if supply.should_ask() {
                asked_at.push(taken);
            }
        }
        assert_eq!(asked_at, [7], "with fewer than a quarter left");
        assert_eq!(supply.take(), None);
        supply.wait(1);
        assert_eq!(supply.answered(Some(InodeRange { first: 900, count: 8 })), [1]);
        assert_eq!(supply.take(), Some(Ino(900)));
        assert!(!supply.should_ask());
    }

    #[test]
    fn a_refused_refill_is_asked_for_again() {
        let mut supply = InodeSupply::<u8>::new(InodeRange { first: 1, count: 0 });
        assert!(supply.should_ask());
        assert!(!supply.should_ask());
        supply.answered(None);
        assert!(supply.should_ask());
    }
}
