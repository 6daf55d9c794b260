/// How often a guest may ask for its cell, in milliseconds, for as long as it likes.
const EVERY_MS: u64 = 500;
/// How many of these may come at once: one that was away for long reads what it has missed in several parts.
const AT_ONCE: u64 = 20;

/// How fast one session may ask for its cell: a token bucket, as the moment at which it would be full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pace {
    full_at_ms: u64,
}

impl Pace {
    /// It asks.
    ///
    /// # Errors
    /// In how many milliseconds it may.
    pub fn ask(&mut self, now_ms: u64) -> Result<(), u64> {
        let full_at_ms = self.full_at_ms.max(now_ms) + EVERY_MS;
        match (full_at_ms - now_ms).checked_sub(AT_ONCE * EVERY_MS) {
            None | Some(0) => {
                self.full_at_ms = full_at_ms;
                Ok(())
            }
            Some(early_ms) => Err(early_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_steady_rate() {
        let mut pace = Pace::default();
        let asked = |pace: &mut Pace, now_ms, times: u64| (0..times).filter(|_| pace.ask(now_ms).is_ok()).count();
        assert_eq!(asked(&mut pace, 10_000, 1_000), 20);
        assert_eq!(pace.ask(10_000), Err(500));
        assert_eq!(pace.ask(10_100), Err(400));
        assert_eq!(asked(&mut pace, 10_500, 10), 1);
        assert_eq!(asked(&mut pace, 12_500, 10), 4);
        assert_eq!(asked(&mut pace, 60_000, 1_000), 20);
        assert_eq!(asked(&mut pace, 50_000, 1), 0, "a clock that goes back gives nothing");
    }
}
