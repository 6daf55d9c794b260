use artifacts_core::cluster::Placement;
use artifacts_core::mesh::Member;
use artifacts_core::name::NodeName;

/// What this node knows of the ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingView {
    /// This node.
    pub me: NodeName,
    /// Its current life.
    pub generation: u64,
    /// Everybody in their latest life, this node included, by name.
    pub members: Vec<Member>,
}

impl RingView {
    /// A member by its name.
    pub fn member(&self, name: &NodeName) -> Option<&Member> {
        self.members.iter().find(|member| member.id.name == *name)
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
