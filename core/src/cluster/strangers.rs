use std::collections::BTreeMap;

/// A hash of what was shown.
type Digest = [u8; 32];

/// How long a refusal counts.
const REFUSED_MS: u64 = 5_000;
/// How long whoever was let in is no stranger.
const KNOWN_MS: u64 = 600_000;
/// How many of each are remembered; beyond, those that would be forgotten first are.
const REMEMBERED: usize = 4_096;
/// How many strangers a second are shown to another region, and how many at once.
const PER_SECOND: u64 = 50;
const BURST: u64 = 100;

/// What to do with a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Show it to whoever can tell.
    Ask,
    /// It was refused a moment ago.
    Refused,
    /// Too many were shown that nobody knows; try again in so many milliseconds.
    TooMany(u64),
}

/// Which credentials are shown to another region, so that garbage costs it little: what was let in lately always is, what was
/// refused is not for a while, and of everything else only so much. One for each region. Time is whatever clock the caller has.
#[derive(Debug, Clone, Default)]
pub struct Strangers {
    known: Remembered,
    refused: Remembered,
    /// Tokens, in thousandths, that were taken and have not come back.
    taken_milli: u64,
    counted_at_ms: u64,
}

/// Digests until some instant each.
#[derive(Debug, Clone, Default)]
struct Remembered(BTreeMap<Digest, u64>);

impl Remembered {
    fn holds(&self, digest: &Digest, now_ms: u64) -> bool {
        self.0.get(digest).is_some_and(|until_ms| now_ms < *until_ms)
    }

    fn put(&mut self, digest: Digest, until_ms: u64, now_ms: u64) {
        if self.0.len() >= REMEMBERED && !self.0.contains_key(&digest) {
            self.0.retain(|_, until_ms| now_ms < *until_ms);
            // Half of them at a time, so that this is rare.
            if self.0.len() >= REMEMBERED {
                let mut ends: Vec<u64> = self.0.values().copied().collect();
                ends.sort_unstable();
                let middle = ends[ends.len() / 2];
                self.0.retain(|_, until_ms| *until_ms > middle);
            }
        }
        self.0.insert(digest, until_ms);
    }
}

impl Strangers {
    /// Somebody shows a credential.
    pub fn judge(&mut self, digest: &Digest, now_ms: u64) -> Verdict {
        if self.refused.holds(digest, now_ms) {
            return Verdict::Refused;
        }
        if self.known.holds(digest, now_ms) {
            return Verdict::Ask;
        }
        let back_milli = now_ms.saturating_sub(self.counted_at_ms).saturating_mul(PER_SECOND);
        self.taken_milli = self.taken_milli.saturating_sub(back_milli);
        self.counted_at_ms = self.counted_at_ms.max(now_ms);
        let excess_milli = (self.taken_milli + 1_000).saturating_sub(BURST * 1_000);
        if excess_milli > 0 {
            return Verdict::TooMany(excess_milli.div_ceil(PER_SECOND));
        }
        self.taken_milli += 1_000;
        Verdict::Ask
    }

    /// It was let in, or was not.
    pub fn note(&mut self, digest: Digest, let_in: bool, now_ms: u64) {
        if let_in {
            self.known.put(digest, now_ms + KNOWN_MS, now_ms);
        } else {
            self.known.0.remove(&digest);
            self.refused.put(digest, now_ms + REFUSED_MS, now_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: u64) -> Digest {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&number.to_be_bytes());
        digest
    }

    #[test]
    fn of_garbage_only_so_much_is_shown_and_friends_pass_all_the_time() {
        let mut strangers = Strangers::default();
        strangers.note(digest(0), true, 1_000);
        let asked = |strangers: &mut Strangers, numbers: std::ops::Range<u64>, now_ms| {
            numbers.filter(|number| strangers.judge(&digest(*number), now_ms) == Verdict::Ask).count() as u64
        };
        assert_eq!(asked(&mut strangers, 1..1_000, 1_000), BURST);
        assert_eq!(strangers.judge(&digest(1_000), 1_000), Verdict::TooMany(20));
        assert_eq!(strangers.judge(&digest(0), 1_000), Verdict::Ask);
        assert_eq!(asked(&mut strangers, 2_000..3_000, 2_000), PER_SECOND);
        assert_eq!(asked(&mut strangers, 2_000..3_000, 60_000), BURST);
        assert_eq!(asked(&mut strangers, 2_000..3_000, 50_000), 0, "a clock that goes back gives nothing");
    }

    #[test]
    fn what_was_refused_is_not_shown_again_for_a_while() {
        let mut strangers = Strangers::default();
        assert_eq!(strangers.judge(&digest(1), 0), Verdict::Ask);
        strangers.note(digest(1), false, 0);
        assert_eq!(strangers.judge(&digest(1), REFUSED_MS - 1), Verdict::Refused);
        assert_eq!(strangers.judge(&digest(1), REFUSED_MS), Verdict::Ask);
        strangers.note(digest(1), true, REFUSED_MS);
        assert_eq!(strangers.judge(&digest(1), REFUSED_MS), Verdict::Ask, "a key that has come to count");
        strangers.note(digest(1), false, REFUSED_MS);
        assert_eq!(strangers.judge(&digest(1), REFUSED_MS + 1), Verdict::Refused, "and one that does no more");
    }

    #[test]
    fn it_remembers_no_more_than_it_may_and_forgets_the_oldest() {
        let mut strangers = Strangers::default();
        for number in 0..3 * REMEMBERED as u64 {
            strangers.note(digest(number), false, number / 1_000);
            assert!(strangers.refused.0.len() <= REMEMBERED);
        }
        assert_eq!(strangers.judge(&digest(3 * REMEMBERED as u64 - 1), 13), Verdict::Refused);
        assert_eq!(strangers.judge(&digest(0), 13), Verdict::Ask);
    }
}
