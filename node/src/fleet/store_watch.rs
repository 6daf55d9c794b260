//! Looks whether this node reaches the bucket, and tells the ring when that changes.
//!
//! A node that hears the others and not the bucket can prove to own nothing. The others would wait for it for ever, if it did not say
//! so. While all its looks are answered it looks once a second.

use std::sync::Weak;
use std::time::Duration;

use artifacts_core::cluster::Reach;
use tokio::time::MissedTickBehavior;

use super::Fleet;
use super::handle::Inner;
use crate::time::pause;

/// How often it looks while it gets answers, or once it is known that it gets none.
const PERIOD: Duration = Duration::from_secs(1);
/// How long one look may take. Two in vain are what makes a node count as cut off.
const LIMIT: Duration = Duration::from_millis(1_500);
/// Between two looks in vain.
const PAUSE: Duration = Duration::from_millis(100);

/// Watches for as long as there is a fleet.
pub(super) async fn run(fleet: Weak<Inner>) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = false;
    loop {
        ticks.tick().await;
        let Some(fleet) = fleet.upgrade().map(Fleet) else { return };
        fleet.reach(Reach::ask);
        loop {
            let answer = tokio::time::timeout(LIMIT, fleet.shards().probe()).await;
            let is_answered = matches!(answer, Ok(Ok(())));
            if is_answered {
                fleet.reach(Reach::answered);
            }
            let is_stranded = fleet.is_stranded();
            if is_stranded != told {
                tracing::warn!(is_stranded, answer = ?answer.ok().and_then(Result::err), "whether the bucket is out of reach");
                fleet.ring().strand(is_stranded).await;
                told = is_stranded;
            }
            if is_answered || is_stranded {
                break;
            }
            pause(PAUSE).await;
        }
    }
}
