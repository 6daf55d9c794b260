use artifacts_core::mesh::limits::MEMBERS_MAX;

use super::plan::{self, SESSIONS_PER_NODE};

/// The most of a million datagrams that may be lost: with more a stream carries nothing either.
const LOSS_MAX_PPM: u32 = 500_000;
/// The most regions.
const REGIONS_MAX: u16 = 16;

/// What to simulate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How many host agents, each with one mount.
    pub agents: u32,
    /// Over how many regions they and the nodes are spread, 100 ms apart one way.
    pub regions: u16,
    /// How many datagrams of a million are lost; streams lose as many packets, and send them again.
    pub loss_ppm: u32,
    /// How often members of a cell gossip, in milliseconds.
    pub gossip_interval_ms: u64,
    /// How often something is revoked.
    pub rounds: u32,
    /// What determines everything.
    pub seed: u64,
    /// How many threads simulate cells; one for each core unless told otherwise.
    pub threads: Option<usize>,
}

/// Settings that cannot be simulated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// No agent, no region, no round, or fewer agents than regions.
    #[error("there have to be a region, a round, and an agent in each region")]
    Nothing,
    /// More regions than it makes sense to draw.
    #[error("at most {REGIONS_MAX} regions")]
    Regions,
    /// Too much loss.
    #[error("at most half of all datagrams may be lost")]
    Loss,
    /// A round takes longer than is simulated after a revocation, or time stands still.
    #[error("members gossip every 20 to 1000 milliseconds")]
    Interval,
    /// A ring has a limit.
    #[error("so many agents need {nodes} nodes, one for {SESSIONS_PER_NODE} of them, and a ring has at most {MEMBERS_MAX}")]
    Nodes {
        /// How many.
        nodes: usize,
    },
}

impl Settings {
    /// Whether they can be simulated.
    ///
    /// # Errors
    /// [`Unusable`] says why not.
    pub fn check(&self) -> Result<(), Unusable> {
        if self.regions == 0 || self.rounds == 0 || self.agents < u32::from(self.regions) {
            return Err(Unusable::Nothing);
        }
        if self.regions > REGIONS_MAX {
            return Err(Unusable::Regions);
        }
        if self.loss_ppm > LOSS_MAX_PPM {
            return Err(Unusable::Loss);
        }
        if !(20..=1_000).contains(&self.gossip_interval_ms) {
            return Err(Unusable::Interval);
        }
        match plan::nodes(self) {
            nodes if nodes > MEMBERS_MAX => Err(Unusable::Nodes { nodes }),
            _ => Ok(()),
        }
    }
}
