//! What a node of a cluster shows of itself in numbers: to its metrics, and to the operator who asks for the cluster.

use std::collections::BTreeMap;

use artifacts_core::cluster::UnitPhase;
use artifacts_core::mesh::NodePhase;

use super::Fleet;
use super::follow::CURRENT_MS;
use crate::ring::{FeedStatus, Holdings, UnitStatus};

/// Where a node can be with a shard that it has in hand.
const STATES: [&str; 5] = ["due", "opening", "serving", "closing", "stranded"];

impl Fleet {
    /// Where this node is with each shard that it has in hand, and how far behind with what it follows.
    pub(crate) fn holdings(&self) -> Holdings {
        let is_stranded = self.is_stranded();
        let in_hand = self.phases().into_iter().filter(|(_, phase)| *phase != UnitPhase::Away);
        let units = in_hand.map(|(shard, phase)| {
            let unit = self.unit(shard);
            UnitStatus {
                shard: shard.0,
                state: if is_stranded { NodePhase::Stranded.as_str() } else { phase.as_str() }.to_owned(),
                epoch: unit.as_ref().and_then(|unit| unit.epoch()),
                unflushed: unit.as_ref().and_then(|unit| unit.unflushed()),
            }
        });
        let now_ms = self.clock().monotonic_ms();
        let (following, evidence) = (self.0.following.lock(), self.0.evidence.lock());
        let feeds = following.iter().map(|(seat, following)| FeedStatus {
            region: seat.region.to_string(),
            shard: seat.shard.0,
            age_ms: following.age_ms(now_ms).into_iter().chain(evidence.age_ms(seat, now_ms)).min(),
        });
        Holdings { units: units.collect(), feeds: feeds.collect() }
    }

    /// Brings the metrics up to date that say how things stand.
    pub(super) fn show(&self) {
        let holdings = self.holdings();
        for state in STATES {
            let count = holdings.units.iter().filter(|unit| unit.state == state).count();
            metrics::gauge!("artifacts_shards", "state" => state).set(count as f64);
        }
        // A shard that has gone is shown as none of this node's, since a gauge that was told once stays.
        let served: BTreeMap<u16, &UnitStatus> = holdings.units.iter().map(|unit| (unit.shard, unit)).collect();
        for shard in self.map().all() {
            let unit = served.get(&shard.0);
            let (epoch, unflushed) = (unit.and_then(|unit| unit.epoch), unit.and_then(|unit| unit.unflushed));
            let name = shard.to_string();
            metrics::gauge!("artifacts_shard_epoch", "shard" => name.clone()).set(epoch.unwrap_or(0) as f64);
            metrics::gauge!("artifacts_shard_unflushed_commits", "shard" => name).set(unflushed.unwrap_or(0) as f64);
        }
        let oldest_ms = self.units().iter().filter_map(|unit| unit.proof_age_ms()).max();
        metrics::gauge!("artifacts_shard_proof_age_seconds").set(oldest_ms.unwrap_or(0) as f64 / 1000.0);
        let (current, behind): (Vec<_>, Vec<_>) =
            holdings.feeds.iter().partition(|feed| feed.age_ms.is_some_and(|age_ms| age_ms < CURRENT_MS));
        metrics::gauge!("artifacts_feeds", "state" => "current").set(current.len() as f64);
        metrics::gauge!("artifacts_feeds", "state" => "behind").set(behind.len() as f64);
        let oldest_ms = holdings.feeds.iter().filter_map(|feed| feed.age_ms).max();
        metrics::gauge!("artifacts_feed_age_seconds").set(oldest_ms.unwrap_or(0) as f64 / 1000.0);
        self.ring().show();
    }
}
