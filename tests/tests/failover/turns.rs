use std::collections::BTreeSet;

/// One holder's turn with a lock that one holds at a time. Times are of CLOCK_MONOTONIC, in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) holder: u16,
    /// When the holder knew that it had the lock.
    pub(crate) granted_ns: u64,
    /// Until when it had it for sure: it let go then, or its time was over by its own reckoning, or this is the call of the last
    /// thing that it did under the lock with success.
    pub(crate) until_ns: u64,
    /// When it was told that it had lost it, if so.
    pub(crate) told_ns: Option<u64>,
    /// What must grow from turn to turn: the fencing token, or the count that was written under the lock.
    pub(crate) number: Option<u64>,
}

/// What all turns with one lock come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fairness {
    /// Turns that overlap.
    pub(crate) double: Vec<(Turn, Turn)>,
    /// Turns whose number is not above those of all turns before.
    pub(crate) disorder: Vec<(Turn, Turn)>,
    /// The most that a holder was told too late, if another already had the lock: it did nothing under the lock meanwhile.
    pub(crate) told_late_ns: u64,
}

impl Fairness {
    /// Of all turns with one lock.
    pub(crate) fn of(mut turns: Vec<Turn>) -> Self {
        turns.sort_by_key(|turn| turn.granted_ns);
        let mut fairness = Self::default();
        let mut longest: Option<&Turn> = None;
        let mut numbers = BTreeSet::new();
        let mut highest: Option<&Turn> = None;
        for (index, turn) in turns.iter().enumerate() {
            if let Some(before) = longest.filter(|before| before.until_ns > turn.granted_ns) {
                fairness.double.push((before.clone(), turn.clone()));
            }
            if longest.is_none_or(|before| before.until_ns <= turn.until_ns) {
                longest = Some(turn);
            }
            if let (Some(told_ns), Some(next)) = (turn.told_ns, turns.get(index + 1)) {
                fairness.told_late_ns = fairness.told_late_ns.max(told_ns.saturating_sub(next.granted_ns));
            }
            let Some(number) = turn.number else { continue };
            let is_new = numbers.insert(number);
            if let Some(before) = highest
                && (!is_new || before.number > turn.number)
            {
                fairness.disorder.push((before.clone(), turn.clone()));
            }
            if highest.is_none_or(|before| before.number <= turn.number) {
                highest = Some(turn);
            }
        }
        fairness
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(granted_ns: u64, until_ns: u64, number: u64) -> Turn {
        Turn { holder: 0, granted_ns, until_ns, told_ns: None, number: Some(number) }
    }

    #[test]
    fn turns_in_order_are_fair() {
        assert_eq!(Fairness::of(vec![turn(20, 30, 5), turn(0, 10, 1), turn(10, 20, 3)]), Fairness::default());
    }

    #[test]
    fn an_overlap_is_found_also_across_turns_between() {
        let fairness = Fairness::of(vec![turn(0, 100, 1), turn(120, 300, 2), turn(130, 140, 3), turn(200, 210, 4)]);
        assert_eq!(
            fairness.double.iter().map(|(one, other)| (one.granted_ns, other.granted_ns)).collect::<Vec<_>>(),
            [(120, 130), (120, 200)]
        );
    }

    #[test]
    fn numbers_that_do_not_grow_are_found() {
        assert_eq!(Fairness::of(vec![turn(0, 10, 2), turn(10, 20, 1)]).disorder.len(), 1);
        assert_eq!(Fairness::of(vec![turn(0, 10, 2), turn(10, 20, 2)]).disorder.len(), 1);
    }

    #[test]
    fn who_is_told_late_is_seen_and_is_no_holder_meanwhile() {
        let lost = Turn { told_ns: Some(50), ..turn(0, 10, 1) };
        let fairness = Fairness::of(vec![lost, turn(30, 40, 2)]);
        assert_eq!((fairness.told_late_ns, fairness.double.len()), (20, 0));
    }
}
