/// So many counters below the highest are still told apart; older ones are refused.
const SPAN: u64 = 4096;
const WORDS: usize = (SPAN / 64) as usize;

/// Which counters of one sender were seen: each is new once, in any order within the last 4,096 (RFC 6479 shows the
/// idea). Takes 512 bytes.
#[derive(Debug, Clone)]
pub struct ReplayWindow {
    /// One more than the highest seen; 0 before the first.
    next: u64,
    /// One bit a counter, at its number modulo the span.
    seen: Box<[u64; WORDS]>,
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self { next: 0, seen: Box::new([0; WORDS]) }
    }
}

impl ReplayWindow {
    /// Notes a counter. False if it was there before, or is too old to tell.
    pub fn admit(&mut self, counter: u64) -> bool {
        // The largest would leave no next one.
        if counter == u64::MAX || counter.saturating_add(SPAN) < self.next {
            return false;
        }
        if counter >= self.next {
            // The places that come into use held older counters.
            let passed = counter - self.next;
            if passed >= SPAN {
                self.seen.fill(0);
            } else {
                (self.next..counter).for_each(|skipped| self.clear(skipped));
            }
            self.clear(counter);
            self.next = counter + 1;
        }
        let (word, bit) = place(counter);
        let new = self.seen[word] & bit == 0;
        self.seen[word] |= bit;
        new
    }

    fn clear(&mut self, counter: u64) {
        let (word, bit) = place(counter);
        self.seen[word] &= !bit;
    }
}

fn place(counter: u64) -> (usize, u64) {
    let slot = counter % SPAN;
    ((slot / 64) as usize, 1 << (slot % 64))
}
