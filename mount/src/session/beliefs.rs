use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use artifacts_core::mount::{Belief, Believed};
use artifacts_core::namespace::Ino;
use parking_lot::RwLock;

/// Under a lease the kernel believes what it was shown until it is told otherwise.
const BELIEVE_FOR: Duration = Duration::from_secs(24 * 3600);

/// What the kernel may be shown to be believed.
///
/// What [`Believed`] allows. Whoever shows something holds the lock that is taken to revoke a belief, so after that nothing is
/// on its way.
#[derive(Debug, Default)]
pub(crate) struct Beliefs {
    /// Whether the kernel can be told to believe a name no more. If not, it must never believe one.
    can_revoke: AtomicBool,
    /// Counts on with each lease.
    now: AtomicU64,
    held: RwLock<Believed>,
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
        self.now.fetch_add(1, Ordering::SeqCst)
    }

    /// What may be believed changes, in this order.
    pub(super) fn change(&self, beliefs: impl ExactSizeIterator<Item = Belief>) {
        if beliefs.len() == 0 {
            return;
        }
        let mut held = self.held.write();
        for belief in beliefs {
            held.change(belief, self.now.fetch_add(1, Ordering::SeqCst));
        }
    }

    /// Waits until nothing is being shown.
    pub(crate) fn settle(&self) {
        drop(self.held.write());
    }

    /// Shows the kernel something that a call which began at `stamp` has found about these inodes. `show` is told for how
    /// long it may be believed.
    pub(crate) fn show(&self, stamp: u64, inodes: &[Ino], show: impl FnOnce(Duration)) {
        let held = self.held.read();
        let may_believe = self.can_revoke.load(Ordering::SeqCst) && held.may_show(stamp, inodes);
        show(if may_believe { BELIEVE_FOR } else { Duration::ZERO });
    }

    /// Whether nobody else can have changed anything since a call began at `stamp`.
    pub(crate) fn has_everything(&self, stamp: u64) -> bool {
        self.held.read().has_everything(stamp)
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

    fn change(beliefs: &Beliefs, belief: Belief) {
        beliefs.change([belief].into_iter());
    }

    #[test]
    fn what_was_found_before_the_lease_is_not_believed() {
        let beliefs = Beliefs::default();
        beliefs.enable();
        let before = beliefs.stamp();
        change(&beliefs, Belief::Got(vec![Ino(5)]));
        let after = beliefs.stamp();
        assert!(!shown(&beliefs, before, &[5]) && shown(&beliefs, after, &[5]));
        assert!(!shown(&beliefs, after, &[5, 6]), "an entry says something of two inodes");
        change(&beliefs, Belief::Got(vec![Ino(5), Ino(6)]));
        assert!(shown(&beliefs, after, &[5]) && !shown(&beliefs, after, &[5, 6]) && shown(&beliefs, beliefs.stamp(), &[5, 6]));
        change(&beliefs, Belief::Revoked(vec![Ino(5)]));
        change(&beliefs, Belief::Got(vec![Ino(5)]));
        assert!(!shown(&beliefs, after, &[5]), "somebody else may have changed it in between");
    }

    #[test]
    fn what_was_made_here_is_believed_at_once_and_nothing_without_a_way_back() {
        let beliefs = Beliefs::default();
        change(&beliefs, Belief::Everything);
        assert!(!shown(&beliefs, beliefs.stamp(), &[5]));
        beliefs.enable();
        assert!(shown(&beliefs, beliefs.stamp(), &[5]));
        change(&beliefs, Belief::Nothing);
        let stamp = beliefs.stamp();
        change(&beliefs, Belief::Made(Ino(7)));
        assert!(!shown(&beliefs, beliefs.stamp(), &[5]) && shown(&beliefs, stamp, &[7]));
    }
}
