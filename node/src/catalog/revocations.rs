use artifacts_core::Timestamp;
use artifacts_core::revocation::SignedRevocation;

use super::write::json;
use super::{Catalog, SCAN_ROWS, decode, key};
use crate::store::{Batch, Durability, KeyRange, StoreError};

impl Catalog {
    /// Adds an entry to the revocation log, in the batch that takes the right away.
    pub fn append_revocation(batch: &mut Batch, revocation: &SignedRevocation) {
        let record = &revocation.record;
        batch.put(key::revocation(record.account, record.revoked_at, record.id), json(revocation));
    }

    /// The revocation logs of all accounts, each oldest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn revocations(&self) -> Result<Vec<SignedRevocation>, StoreError> {
        let rows = self.rows(KeyRange::prefix(&key::revocations())).await?;
        rows.iter().map(|(key, value)| decode(key, value)).collect()
    }

    /// Drops the entries of the revocation logs that are older than `horizon`. Answers how many there were.
    ///
    /// # Errors
    /// The store's.
    pub async fn trim_revocations(&self, horizon: Timestamp) -> Result<usize, StoreError> {
        let mut range = KeyRange::prefix(&key::revocations());
        let mut dropped = 0;
        loop {
            let rows = self.store.scan(range.clone(), SCAN_ROWS).await?;
            let Some((last, _)) = rows.last() else { return Ok(dropped) };
            range = range.after(last);
            // One batch for each account: two may lie in different shards.
            let mut of_account = None;
            let mut batch = Batch::new();
            for (key, value) in &rows {
                let entry: SignedRevocation = decode(key, value)?;
                if of_account != Some(entry.record.account) {
                    self.store.write(std::mem::take(&mut batch), Durability::Visible).await?;
                    of_account = Some(entry.record.account);
                }
                if entry.record.revoked_at < horizon {
                    batch.delete(key.clone());
                    dropped += 1;
                }
            }
            self.store.write(batch, Durability::Visible).await?;
        }
    }
}
