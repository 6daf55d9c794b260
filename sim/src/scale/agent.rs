//! One agent with one mount: the streams to two nodes, and when its access ends.

use artifacts_core::session::{DEFAULT_LEASE_MS, HEARTBEAT_MS, PROOF_MS, Standing, Verdict};

use super::case::{Case, Way};
use super::node_log::NodeLog;
use super::plan::WINDOW_US;
use super::weather::Weather;
use crate::Random;

/// For how long before a revocation it is looked at what came on the streams: any proof that still counts then is younger.
const BEFORE_US: u64 = 2_000_000;
/// On its second stream an agent asks with every second heartbeat.
const HEARTBEATS: [u64; 2] = [1, 2];

/// A revocation, as an agent meets it.
pub(super) struct Met<'a> {
    pub(super) round: usize,
    pub(super) made_us: u64,
    /// The node that serves the workspace, and the other one.
    pub(super) nodes: [&'a NodeLog; 2],
    /// When the agent heard of it in its cell, by [`Case::GOSSIPED`].
    pub(super) heard_us: [Option<u64>; 2],
}

/// One heartbeat, if it is answered.
struct Heartbeat {
    sent_us: u64,
    at_node_us: u64,
    answered_us: u64,
}

enum Said {
    Proof { sent_ms: u64, by_owner: bool },
    Fence(Way),
}

impl Met<'_> {
    /// What ended access in each case, and when; nothing where it had not ended within [`WINDOW_US`].
    pub(super) fn ends(&self, weather: Weather, random: &mut Random) -> [Option<(Way, u64)>; 4] {
        let streams = HEARTBEATS.map(|every| heartbeats(self.made_us, every * HEARTBEAT_MS * 1_000, weather, random));
        Case::ALL.map(|case| {
            let mut said = self.proofs(case, &streams);
            said.extend(self.fences(case, &streams, weather, random));
            said.sort_by_key(|(at_us, _)| *at_us);
            access_end(self.made_us, said)
        })
    }

    fn proofs(&self, case: Case, streams: &[Vec<Heartbeat>; 2]) -> Vec<(u64, Said)> {
        let mut said = Vec::new();
        for ((number, node), heartbeats) in self.nodes.iter().enumerate().zip(streams) {
            let proves = |at_us| !case.ends_proofs() || node.proves(case, self.round, self.made_us, at_us);
            let answered = heartbeats.iter().filter(|heartbeat| proves(heartbeat.at_node_us));
            said.extend(answered.map(|heartbeat| {
                let proof = Said::Proof { sent_ms: heartbeat.sent_us / 1_000, by_owner: number == 0 };
                (heartbeat.answered_us, proof)
            }));
        }
        said
    }

    fn fences(&self, case: Case, streams: &[Vec<Heartbeat>; 2], weather: Weather, random: &mut Random) -> Vec<(u64, Said)> {
        let heard_us = case.gossiped().and_then(|place| self.heard_us[place]);
        let mut said: Vec<_> = heard_us.map(|at_us| (at_us, Said::Fence(Way::Gossip))).into_iter().collect();
        for (node, heartbeats) in self.nodes.iter().zip(streams) {
            if let Some(sent_us) = node.fences_us(case, self.round, self.made_us) {
                // It comes behind all answers that were written before it.
                let before = heartbeats.iter().filter(|heartbeat| heartbeat.at_node_us < sent_us);
                let queued_us = before.map(|heartbeat| heartbeat.answered_us).max().unwrap_or(0);
                let at_us = queued_us.max(sent_us + weather.stream_us(0, 0, random));
                said.push((at_us, Said::Fence(Way::Push)));
            }
        }
        said
    }
}

/// The heartbeats of one stream around a revocation. What is sent later arrives later, also behind what was lost.
fn heartbeats(made_us: u64, every_us: u64, weather: Weather, random: &mut Random) -> Vec<Heartbeat> {
    let (mut heartbeats, mut at_node_us, mut answered_us) = (Vec::new(), 0, 0);
    let mut sent_us = made_us.saturating_sub(BEFORE_US) + random.below(every_us);
    while sent_us < made_us + WINDOW_US {
        at_node_us = (sent_us + weather.stream_us(0, 0, random)).max(at_node_us);
        answered_us = (at_node_us + weather.stream_us(0, 0, random)).max(answered_us);
        heartbeats.push(Heartbeat { sent_us, at_node_us, answered_us });
        sent_us += every_us;
    }
    heartbeats
}

/// When a mount that hears this served for the last time, and why no longer.
fn access_end(made_us: u64, said: Vec<(u64, Said)>) -> Option<(Way, u64)> {
    let begin_ms = made_us.saturating_sub(BEFORE_US) / 1_000;
    let mut standing = Standing::new(begin_ms, PROOF_MS, DEFAULT_LEASE_MS, None);
    let mut served_until_us = (begin_ms + PROOF_MS) * 1_000;
    for (at_us, said) in said.into_iter().filter(|(at_us, _)| *at_us < made_us + WINDOW_US) {
        match said {
            Said::Proof { sent_ms, by_owner } => {
                if by_owner {
                    standing.prove(sent_ms);
                } else {
                    standing.witness(sent_ms);
                }
                if let Verdict::Serve { until_ms } = standing.verdict(at_us / 1_000) {
                    served_until_us = until_ms * 1_000;
                }
            }
            Said::Fence(way) if at_us < served_until_us => return Some((way, at_us)),
            Said::Fence(_) => break,
        }
    }
    (served_until_us < made_us + WINDOW_US).then_some((Way::Proof, served_until_us))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADE_US: u64 = 10_000_000;

    fn log(knows_us: u64) -> NodeLog {
        let mut log = NodeLog { pushed_us: vec![knows_us], heard_us: vec![[None, Some(knows_us)]], ..NodeLog::default() };
        (0..100).for_each(|turn| log.feed(turn * 200_000 + 2_000, turn * 200_000, turn * 200_000 + 1_000));
        log
    }

    fn ends(nodes: [&NodeLog; 2], heard_us: [Option<u64>; 2]) -> [Option<(Way, u64)>; 4] {
        Met { round: 0, made_us: MADE_US, nodes, heard_us }.ends(Weather::new(0), &mut Random::new(5))
    }

    #[test]
    fn each_way_alone_ends_access_in_its_time() {
        let log = log(MADE_US + 5_000);
        let [all, push, gossip, proofs] = ends([&log, &log], [None, Some(MADE_US + 70_000)]).map(|end| end.unwrap());
        assert_eq!([all.0, push.0, proofs.0], [Way::Push, Way::Push, Way::Proof]);
        assert_eq!(gossip, (Way::Gossip, MADE_US + 70_000));
        assert!((MADE_US + 5_300..MADE_US + 6_000).contains(&push.1), "{}", push.1 - MADE_US);
        // The nodes hear of it with their next question; the last proof was asked for within one heartbeat before that.
        let asked_for_us = proofs.1 - 1_000 * PROOF_MS;
        assert!((MADE_US - 200_000..MADE_US + 203_000).contains(&asked_for_us), "{}", proofs.1 - MADE_US);
    }

    #[test]
    fn whom_nobody_tells_stalls_and_who_has_proofs_of_another_node_does_not() {
        let (mut deaf, hears) = (log(u64::MAX / 2), log(u64::MAX / 2));
        deaf.fed.retain(|(at_us, _, _)| *at_us < MADE_US);
        let end = ends([&deaf, &deaf], [None; 2])[Case::PushAlone as usize];
        assert_eq!(end, None, "proofs go on");
        let (way, at_us) = ends([&deaf, &deaf], [None; 2])[Case::ProofsAlone as usize].unwrap();
        assert!(way == Way::Proof && (MADE_US + 1_500_000..MADE_US + 2_000_000).contains(&at_us), "{}", at_us - MADE_US);
        let mut other = hears;
        other.is_owner = true;
        let (_, with_other_us) = ends([&deaf, &other], [None; 2])[Case::AllWays as usize].unwrap();
        assert!(with_other_us < MADE_US + 1_100, "the owner of the account fences at once");
    }
}
