use std::collections::BTreeSet;

use crate::SessionId;

/// What the shell must do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseEffect {
    /// Tell the mount that it holds the lease.
    Grant {
        /// Whose mount.
        session: SessionId,
        /// The lease's number.
        epoch: u64,
    },
    /// Tell the holder that somebody waits.
    Recall {
        /// Whose mount.
        session: SessionId,
        /// The lease's number.
        epoch: u64,
    },
    /// The holder cannot be waited for: fence its session.
    Fence(SessionId),
    /// Nobody holds the lease any more: go on with what waited for that.
    Released,
}

#[derive(Debug, Clone, Copy)]
struct Holder {
    session: SessionId,
    epoch: u64,
    recalled: bool,
}

/// The write lease on a whole workspace: its only mount may hold it, and then decides by itself what happens.
///
/// Always true:
/// - there is at most one holder, and while there is one nothing of any other session is served;
/// - it ends when the holder gives it back, or when its session is over: that alone shows that nothing more comes of
///   what the holder has decided by itself. Until then everybody else waits;
/// - a holder that is silent for its session's lease, or does not answer a recall in time, is fenced if somebody waits,
///   and may go on if nobody does;
/// - it is granted only to a session that asked for it and is attached alone.
///
/// A node that has restarted does not know who held it. A session that says it did is believed as long as nobody else
/// has been served since.
#[derive(Debug, Clone, Default)]
pub struct WorkspaceLease {
    /// Numbers grow; those of a new life of the node begin above all before.
    epoch: u64,
    holder: Option<Holder>,
    /// Attached sessions that are heard.
    active: BTreeSet<SessionId>,
    /// Attached sessions that have lapsed.
    lapsed: BTreeSet<SessionId>,
    wanting: BTreeSet<SessionId>,
    /// Sessions that were served in this life, without a lease or under one that it has granted.
    served: BTreeSet<SessionId>,
    /// Sessions that hold leases on single inodes, which are in the way of one on everything.
    holding_inodes: BTreeSet<SessionId>,
    someone_waits: bool,
}

impl WorkspaceLease {
    /// No holder. `epoch` lies above that of every lease before.
    pub fn new(epoch: u64) -> Self {
        Self { epoch, ..Self::default() }
    }

    /// The number of the next lease; see [`crate::leases::Leases::next_number`].
    pub const fn next_epoch(&self) -> u64 {
        self.epoch
    }

    /// Ops have places up to below this.
    pub fn advance(&mut self, next_order: u64) {
        self.epoch = self.epoch.max(next_order);
    }

    /// Who holds it.
    pub fn holder(&self) -> Option<SessionId> {
        self.holder.map(|holder| holder.session)
    }

    /// Which sessions hold leases on single inodes. To be said before anything that may grant the lease.
    pub fn set_holding_inodes(&mut self, sessions: impl IntoIterator<Item = SessionId>) {
        self.holding_inodes = sessions.into_iter().collect();
    }

    /// Whether anybody but this session has been served in this life, other than under a lease of one before.
    pub fn has_served_others(&self, session: SessionId) -> bool {
        self.served.iter().any(|&served| served != session)
    }

    /// A session has attached, with its first stream or another.
    pub fn attach(&mut self, session: SessionId) -> Vec<LeaseEffect> {
        self.lapsed.remove(&session);
        self.active.insert(session);
        // It says anew whether it holds the lease, and then whether it wants it. A grant in between would cross with that.
        self.wanting.remove(&session);
        // It will ask for something soon: the holder may begin to put its things in order.
        if self.holder.is_some_and(|holder| holder.session != session) { self.wait() } else { Vec::new() }
    }

    /// A session that may have lapsed is heard again.
    pub fn hear(&mut self, session: SessionId) {
        if self.lapsed.remove(&session) {
            self.active.insert(session);
        }
    }

    /// A mount asks for the lease, and keeps asking until it has it.
    pub fn want(&mut self, session: SessionId) -> Vec<LeaseEffect> {
        if self.active.contains(&session) {
            self.wanting.insert(session);
        }
        self.grant()
    }

    /// Whether a session may be served now. If not, it has to wait for [`LeaseEffect::Released`].
    pub fn admit(&mut self, session: SessionId) -> Result<(), Vec<LeaseEffect>> {
        if self.holder.is_some_and(|holder| holder.session != session) {
            return Err(self.wait());
        }
        if self.holder.is_none() {
            self.served.insert(session);
        }
        Ok(())
    }

    /// Somebody has to wait for the lease's end.
    pub fn wait(&mut self) -> Vec<LeaseEffect> {
        self.someone_waits = true;
        let Some(holder) = &mut self.holder else { return Vec::new() };
        if self.lapsed.contains(&holder.session) {
            return vec![LeaseEffect::Fence(holder.session)];
        }
        if holder.recalled {
            return Vec::new();
        }
        holder.recalled = true;
        vec![LeaseEffect::Recall { session: holder.session, epoch: holder.epoch }]
    }

    /// What the holder goes by may not be so: it is to give the lease back, although nobody waits, and to begin anew.
    pub fn doubt(&mut self) -> Vec<LeaseEffect> {
        match &mut self.holder {
            Some(holder) if !holder.recalled && !self.lapsed.contains(&holder.session) => {
                holder.recalled = true;
                vec![LeaseEffect::Recall { session: holder.session, epoch: holder.epoch }]
            }
            _ => Vec::new(),
        }
    }

    /// The time in which a recalled holder had to answer is over.
    pub fn recall_expired(&mut self, epoch: u64) -> Vec<LeaseEffect> {
        match self.holder {
            Some(holder) if holder.epoch == epoch && holder.recalled => vec![LeaseEffect::Fence(holder.session)],
            _ => Vec::new(),
        }
    }

    /// The holder gives the lease back: everything it had decided was sent before.
    pub fn give_back(&mut self, session: SessionId) -> Vec<LeaseEffect> {
        self.wanting.remove(&session);
        if self.holder() == Some(session) { self.release() } else { Vec::new() }
    }

    /// A session says over a new connection that it holds the lease of this number.
    pub fn claim(&mut self, session: SessionId, epoch: u64) -> Vec<LeaseEffect> {
        match self.holder {
            Some(holder) if holder.session == session && holder.epoch == epoch => Vec::new(),
            None if !self.has_served_others(session) && epoch < self.epoch => {
                self.holder = Some(Holder { session, epoch, recalled: false });
                if self.someone_waits || self.active.iter().any(|&active| active != session) { self.wait() } else { Vec::new() }
            }
            _ => vec![LeaseEffect::Fence(session)],
        }
    }

    /// A session has not been heard for its lease.
    pub fn lapse(&mut self, session: SessionId) -> Vec<LeaseEffect> {
        if self.active.remove(&session) {
            self.lapsed.insert(session);
        }
        if self.holder() == Some(session) && self.someone_waits {
            return vec![LeaseEffect::Fence(session)];
        }
        self.grant()
    }

    /// A session is over.
    pub fn depart(&mut self, session: SessionId) -> Vec<LeaseEffect> {
        self.active.remove(&session);
        self.lapsed.remove(&session);
        self.wanting.remove(&session);
        if self.holder() == Some(session) { self.release() } else { self.grant() }
    }

    fn release(&mut self) -> Vec<LeaseEffect> {
        self.holder = None;
        self.someone_waits = false;
        let mut effects = vec![LeaseEffect::Released];
        effects.extend(self.grant());
        effects
    }

    fn grant(&mut self) -> Vec<LeaseEffect> {
        let alone = (self.active.len() == 1).then(|| self.active.first().copied()).flatten();
        match alone {
            Some(session)
                if self.holder.is_none()
                    && !self.someone_waits
                    && self.wanting.contains(&session)
                    && self.holding_inodes.iter().all(|&holding| holding == session) =>
            {
                let epoch = self.epoch;
                self.epoch += 1;
                self.holder = Some(Holder { session, epoch, recalled: false });
                self.served.insert(session);
                vec![LeaseEffect::Grant { session, epoch }]
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use LeaseEffect::{Fence, Grant, Recall, Released};

    const A: SessionId = SessionId::from_bits(1);
    const B: SessionId = SessionId::from_bits(2);

    fn held_by_a() -> WorkspaceLease {
        let mut lease = WorkspaceLease::new(7);
        assert_eq!(lease.attach(A), []);
        assert_eq!(lease.want(A), [Grant { session: A, epoch: 7 }]);
        lease
    }

    #[test]
    fn the_only_mount_gets_it_and_gives_it_back_when_another_comes() {
        let mut lease = held_by_a();
        assert_eq!(lease.admit(A), Ok(()));
        assert_eq!(lease.attach(B), [Recall { session: A, epoch: 7 }]);
        assert_eq!(lease.admit(B), Err(vec![]), "recalled once");
        assert_eq!(lease.give_back(A), [Released]);
        assert_eq!((lease.admit(A), lease.admit(B)), (Ok(()), Ok(())));
        assert_eq!(lease.want(A), [], "it is not alone");
        assert_eq!(lease.depart(B), [Grant { session: A, epoch: 8 }]);
    }

    /// A mount that is back over a new stream says that it holds no lease. Were it granted one before that comes, the mount would
    /// go on with what it has just given back.
    #[test]
    fn nobody_is_granted_it_between_a_new_stream_and_what_comes_first_over_it() {
        let mut lease = WorkspaceLease::new(7);
        lease.attach(A);
        lease.attach(B);
        assert_eq!(lease.want(A), []);
        assert_eq!(lease.attach(A), []);
        assert_eq!(lease.depart(B), [], "alone, and yet to say what it holds");
        assert_eq!(lease.give_back(A), []);
        assert_eq!(lease.want(A), [Grant { session: A, epoch: 7 }]);
    }

    #[test]
    fn a_lapsed_mount_that_holds_inodes_is_in_its_way() {
        let mut lease = WorkspaceLease::new(1);
        lease.attach(A);
        lease.attach(B);
        lease.want(A);
        lease.set_holding_inodes([A, B]);
        assert_eq!(lease.lapse(B), []);
        lease.set_holding_inodes([A]);
        assert_eq!(lease.depart(B), [Grant { session: A, epoch: 1 }]);
    }

    #[test]
    fn nobody_who_does_not_ask_gets_it() {
        let mut lease = WorkspaceLease::new(1);
        lease.attach(A);
        assert_eq!((lease.admit(A), lease.holder()), (Ok(()), None));
        assert_eq!(lease.want(B), [], "never attached");
    }

    #[test]
    fn a_silent_holder_is_fenced_once_somebody_waits_and_keeps_it_until_then() {
        let mut lease = held_by_a();
        assert_eq!(lease.lapse(A), []);
        assert_eq!(lease.attach(A), [], "it is back, and nobody had come");
        assert_eq!(lease.admit(A), Ok(()));
        lease.lapse(A);
        lease.hear(A);
        assert_eq!(lease.attach(B), [Recall { session: A, epoch: 7 }], "it was heard again over the same connection");
        lease.depart(B);
        let mut lease = held_by_a();
        lease.lapse(A);
        assert_eq!(lease.attach(B), [Fence(A)]);
        assert_eq!(lease.admit(B), Err(vec![Fence(A)]), "not before it is over");
        assert_eq!(lease.depart(A), [Released]);
        assert_eq!(lease.admit(B), Ok(()));
    }

    #[test]
    fn a_holder_that_lapses_while_somebody_waits_is_fenced() {
        let mut lease = held_by_a();
        lease.attach(B);
        assert_eq!(lease.lapse(A), [Fence(A)]);
    }

    #[test]
    fn a_holder_that_does_not_answer_its_recall_is_fenced() {
        let mut lease = held_by_a();
        assert_eq!(lease.recall_expired(7), [], "nobody has recalled it");
        lease.attach(B);
        assert_eq!(lease.recall_expired(6), [], "of another lease");
        assert_eq!(lease.recall_expired(7), [Fence(A)]);
    }

    #[test]
    fn a_holder_that_is_doubted_begins_anew() {
        let mut lease = WorkspaceLease::new(100);
        assert_eq!(lease.doubt(), []);
        lease.attach(A);
        lease.claim(A, 7);
        assert_eq!(lease.doubt(), [Recall { session: A, epoch: 7 }]);
        assert_eq!(lease.doubt(), [], "recalled once");
        assert_eq!(lease.lapse(A), [], "nobody waits");
        lease.hear(A);
        assert_eq!(lease.give_back(A), [Released]);
        assert_eq!(lease.want(A), [Grant { session: A, epoch: 100 }]);
    }

    #[test]
    fn after_a_restart_a_claim_is_believed_unless_somebody_else_was_served() {
        let mut lease = WorkspaceLease::new(100);
        lease.attach(A);
        assert_eq!(lease.claim(A, 7), []);
        assert_eq!(lease.holder(), Some(A));
        assert_eq!(lease.claim(A, 7), [], "said twice");

        let mut lease = WorkspaceLease::new(100);
        lease.attach(B);
        lease.attach(A);
        assert_eq!(lease.claim(A, 7), [Recall { session: A, epoch: 7 }], "somebody else is there");

        let mut lease = WorkspaceLease::new(100);
        lease.attach(B);
        assert_eq!(lease.admit(B), Ok(()));
        lease.attach(A);
        assert_eq!(lease.claim(A, 7), [Fence(A)]);

        // Alone, and so without asking for anything.
        let mut lease = WorkspaceLease::new(100);
        lease.attach(B);
        assert_eq!(lease.want(B), [Grant { session: B, epoch: 100 }]);
        assert!(lease.has_served_others(A) && !lease.has_served_others(B));
        lease.depart(B);
        lease.attach(A);
        assert_eq!(lease.claim(A, 7), [Fence(A)]);

        let mut lease = WorkspaceLease::new(100);
        assert_eq!(lease.claim(A, 100), [Fence(A)], "no lease had that number");
    }

    #[test]
    fn a_lapsed_mount_does_not_keep_the_other_from_being_alone() {
        let mut lease = WorkspaceLease::new(1);
        lease.attach(A);
        lease.attach(B);
        assert_eq!(lease.want(B), []);
        assert_eq!(lease.lapse(A), [Grant { session: B, epoch: 1 }]);
        assert_eq!(lease.attach(A), [Recall { session: B, epoch: 1 }]);
    }
}
