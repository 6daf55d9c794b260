//! Who serves a shard.

use std::sync::Arc;
use std::time::Duration;

use artifacts_core::cluster::Shard;
use artifacts_core::mesh::{Member, NodePhase};

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
    There(Member),
    /// Nobody, for the moment.
    Nowhere,
}

impl Fleet {
    /// Who serves a shard now.
    pub(super) fn find(&self, shard: Shard) -> Found {
        let unit = self.unit(shard);
        if let Some(unit) = &unit
            && !self.is_stranded()
        {
            return Found::Here(Arc::clone(unit));
        }
        let view = self.ring().view();
        let placement = view.placement(self.ring().region());
        let owner = placement.owner(shard.0).filter(|owner| **owner != view.me).and_then(|owner| view.member(owner));
        // What a node has that is cut off from the bucket, others have taken or will; if they are cut off as well, it stays.
        match (owner, unit) {
            (Some(member), _) => Found::There(member.clone()),
            (None, Some(unit)) => Found::Here(unit),
            (None, None) => Found::Nowhere,
        }
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
