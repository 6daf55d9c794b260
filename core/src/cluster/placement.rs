use std::cmp::Ordering;
use std::collections::BTreeSet;

use crate::mesh::{Member, NodePhase};
use crate::name::NodeName;

/// Who should own which shard, by rendezvous hashing (Thaler and Ravishankar, 1998): each node draws a number for the
/// shard, and the highest wins. So all who know the same nodes agree without a word, the work is spread evenly, and when
/// nodes come or go only their own shards move.
///
/// This is a suggestion. Who does own a shard is decided where it is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    nodes: BTreeSet<NodeName>,
}

/// One shard that should change hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Which.
    pub shard: u16,
    /// Who should have had it.
    pub from: Option<NodeName>,
    /// Who should have it now.
    pub to: Option<NodeName>,
}

impl Placement {
    /// A placement over the members of a region that are alive and serve: neither about to leave, nor so new that they
    /// may not know the others, nor cut off from the bucket. If all that would serve are cut off from it, nothing moves.
    pub fn of_region<'a>(region: &str, members: impl IntoIterator<Item = &'a Member>) -> Self {
        let of_region = |member: &&Member| member.live && member.facts.as_ref().is_some_and(|facts| facts.region == region);
        let members: Vec<_> = members.into_iter().filter(of_region).collect();
        let in_phase = |wanted| {
            let is_in = move |member: &&&Member| member.facts.as_ref().is_some_and(|facts| facts.phase == wanted);
            members.iter().filter(is_in).map(|member| member.id.name.clone()).collect::<Self>()
        };
        let serving = in_phase(NodePhase::Serving);
        if serving.nodes.is_empty() { in_phase(NodePhase::Stranded) } else { serving }
    }

    /// Whether one part of a ring that was cut in two is the smaller one, seen from within: of all nodes of the region that are
    /// remembered and did not leave, fewer than half are heard, or half of them and not the one whose name comes first.
    pub fn is_smaller_part<'a>(region: &str, members: impl IntoIterator<Item = &'a Member>) -> bool {
        let counts =
            |member: &&Member| member.facts.as_ref().is_some_and(|facts| facts.region == region && facts.phase != NodePhase::Leaving);
        let mut members: Vec<_> = members.into_iter().filter(counts).collect();
        members.sort_by_key(|member| &member.id.name);
        let live = members.iter().filter(|member| member.live).count();
        match (2 * live).cmp(&members.len()) {
            Ordering::Less => true,
            Ordering::Equal => members.first().is_some_and(|first| !first.live),
            Ordering::Greater => false,
        }
    }

    /// The nodes over which it goes.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeName> {
        self.nodes.iter()
    }

    /// Who should own a shard; nobody if there are no nodes.
    pub fn owner(&self, shard: u16) -> Option<&NodeName> {
        // Names differ, so equal draws do not matter but for the order, which is that of the names.
        self.nodes.iter().max_by_key(|node| draw(node, shard))
    }

    /// What changes hands from this placement to the next one, of `shards` shards.
    pub fn moves(&self, next: &Self, shards: u16) -> Vec<Move> {
        let change = |shard| {
            let (from, to) = (self.owner(shard), next.owner(shard));
            (from != to).then(|| Move { shard, from: from.cloned(), to: to.cloned() })
        };
        (0..shards).filter_map(change).collect()
    }
}

impl FromIterator<NodeName> for Placement {
    fn from_iter<T: IntoIterator<Item = NodeName>>(nodes: T) -> Self {
        Self { nodes: nodes.into_iter().collect() }
    }
}

/// What a node draws for a shard. Part of the protocol between nodes: to change it is to move everything.
fn draw(node: &NodeName, shard: u16) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key("artifacts placement v1");
    hasher.update(&shard.to_le_bytes()).update(node.as_str().as_bytes());
    let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}
