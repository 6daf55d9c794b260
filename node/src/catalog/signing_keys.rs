use artifacts_core::ticket::KeyRing;

use super::write::json;
use super::{Catalog, key};
use crate::store::{Batch, Durability, StoreError};

impl Catalog {
    /// The ring of keys that sign tickets and revocations; empty in a new store.
    ///
    /// # Errors
    /// The store's.
    pub async fn signing_keys(&self) -> Result<KeyRing, StoreError> {
        Ok(self.record(&key::signing_keys()).await?.unwrap_or_default())
    }

    /// Keeps the ring, durably: a key signs nothing before it is on record.
    ///
    /// # Errors
    /// The store's.
    pub async fn save_signing_keys(&self, ring: &KeyRing) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.put(key::signing_keys(), json(ring));
        self.store.write(batch, Durability::Durable).await
    }

    /// The hash of the admin token, once there is one.
    ///
    /// # Errors
    /// The store's.
    pub async fn admin_token_hash(&self) -> Result<Option<[u8; 32]>, StoreError> {
        self.record(&key::admin_token()).await
    }

    /// Keeps the hash of a new admin token, durably; the one before it opens nothing any more.
    ///
    /// # Errors
    /// The store's.
    pub async fn save_admin_token_hash(&self, hash: &[u8; 32]) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.put(key::admin_token(), json(hash));
        self.store.write(batch, Durability::Durable).await
    }
}
