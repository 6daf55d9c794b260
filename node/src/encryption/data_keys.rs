use std::collections::HashMap;
use std::sync::Arc;

use artifacts_core::WorkspaceId;
use parking_lot::Mutex;

use super::{ClusterKeys, DataKey, EncryptionError};
use crate::random::SharedEntropy;
use crate::store::{Batch, Durability, Store, StoreError};
use crate::workspace::WorkspaceKeys;

/// Where it is kept which keys are the cluster's: with what concerns the whole cluster.
const CHECK_KEY: &[u8] = b"Q";
/// How many keys are remembered; then they are unwrapped anew.
const REMEMBERED_MAX: usize = 64 * 1024;

/// The keys of the workspaces in one store, as far as they are encrypted.
#[derive(Default)]
pub struct DataKeys {
    /// Below the seal.
    store: Option<Arc<dyn Store>>,
    cluster: Option<ClusterKeys>,
    known: Mutex<HashMap<WorkspaceId, Option<DataKey>>>,
}

impl DataKeys {
    /// Of the workspaces in `store`, which is what [`super::SealedStore`] is over.
    pub fn new(store: Arc<dyn Store>, cluster: Option<ClusterKeys>) -> Self {
        Self { store: Some(store), cluster, known: Mutex::default() }
    }

    /// Finds out whether the cluster's keys are those with which it was encrypted first, and notes it if it was not. For whoever has
    /// the shard of what concerns the whole cluster.
    ///
    /// # Errors
    /// [`EncryptionError::Missing`], [`EncryptionError::Wrong`], within the store's.
    pub async fn check(&self, entropy: &SharedEntropy) -> Result<Result<(), EncryptionError>, StoreError> {
        let Some(store) = &self.store else { return Ok(Ok(())) };
        match (store.get(CHECK_KEY).await?, &self.cluster) {
            (None, None) => Ok(Ok(())),
            (Some(_), None) => Ok(Err(EncryptionError::Missing)),
            (Some(value), Some(keys)) if keys.match_check(&value) => Ok(Ok(())),
            (Some(_), Some(_)) => Ok(Err(EncryptionError::Wrong)),
            (None, Some(keys)) => {
                let value = keys.check_value(entropy).ok_or_else(cannot_seal)?;
                let mut batch = Batch::new();
                batch.put(CHECK_KEY, value);
                store.write(batch, Durability::Durable).await?;
                Ok(Ok(()))
            }
        }
    }

    /// Draws a key for a new workspace into the batch that makes it, if workspaces are to be encrypted.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn draw(&self, batch: &mut Batch, workspace: WorkspaceId, entropy: &SharedEntropy) -> Result<(), StoreError> {
        let Some(cluster) = &self.cluster else { return Ok(()) };
        // Made by an attempt whose answer was lost: what it may have sealed is to be opened.
        if self.of(workspace).await?.is_some() {
            return Ok(());
        }
        let key = DataKey::draw(entropy);
        batch.put(WorkspaceKeys(workspace).data_key(), cluster.wrap(workspace, &key, entropy).ok_or_else(cannot_seal)?);
        Ok(())
    }

    /// The key of a workspace; none if it is not encrypted.
    ///
    /// # Errors
    /// The store's, and [`StoreError::Corrupt`] if it is encrypted with a key that is not there.
    pub async fn of(&self, workspace: WorkspaceId) -> Result<Option<DataKey>, StoreError> {
        let Some(store) = &self.store else { return Ok(None) };
        if let Some(known) = self.known.lock().get(&workspace) {
            return Ok(known.clone());
        }
        let key = match store.get(&WorkspaceKeys(workspace).data_key()).await? {
            None => None,
            Some(wrapped) => Some(self.unwrap(workspace, &wrapped)?),
        };
        let mut known = self.known.lock();
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert(workspace, key.clone());
        Ok(key)
    }

    fn unwrap(&self, workspace: WorkspaceId, wrapped: &[u8]) -> Result<DataKey, StoreError> {
        let missing = |error: EncryptionError| StoreError::Corrupt { reason: format!("workspace {workspace}: {error}") };
        let cluster = self.cluster.as_ref().ok_or_else(|| missing(EncryptionError::Missing))?;
        let key = cluster.unwrap(workspace, wrapped).ok_or_else(|| missing(EncryptionError::Wrong))?;
        let unknown = || StoreError::Corrupt { reason: format!("workspace {workspace}: its key is of a later version; start that one") };
        DataKey::of(workspace, &key).ok_or_else(unknown)
    }

    /// The key of a workspace is being put or destroyed.
    pub(super) fn forget(&self, workspace: WorkspaceId) {
        self.known.lock().remove(&workspace);
    }
}

fn cannot_seal() -> StoreError {
    StoreError::Corrupt { reason: "a key cannot be sealed".to_owned() }
}
