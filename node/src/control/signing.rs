//! The ring of keys that sign tickets and revocations: loaded at the start, rotated when due.

use artifacts_core::ticket::KeyRing;

use super::grant_rules::LONGEST_TICKET_SECONDS;
use crate::context::Context;
use crate::store::StoreError;

const HOUR_MS: u64 = 3600 * 1000;
/// How long a retired key stays published: nothing it signed lives longer. The extra minute covers rounding.
const LONGEST_SIGNATURE_MS: u64 = (LONGEST_TICKET_SECONDS + 60) * 1000;

/// Loads the ring from the store.
///
/// # Errors
/// The store's.
pub(super) async fn load(context: &Context) -> Result<(), StoreError> {
    let ring = context.catalog.signing_keys().await?;
    *context.key_ring.write() = ring;
    rotate_if_due(context).await
}

/// Makes a new key if there is none or the one that signs is too old. It signs once it is on record, never before.
///
/// # Errors
/// The store's; then the old key goes on to sign.
pub(super) async fn rotate_if_due(context: &Context) -> Result<(), StoreError> {
    let now = context.clock.wall();
    let longest_ms = context.config.signing_key_hours.max(1).saturating_mul(HOUR_MS);
    let mut ring: KeyRing = context.key_ring.read().clone();
    if ring.current_since().is_some_and(|since| now.since_ms(since) < longest_ms) {
        return Ok(());
    }
    let mut secret = [0; 32];
    context.entropy.fill(&mut secret);
    let mut name = [0; 8];
    context.entropy.fill(&mut name);
    let kid = context.regions.mark(format!("sk_{:016x}", u64::from_be_bytes(name)));
    ring.rotate(kid.clone(), secret, now, LONGEST_SIGNATURE_MS);
    context.catalog.save_signing_keys(&ring).await?;
    *context.key_ring.write() = ring;
    tracing::info!(kid, "a new key signs tickets");
    Ok(())
}
