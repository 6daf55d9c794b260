use std::collections::BTreeMap;

use super::event::{End, Write};
use crate::Random;

/// How the network and the object store are at the moment: what is cut, lost, late and failing.
#[derive(Debug, Default)]
pub(super) struct Weather {
    cuts: BTreeMap<(End, End), u64>,
    loss_percent: u64,
    late_us: u64,
    weather_until_us: u64,
    slow_us: u64,
    fails_percent: u64,
    store_until_us: u64,
}

impl Weather {
    /// Nothing passes from one end to the other until then.
    pub(super) fn cut(&mut self, from: End, to: End, until_us: u64) {
        let until = self.cuts.entry((from, to)).or_default();
        *until = (*until).max(until_us);
    }

    /// Until when nothing passes, if it is cut.
    pub(super) fn cut_until(&self, from: End, to: End, now_us: u64) -> Option<u64> {
        self.cuts.get(&(from, to)).copied().filter(|&until_us| until_us > now_us)
    }

    pub(super) fn be_bad(&mut self, loss_percent: u64, late_us: u64, until_us: u64) {
        (self.loss_percent, self.late_us, self.weather_until_us) = (loss_percent, late_us, until_us);
    }

    pub(super) fn trouble_store(&mut self, slow_us: u64, fails_percent: u64, until_us: u64) {
        (self.slow_us, self.fails_percent, self.store_until_us) = (slow_us, fails_percent, until_us);
    }

    /// When a datagram arrives that is sent now; `None` if it never does.
    pub(super) fn datagram_us(&self, from: End, to: End, far_us: u64, now_us: u64, random: &mut Random) -> Option<u64> {
        if self.cut_until(from, to, now_us).is_some() {
            return None;
        }
        let is_bad = now_us < self.weather_until_us;
        let delay_us = far_us + 20 + random.below(200) + if is_bad { random.below(self.late_us + 1) } else { 0 };
        let is_lost = is_bad && random.below(100) < self.loss_percent;
        (!is_lost).then_some(now_us + delay_us)
    }

    /// When a question to the object store arrives there, or its answer with the node.
    pub(super) fn store_us(&self, from: End, to: End, now_us: u64, random: &mut Random) -> Option<u64> {
        if self.cut_until(from, to, now_us).is_some() {
            return None;
        }
        let slow_us = if now_us < self.store_until_us { random.below(self.slow_us + 1) } else { 0 };
        Some(now_us + 150 + random.below(1_500) + slow_us)
    }

    /// What becomes of a write.
    pub(super) fn write(&self, now_us: u64, random: &mut Random) -> Write {
        if now_us >= self.store_until_us || random.below(100) >= self.fails_percent {
            return Write::Goes;
        }
        if random.below(2) == 0 { Write::Fails } else { Write::Unanswered }
    }

    /// Everything is as it should be again.
    pub(super) fn is_fair(&self, now_us: u64) -> bool {
        now_us >= self.weather_until_us.max(self.store_until_us) && self.cuts.values().all(|&until_us| until_us <= now_us)
    }
}
