use serde::{Deserialize, Serialize};

use crate::protocol::FenceReason;

/// Where a session stands, as its node sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Its agent has been heard within the lease.
    Live,
    /// Not heard for a lease. It may come back as long as nobody was given its place.
    Lapsed,
    /// Over by decision: nothing of it is accepted.
    Fenced(FenceReason),
    /// Over in good order.
    Ended,
}

/// How it is known that every call in the mount of a fenced session fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Out {
    /// The mount has said so.
    Confirmed,
    /// Its lease is over. A mount serves nothing without one, whether or not anybody can reach it.
    LeaseEnded,
}

/// What the shell must do, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifecycleEffect {
    /// Let the workspace refuse everything of this session, then make the phase durable.
    Seal,
    /// Tell the mount.
    PushFence(FenceReason),
    /// Tell whoever waits that the mount has confirmed its fence.
    Confirmed,
    /// Let go of what the session holds.
    Release,
    /// Put on record that the mount is out. Comes once to each session that was fenced; nothing comes after it but `Confirmed`.
    Out(Out),
}

/// The life of one session at its node. Time is the node's monotonic clock.
///
/// Fenced and Ended are final. A fence takes effect at the node whether or not the mount can be reached; telling
/// the mount and its confirmation come after. A mount that never confirms is out when its lease is: it counts that from the moment
/// it sent what the node has heard last, so no later than the node does.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    phase: Phase,
    lease_ms: u64,
    heard_at_ms: u64,
    expires_at_ms: Option<u64>,
    confirmed: bool,
    is_out: bool,
}

impl Lifecycle {
    /// A session that opens, or that a restarted node finds on record: its agent gets a whole lease to be heard. One that is found
    /// fenced is out when a lease has passed, unless its mount confirms before.
    pub const fn new(phase: Phase, lease_ms: u64, now_ms: u64, expires_at_ms: Option<u64>) -> Self {
        Self { phase, lease_ms, heard_at_ms: now_ms, expires_at_ms, confirmed: false, is_out: false }
    }

    /// Where it stands.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// When its agent was heard last.
    pub const fn heard_at_ms(&self) -> u64 {
        self.heard_at_ms
    }

    /// Whether its mount has confirmed that it fails every call.
    pub const fn confirmed(&self) -> bool {
        self.confirmed
    }

    /// Whether it is fenced and its mount is known to be out.
    pub const fn is_out(&self) -> bool {
        self.is_out
    }

    /// Whether the session's ops and questions are accepted.
    pub const fn accepts(&self) -> bool {
        matches!(self.phase, Phase::Live | Phase::Lapsed)
    }

    /// A frame of the agent has come. One that lapsed is live again. Answers whether it may be served.
    pub fn hear(&mut self, now_ms: u64) -> bool {
        if self.accepts() {
            self.heard_at_ms = now_ms;
            self.phase = Phase::Live;
        }
        self.accepts()
    }

    /// When time alone changes something, if the agent is not heard before.
    pub fn due_at_ms(&self) -> Option<u64> {
        let waits_for_lease = self.phase == Phase::Live || (self.is_fenced() && !self.is_out);
        let lease_ends_at_ms = waits_for_lease.then(|| self.heard_at_ms.saturating_add(self.lease_ms));
        let expires_at_ms = self.expires_at_ms.filter(|_| self.accepts());
        lease_ends_at_ms.into_iter().chain(expires_at_ms).min()
    }

    /// Time has passed.
    pub fn tick(&mut self, now_ms: u64) -> Vec<LifecycleEffect> {
        if self.accepts() && self.expires_at_ms.is_some_and(|at| now_ms >= at) {
            return self.fence(FenceReason::Expired);
        }
        if now_ms.saturating_sub(self.heard_at_ms) < self.lease_ms {
            return Vec::new();
        }
        if self.phase == Phase::Live {
            self.phase = Phase::Lapsed;
        }
        if self.is_fenced() { self.out(Out::LeaseEnded) } else { Vec::new() }
    }

    /// Access ends now.
    pub fn fence(&mut self, reason: FenceReason) -> Vec<LifecycleEffect> {
        if !self.accepts() {
            return Vec::new();
        }
        self.phase = Phase::Fenced(reason);
        let mut effects = vec![LifecycleEffect::Seal, LifecycleEffect::PushFence(reason), LifecycleEffect::Release];
        if self.confirmed {
            effects.extend(self.out(Out::Confirmed));
        }
        effects
    }

    /// The mount says that it fails every call. It may have heard of its fence from another node, before this one has.
    pub fn confirm(&mut self) -> Vec<LifecycleEffect> {
        let is_news = !std::mem::replace(&mut self.confirmed, true);
        if !is_news || !self.is_fenced() {
            return Vec::new();
        }
        let mut effects = vec![LifecycleEffect::Confirmed];
        effects.extend(self.out(Out::Confirmed));
        effects
    }

    /// The mount ends in good order.
    pub fn goodbye(&mut self) -> Vec<LifecycleEffect> {
        if !self.accepts() {
            return Vec::new();
        }
        self.phase = Phase::Ended;
        vec![LifecycleEffect::Seal, LifecycleEffect::Release]
    }

    const fn is_fenced(&self) -> bool {
        matches!(self.phase, Phase::Fenced(_))
    }

    fn out(&mut self, how: Out) -> Vec<LifecycleEffect> {
        if std::mem::replace(&mut self.is_out, true) { Vec::new() } else { vec![LifecycleEffect::Out(how)] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use LifecycleEffect::{Confirmed, PushFence, Release, Seal};

    fn live() -> Lifecycle {
        Lifecycle::new(Phase::Live, 10_000, 0, Some(100_000))
    }

    #[test]
    fn a_silent_session_lapses_and_may_come_back() {
        let mut session = live();
        assert_eq!(session.tick(9_999), []);
        assert_eq!(session.phase(), Phase::Live);
        session.tick(10_000);
        assert_eq!(session.phase(), Phase::Lapsed);
        assert!(session.hear(12_000));
        assert_eq!(session.phase(), Phase::Live);
    }

    #[test]
    fn a_fence_seals_before_it_is_pushed_and_is_final() {
        let mut session = live();
        assert_eq!(session.fence(FenceReason::Revoked), [Seal, PushFence(FenceReason::Revoked), Release]);
        assert!(!session.hear(1));
        assert_eq!(session.fence(FenceReason::Expired), []);
        assert_eq!(session.goodbye(), []);
        assert_eq!(session.confirm(), [Confirmed, LifecycleEffect::Out(Out::Confirmed)]);
        assert_eq!(session.confirm(), [], "once is enough");
        assert_eq!(session.tick(1_000_000), []);
        assert_eq!(session.phase(), Phase::Fenced(FenceReason::Revoked));
    }

    #[test]
    fn a_mount_that_heard_of_its_fence_elsewhere_has_confirmed_it_before() {
        let mut session = live();
        assert_eq!(session.confirm(), [], "nobody waits for it yet");
        assert!(session.accepts() && session.hear(1), "it is not over for that");
        assert_eq!(session.fence(FenceReason::Revoked).last(), Some(&LifecycleEffect::Out(Out::Confirmed)));
        assert!(session.confirmed() && session.is_out());
    }

    #[test]
    fn a_mount_that_does_not_confirm_is_out_when_its_lease_is_over() {
        let mut session = live();
        session.hear(3_000);
        session.fence(FenceReason::Revoked);
        assert_eq!(session.due_at_ms(), Some(13_000));
        assert_eq!(session.tick(12_999), []);
        assert!(!session.is_out());
        assert_eq!(session.tick(13_000), [LifecycleEffect::Out(Out::LeaseEnded)]);
        assert_eq!((session.tick(13_001), session.due_at_ms()), (Vec::new(), None), "once");
        assert_eq!(session.confirm(), [Confirmed], "whoever waits hears of it all the same");

        let mut found = Lifecycle::new(Phase::Fenced(FenceReason::Revoked), 10_000, 500, None);
        assert_eq!(found.tick(10_499), []);
        assert_eq!(found.tick(10_500), [LifecycleEffect::Out(Out::LeaseEnded)], "after a restart of the node");
    }

    #[test]
    fn a_session_that_ended_in_good_order_never_goes_out() {
        let mut session = live();
        session.goodbye();
        assert_eq!((session.tick(1_000_000), session.confirm(), session.due_at_ms()), (Vec::new(), Vec::new(), None));
    }

    #[test]
    fn a_lapsed_session_can_be_fenced() {
        let mut session = live();
        session.tick(10_000);
        assert_eq!(session.fence(FenceReason::LeaseLost).len(), 3);
    }

    #[test]
    fn expiry_fences_by_the_nodes_clock() {
        let mut session = live();
        session.hear(99_999);
        assert_eq!(session.tick(99_999), []);
        assert_eq!(session.tick(100_000), [Seal, PushFence(FenceReason::Expired), Release]);
    }

    #[test]
    fn it_says_when_time_alone_changes_something() {
        let mut session = live();
        assert_eq!(session.due_at_ms(), Some(10_000));
        session.hear(95_000);
        assert_eq!(session.due_at_ms(), Some(100_000), "it expires before it lapses");
        session.hear(4_000);
        session.tick(14_000);
        assert_eq!((session.phase(), session.due_at_ms()), (Phase::Lapsed, Some(100_000)));
        session.tick(100_000);
        assert_eq!(session.due_at_ms(), Some(14_000), "its lease is over already, so its mount is out");
        assert_eq!(session.tick(100_001), [LifecycleEffect::Out(Out::LeaseEnded)]);
        assert_eq!(session.due_at_ms(), None, "it is over");
        assert_eq!(Lifecycle::new(Phase::Lapsed, 10_000, 0, None).due_at_ms(), None);
    }

    #[test]
    fn goodbye_ends_without_a_push() {
        let mut session = live();
        assert_eq!(session.goodbye(), [Seal, Release]);
        assert_eq!(session.phase(), Phase::Ended);
        assert!(!session.hear(1));
    }
}
