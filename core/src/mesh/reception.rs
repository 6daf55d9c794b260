use std::collections::BTreeMap;

use crate::name::NodeName;

/// Whether the others hear us, by what they list of us.
///
/// Who speaks to us says which heartbeat of this life of ours it knows. Where that stands still, or there is none, our word does
/// not get there, by whatever way; or it is not taken, because too many lives of ours came before this one. Such a member counts
/// us as dead. We are heard if at least half of those who speak to us hear us, or if nobody speaks to us: then there is nobody
/// who would know better.
#[derive(Debug, Default)]
pub(super) struct Reception {
    peers: BTreeMap<NodeName, Echo>,
}

#[derive(Debug)]
struct Echo {
    /// When it spoke to us last.
    spoke_ms: u64,
    /// The highest heartbeat of ours that it has listed.
    heartbeat: u64,
    /// When that came to be.
    moved_ms: Option<u64>,
}

impl Reception {
    /// A peer has listed this heartbeat of ours, or not listed us.
    pub(super) fn note(&mut self, peer: &NodeName, heartbeat: Option<u64>, now_ms: u64) {
        let echo = self.peers.entry(peer.clone()).or_insert(Echo { spoke_ms: now_ms, heartbeat: 0, moved_ms: None });
        echo.spoke_ms = now_ms;
        if let Some(heartbeat) = heartbeat.filter(|heartbeat| *heartbeat > echo.heartbeat) {
            (echo.heartbeat, echo.moved_ms) = (heartbeat, Some(now_ms));
        }
    }

    /// A peer says that it hears nobody: what it lists is old.
    pub(super) fn forget(&mut self, peer: &NodeName) {
        self.peers.remove(peer);
    }

    /// Whether we are heard, by what was said within the last `window_ms`.
    pub(super) fn is_heard(&self, now_ms: u64, window_ms: u64) -> bool {
        let is_recent = |at_ms: u64| now_ms.saturating_sub(at_ms) < window_ms;
        let speaking = self.peers.values().filter(|echo| is_recent(echo.spoke_ms));
        let (count, hearing) = speaking.fold((0, 0), |(count, hearing), echo| {
            let hears = echo.moved_ms.is_some_and(is_recent);
            (count + 1, hearing + usize::from(hears))
        });
        2 * hearing >= count
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const WINDOW_MS: u64 = 2_000;

    fn name(text: &str) -> NodeName {
        text.parse().unwrap()
    }

    #[test]
    fn whom_nobody_lists_is_not_heard() {
        let mut reception = Reception::default();
        assert!(reception.is_heard(0, WINDOW_MS), "nobody speaks");
        reception.note(&name("a"), None, 100);
        assert!(!reception.is_heard(100, WINDOW_MS));
        reception.note(&name("a"), Some(1), 200);
        assert!(reception.is_heard(200, WINDOW_MS));
        reception.note(&name("b"), None, 300);
        assert!(reception.is_heard(300, WINDOW_MS), "half of them hear");
        reception.note(&name("c"), None, 300);
        assert!(!reception.is_heard(300, WINDOW_MS));
    }

    #[test]
    fn whose_heartbeat_stands_still_with_the_others_is_not_heard_any_more() {
        let mut reception = Reception::default();
        for at_ms in (0..=3_000).step_by(100) {
            reception.note(&name("a"), Some(7), at_ms);
            reception.note(&name("b"), Some(6), at_ms);
            assert_eq!(reception.is_heard(at_ms, WINDOW_MS), at_ms < WINDOW_MS, "{at_ms}");
        }
        reception.note(&name("a"), Some(6), 3_100);
        assert!(!reception.is_heard(3_100, WINDOW_MS), "an older one says nothing");
        reception.note(&name("a"), Some(8), 3_200);
        assert!(reception.is_heard(3_200, WINDOW_MS));
    }

    #[test]
    fn who_does_not_speak_or_hears_nobody_does_not_count() {
        let mut reception = Reception::default();
        reception.note(&name("a"), Some(1), 0);
        reception.note(&name("b"), None, 0);
        reception.note(&name("c"), None, 0);
        assert!(!reception.is_heard(100, WINDOW_MS));
        reception.forget(&name("b"));
        assert!(reception.is_heard(100, WINDOW_MS));
        assert!(reception.is_heard(WINDOW_MS, WINDOW_MS), "all have fallen silent");
    }
}
