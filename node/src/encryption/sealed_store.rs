use std::sync::Arc;

use artifacts_core::WorkspaceId;
use artifacts_core::cluster::{Shard, ShardMap};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::DataKeys;
use super::cluster_keys::{open, seal};
use crate::random::SharedEntropy;
use crate::store::{Batch, Durability, KeyRange, Store, StoreError};
use crate::workspace::{WorkspaceKeys, holds_data, workspace_of};

/// Rows that are sealed below, if they hold what programs have written and their workspace is encrypted.
pub struct SealedStore {
    inner: Arc<dyn Store>,
    keys: Arc<DataKeys>,
    entropy: SharedEntropy,
}

impl SealedStore {
    /// Over the rows in `inner`.
    pub fn new(inner: Arc<dyn Store>, keys: Arc<DataKeys>, entropy: SharedEntropy) -> Self {
        Self { inner, keys, entropy }
    }

    /// The workspace whose data a row holds.
    fn owner(row: &[u8]) -> Option<WorkspaceId> {
        workspace_of(row).filter(|_| holds_data(row))
    }

    async fn opened(&self, row: &[u8], value: Bytes) -> Result<Bytes, StoreError> {
        let Some(workspace) = Self::owner(row) else { return Ok(value) };
        let Some(key) = self.keys.of(workspace).await? else { return Ok(value) };
        open(key.rows(), row, &value)
            .map(Bytes::from)
            .ok_or_else(|| StoreError::Corrupt { reason: format!("a row of workspace {workspace} does not open with its key") })
    }

    async fn sealed(&self, batch: Batch) -> Result<Batch, StoreError> {
        if batch.iter().all(|(row, _)| Self::owner(row).is_none() && !WorkspaceKeys::is_data_key(row)) {
            return Ok(batch);
        }
        let mut sealed = Batch::new();
        for (row, value) in batch.iter() {
            if WorkspaceKeys::is_data_key(row)
                && let Some(workspace) = workspace_of(row)
            {
                self.keys.forget(workspace);
            }
            let key = match Self::owner(row) {
                Some(workspace) => self.keys.of(workspace).await?,
                None => None,
            };
            match (value, key) {
                (None, _) => sealed.delete(row.clone()),
                (Some(value), None) => sealed.put(row.clone(), value.clone()),
                (Some(value), Some(key)) => {
                    let value = seal(key.rows(), row, value, &self.entropy);
                    sealed.put(row.clone(), value.ok_or_else(|| StoreError::Corrupt { reason: "a row cannot be sealed".to_owned() })?)
                }
            };
        }
        Ok(sealed)
    }
}

impl Store for SealedStore {
    fn get(&self, key: &[u8]) -> BoxFuture<'_, Result<Option<Bytes>, StoreError>> {
        let row = Bytes::copy_from_slice(key);
        async move {
            match self.inner.get(&row).await? {
                Some(value) => self.opened(&row, value).await.map(Some),
                None => Ok(None),
            }
        }
        .boxed()
    }

    fn scan(&self, range: KeyRange, limit: usize) -> BoxFuture<'_, Result<Vec<(Bytes, Bytes)>, StoreError>> {
        async move {
            let mut rows = self.inner.scan(range, limit).await?;
            for (row, value) in &mut rows {
                *value = self.opened(row, std::mem::take(value)).await?;
            }
            Ok(rows)
        }
        .boxed()
    }

    fn write(&self, batch: Batch, durability: Durability) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let ends: Vec<WorkspaceId> =
                batch.iter().filter(|(row, _)| WorkspaceKeys::is_data_key(row)).filter_map(|(row, _)| workspace_of(row)).collect();
            let sealed = self.sealed(batch).await?;
            let written = self.inner.write(sealed, durability).await;
            // Whoever asked meanwhile may have seen what was there before.
            ends.into_iter().for_each(|workspace| self.keys.forget(workspace));
            written
        }
        .boxed()
    }

    fn shards(&self) -> ShardMap {
        self.inner.shards()
    }

    fn holds(&self, shard: Shard) -> bool {
        self.inner.holds(shard)
    }

    fn vouch(&self, shard: Shard) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.vouch(shard)
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.close()
    }
}
