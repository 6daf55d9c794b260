use artifacts_core::revocation::{Feed, Following};
use artifacts_core::session::PROOF_MS;

use super::case::Case;

/// How long a node that heard a record in gossip waits for the push, which brings back what came of it.
const HEAD_START_US: u64 = 30_000;

/// What a node learned, and when, in microseconds of the simulation.
#[derive(Debug, Default)]
pub(super) struct NodeLog {
    /// Whether it is the owner of the account's shard, who knows everything at once.
    pub(super) is_owner: bool,
    /// When each round's revocations were pushed to it.
    pub(super) pushed_us: Vec<u64>,
    /// When it heard of each round's in gossip, by [`Case::GOSSIPED`].
    pub(super) heard_us: Vec<[Option<u64>; 2]>,
    /// When it had each answer of the owner's feed, up to which moment that tells, and where it stood then.
    pub(super) fed: Vec<(u64, u64, Following)>,
    /// When it had which beacon: the moment that the beacon is of.
    pub(super) beacons: Vec<(u64, u64)>,
}

impl NodeLog {
    /// An answer of the feed has come at `at_us`, to a question that was asked at `asked_us` and was with the owner at `seen_us`.
    pub(super) fn feed(&mut self, at_us: u64, asked_us: u64, seen_us: u64) {
        let mut following = self.fed.last().map_or_else(Following::default, |(_, _, following)| following.clone());
        following.take(&Feed::new(1).news(following.position()), asked_us / 1_000);
        self.fed.push((at_us, seen_us, following));
    }

    /// When it knows of a round's revocation, made at `made_us`.
    pub(super) fn knows_us(&self, case: Case, round: usize, made_us: u64) -> Option<u64> {
        if self.is_owner {
            return Some(made_us);
        }
        let pushed_us = self.pushed_us.get(round).copied();
        let heard_us = case.gossiped().and_then(|place| self.heard_us.get(round)?[place]);
        let fed_us = self.fed.get(self.fed.partition_point(|(_, seen_us, _)| *seen_us < made_us)).map(|(at_us, _, _)| *at_us);
        match case {
            Case::AllWays => [pushed_us, heard_us, fed_us].into_iter().flatten().min(),
            Case::PushAlone => pushed_us,
            Case::GossipAlone => heard_us,
            Case::ProofsAlone => fed_us,
        }
    }

    /// When it sends fences on its streams.
    pub(super) fn fences_us(&self, case: Case, round: usize, made_us: u64) -> Option<u64> {
        let knows_us = self.knows_us(case, round, made_us).filter(|_| case.is_pushed())?;
        if self.is_owner {
            return Some(knows_us);
        }
        let heard_us = case.gossiped().and_then(|place| self.heard_us.get(round)?[place]);
        // Who knows by gossip alone gives the push its head start.
        let pushed_us = self.pushed_us.get(round).copied().unwrap_or(u64::MAX);
        Some(if heard_us == Some(knows_us) { pushed_us.min(knows_us + HEAD_START_US) } else { knows_us })
    }

    /// Whether it says at `at_us` that the right stands.
    pub(super) fn proves(&self, case: Case, round: usize, made_us: u64, at_us: u64) -> bool {
        let current = self.fed.partition_point(|(answered_us, _, _)| *answered_us <= at_us).checked_sub(1);
        let is_current = self.is_owner || current.is_some_and(|at| self.fed[at].2.is_current(at_us / 1_000, PROOF_MS));
        is_current && self.knows_us(case, round, made_us).is_none_or(|knows_us| at_us < knows_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> NodeLog {
        let mut log = NodeLog { pushed_us: vec![150_000], heard_us: vec![[Some(140_000), Some(320_000)]], ..NodeLog::default() };
        (0..10).for_each(|turn| log.feed(100_000 + turn * 200_000, turn * 200_000, 50_000 + turn * 200_000));
        log
    }

    #[test]
    fn each_way_alone_is_as_fast_as_it_is_and_all_together_as_the_fastest() {
        let times = Case::ALL.map(|case| log().knows_us(case, 0, 100_000));
        assert_eq!(times, [Some(140_000), Some(150_000), Some(320_000), Some(300_000)]);
        let fences = Case::ALL.map(|case| log().fences_us(case, 0, 100_000));
        assert_eq!(fences, [Some(150_000), Some(150_000), None, None], "the push comes within its head start");
    }

    #[test]
    fn proofs_end_when_it_knows_or_hears_nothing_of_the_owner() {
        let log = log();
        let proves = |at_us| log.proves(Case::ProofsAlone, 0, 100_000, at_us);
        assert!(!proves(99_999) && proves(100_000) && proves(299_999) && !proves(300_000));
        let last_asked_us = 9 * 200_000;
        let proves = |at_us| log.proves(Case::ProofsAlone, 0, u64::MAX, at_us);
        assert!(proves(last_asked_us + 999_000) && !proves(last_asked_us + 1_000_000));
    }
}
