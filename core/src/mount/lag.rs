use std::collections::VecDeque;

/// How far the node may be behind with ops that were sent to it, in milliseconds. A lease that is recalled goes back once the
/// node has all of them, and whoever wants it waits so long.
const LAG_MAX_MS: u64 = 250;
/// How many ops may be on their way however long the node takes.
const ALWAYS_MAX: u64 = 256;
/// Sends in so short a time count as one, in milliseconds.
const GRAIN_MS: u64 = 10;

/// How far the node is behind with what was sent to it.
#[derive(Debug, Default)]
pub(super) struct Lag {
    /// The last op that was sent by some time, oldest first; all of them are still to be applied.
    marks: VecDeque<(u64, u64)>,
    sent: u64,
    applied: u64,
}

impl Lag {
    /// All ops up to this one have been sent by now.
    pub(super) fn sent(&mut self, seq: u64, now_ms: u64) {
        self.sent = seq;
        match self.marks.back() {
            Some(&(_, at_ms)) if now_ms.saturating_sub(at_ms) < GRAIN_MS && self.marks.len() > 1 => {
                if let Some(mark) = self.marks.back_mut() {
                    mark.0 = seq;
                }
            }
            _ => self.marks.push_back((seq, now_ms)),
        }
    }

    /// The node has applied all ops up to this one.
    pub(super) fn applied(&mut self, seq: u64) {
        self.applied = self.applied.max(seq);
        while self.marks.front().is_some_and(|mark| mark.0 <= seq) {
            self.marks.pop_front();
        }
    }

    /// Whether more had better wait.
    pub(super) fn is_long(&self, now_ms: u64) -> bool {
        self.sent.saturating_sub(self.applied) > ALWAYS_MAX
            && self.marks.front().is_some_and(|&(_, at_ms)| now_ms.saturating_sub(at_ms) > LAG_MAX_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_long_while_much_was_sent_long_ago_and_is_not_applied() {
        let mut lag = Lag::default();
        assert!(!lag.is_long(u64::MAX));
        for at_ms in 0..1000 {
            lag.sent(at_ms + 1, at_ms);
        }
        assert!(lag.marks.len() <= 102, "{}", lag.marks.len());
        assert!(!lag.is_long(LAG_MAX_MS));
        assert!(lag.is_long(LAG_MAX_MS + GRAIN_MS + 1));
        lag.applied(200);
        assert!(!lag.is_long(190 + LAG_MAX_MS));
        assert!(lag.is_long(210 + LAG_MAX_MS));
        lag.applied(800);
        assert!(!lag.is_long(u64::MAX), "few enough to be applied in no time, however long ago they were sent");
        lag.applied(1000);
        assert!(lag.marks.is_empty());
    }

    #[test]
    fn sends_one_after_the_other_do_not_stay_young_for_ever() {
        let mut lag = Lag::default();
        for at_ms in 0..2000 {
            lag.sent(at_ms + 1, at_ms);
            if at_ms > LAG_MAX_MS + GRAIN_MS {
                assert!(lag.is_long(at_ms), "{at_ms}");
            }
        }
    }
}
