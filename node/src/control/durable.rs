use std::time::Duration;

use artifacts_core::AccountId;

use crate::audit::AuditEvent;
use crate::context::Context;
use crate::store::{Batch, Durability, StoreError};

/// How often a batch is written before its outcome counts as unknown.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(50);

/// Writes a batch durably. An error of a write leaves open whether it took effect; a batch of the control plane says
/// what is, not what changes, so it is written again, which settles that when the store was away for a moment only.
///
/// # Errors
/// The store's. [`took_no_effect`] tells whether that is certain.
pub(crate) async fn write(context: &Context, batch: Batch) -> Result<(), StoreError> {
    let mut retries = tokio::time::interval(PAUSE);
    let mut made = 0;
    loop {
        made += 1;
        match context.store.write(batch.clone(), Durability::Durable).await {
            Err(StoreError::Unavailable { .. }) if made < ATTEMPTS => {
                retries.reset();
                retries.tick().await;
            }
            outcome => return outcome,
        }
    }
}

/// As [`write`], together with entries of an account's audit trail that say so.
///
/// # Errors
/// As for [`write`].
pub(super) async fn write_noted(
    context: &Context,
    account: AccountId,
    events: impl IntoIterator<Item = AuditEvent>,
    mut batch: Batch,
) -> Result<(), StoreError> {
    let noted = context.audit.note(context, &mut batch, account, events).await?;
    let written = write(context, batch).await;
    drop(noted);
    written
}

/// Whether a write that ended in this error certainly left nothing behind.
pub(super) fn took_no_effect(error: &StoreError) -> bool {
    matches!(error, StoreError::TooLarge { .. } | StoreError::Scattered | StoreError::Full { .. })
}
