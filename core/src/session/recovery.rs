use std::collections::{BTreeMap, BTreeSet};

use crate::SessionId;
use crate::protocol::NumberedOp;

/// An op that a mount has sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resent {
    /// Whose.
    pub session: SessionId,
    /// The op.
    pub op: NumberedOp,
}

impl Resent {
    /// Whether it had happened, or been decided, before the crash. Whoever believes something by now does so since then. One
    /// that had not must not change what somebody believes.
    pub fn had_happened(&self) -> bool {
        self.op.order.is_some()
    }
}

/// The grace after a crash of the node: what was visible but not durable comes back from the mounts, and is applied
/// in the order in which it was first visible, whichever mount is back first.
///
/// It lasts until every session on record has sent everything again or run out. Nothing else is served meanwhile,
/// so nobody sees the state in between.
#[derive(Debug, Clone, Default)]
pub struct Recovery {
    awaited: BTreeSet<SessionId>,
    has_missed: bool,
    /// By session and number, with the order of arrival: sent twice (its connection broke once more), an op counts once.
    ops: BTreeMap<(SessionId, u64), (u64, NumberedOp)>,
    arrived: u64,
}

impl Recovery {
    /// Waits for these sessions.
    pub fn new(awaited: impl IntoIterator<Item = SessionId>) -> Self {
        Self { awaited: awaited.into_iter().collect(), ..Self::default() }
    }

    /// A session that had ended before the crash had done something that was not durable; nobody sends that again.
    #[must_use]
    pub const fn with_missed(mut self, has_missed: bool) -> Self {
        self.has_missed |= has_missed;
        self
    }

    /// Whether nobody is waited for any more.
    pub fn is_complete(&self) -> bool {
        self.awaited.is_empty()
    }

    /// A mount has sent an op again.
    pub fn resend(&mut self, session: SessionId, op: NumberedOp) {
        self.arrived += 1;
        let arrived = self.arrived;
        self.ops.entry((session, op.seq)).or_insert((arrived, op));
    }

    /// A session has sent everything.
    pub fn settle(&mut self, session: SessionId) {
        self.awaited.remove(&session);
    }

    /// A session has run out, or is over. If it was waited for, what others had seen of it may be gone with it.
    pub fn miss(&mut self, session: SessionId) {
        self.has_missed |= self.awaited.remove(&session);
    }

    /// Whether a session was waited for in vain. What the others believe may then be what never came back, so nobody may go on
    /// believing it.
    pub const fn has_missed(&self) -> bool {
        self.has_missed
    }

    /// Everything that was sent again, in the order in which to apply it: first what had been visible, as it was; then
    /// what had not, in the order of arrival. The ops of one session keep their own order: one whose place is not known
    /// comes right before the next of its session whose place is. What a session says of its places moves nobody else's
    /// ops against each other.
    pub fn into_ops(self) -> impl Iterator<Item = Resent> {
        let mut placed = Vec::with_capacity(self.ops.len());
        let mut next: Option<(SessionId, u64)> = None;
        for ((session, seq), (arrived, op)) in self.ops.into_iter().rev() {
            // What a node said that did not know the place itself is no place.
            let known = op.order.filter(|&order| order > 0);
            let behind = next.filter(|&(of, _)| of == session).map(|(_, order)| order);
            let order = match (known, behind) {
                (Some(known), Some(behind)) => Some(known.min(behind)),
                (known, behind) => known.or(behind),
            };
            next = order.map(|order| (session, order));
            placed.push(((order.unwrap_or(u64::MAX), if order.is_some() { 0 } else { arrived }, session, seq), Resent { session, op }));
        }
        placed.sort_by_key(|(place, _)| *place);
        placed.into_iter().map(|(_, resent)| resent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::{Ino, Mutation, Op};

    fn op(seq: u64, order: Option<u64>) -> NumberedOp {
        NumberedOp { seq, order, op: Op { mutation: Mutation::Punch { ino: Ino(seq), offset: 0, len: 1, extend: false }, time: 0 } }
    }

    #[test]
    fn ops_come_back_in_the_order_in_which_they_were_visible() {
        let (a, b) = (SessionId::from_bits(1), SessionId::from_bits(2));
        let mut recovery = Recovery::new([a, b]);
        recovery.resend(b, op(1, Some(2)));
        recovery.resend(b, op(2, None));
        recovery.settle(b);
        assert!(!recovery.is_complete());
        recovery.resend(a, op(1, Some(1)));
        recovery.resend(a, op(2, Some(3)));
        recovery.resend(a, op(3, None));
        recovery.resend(a, op(2, Some(3)));
        recovery.resend(a, op(3, None));
        recovery.settle(a);
        assert!(recovery.is_complete());
        let order: Vec<_> = recovery.into_ops().map(|resent| (resent.session, resent.op.seq)).collect();
        assert_eq!(order, [(a, 1), (b, 1), (a, 2), (b, 2), (a, 3)]);
    }

    #[test]
    fn a_session_that_lies_about_orders_displaces_nobody_elses_ops() {
        let (a, liar) = (SessionId::from_bits(1), SessionId::from_bits(2));
        let mut recovery = Recovery::new([a, liar]);
        recovery.resend(a, op(1, Some(7)));
        recovery.resend(liar, op(1, Some(7)));
        let sessions: Vec<_> = recovery.into_ops().map(|resent| resent.session).collect();
        assert_eq!(sessions, [a, liar]);
    }

    #[test]
    fn an_op_whose_place_nobody_knows_stays_before_those_that_came_after_it() {
        let (a, b) = (SessionId::from_bits(1), SessionId::from_bits(2));
        let mut recovery = Recovery::new([a, b]);
        for (session, seq, order) in
            [(a, 1, Some(4)), (a, 2, Some(0)), (a, 3, None), (a, 4, Some(9)), (a, 5, Some(0)), (b, 1, Some(6)), (b, 2, None)]
        {
            recovery.resend(session, op(seq, order));
        }
        let order: Vec<_> = recovery.into_ops().map(|resent| (resent.session, resent.op.seq)).collect();
        assert_eq!(order, [(a, 1), (b, 1), (a, 2), (a, 3), (a, 4), (a, 5), (b, 2)]);
    }

    /// Its mount has answered it; what the other has asked for had to wait, and its author is back first.
    #[test]
    fn what_was_decided_comes_before_what_waited_for_the_end_of_the_lease() {
        let (holder, other) = (SessionId::from_bits(1), SessionId::from_bits(2));
        let mut recovery = Recovery::new([holder, other]);
        recovery.resend(other, op(1, None));
        for (seq, order) in [(1, Some(9)), (2, Some(9)), (3, Some(9)), (4, None)] {
            recovery.resend(holder, op(seq, order));
        }
        let order: Vec<_> = recovery.into_ops().map(|resent| (resent.session, resent.op.seq)).collect();
        assert_eq!(order, [(holder, 1), (holder, 2), (holder, 3), (other, 1), (holder, 4)]);
    }

    /// Both work at once, each under leases on other inodes: what one decides must not draw what it had asked for before into
    /// the past, nor come before what it was decided on.
    #[test]
    fn what_was_decided_has_its_place_behind_what_its_mount_had_seen() {
        let (a, b) = (SessionId::from_bits(1), SessionId::from_bits(2));
        let mut recovery = Recovery::new([a, b]);
        for (session, seq, order) in [(a, 1, Some(4)), (a, 2, Some(8)), (a, 3, Some(8)), (b, 1, Some(6)), (b, 2, Some(9)), (a, 4, Some(11))]
        {
            recovery.resend(session, op(seq, order));
        }
        let order: Vec<_> = recovery.into_ops().map(|resent| (resent.session, resent.op.seq)).collect();
        assert_eq!(order, [(a, 1), (b, 1), (a, 2), (a, 3), (b, 2), (a, 4)]);
    }

    #[test]
    fn who_was_waited_for_and_did_not_come_is_missed() {
        let [a, b] = [1, 2].map(SessionId::from_bits);
        let mut recovery = Recovery::new([a, b]);
        recovery.settle(a);
        recovery.miss(a);
        assert!(!recovery.has_missed(), "it had sent everything");
        recovery.miss(b);
        assert!(recovery.is_complete() && recovery.has_missed());
        assert!(Recovery::new([]).with_missed(true).has_missed());
    }

    #[test]
    fn without_sessions_on_record_there_is_nothing_to_wait_for() {
        assert!(Recovery::new([]).is_complete());
    }
}
