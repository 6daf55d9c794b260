use crate::hashing::HashMap;
use crate::leases::{Kind, Lease};
use crate::namespace::Ino;

/// How long a mount that was denied a lease does not ask for it again.
const DENIED_MS: u64 = 100;
/// After so long without a decision on an inode it is enough to believe.
const IDLE_MS: u64 = 1_000;
/// When somebody wants to read one inode, those on which nothing was decided for so long are opened to readers as well.
const RESTING_MS: u64 = 100;
/// So many denials are remembered before those that are over are forgotten.
const DENIALS_MAX: usize = 1024;

#[derive(Debug, Clone, Copy)]
struct Held {
    kind: Kind,
    number: u64,
}

/// The leases on single inodes that a mount takes itself to hold, and what it has been denied.
#[derive(Debug, Default)]
pub(super) struct HeldLeases {
    held: HashMap<Ino, Held>,
    /// Those that allow decisions, and when the last one was made.
    deciding: HashMap<Ino, u64>,
    /// Until when not to ask.
    denied: HashMap<Ino, u64>,
    /// Whether this mount is given leases at all, and such that allow decisions.
    pub(super) may_believe: bool,
    pub(super) may_decide: bool,
    /// What is to be given back once everything that was decided has been sent, and whether only the right to decide.
    leaving: Vec<(Vec<Lease>, bool)>,
}

impl HeldLeases {
    /// None, and none to be asked for.
    pub(super) fn none() -> Self {
        Self::default()
    }

    /// None yet.
    pub(super) fn to_be_asked_for() -> Self {
        Self { may_believe: true, may_decide: true, ..Self::default() }
    }

    /// What is held on an inode.
    pub(super) fn kind(&self, ino: Ino) -> Option<Kind> {
        self.held.get(&ino).map(|held| held.kind)
    }

    /// How many are held.
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// The node has given these.
    pub(super) fn got(&mut self, leases: &[Lease], now_ms: u64) {
        for lease in leases {
            self.held.insert(lease.ino, Held { kind: lease.kind, number: lease.number });
            self.denied.remove(&lease.ino);
            if lease.kind == Kind::Write {
                self.deciding.insert(lease.ino, now_ms);
            }
        }
    }

    /// Something was decided on these.
    pub(super) fn decided(&mut self, inodes: impl IntoIterator<Item = Ino>, now_ms: u64) {
        for ino in inodes {
            self.deciding.insert(ino, now_ms);
        }
    }

    /// An inode was made here.
    pub(super) fn made(&mut self, ino: Ino, now_ms: u64) {
        self.got(&[Lease { ino, kind: Kind::Write, number: 0 }], now_ms);
    }

    /// The node gives no lease on this inode for now.
    pub(super) fn deny(&mut self, ino: Ino, now_ms: u64) {
        if self.denied.len() >= DENIALS_MAX {
            self.denied.retain(|_, until_ms| *until_ms > now_ms);
        }
        self.denied.insert(ino, now_ms + DENIED_MS);
    }

    /// Whether not to ask for a lease on this inode now.
    pub(super) fn is_denied(&self, ino: Ino, now_ms: u64) -> bool {
        self.denied.get(&ino).is_some_and(|&until_ms| until_ms > now_ms)
    }

    /// Somebody waits for these. Answers the inodes of which nothing may be believed any more.
    pub(super) fn recall(&mut self, leases: Vec<Lease>, keep_read: bool, now_ms: u64) -> Vec<Ino> {
        let mut lost = Vec::new();
        for lease in &leases {
            let Some(held) = self.held.get_mut(&lease.ino).filter(|held| held.number <= lease.number) else { continue };
            self.deciding.remove(&lease.ino);
            if keep_read {
                held.kind = Kind::Read;
            } else {
                self.held.remove(&lease.ino);
                lost.push(lease.ino);
            }
        }
        self.leaving.push((leases, keep_read));
        if keep_read {
            // Whoever reads one file of a directory often reads the others.
            self.stop_deciding(now_ms, RESTING_MS);
        }
        lost
    }

    /// Stops deciding where that was not used for a while.
    pub(super) fn stop_idle(&mut self, now_ms: u64) {
        self.stop_deciding(now_ms, IDLE_MS);
    }

    fn stop_deciding(&mut self, now_ms: u64, unused_ms: u64) {
        let mut stopped = Vec::new();
        for (ino, _) in self.deciding.extract_if(|_, at_ms| *at_ms + unused_ms <= now_ms) {
            if let Some(held) = self.held.get_mut(&ino) {
                held.kind = Kind::Read;
                stopped.push(Lease { ino, kind: Kind::Read, number: held.number });
            }
        }
        if !stopped.is_empty() {
            self.leaving.push((stopped, true));
        }
    }

    /// All of it is to be given back. Answers the inodes.
    pub(super) fn give_up_all(&mut self) -> Vec<Ino> {
        let leases = self.claims();
        self.deciding.clear();
        self.held.clear();
        let inodes = leases.iter().map(|lease| lease.ino).collect();
        self.leaving.push((leases, false));
        inodes
    }

    /// This mount has not been heard for a while: what it only believes it believes no more. Answers the inodes.
    pub(super) fn drop_reads(&mut self) -> Vec<Ino> {
        self.held.extract_if(|_, held| held.kind == Kind::Read).map(|(ino, _)| ino).collect()
    }

    /// Whether something is to be given back.
    pub(super) fn is_leaving(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// What is to be given back, now that everything has been sent.
    pub(super) fn take_leaving(&mut self) -> Vec<(Vec<Lease>, bool)> {
        std::mem::take(&mut self.leaving)
    }

    /// All that is held.
    pub(super) fn claims(&self) -> Vec<Lease> {
        self.held.iter().map(|(&ino, held)| Lease { ino, kind: held.kind, number: held.number }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn lease(ino: u64, kind: Kind, number: u64) -> Lease {
        Lease { ino: Ino(ino), kind, number }
    }

    #[test]
    fn a_recall_takes_what_it_names_and_nothing_newer() {
        let mut leases = HeldLeases::to_be_asked_for();
        leases.got(&[lease(5, Kind::Write, 3), lease(6, Kind::Read, 4)], 0);
        assert_eq!(leases.recall(vec![lease(5, Kind::Write, 2)], false, 0), []);
        assert_eq!(leases.kind(Ino(5)), Some(Kind::Write));
        assert_eq!(leases.recall(vec![lease(5, Kind::Write, 3)], true, 0), []);
        assert_eq!(leases.kind(Ino(5)), Some(Kind::Read));
        assert_eq!(leases.recall(vec![lease(5, Kind::Read, 3), lease(9, Kind::Read, 1)], false, 0), [Ino(5)]);
        assert_eq!(leases.take_leaving().len(), 3, "also what is not held is answered");
        assert_eq!(leases.claims(), [lease(6, Kind::Read, 4)]);
    }

    #[test]
    fn what_is_not_decided_on_for_a_while_is_only_believed() {
        let mut leases = HeldLeases::to_be_asked_for();
        leases.got(&[lease(5, Kind::Write, 3)], 0);
        leases.made(Ino(6), 900);
        leases.stop_idle(999);
        assert!(!leases.is_leaving());
        leases.stop_idle(1_000);
        assert_eq!(leases.take_leaving(), [(vec![lease(5, Kind::Read, 3)], true)]);
        leases.decided([Ino(6)], 1_500);
        leases.stop_idle(2_000);
        assert_eq!((leases.kind(Ino(5)), leases.kind(Ino(6))), (Some(Kind::Read), Some(Kind::Write)));
        assert_eq!(leases.drop_reads(), [Ino(5)]);
    }

    #[test]
    fn who_was_denied_a_lease_asks_again_later() {
        let mut leases = HeldLeases::to_be_asked_for();
        leases.deny(Ino(5), 0);
        assert!(leases.is_denied(Ino(5), DENIED_MS - 1) && !leases.is_denied(Ino(5), DENIED_MS) && !leases.is_denied(Ino(6), 0));
    }
}
