use std::ops::Range;

use super::Settings;
use crate::Random;

/// Of how many hosts a cell has at most, besides its two nodes.
const CELL_HOSTS: usize = 48;
/// How many sessions a node serves.
pub(super) const SESSIONS_PER_NODE: usize = 1_000;
/// A region has so many nodes at least.
const NODES_MIN: usize = 3;
/// The node that owns the account's shard. It is in all cells of the account.
pub(super) const OWNER: usize = 0;
/// How long members have to find each other, in intervals of gossip: those of the ring, or of cells if these are longer.
const WARM_UP_INTERVALS: u64 = 20;
/// How often nodes gossip, unless a ring is told otherwise.
pub(super) const RING_INTERVAL_MS: u64 = 200;
/// From one revocation to the next.
const ROUND_US: u64 = 3_000_000;
/// For how long after a revocation it is looked whether access ends.
pub(super) const WINDOW_US: u64 = 2_500_000;
/// How much later than that, in whole milliseconds, so that no interval is always met at the same moment.
const PHASE_MS: u64 = 400;

/// Who there is, and when something is revoked.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) settings: Settings,
    /// The region of each node.
    pub(super) nodes: Vec<usize>,
    pub(super) cells: Vec<CellPlan>,
    /// When, by round.
    pub(super) revoked_us: Vec<u64>,
}

/// A cell: hosts of one account, wherever they are; the owner of the account's shard, and another node of its region.
#[derive(Debug, Clone)]
pub(super) struct CellPlan {
    pub(super) nodes: [usize; 2],
    /// By their numbers among all agents.
    pub(super) agents: Range<usize>,
}

/// How many nodes there are.
pub(super) fn nodes(settings: &Settings) -> usize {
    (0..usize::from(settings.regions)).map(|region| nodes_in(agents_in(settings, region))).sum()
}

fn nodes_in(agents: usize) -> usize {
    agents.div_ceil(SESSIONS_PER_NODE).max(NODES_MIN)
}

fn agents_in(settings: &Settings, region: usize) -> usize {
    let (agents, regions) = (settings.agents as usize, usize::from(settings.regions));
    agents / regions + usize::from(region < agents % regions)
}

fn warm_up_us(settings: &Settings) -> u64 {
    1_000 * WARM_UP_INTERVALS * settings.gossip_interval_ms.max(RING_INTERVAL_MS)
}

/// A stream of numbers of its own, so that what one part draws does not depend on what others do.
pub(super) fn random(seed: u64, part: u64) -> Random {
    Random::new(Random::new(seed).next() ^ Random::new(part).next())
}

impl Plan {
    pub(super) fn new(settings: Settings) -> Self {
        let regions = 0..usize::from(settings.regions);
        let in_each: Vec<_> = regions.map(|region| nodes_in(agents_in(&settings, region))).collect();
        let nodes = in_each.iter().enumerate().flat_map(|(region, count)| std::iter::repeat_n(region, *count)).collect();
        let (agents, others) = (settings.agents as usize, in_each.first().map_or(0, |count| count - 1));
        let count = agents.div_ceil(CELL_HOSTS);
        let cell = |cell: usize| CellPlan { nodes: [OWNER, 1 + cell % others], agents: agents * cell / count..agents * (cell + 1) / count };
        let cells = (0..count).map(cell).collect();
        let mut random = random(settings.seed, u64::MAX);
        let revoked_us = (0..u64::from(settings.rounds))
            .map(|round| warm_up_us(&settings) + round * ROUND_US + 1_000 * random.below(PHASE_MS))
            .collect();
        Self { settings, nodes, cells, revoked_us }
    }

    /// From when on it is counted what members cost.
    pub(super) fn warm_us(&self) -> u64 {
        warm_up_us(&self.settings)
    }

    /// When the simulation ends.
    pub(super) fn end_us(&self) -> u64 {
        self.revoked_us.last().copied().unwrap_or(0) + WINDOW_US
    }

    pub(super) fn rounds(&self) -> usize {
        self.revoked_us.len()
    }

    /// Where an agent is: they come from all regions in turn.
    pub(super) fn region(&self, agent: usize) -> usize {
        agent % usize::from(self.settings.regions)
    }

    /// The node that serves an agent's workspace, and the one that it has its other proofs from: both in its region.
    pub(super) fn streams(&self, agent: usize) -> [usize; 2] {
        let region = self.region(agent);
        let first = self.nodes.partition_point(|other| *other < region);
        let count = self.nodes.partition_point(|other| *other <= region) - first;
        let turn = agent / usize::from(self.settings.regions);
        [first + turn % count, first + (turn + 1) % count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_agent_is_in_one_cell_with_two_nodes_and_has_streams_to_two_of_its_region() {
        for (agents, regions) in [(1, 1), (48, 1), (49, 1), (100, 3), (10_000, 3)] {
            let settings = Settings { agents, regions, loss_ppm: 0, gossip_interval_ms: 200, rounds: 2, seed: 1, threads: None };
            let plan = Plan::new(settings);
            assert_eq!(plan.nodes.len(), nodes(&settings));
            let mut next = 0;
            for cell in &plan.cells {
                assert_eq!(cell.agents.start, next);
                assert!((1..=CELL_HOSTS).contains(&cell.agents.len()), "{}", cell.agents.len());
                next = cell.agents.end;
                assert!(cell.nodes[0] == OWNER && cell.nodes[1] != OWNER && plan.nodes[cell.nodes[1]] == plan.nodes[OWNER]);
                for agent in cell.agents.clone() {
                    let streams = plan.streams(agent);
                    assert!(streams[0] != streams[1] && streams.iter().all(|node| plan.nodes[*node] == plan.region(agent)), "{streams:?}");
                }
            }
            assert_eq!(next, agents as usize);
            assert!(plan.revoked_us[0] >= plan.warm_us() && plan.revoked_us[1] >= plan.revoked_us[0] + WINDOW_US);
        }
    }
}
