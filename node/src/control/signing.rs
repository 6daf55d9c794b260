//! The ring of keys that sign tickets and revocations: loaded at the start, rotated when due.

use artifacts_core::Timestamp;
use artifacts_core::ticket::KeyRing;

use super::grant_rules::LONGEST_TICKET_SECONDS;
use crate::context::Context;
use crate::store::StoreError;

const HOUR_MS: u64 = 3600 * 1000;
/// How long a retired key stays published: nothing it signed lives longer. The extra minute covers rounding.
const LONGEST_SIGNATURE_MS: u64 = (LONGEST_TICKET_SECONDS + 60) * 1000;
/// For how long a key is published before it signs: other nodes ask for the keys every two seconds, and whoever checks tickets
/// offline may keep the published set for a minute.
const PUBLISHED_BEFORE_MS: u64 = 90_000;

/// Loads the ring from the store.
///
/// # Errors
/// The store's.
pub(super) async fn load(context: &Context) -> Result<(), StoreError> {
    let ring = context.catalog.signing_keys().await?;
    *context.key_ring.write() = ring;
    rotate_if_due(context).await
}

/// Makes a new key if there is none or the one that signs is too old, and drops those whose signatures are all dead.
///
/// # Errors
/// The store's; then the old key goes on to sign.
pub(super) async fn rotate_if_due(context: &Context) -> Result<(), StoreError> {
    let now = context.clock.wall();
    let longest_ms = context.config.signing_key_hours.max(1).saturating_mul(HOUR_MS);
    let mut ring: KeyRing = context.key_ring.read().clone();
    if ring.newest_from().is_none_or(|since| now.since_ms(since) >= longest_ms) {
        return rotate(context).await.map(|_| ());
    }
    if ring.drop_retired(now, LONGEST_SIGNATURE_MS) {
        keep(context, ring).await?;
    }
    Ok(())
}

/// Makes a new key, and answers its name and from when it signs. It is on record, and published, before it signs anything.
///
/// # Errors
/// The store's; then the old key goes on to sign.
pub(super) async fn rotate(context: &Context) -> Result<(String, Timestamp), StoreError> {
    let now = context.clock.wall();
    let mut ring: KeyRing = context.key_ring.read().clone();
    let mut secret = [0; 32];
    context.entropy.fill(&mut secret);
    let mut name = [0; 8];
    context.entropy.fill(&mut name);
    let kid = context.regions.mark(format!("sk_{:016x}", u64::from_be_bytes(name)));
    let from = if ring.newest_from().is_some() { now.plus_ms(PUBLISHED_BEFORE_MS) } else { now };
    ring.drop_retired(now, LONGEST_SIGNATURE_MS);
    ring.announce(kid.clone(), secret, from);
    keep(context, ring).await?;
    tracing::info!(kid, %from, "a new key signs tickets");
    Ok((kid, from))
}

async fn keep(context: &Context, ring: KeyRing) -> Result<(), StoreError> {
    context.catalog.save_signing_keys(&ring).await?;
    *context.key_ring.write() = ring;
    Ok(())
}
