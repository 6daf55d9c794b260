use std::collections::BTreeSet;

use crate::SessionId;

/// How long an owner may act on a proof of its ownership unless told otherwise, in milliseconds.
pub const DEFAULT_OWNERSHIP_TTL_MS: u64 = 2_000;

/// How far the rate of a node's clock may be off, in parts of a thousand. Clocks of machines are off by less than one in
/// ten thousand, and a virtual machine whose clock is slewed by one in two thousand at most.
const DRIFT_PER_MILLE: u64 = 10;

/// Whether a node may act as the owner of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It may, until this instant at the latest unless a newer proof comes.
    Holds {
        /// By this node's clock.
        until_ms: u64,
    },
    /// Not now: the last proof is too old. A proof that comes makes it hold again.
    Unproven,
    /// No more: another owns the shard. Final.
    Lost,
}

/// What the owner of a shard may do at a given instant. Time is that of the node's own clock, which never steps and goes
/// on in suspend (CLOCK_BOOTTIME); no two nodes' clocks are compared.
///
/// The store decides who the owner is: opening a shard's database *fences* the owner before. That one may not notice at
/// once, so two rules keep them apart:
///
/// - **An owner acts only on a fresh proof.** A proof is an answer of the store that says that nobody had fenced this
///   owner: a write that succeeded, or a look at the epoch. It counts for the ttl from the moment in which it was *asked for*, so
///   neither a slow answer nor a machine that slept stretches it.
/// - **A new owner waits** until the one before cannot act any more: the ttl from the moment in which its opening was complete, and
///   as much longer as clocks may differ. And it waits for every session on record: a mount that was given something by the
///   owner before has come back, or its lease is over. Until then it answers nobody who did not have it before.
///
/// Both hold together: at no instant do two owners act. The property test below simulates it.
#[derive(Debug, Clone)]
pub struct Ownership {
    ttl_ms: u64,
    proven_at_ms: u64,
    lost: bool,
    /// From when the owner before cannot act.
    alone_from_ms: u64,
    /// Sessions on record that have neither come back nor run out.
    awaited: BTreeSet<SessionId>,
}

impl Ownership {
    /// The ownership that an opening gives which was begun at `asked_at_ms` and complete at `opened_at_ms`, with these
    /// sessions on record.
    pub fn opened(ttl_ms: u64, asked_at_ms: u64, opened_at_ms: u64, on_record: impl IntoIterator<Item = SessionId>) -> Self {
        Self {
            ttl_ms,
            proven_at_ms: asked_at_ms,
            lost: false,
            alone_from_ms: opened_at_ms.saturating_add(wait_ms(ttl_ms)),
            awaited: on_record.into_iter().collect(),
        }
    }

    /// As [`Ownership::opened`], where the owner before has said on record that it stopped acting, or there was none.
    pub fn handed_over(ttl_ms: u64, asked_at_ms: u64, on_record: impl IntoIterator<Item = SessionId>) -> Self {
        Self { ttl_ms, proven_at_ms: asked_at_ms, lost: false, alone_from_ms: asked_at_ms, awaited: on_record.into_iter().collect() }
    }

    /// The store has said that nobody had fenced this owner, when it was asked at `asked_at_ms`. An older proof than is
    /// known changes nothing.
    pub fn prove(&mut self, asked_at_ms: u64) {
        self.proven_at_ms = self.proven_at_ms.max(asked_at_ms);
    }

    /// The store has said that another is the owner.
    pub fn lose(&mut self) {
        self.lost = true;
    }

    /// What is true at `now_ms`. A change of the shard counts only if it holds when the answer goes out.
    pub fn claim(&self, now_ms: u64) -> Claim {
        let until_ms = self.proven_at_ms.saturating_add(self.ttl_ms);
        match () {
            () if self.lost => Claim::Lost,
            () if now_ms < until_ms => Claim::Holds { until_ms },
            () => Claim::Unproven,
        }
    }

    /// When to ask for the next proof, so that it comes before the last one is too old, if the store took `answer_ms` to answer
    /// last: with room for one that takes several times as long, and half a ttl at least.
    pub fn prove_by_ms(&self, answer_ms: u64) -> u64 {
        let room_ms = answer_ms.saturating_mul(8).clamp(self.ttl_ms / 2, self.ttl_ms - self.ttl_ms / 4);
        self.proven_at_ms.saturating_add(self.ttl_ms - room_ms)
    }

    /// When the question was asked that the newest proof answers.
    pub fn proven_at_ms(&self) -> u64 {
        self.proven_at_ms
    }

    /// From when the owner before cannot act any more. What it had granted to a session may be in use for as long as that
    /// session was heard, so the leases of sessions on record begin here and not at the opening.
    pub fn alone_from_ms(&self) -> u64 {
        self.alone_from_ms
    }

    /// A session on record has come back with all that it held, or its lease is over.
    pub fn settle(&mut self, session: SessionId) {
        self.awaited.remove(&session);
    }

    /// Whether what conflicts with anything that the owner before may have granted can be granted at `now_ms`.
    pub fn may_grant(&self, now_ms: u64) -> bool {
        now_ms >= self.alone_from_ms && self.awaited.is_empty() && matches!(self.claim(now_ms), Claim::Holds { .. })
    }
}

/// How long a new owner waits by its own clock, so that by that of the one before the ttl has passed. The old one's may be slow
/// and the new one's fast; the milliseconds are for what is cut off in rounding.
const fn wait_ms(ttl_ms: u64) -> u64 {
    let (slow, fast) = (1_000 - DRIFT_PER_MILLE, 1_000 + DRIFT_PER_MILLE);
    ttl_ms.saturating_add(1).saturating_mul(fast).div_ceil(slow).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TTL_MS: u64 = DEFAULT_OWNERSHIP_TTL_MS;

    fn session(bits: u128) -> SessionId {
        SessionId::from_bits(bits)
    }

    #[test]
    fn a_proof_counts_from_when_it_was_asked_for() {
        let mut ownership = Ownership::opened(TTL_MS, 100, 900, []);
        assert_eq!(ownership.claim(2_099), Claim::Holds { until_ms: 2_100 });
        assert_eq!(ownership.claim(2_100), Claim::Unproven);
        ownership.prove(1_500);
        ownership.prove(700);
        assert_eq!(ownership.claim(3_000), Claim::Holds { until_ms: 3_500 });
        assert_eq!([0, 20, 150, 500, 5_000].map(|answer_ms| ownership.prove_by_ms(answer_ms)), [2_500, 2_500, 2_300, 2_000, 2_000]);
        assert_eq!(ownership.claim(60_000), Claim::Unproven);
        ownership.prove(60_000);
        assert_eq!(ownership.claim(60_001), Claim::Holds { until_ms: 62_000 }, "a pause is no loss");
    }

    #[test]
    fn what_is_lost_stays_lost() {
        let mut ownership = Ownership::handed_over(TTL_MS, 0, []);
        assert!(ownership.may_grant(0), "there was nobody before");
        ownership.lose();
        ownership.prove(1_000);
        assert_eq!(ownership.claim(1_000), Claim::Lost);
        assert!(!ownership.may_grant(1_000));
    }

    #[test]
    fn a_new_owner_waits_for_the_one_before_and_for_the_sessions() {
        let mut ownership = Ownership::opened(TTL_MS, 0, 500, [session(1), session(2)]);
        let alone = ownership.alone_from_ms();
        assert!((2_500 + 40..2_500 + 50).contains(&alone), "{alone}");
        ownership.prove(alone);
        assert!(!ownership.may_grant(alone));
        ownership.settle(session(1));
        ownership.settle(session(3));
        assert!(!ownership.may_grant(alone));
        ownership.settle(session(2));
        assert!(!ownership.may_grant(alone - 1));
        assert!(ownership.may_grant(alone));
        assert!(!ownership.may_grant(alone + TTL_MS), "without a proof it is as any owner");
    }

    #[test]
    fn a_handed_over_shard_waits_for_its_sessions_only() {
        let mut ownership = Ownership::handed_over(TTL_MS, 10, [session(1)]);
        assert!(!ownership.may_grant(10));
        ownership.settle(session(1));
        assert!(ownership.may_grant(10));
    }

    /// A node's clock: its rate against real time, in parts of a million, and where it stands at the beginning. Real time is
    /// in microseconds.
    #[derive(Debug, Clone, Copy)]
    struct Clock {
        rate_ppm: u64,
        offset_ms: u64,
    }

    impl Clock {
        fn ms(self, real_us: u64) -> u64 {
            self.offset_ms + real_us * self.rate_ppm / 1_000_000 / 1_000
        }
    }

    fn clock(drift_per_mille: u64) -> impl Strategy<Value = Clock> {
        let rates = (1_000 - drift_per_mille) * 1_000..=(1_000 + drift_per_mille) * 1_000;
        (rates, 0..10_000_000u64).prop_map(|(rate_ppm, offset_ms)| Clock { rate_ppm, offset_ms })
    }

    /// A proof: when the node notes the time, how long until the request leaves (the machine may sleep between), how long until
    /// the store has looked, how long until the node has the answer. In microseconds.
    type Asking = (u64, u64, u64, u64);

    fn askings() -> impl Strategy<Value = Vec<Asking>> {
        let delay = || prop_oneof![8 => 0..50_000u64, 1 => 0..5_000_000u64];
        prop::collection::vec((0..12_000_000u64, delay(), delay(), delay()), 0..40)
    }

    /// The real instants at which the first owner and the second act, looking at each millisecond. The second fences the first at
    /// `fenced_us`, and knows at `opened_us` that it has.
    fn instants_of_both(clocks: (Clock, Clock), proofs: (&[Asking], &[Asking]), fence: (u64, u64, u64)) -> Vec<u64> {
        let (asked_us, fenced_us, opened_us) = fence;
        let mut first = Ownership::handed_over(TTL_MS, clocks.0.ms(0), []);
        let mut second = Ownership::opened(TTL_MS, clocks.1.ms(asked_us), clocks.1.ms(opened_us), []);
        let answers = |clock: Clock, askings: &[Asking]| {
            let answer = |&(noted, to_leave, to_look, to_come): &Asking| {
                let looked = noted + to_leave + to_look;
                (looked + to_come, looked, clock.ms(noted))
            };
            let mut answers: Vec<_> = askings.iter().map(answer).collect();
            answers.sort_unstable();
            answers.into_iter().peekable()
        };
        let (mut of_first, mut of_second) = (answers(clocks.0, proofs.0), answers(clocks.1, proofs.1));
        let mut both = Vec::new();
        for now_us in (0..18_000_000).step_by(1_000) {
            while let Some((_, looked_us, asked_ms)) = of_first.next_if(|(came_us, ..)| *came_us <= now_us) {
                if looked_us < fenced_us { first.prove(asked_ms) } else { first.lose() }
            }
            while let Some((_, _, asked_ms)) = of_second.next_if(|(came_us, ..)| *came_us <= now_us) {
                second.prove(asked_ms);
            }
            let acts = matches!(first.claim(clocks.0.ms(now_us)), Claim::Holds { .. });
            if acts && now_us >= opened_us && second.may_grant(clocks.1.ms(now_us)) {
                both.push(now_us);
            }
        }
        both
    }

    fn fence() -> impl Strategy<Value = (u64, u64, u64)> {
        let delay = || prop_oneof![3 => 0..20_000u64, 1 => 0..1_500_000u64];
        (0..6_000_000u64, delay(), delay()).prop_map(|(asked, to_fence, to_open)| (asked, asked + to_fence, asked + to_fence + to_open))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn two_owners_never_act_at_one_instant(
            one in clock(DRIFT_PER_MILLE), two in clock(DRIFT_PER_MILLE), proofs in askings(), later in askings(), fence in fence(),
        ) {
            prop_assert_eq!(instants_of_both((one, two), (&proofs, &later), fence), Vec::<u64>::new());
        }
    }

    /// The simulation can fail: clocks whose rates differ by more than is allowed for show at once.
    #[test]
    fn the_simulation_finds_two_owners_where_clocks_differ_too_much() {
        let straight = Clock { rate_ppm: 1_000_000, offset_ms: 5 };
        let slow = Clock { rate_ppm: 900_000, offset_ms: 9_000 };
        let steady = |until_us: u64| (0..until_us).step_by(10_000).map(|at| (at, 0, 1_000, 1_000)).collect::<Vec<_>>();
        let (first, second) = (steady(3_000_000), steady(15_000_000));
        let fence = (3_000_000, 3_000_500, 3_001_000);
        assert!(instants_of_both((straight, straight), (&first, &second), fence).is_empty());
        assert!(!instants_of_both((slow, straight), (&first, &second), fence).is_empty());
    }
}
