use std::sync::Weak;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::asked::{Asked, Asker};
use super::handle::Inner;
use super::signing;
use super::tenant_actor::TenantMessage;
use crate::audit::By;
use crate::context::Context;
use crate::store::StoreError;

const PERIOD: Duration = Duration::from_secs(3600);
const DAY_MS: u64 = 24 * 3600 * 1000;
/// How long a revocation is remembered. A ticket of its target lives at most a day; the rest is for nodes and mounts
/// that were away, and for people who read the log.
pub(super) const REVOCATION_MEMORY_MS: u64 = 7 * 24 * 3600 * 1000;

/// What has to be done once an hour, for as long as there is a control plane. What fails is tried again an hour later.
pub(super) async fn run(inner: Weak<Inner>) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick is at once; the start has just done all of this.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let Some(inner) = inner.upgrade() else { return };
        let context = &inner.shared.context;
        if context.is_home {
            let _one_at_a_time = inner.rotating.lock().await;
            if let Err(error) = signing::rotate_if_due(context).await {
                tracing::warn!(%error, "the signing key was not rotated");
            }
        }
        if let Err(error) = forget_revocations(context).await {
            tracing::warn!(%error, "old revocations were not forgotten");
        }
        if let Err(error) = forget_audits(context).await {
            tracing::warn!(%error, "old entries of audit trails were not dropped");
        }
        for (_, tenant) in inner.shared.tenants.all() {
            // One that has stopped needs nothing.
            let _ = tenant.cast(Asked { asker: Asker { by: By::Node, generation: 0 }, message: TenantMessage::Prune });
        }
    }
}

/// Drops entries of audit trails that are older than the operator wants them kept.
///
/// # Errors
/// The store's.
async fn forget_audits(context: &Context) -> Result<(), StoreError> {
    let kept_ms = context.config.audit_retention_days.saturating_mul(DAY_MS);
    if kept_ms > 0 {
        let now_ms = context.clock.wall().unix_ms();
        context.catalog.trim_audits(artifacts_core::Timestamp::from_unix_ms(now_ms.saturating_sub(kept_ms))).await?;
    }
    Ok(())
}

/// Drops revocations that cannot matter any more, from the log and from the register.
///
/// # Errors
/// The store's.
pub(super) async fn forget_revocations(context: &Context) -> Result<(), StoreError> {
    let now = context.clock.wall();
    let horizon = artifacts_core::Timestamp::from_unix_ms(now.unix_ms().saturating_sub(REVOCATION_MEMORY_MS));
    context.catalog.trim_revocations(horizon).await?;
    context.revocations.write().forget_older_than(REVOCATION_MEMORY_MS, now);
    context.log.lock().forget_older_than(REVOCATION_MEMORY_MS, now);
    Ok(())
}
