use parking_lot::Mutex;

/// How long the object store is left alone after it could not be reached, in milliseconds.
const LEFT_ALONE_MS: u64 = 30_000;

/// Whether the object store can be reached from here, as far as is known. It can until an exchange shows otherwise;
/// then it is left alone for a while, after which one exchange at a time tries again.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// Set while it cannot be reached: when to try again.
    try_again_at_ms: Mutex<Option<u64>>,
}

impl Reach {
    /// Whether an exchange that begins now is to go there. It then says how it went.
    pub(super) fn is_worth_a_try(&self, now_ms: u64) -> bool {
        let mut at_ms = self.try_again_at_ms.lock();
        match *at_ms {
            Some(at) if now_ms < at => false,
            Some(_) => {
                // The others wait for what this one finds.
                *at_ms = Some(now_ms + LEFT_ALONE_MS);
                true
            }
            None => true,
        }
    }

    /// It could not be reached. Whether that is news.
    pub(super) fn failed(&self, now_ms: u64) -> bool {
        self.try_again_at_ms.lock().replace(now_ms + LEFT_ALONE_MS).is_none()
    }

    /// It answered. Whether that is news.
    pub(super) fn worked(&self) -> bool {
        self.try_again_at_ms.lock().take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_reached_is_left_alone_and_then_tried_by_one() {
        let reach = Reach::default();
        assert!(reach.is_worth_a_try(0) && reach.is_worth_a_try(0));
        assert!(!reach.worked(), "nothing was wrong");
        assert!(reach.failed(1_000));
        assert!(!reach.failed(1_001), "told once");
        assert!(!reach.is_worth_a_try(30_000));
        assert!(reach.is_worth_a_try(31_001));
        assert!(!reach.is_worth_a_try(31_002), "one at a time");
        assert!(!reach.failed(31_003));
        assert!(reach.is_worth_a_try(61_003));
        assert!(reach.worked() && !reach.worked());
        assert!(reach.is_worth_a_try(61_004) && reach.is_worth_a_try(61_004));
    }
}
