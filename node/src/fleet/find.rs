//! Who serves a shard.

use std::sync::Arc;
use std::time::Duration;

use artifacts_core::cluster::{Region, Seat, ShardMap};
use artifacts_core::mesh::{Member, NodePhase};

use super::place::Home;
use super::{Fleet, Unit};

/// How long whoever wants something of a shard waits until it has an owner that answers.
pub(super) const SETTLE: Duration = Duration::from_secs(8);
/// How long to wait before the same is tried again with nothing changed that is known of.
const LOOK_AGAIN: Duration = Duration::from_millis(150);

/// Who serves a shard, as far as is known.
pub(super) enum Found {
    /// This node.
    Here(Arc<Unit>),
    /// Another node, or so it should be.
    There(Box<Member>),
    /// Nobody, for the moment.
    Nowhere,
    /// Nobody: no node of the region is heard.
    OutOfReach(Region),
}

impl Fleet {
    /// Who serves what lives there now.
    pub(super) fn find(&self, home: &Home) -> Found {
        let region = &home.region;
        let Some(shard) = self.map_of(region).map(|map| home.shard_in(map)) else { return Found::OutOfReach(region.clone()) };
        let is_here = self.is_here(region);
        let unit = self.unit(shard).filter(|_| is_here);
        if let Some(unit) = &unit
            && !self.is_stranded()
        {
            return Found::Here(Arc::clone(unit));
        }
        let view = self.ring().view();
        let placement = view.placement(region.as_str());
        let owner = placement.owner(shard.0).filter(|owner| **owner != view.me).and_then(|owner| view.member(owner));
        // What a node has that is cut off from the bucket, others have taken or will; if they are cut off as well, it stays.
        match (owner, unit) {
            (Some(member), _) => Found::There(Box::new(member.clone())),
            (None, Some(unit)) => Found::Here(unit),
            (None, None) if is_here || !self.members_of(region).is_empty() => Found::Nowhere,
            (None, None) => Found::OutOfReach(region.clone()),
        }
    }

    /// The shard of a region in which something lies, as far as is known here.
    pub(super) fn seat(&self, home: &Home) -> Option<Seat> {
        Some(Seat { region: home.region.clone(), shard: home.shard_in(self.map_of(&home.region)?) })
    }

    fn map_of(&self, region: &Region) -> Option<ShardMap> {
        if self.is_here(region) { Some(self.map()) } else { self.common().abroad.read().map(region) }
    }

    /// Whether a region is this node's.
    pub(super) fn is_here(&self, region: &Region) -> bool {
        region == self.regions().here()
    }

    /// When to give up looking for an owner, by the node's clock.
    pub(super) fn settle_by_ms(&self) -> u64 {
        self.clock().monotonic_ms() + SETTLE.as_millis() as u64
    }

    /// Waits until it makes sense to look again; false if it is too late for that.
    pub(super) async fn look_again(&self, by_ms: u64) -> bool {
        let now_ms = self.clock().monotonic_ms();
        if now_ms >= by_ms {
            return false;
        }
        let (mut units, mut view) = (self.watch(), self.ring().watch());
        units.mark_unchanged();
        view.mark_unchanged();
        let wait = LOOK_AGAIN.min(Duration::from_millis(by_ms - now_ms));
        let news = async {
            tokio::select! {
                _ = units.changed() => {}
                _ = view.changed() => {}
            }
        };
        let _ = tokio::time::timeout(wait, news).await;
        true
    }

    /// Whether a member is heard and can do what it is asked.
    pub(super) fn is_heard(&self, member: &Member) -> bool {
        let view = self.ring().view();
        let is_cut_off = |known: &Member| known.facts.as_ref().is_some_and(|facts| facts.phase == NodePhase::Stranded);
        view.member(&member.id.name)
            .is_some_and(|known| known.live && known.id.generation >= member.id.generation && (!is_cut_off(known) || is_cut_off(member)))
    }
}
