/// How long a node asks in vain before it counts as cut off from the bucket. A call of half a second is nothing strange.
const LOST_AFTER_MS: u64 = 3_000;
/// How long it asks in vain before that is given as the reason for what fails.
const DOUBTFUL_AFTER_MS: u64 = 1_000;
/// How long a node that has got an answer again takes over nothing from others that are cut off or not heard: they may be a moment
/// behind, and it may hear them the moment after.
const BACK_AFTER_MS: u64 = 3_000;

/// Whether a node reaches the bucket, judged by whether its questions are answered.
///
/// One that does not is **stranded**: it can prove to own nothing, so it serves nothing, and others should have what it has. It keeps
/// what it has all the same, because if nobody reaches the bucket nothing is won by giving anything up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reach {
    /// Of the first question since the last answer.
    asked_ms: Option<u64>,
    is_stranded: bool,
    /// When the answer came that ended the last time of being stranded.
    back_ms: Option<u64>,
}

impl Reach {
    /// A question is put at `now_ms`.
    pub fn ask(&mut self, now_ms: u64) {
        self.asked_ms.get_or_insert(now_ms);
    }

    /// One was answered.
    pub fn answered(&mut self, now_ms: u64) {
        self.asked_ms = None;
        if std::mem::take(&mut self.is_stranded) {
            self.back_ms = Some(now_ms);
        }
    }

    /// Whether the bucket is out of reach at `now_ms`.
    pub fn is_stranded(&mut self, now_ms: u64) -> bool {
        self.is_stranded |= self.asked_ms.is_some_and(|asked_ms| now_ms.saturating_sub(asked_ms) >= LOST_AFTER_MS);
        self.is_stranded
    }

    /// Whether the bucket was out of reach at some time since `since_ms`, or seems to be at `now_ms`.
    pub fn was_lost(&mut self, since_ms: u64, now_ms: u64) -> bool {
        let waits = self.asked_ms.is_some_and(|asked_ms| now_ms.saturating_sub(asked_ms) >= DOUBTFUL_AFTER_MS);
        waits || self.is_stranded(now_ms) || self.back_ms.is_some_and(|back_ms| back_ms >= since_ms)
    }

    /// Whether the node may change what it has by what it knows of the others, of whom some may be stranded, or none heard yet.
    pub fn follows_others(&mut self, now_ms: u64, are_others_away: bool) -> bool {
        let is_back = self.back_ms.is_none_or(|back_ms| now_ms.saturating_sub(back_ms) >= BACK_AFTER_MS);
        (is_back || !are_others_away) && !self.is_stranded(now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_stranded_when_nothing_is_answered_for_a_while() {
        let mut reach = Reach::default();
        assert!(reach.follows_others(50_000, true), "it has asked nothing");
        for asked_ms in [50_000, 51_000] {
            reach.ask(asked_ms);
            reach.answered(asked_ms + 600);
        }
        reach.ask(60_000);
        reach.ask(61_500);
        assert!(!reach.was_lost(0, 60_999) && reach.was_lost(0, 61_000));
        assert!(!reach.is_stranded(62_999) && reach.follows_others(62_999, true));
        assert!(reach.is_stranded(63_000) && !reach.follows_others(63_000, false));
        reach.ask(64_000);
        assert!(reach.is_stranded(90_000));
    }

    #[test]
    fn one_that_is_back_takes_over_nothing_at_once_from_others_that_may_come_back_too() {
        let mut reach = Reach::default();
        reach.ask(0);
        assert!(reach.is_stranded(3_000));
        reach.answered(5_000);
        assert!(!reach.is_stranded(5_000));
        assert!(reach.was_lost(4_000, 5_500) && !reach.was_lost(5_001, 5_500));
        assert!(!reach.follows_others(7_999, true) && reach.follows_others(8_000, true));
        assert!(reach.follows_others(5_000, false), "it was the only one");
        reach.ask(8_500);
        reach.answered(8_600);
        assert!(reach.follows_others(8_700, true));
    }
}
