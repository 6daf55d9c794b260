/// A token bucket: fills steadily up to its capacity, and each request takes one token. Knows no clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TokenBucket {
    per_second: u64,
    capacity_milli: u64,
    milli: u64,
    filled_at_ms: u64,
}

const TOKEN_MILLI: u64 = 1_000;

impl TokenBucket {
    /// A full bucket that fills with `per_second` tokens and holds those of two seconds.
    pub(super) fn new(per_second: u32, now_ms: u64) -> Self {
        let per_second = u64::from(per_second);
        let capacity_milli = 2 * per_second * TOKEN_MILLI;
        Self { per_second, capacity_milli, milli: capacity_milli, filled_at_ms: now_ms }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// In how many milliseconds there will be one.
    pub(super) fn take(&mut self, now_ms: u64) -> Result<(), u64> {
        self.fill(now_ms);
        match self.milli.checked_sub(TOKEN_MILLI) {
            Some(rest) => {
                self.milli = rest;
                Ok(())
            }
            // A thousandth of a token comes every 1/per_second milliseconds.
            None => Err((TOKEN_MILLI - self.milli).div_ceil(self.per_second.max(1))),
        }
    }

    /// Whether nothing would be lost by forgetting it.
    pub(super) fn is_full(&mut self, now_ms: u64) -> bool {
        self.fill(now_ms);
        self.milli == self.capacity_milli
    }

    fn fill(&mut self, now_ms: u64) {
        let gained = now_ms.saturating_sub(self.filled_at_ms).saturating_mul(self.per_second);
        self.milli = self.milli.saturating_add(gained).min(self.capacity_milli);
        self.filled_at_ms = self.filled_at_ms.max(now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_steady_rate() {
        // (at ms, how often, how many of those pass, the wait named by the last refusal)
        let script = [
            (0, 25, 20, Some(100)),
            (99, 1, 0, Some(1)),
            (100, 2, 1, Some(100)),
            (1_100, 11, 10, Some(100)),
            (60_000, 30, 20, Some(100)),
            (50_000, 1, 0, Some(100)), // a clock that goes back gives nothing
            (60_100, 1, 1, None),
        ];
        let mut bucket = TokenBucket::new(10, 0);
        for (now_ms, tries, passing, wait) in script {
            let outcomes: Vec<_> = (0..tries).map(|_| bucket.take(now_ms)).collect();
            assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), passing, "at {now_ms}");
            assert_eq!(outcomes.last().and_then(|outcome| outcome.err()), wait, "at {now_ms}");
        }
    }

    #[test]
    fn a_full_bucket_can_be_forgotten() {
        let mut bucket = TokenBucket::new(1, 0);
        assert!(bucket.is_full(0));
        assert_eq!(bucket.take(0), Ok(()));
        assert!(!bucket.is_full(999));
        assert!(bucket.is_full(1_000));
        assert!(bucket.is_full(u64::MAX));
    }
}
