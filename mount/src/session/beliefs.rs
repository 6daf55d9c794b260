use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use artifacts_core::namespace::Ino;
use parking_lot::RwLock;

/// Under a lease the kernel believes what it was shown until it is told otherwise.
const BELIEVE_FOR: Duration = Duration::from_secs(24 * 3600);

/// What the kernel may be shown to be believed.
///
/// Something that was found in the course of a call may be believed if this mount has held leases on all inodes that it says
/// something of since before the call began, and holds them when the kernel is shown it: then nobody else has changed them in
/// between. Whoever shows something holds the lock that is taken to revoke a belief, so after that nothing is on its way.
#[derive(Debug, Default)]
pub(crate) struct Beliefs {
    /// Whether the kernel can be told to believe a name no more. If not, it must never believe one.
    can_revoke: AtomicBool,
    /// Counts on with each lease.
    now: AtomicU64,
    held: RwLock<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// When the lease on everything was got.
    everything: Option<u64>,
    /// When those on single inodes were got.
    inodes: HashMap<Ino, u64>,
}

impl Held {
    fn since(&self, ino: Ino) -> Option<u64> {
        match (self.everything, self.inodes.get(&ino).copied()) {
            (Some(everything), Some(inode)) => Some(everything.min(inode)),
            (everything, inode) => everything.or(inode),
        }
    }
}

impl Beliefs {
    /// From now on the kernel may believe what leases allow.
    pub(crate) fn enable(&self) {
        self.can_revoke.store(true, Ordering::SeqCst);
    }

    /// When a call begins.
    pub(crate) fn stamp(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }

    /// Answers the stamp that calls carry at most which began before now; later ones carry another.
    pub(crate) fn tick(&self) -> u64 {
        self.next()
    }

    fn next(&self) -> u64 {
        self.now.fetch_add(1, Ordering::SeqCst)
    }

    /// Leases on these inodes have been got; one that was there already stays.
    pub(super) fn got(&self, inodes: impl IntoIterator<Item = Ino>) {
        let mut held = self.held.write();
        let now = self.next();
        for ino in inodes {
            held.inodes.entry(ino).or_insert(now);
        }
    }

    /// An inode was made here, so nobody else has ever changed it.
    pub(super) fn made(&self, ino: Ino) {
        self.next();
        self.held.write().inodes.insert(ino, 0);
    }

    /// The lease on everything has been got.
    pub(super) fn got_everything(&self) {
        let mut held = self.held.write();
        held.everything = Some(self.next());
    }

    /// Nothing more is shown to be believed of these.
    pub(super) fn revoke(&self, inodes: impl IntoIterator<Item = Ino>) {
        let mut held = self.held.write();
        for ino in inodes {
            held.inodes.remove(&ino);
        }
    }

    /// Nothing more is shown to be believed.
    pub(super) fn revoke_all(&self) {
        *self.held.write() = Held::default();
    }

    /// Waits until nothing is being shown.
    pub(crate) fn settle(&self) {
        drop(self.held.write());
    }

    /// Shows the kernel something that a call which began at `stamp` has found about these inodes. `show` is told for how
    /// long it may be believed.
    pub(crate) fn show(&self, stamp: u64, inodes: &[Ino], show: impl FnOnce(Duration)) {
        let held = self.held.read();
        let may_believe =
            self.can_revoke.load(Ordering::SeqCst) && inodes.iter().all(|&ino| held.since(ino).is_some_and(|since| since < stamp));
        show(if may_believe { BELIEVE_FOR } else { Duration::ZERO });
    }

    /// Whether nobody else can have changed anything since a call began at `stamp`.
    pub(crate) fn has_everything(&self, stamp: u64) -> bool {
        self.held.read().everything.is_some_and(|since| since < stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(beliefs: &Beliefs, stamp: u64, inodes: &[u64]) -> bool {
        let mut believed = false;
        let inodes: Vec<_> = inodes.iter().copied().map(Ino).collect();
        beliefs.show(stamp, &inodes, |time| believed = !time.is_zero());
        believed
    }

    #[test]
    fn what_was_found_before_the_lease_is_not_believed() {
        let beliefs = Beliefs::default();
        beliefs.enable();
        let before = beliefs.stamp();
        beliefs.got([Ino(5)]);
        let after = beliefs.stamp();
        assert!(!shown(&beliefs, before, &[5]) && shown(&beliefs, after, &[5]));
        assert!(!shown(&beliefs, after, &[5, 6]), "an entry says something of two inodes");
        beliefs.got([Ino(5), Ino(6)]);
        assert!(shown(&beliefs, after, &[5]) && !shown(&beliefs, after, &[5, 6]) && shown(&beliefs, beliefs.stamp(), &[5, 6]));
        beliefs.revoke([Ino(5)]);
        beliefs.got([Ino(5)]);
        assert!(!shown(&beliefs, after, &[5]), "somebody else may have changed it in between");
    }

    #[test]
    fn what_was_made_here_is_believed_at_once_and_nothing_without_a_way_back() {
        let beliefs = Beliefs::default();
        beliefs.got_everything();
        assert!(!shown(&beliefs, beliefs.stamp(), &[5]));
        beliefs.enable();
        assert!(shown(&beliefs, beliefs.stamp(), &[5]));
        beliefs.revoke_all();
        let stamp = beliefs.stamp();
        beliefs.made(Ino(7));
        assert!(!shown(&beliefs, beliefs.stamp(), &[5]) && shown(&beliefs, stamp, &[7]));
    }
}
