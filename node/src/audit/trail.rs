use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use artifacts_core::AccountId;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::AuditEvent;
use crate::catalog::Catalog;
use crate::context::Context;
use crate::store::{Batch, Durability, StoreError};

/// Hands out the stamps of the entries of all trails in one store, and knows which of them are settled.
///
/// A stamp is a number of microseconds since 1970: that of the moment in which it is handed out, or one more than the last if the
/// clock has not gone on. Several entries may be on their way to the store at once, and come there in any order; a stamp is
/// **settled** when no entry with that stamp or an earlier one is on its way. Readers go no further.
#[derive(Default)]
pub struct Trail {
    stamps: Arc<Mutex<Stamps>>,
    grown: watch::Sender<()>,
    /// Held while entries are taken that were passed on: of two attempts with the same one finds the other's.
    passing_on: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Stamps {
    last: u64,
    under_way: BTreeSet<u64>,
    /// The accounts whose latest stamp on record is not above `last`.
    known: HashSet<AccountId>,
}

/// Entries that are in a batch. To be kept until the batch is written, or is not going to be.
#[must_use = "readers pass over entries whose stamps are settled before they are written"]
pub struct Noted {
    stamps: Arc<Mutex<Stamps>>,
    own: Vec<u64>,
    grown: watch::Sender<()>,
}

impl Drop for Noted {
    fn drop(&mut self) {
        let mut stamps = self.stamps.lock();
        for stamp in &self.own {
            stamps.under_way.remove(stamp);
        }
        drop(stamps);
        self.grown.send_replace(());
    }
}

impl Trail {
    /// Puts entries of one account's trail into a batch of that account's shard.
    ///
    /// # Errors
    /// The store's.
    pub async fn note(
        &self,
        context: &Context,
        batch: &mut Batch,
        account: AccountId,
        events: impl IntoIterator<Item = AuditEvent>,
    ) -> Result<Noted, StoreError> {
        self.learn(context, account).await?;
        let now_us = now_us(context);
        let mut noted = Noted { stamps: self.stamps.clone(), own: Vec::new(), grown: self.grown.clone() };
        let mut stamps = self.stamps.lock();
        for event in events {
            let stamp = now_us.max(stamps.last + 1);
            stamps.last = stamp;
            stamps.under_way.insert(stamp);
            noted.own.push(stamp);
            Catalog::put_audit_event(batch, account, stamp, &event);
        }
        Ok(noted)
    }

    /// Takes entries that the owner of a workspace passes on, durably. Those that are in the trail already are not taken again.
    ///
    /// # Errors
    /// The store's.
    pub async fn take(&self, context: &Context, account: AccountId, events: &[AuditEvent]) -> Result<(), StoreError> {
        let _one_at_a_time = self.passing_on.lock().await;
        let mut new = Vec::new();
        for event in events {
            if !context.catalog.has_audit_event(account, event.id).await? {
                new.push(event.clone());
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        let noted = self.note(context, &mut batch, account, new).await?;
        let written = context.store.write(batch, Durability::Durable).await;
        drop(noted);
        written
    }

    /// The first stamp that may still be taken by an entry of this trail which is not on record. To be asked before it is read.
    ///
    /// # Errors
    /// The store's.
    pub async fn settled(&self, context: &Context, account: AccountId) -> Result<u64, StoreError> {
        self.learn(context, account).await?;
        let stamps = self.stamps.lock();
        Ok(stamps.under_way.first().copied().unwrap_or(stamps.last + 1))
    }

    /// Sees to it that no stamp of this trail lies above the last one. They do if the clock has been set back since an earlier
    /// life of this process, and while none has been handed out in this one.
    async fn learn(&self, context: &Context, account: AccountId) -> Result<(), StoreError> {
        if self.stamps.lock().known.contains(&account) {
            return Ok(());
        }
        let now_us = now_us(context);
        let last = context.catalog.last_audit_stamp(account, now_us).await?;
        let mut stamps = self.stamps.lock();
        stamps.last = stamps.last.max(last.unwrap_or(now_us.saturating_sub(1)));
        stamps.known.insert(account);
        Ok(())
    }

    /// Hears when there may be more in some trail.
    pub fn watch(&self) -> watch::Receiver<()> {
        self.grown.subscribe()
    }
}

fn now_us(context: &Context) -> u64 {
    context.clock.wall().unix_ms().saturating_mul(1_000)
}
