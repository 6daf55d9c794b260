use std::collections::VecDeque;

/// How long an answer of a clock counts, in milliseconds.
const VALID_MS: u64 = 30_000;
/// The most answers of one clock that are kept.
const ANSWERS_MAX: usize = 12;
/// Two monotonic clocks may run apart by one part in so many: twice what the kernel's own steering allows (500 ppm).
const DRIFT: u64 = 1_000;
/// Clocks are read in whole milliseconds.
const GRAIN_MS: u64 = 1;

/// What is known here of somebody else's monotonic clock: it said so much, after we had asked.
///
/// That bounds from below when that clock says anything else, however long answer and beacon were under way, and whoever
/// delayed them. It is all that freshness needs: a moment is never taken to be later than it was.
#[derive(Debug, Clone, Default)]
pub(super) struct Calibration {
    /// When we asked, by our clock, and what the other said.
    answers: VecDeque<(u64, u64)>,
}

impl Calibration {
    /// The other clock said `at_ms` after we had asked at `asked_at_ms`.
    pub(super) fn learn(&mut self, asked_at_ms: u64, at_ms: u64) {
        if self.answers.contains(&(asked_at_ms, at_ms)) {
            return;
        }
        if self.answers.len() >= ANSWERS_MAX {
            self.answers.pop_front();
        }
        self.answers.push_back((asked_at_ms, at_ms));
    }

    /// Forgets answers that do not count any more. Whether any is left.
    pub(super) fn forget(&mut self, now_ms: u64) -> bool {
        self.answers.retain(|(asked_at_ms, _)| now_ms.saturating_sub(*asked_at_ms) <= VALID_MS);
        !self.answers.is_empty()
    }

    /// The other clock has said what it cannot: it is not to be trusted before it answers again.
    pub(super) fn distrust(&mut self) {
        self.answers.clear();
    }

    /// The earliest moment, by our clock, at which the other can have said `at_ms`: it was then or later. Nothing without a
    /// recent answer.
    pub(super) fn earliest_ms(&self, at_ms: u64, now_ms: u64) -> Option<u64> {
        let recent = self.answers.iter().filter(|(asked_at_ms, _)| now_ms.saturating_sub(*asked_at_ms) <= VALID_MS);
        let bound = |(asked_at_ms, said_ms): &(u64, u64)| match at_ms.checked_sub(*said_ms) {
            Some(after_ms) => asked_at_ms.saturating_add(after_ms.saturating_sub(after_ms.div_ceil(DRIFT) + GRAIN_MS)),
            None => {
                let before_ms = said_ms - at_ms;
                asked_at_ms.saturating_sub(before_ms.saturating_add(before_ms.div_ceil(DRIFT / 2) + GRAIN_MS))
            }
        };
        recent.map(bound).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_answer_bounds_and_old_ones_do_not_count() {
        let mut calibration = Calibration::default();
        assert_eq!(calibration.earliest_ms(0, 0), None);
        calibration.learn(1_000, 70_000);
        assert_eq!(calibration.earliest_ms(70_000, 1_000), Some(1_000));
        assert_eq!(calibration.earliest_ms(72_000, 1_000), Some(2_997), "the other clock may be fast");
        assert_eq!(calibration.earliest_ms(69_000, 1_000), Some(0), "or slow, before");
        // An answer that took long says less.
        calibration.learn(2_000, 72_000);
        assert_eq!(calibration.earliest_ms(72_000, 2_000), Some(2_997));
        // One that came at once says more.
        calibration.learn(3_500, 72_100);
        assert_eq!(calibration.earliest_ms(72_100, 3_500), Some(3_500));
        assert_eq!(calibration.earliest_ms(72_100, 33_501), None);
        assert!(!calibration.forget(33_501));
    }

    #[test]
    fn answers_are_bounded_and_the_newest_stay() {
        let mut calibration = Calibration::default();
        for at in 0..100 {
            calibration.learn(at, at);
            calibration.learn(at, at);
        }
        assert_eq!(calibration.answers.len(), ANSWERS_MAX);
        assert!(calibration.forget(99 + VALID_MS));
        assert_eq!(calibration.answers.len(), 1);
    }
}
