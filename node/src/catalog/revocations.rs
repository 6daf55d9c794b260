use artifacts_core::Timestamp;
use artifacts_core::revocation::SignedRevocation;

use super::write::json;
use super::{Catalog, SCAN_ROWS, decode, key};
use crate::store::{Batch, Durability, KeyRange, StoreError};

impl Catalog {
    /// Adds an entry to the revocation log, in the batch that takes the right away.
    pub fn append_revocation(batch: &mut Batch, revocation: &SignedRevocation) {
        batch.put(key::revocation(revocation.record.revoked_at, revocation.record.id), json(revocation));
    }

    /// The whole revocation log, oldest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn revocations(&self) -> Result<Vec<SignedRevocation>, StoreError> {
        let rows = self.rows(KeyRange::prefix(&key::revocations())).await?;
        rows.iter().map(|(key, value)| decode(key, value)).collect()
    }

    /// Drops the entries of the revocation log that are older than `horizon`. Answers how many there were.
    ///
    /// # Errors
    /// The store's.
    pub async fn trim_revocations(&self, horizon: Timestamp) -> Result<usize, StoreError> {
        let old = KeyRange::between(&key::revocations(), &key::revocations_from(horizon));
        let mut dropped = 0;
        loop {
            let rows = self.store.scan(old.clone(), SCAN_ROWS).await?;
            let mut batch = Batch::new();
            for (key, _) in &rows {
                batch.delete(key.clone());
            }
            self.store.write(batch, Durability::Visible).await?;
            dropped += rows.len();
            if rows.len() < SCAN_ROWS {
                return Ok(dropped);
            }
        }
    }
}
