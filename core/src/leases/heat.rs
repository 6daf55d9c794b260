/// How many recalls within [`WINDOW_MS`] make an inode hot.
const RECALLS: u32 = 6;
/// In which recalls count together.
const WINDOW_MS: u64 = 1_000;
/// How long a hot inode stays so after the last time that somebody else used it than before.
const HOT_MS: u64 = 1_000;

/// How much sessions want an inode from each other.
///
/// A lease that is recalled again and again costs more than it saves. Then the inode is hot: nobody gets a lease on it until
/// for a second only one session has used it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Heat {
    window_began_ms: u64,
    recalls: u32,
    hot_until_ms: u64,
    last_user: Option<crate::SessionId>,
}

impl Heat {
    /// A lease on it is recalled.
    pub fn recalled(&mut self, now_ms: u64) {
        if now_ms.saturating_sub(self.window_began_ms) >= WINDOW_MS {
            *self = Self { window_began_ms: now_ms, recalls: 0, ..*self };
        }
        self.recalls += 1;
        if self.recalls >= RECALLS {
            self.hot_until_ms = now_ms + HOT_MS;
        }
    }

    /// A session uses it through the node.
    pub fn used(&mut self, session: crate::SessionId, now_ms: u64) {
        if self.is_hot(now_ms) && self.last_user.replace(session).is_some_and(|last| last != session) {
            self.hot_until_ms = now_ms + HOT_MS;
        }
    }

    /// Whether nobody may have a lease on it now.
    pub const fn is_hot(&self, now_ms: u64) -> bool {
        now_ms < self.hot_until_ms
    }

    /// Whether it need not be remembered.
    pub(super) const fn is_cold(&self, now_ms: u64) -> bool {
        !self.is_hot(now_ms) && now_ms.saturating_sub(self.window_began_ms) >= WINDOW_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SessionId;

    const A: SessionId = SessionId::from_bits(1);
    const B: SessionId = SessionId::from_bits(2);

    #[test]
    fn recalls_in_a_row_make_it_hot_and_rare_ones_do_not() {
        let mut heat = Heat::default();
        for round in 0..10 {
            heat.recalled(5_000 + round * WINDOW_MS / 2);
        }
        assert!(!heat.is_hot(9_600) && !heat.is_cold(9_600) && heat.is_cold(12_000));
        for now_ms in 20_000..20_000 + u64::from(RECALLS) {
            assert!(!heat.is_hot(now_ms));
            heat.recalled(now_ms);
        }
        assert!(heat.is_hot(20_100) && !heat.is_hot(22_000));
    }

    #[test]
    fn it_stays_hot_as_long_as_several_use_it() {
        let mut heat = Heat::default();
        (0..RECALLS).for_each(|_| heat.recalled(100));
        for round in 0..10 {
            heat.used(if round % 2 == 0 { A } else { B }, 500 + round * 400);
            assert!(heat.is_hot(500 + round * 400), "round {round}");
        }
        heat.used(B, 4_500);
        assert!(!heat.is_hot(5_200), "one alone");
    }
}
