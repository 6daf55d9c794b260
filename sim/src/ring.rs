use crate::store::Part;

/// How many nodes there are.
pub(crate) const HOSTS: usize = 3;

/// What gossip says of one node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Word {
    /// Grows while the node is alive.
    heartbeat: u64,
    /// It does not reach the object store.
    is_stranded: bool,
    /// It is about to stop.
    is_leaving: bool,
}

/// What a node knows of the others by gossip: each passes on the newest word of everybody.
#[derive(Debug, Clone)]
pub(crate) struct Ring {
    me: usize,
    words: [Word; HOSTS],
    heard_ms: [u64; HOSTS],
    /// When anybody was heard last.
    anybody_ms: u64,
    looked_ms: u64,
    suspect_after_ms: u64,
}

impl Ring {
    /// A node that begins at `now_ms` with a life that is later than all before, and knows nobody yet.
    pub(crate) fn new(me: usize, life: u64, suspect_after_ms: u64, now_ms: u64) -> Self {
        let mut words = [Word::default(); HOSTS];
        words[me].heartbeat = life << 32;
        Self { me, words, heard_ms: [now_ms; HOSTS], anybody_ms: now_ms, looked_ms: now_ms, suspect_after_ms }
    }

    /// Time has passed. Time in which this node did not look does not count as silence of others.
    pub(crate) fn look(&mut self, now_ms: u64) {
        let gap_ms = now_ms.saturating_sub(self.looked_ms);
        if gap_ms > self.suspect_after_ms / 4 {
            self.heard_ms.iter_mut().for_each(|heard_ms| *heard_ms += gap_ms);
            self.anybody_ms += gap_ms;
        }
        self.looked_ms = now_ms;
        self.heard_ms[self.me] = now_ms;
    }

    /// The next word of this node itself. One that hears nobody keeps its heartbeat to itself.
    pub(crate) fn speak(&mut self, is_stranded: bool, is_leaving: bool, now_ms: u64) -> [Word; HOSTS] {
        let mine = &mut self.words[self.me];
        (mine.is_stranded, mine.is_leaving) = (is_stranded, is_leaving);
        if now_ms.saturating_sub(self.anybody_ms) < self.suspect_after_ms {
            self.words[self.me].heartbeat += 1;
        }
        self.words
    }

    /// Gossip has come.
    pub(crate) fn hear(&mut self, words: &[Word; HOSTS], now_ms: u64) {
        self.anybody_ms = now_ms;
        for (other, word) in words.iter().enumerate() {
            if other != self.me && word.heartbeat > self.words[other].heartbeat {
                self.words[other] = *word;
                self.heard_ms[other] = now_ms;
            }
        }
    }

    pub(crate) fn is_alive(&self, host: usize, now_ms: u64) -> bool {
        host == self.me || now_ms.saturating_sub(self.heard_ms[host]) < self.suspect_after_ms
    }

    /// Whether this is the smaller part of a ring that was cut in two.
    pub(crate) fn sees_few(&self, now_ms: u64) -> bool {
        2 * (0..HOSTS).filter(|&host| self.is_alive(host, now_ms)).count() < HOSTS
    }

    /// Who should own a shard: the first in its order of those who are alive, stay and reach the store.
    pub(crate) fn owner(&self, part: Part, first: usize, now_ms: u64) -> Option<usize> {
        let order = |step: usize| if part == Part::Workspace { (first + step) % HOSTS } else { (first + 1 + 2 * step) % HOSTS };
        let serves = |host: usize, may_strand: bool| {
            self.is_alive(host, now_ms) && !self.words[host].is_leaving && (may_strand || !self.words[host].is_stranded)
        };
        let among = |may_strand| (0..HOSTS).map(order).find(|&host| serves(host, may_strand));
        among(false).or_else(|| among(true))
    }
}
