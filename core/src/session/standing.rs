use crate::namespace::Errno;
use crate::protocol::FenceReason;

/// For how long a mount may go by the proofs of another node alone, at the most: less than the 30 s within which a node that hears
/// it wants an answer to a recall, which the mount may not hear.
const UNRENEWED_MAX_MS: u64 = 20_000;

/// Whether a system call may be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Yes, until this instant at the latest unless a newer proof comes.
    Serve {
        /// By the mount's clock.
        until_ms: u64,
    },
    /// Not now: the last proof is too old. Wait for another, until this instant at the longest.
    Stall {
        /// By the mount's clock.
        until_ms: u64,
    },
    /// No; answer this.
    Fail(Errno),
}

/// A mount's knowledge of its own right to serve.
///
/// A proof counts from the moment in which the mount asked for it, by a clock that goes on in suspend
/// (CLOCK_BOOTTIME), so neither a slow network nor a stopped machine stretches it. Fences and expiry are for good.
/// A lease that has run out is not: only the node knows whether somebody was given what the session held, and a
/// proof that arrives after all says that nobody was.
///
/// Two nodes may say that the right stands. That the session still has its place, and so what it holds, only the owner of the
/// workspace says: its proofs renew the lease, those of a second node ([`Standing::witness`]) do not.
#[derive(Debug, Clone)]
pub struct Standing {
    proof_ms: u64,
    lease_ms: u64,
    /// By any node.
    proven_at_ms: u64,
    /// By the owner of the workspace.
    renewed_at_ms: u64,
    expires_at_ms: Option<u64>,
    fenced: Option<FenceReason>,
}

impl Standing {
    /// The standing that a welcome gives whose hello was sent at `asked_at_ms`.
    pub const fn new(asked_at_ms: u64, proof_ms: u64, lease_ms: u64, expires_in_ms: Option<u64>) -> Self {
        let expires_at_ms = match expires_in_ms {
            Some(in_ms) => Some(asked_at_ms.saturating_add(in_ms)),
            None => None,
        };
        Self { proof_ms, lease_ms, proven_at_ms: asked_at_ms, renewed_at_ms: asked_at_ms, expires_at_ms, fenced: None }
    }

    /// A proof of the workspace's owner has come for which the mount asked at `asked_at_ms`. An older one than is known changes
    /// nothing.
    pub fn prove(&mut self, asked_at_ms: u64) {
        self.renewed_at_ms = self.renewed_at_ms.max(asked_at_ms);
        self.witness(asked_at_ms);
    }

    /// As [`Standing::prove`], of another node: the lease goes on running.
    pub fn witness(&mut self, asked_at_ms: u64) {
        self.proven_at_ms = self.proven_at_ms.max(asked_at_ms);
    }

    /// The session is over. The first reason stays.
    pub fn fence(&mut self, reason: FenceReason) {
        self.fenced.get_or_insert(reason);
    }

    /// Why the session is over, if it is.
    pub fn fenced(&self) -> Option<FenceReason> {
        self.fenced
    }

    /// What to do with a call that comes at `now_ms`.
    pub fn verdict(&self, now_ms: u64) -> Verdict {
        if let Some(reason) = self.fenced {
            return Verdict::Fail(reason.errno());
        }
        if self.expires_at_ms.is_some_and(|at| now_ms >= at) {
            return Verdict::Fail(FenceReason::Expired.errno());
        }
        let sooner = |at_ms: u64| self.expires_at_ms.map_or(at_ms, |expires| expires.min(at_ms));
        let proof_ends = self.proven_at_ms.saturating_add(self.proof_ms);
        let lease_ends = self.renewed_at_ms.saturating_add(self.lease_ms);
        let serves_until = proof_ends.min(self.renewed_at_ms.saturating_add(self.lease_ms.min(UNRENEWED_MAX_MS)));
        if now_ms >= lease_ends {
            Verdict::Fail(Errno::EIO)
        } else if now_ms < serves_until {
            Verdict::Serve { until_ms: sooner(serves_until) }
        } else {
            Verdict::Stall { until_ms: sooner(lease_ends) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing() -> Standing {
        Standing::new(100, 1_000, 10_000, Some(60_000))
    }

    #[test]
    fn serves_stalls_fails_and_comes_back() {
        let mut standing = standing();
        let cases = [
            (100, Verdict::Serve { until_ms: 1_100 }),
            (1_099, Verdict::Serve { until_ms: 1_100 }),
            (1_100, Verdict::Stall { until_ms: 10_100 }),
            (10_099, Verdict::Stall { until_ms: 10_100 }),
            (10_100, Verdict::Fail(Errno::EIO)),
        ];
        for (now_ms, verdict) in cases {
            assert_eq!(standing.verdict(now_ms), verdict, "at {now_ms}");
        }
        standing.prove(20_000);
        assert_eq!(standing.verdict(20_500), Verdict::Serve { until_ms: 21_000 });
    }

    #[test]
    fn a_proof_counts_from_when_it_was_asked_for() {
        let mut standing = standing();
        standing.prove(900);
        standing.prove(500);
        assert_eq!(standing.verdict(1_899), Verdict::Serve { until_ms: 1_900 });
        assert_eq!(standing.verdict(1_900), Verdict::Stall { until_ms: 10_900 });
    }

    #[test]
    fn another_node_proves_the_right_and_not_the_lease() {
        let mut standing = standing();
        standing.witness(5_000);
        assert_eq!(standing.verdict(5_999), Verdict::Serve { until_ms: 6_000 });
        assert_eq!(standing.verdict(6_000), Verdict::Stall { until_ms: 10_100 });
        standing.witness(9_500);
        assert_eq!(standing.verdict(9_600), Verdict::Serve { until_ms: 10_100 }, "no longer than the lease");
        standing.witness(10_050);
        assert_eq!(standing.verdict(10_100), Verdict::Fail(Errno::EIO));
        standing.prove(10_080);
        assert_eq!(standing.verdict(10_500), Verdict::Serve { until_ms: 11_080 });
        standing.fence(FenceReason::Revoked);
        standing.witness(10_600);
        assert_eq!(standing.verdict(10_600), Verdict::Fail(Errno::EACCES));
    }

    #[test]
    fn a_long_lease_is_not_lived_on_the_word_of_another_node() {
        let mut standing = Standing::new(0, 1_000, 60_000, None);
        standing.witness(19_500);
        assert_eq!(standing.verdict(19_900), Verdict::Serve { until_ms: 20_000 });
        standing.witness(19_950);
        assert_eq!(standing.verdict(20_000), Verdict::Stall { until_ms: 60_000 });
    }

    #[test]
    fn expiry_is_for_good_even_with_fresh_proofs() {
        let mut standing = standing();
        standing.prove(60_000);
        assert_eq!(standing.verdict(60_099), Verdict::Serve { until_ms: 60_100 });
        assert_eq!(standing.verdict(60_100), Verdict::Fail(Errno::EACCES));
    }

    #[test]
    fn a_fence_is_for_good_and_keeps_its_first_reason() {
        let mut standing = standing();
        standing.fence(FenceReason::LeaseLost);
        standing.fence(FenceReason::Revoked);
        standing.prove(200);
        assert_eq!(standing.verdict(200), Verdict::Fail(Errno::EIO));
        let mut revoked = self::standing();
        revoked.fence(FenceReason::Revoked);
        assert_eq!(revoked.verdict(101), Verdict::Fail(Errno::EACCES));
    }
}
