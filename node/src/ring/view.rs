use artifacts_core::cluster::Placement;
use artifacts_core::mesh::{Member, NodePhase};
use artifacts_core::name::NodeName;

/// What this node knows of the ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingView {
    /// This node.
    pub me: NodeName,
    /// Its current life.
    pub generation: u64,
    /// Whether the others hear it. If not, it has no part in the ring, whatever else it sees.
    pub is_heard: bool,
    /// Everybody in their latest life, this node included, by name.
    pub members: Vec<Member>,
}

impl RingView {
    /// A member by its name.
    pub fn member(&self, name: &NodeName) -> Option<&Member> {
        self.members.iter().find(|member| member.id.name == *name)
    }

    /// Other nodes of a region that are heard and say that they are in this phase.
    pub fn others_in(&self, region: &str, phase: NodePhase) -> impl Iterator<Item = &Member> {
        let is_in = move |member: &&Member| {
            member.live && member.facts.as_ref().is_some_and(|facts| facts.region == region && facts.phase == phase)
        };
        self.members.iter().filter(|member| member.id.name != self.me).filter(is_in)
    }

    /// Whether this node is in the smaller part of a region's ring that was cut in two.
    pub fn is_smaller_part(&self, region: &str) -> bool {
        Placement::is_smaller_part(region, &self.members)
    }

    /// Who should own which shard of a region.
    pub fn placement(&self, region: &str) -> Placement {
        Placement::of_region(region, &self.members)
    }
}
