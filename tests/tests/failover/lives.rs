use artifacts_core::mesh::limits::{LIFE_EVERY_MS, LIVES_AT_ONCE};
use artifacts_tests::time::Duration;

use crate::site::NODES;

/// Fewer than the ring takes: each member counts for itself, from when it hears of a life.
const AT_ONCE: u64 = LIVES_AT_ONCE - 2;

/// How often nodes have been started, so that none is killed faster than the ring takes its lives ([`LIVES_AT_ONCE`]). A node that
/// restarts faster is kept waiting, on purpose, and what is measured here is another thing.
pub(crate) struct Lives {
    /// By when each node's whole allowance is there again, in milliseconds.
    whole_again_ms: [u64; NODES],
}

impl Lives {
    /// All have just been started.
    pub(crate) fn new(now_ms: u64) -> Self {
        Self { whole_again_ms: [now_ms + LIFE_EVERY_MS; NODES] }
    }

    /// How long to leave a node alone before it may be started once more.
    pub(crate) fn rest(&self, node: usize, now_ms: u64) -> Duration {
        Duration::from_millis(self.whole_again_ms[node].saturating_sub(now_ms + (AT_ONCE - 1) * LIFE_EVERY_MS))
    }

    /// A node is started.
    pub(crate) fn begin(&mut self, node: usize, now_ms: u64) {
        self.whole_again_ms[node] = self.whole_again_ms[node].max(now_ms) + LIFE_EVERY_MS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_come_at_once_and_then_one_after_the_other() {
        let mut lives = Lives::new(0);
        for _ in 1..AT_ONCE {
            assert_eq!(lives.rest(0, 0), Duration::ZERO);
            lives.begin(0, 0);
        }
        assert_eq!((lives.rest(0, 0), lives.rest(1, 0)), (Duration::from_millis(LIFE_EVERY_MS), Duration::ZERO));
        assert_eq!(lives.rest(0, LIFE_EVERY_MS), Duration::ZERO);
    }
}
