//! Typed access to the control plane's records in the store.
//!
//! Anybody may read through a [`Catalog`]. Only the actor that owns an object writes its record (see
//! [`crate::control`]): it collects puts of this module in a [`Batch`](crate::store::Batch) and writes them with
//! [`Durability::Durable`](crate::store::Durability), so that a record, its indexes and the entry of the revocation
//! log that belongs to it are always seen together. A record that cannot be read is reported as
//! [`StoreError::Corrupt`], never passed over.

mod answers;
mod audit;
mod cursor;
mod key;
mod key_position;
pub(crate) mod layout;
mod page;
mod revocations;
mod signing_keys;
mod write;

use std::sync::Arc;

use artifacts_core::cluster::Region;
use artifacts_core::name::{Handle, SnapshotName, TenantSlug, WorkspaceName};
use artifacts_core::{AccountId, GrantId, KeyId, WorkspaceId};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::random::{secret_hash, secret_matches};
use crate::records::{AccountRecord, GrantRecord, KeyRecord, TenantRecord, WorkspaceRecord, WorkspaceStatus, label};
use crate::store::{KeyRange, Store, StoreError, shard_of};

pub use answers::{AnswerHead, ExpiredAnswer};
pub use audit::AuditPart;
pub use cursor::{BadCursor, ListKind};
pub use key_position::KeyPosition;
pub use page::{ListError, Page, PageRequest};
pub use write::Records;

/// How many rows one scan of the store reads.
const SCAN_ROWS: usize = 512;

/// Reads the control plane's records. Cheap to clone.
#[derive(Clone)]
pub struct Catalog {
    store: Arc<dyn Store>,
}

impl Catalog {
    /// The catalog that lies in `store`.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// An account.
    ///
    /// # Errors
    /// The store's; so for every function here.
    pub async fn account(&self, id: AccountId) -> Result<Option<AccountRecord>, StoreError> {
        self.record(&key::account(id)).await
    }

    /// Whether an account has this handle. That one may lie elsewhere, if it was made before there were shards.
    ///
    /// # Errors
    /// The store's.
    pub async fn is_taken(&self, handle: &Handle) -> Result<bool, StoreError> {
        Ok(self.store.get(&key::account_by_handle(handle)).await?.is_some())
    }

    /// The region that has claimed this handle, where handles are kept for other regions.
    ///
    /// # Errors
    /// The store's.
    pub async fn handle_claim(&self, handle: &Handle) -> Result<Option<Region>, StoreError> {
        self.record(&key::handle_claim(handle)).await
    }

    /// An API key of an account, in whatever state.
    ///
    /// # Errors
    /// The store's.
    pub async fn key(&self, account: AccountId, id: KeyId) -> Result<Option<KeyRecord>, StoreError> {
        self.record_at(&key::key_by_id(account, id)).await
    }

    /// The API key with this secret, in whatever state; not one whose account is another node's.
    ///
    /// # Errors
    /// The store's.
    pub async fn key_by_secret(&self, secret: &str) -> Result<Option<KeyRecord>, StoreError> {
        let index = key::key_by_secret(&secret_hash(secret));
        let Some(position) = self.store.get(&index).await? else { return Ok(None) };
        match self.record(&position).await {
            Err(StoreError::Fenced) if self.lie_apart(&index, &position) => Ok(None),
            found => found,
        }
    }

    /// Where the API key with this secret is on record, if it does not lie with its secret.
    ///
    /// # Errors
    /// The store's.
    pub async fn key_elsewhere(&self, secret: &str) -> Result<Option<KeyPosition>, StoreError> {
        let index = key::key_by_secret(&secret_hash(secret));
        let position = self.store.get(&index).await?.filter(|position| self.lie_apart(&index, position));
        Ok(position.map(KeyPosition::new))
    }

    /// The API key that is on record there, if this is its secret.
    ///
    /// # Errors
    /// The store's.
    pub async fn key_at(&self, position: &KeyPosition, secret: &str) -> Result<Option<KeyRecord>, StoreError> {
        let found: Option<KeyRecord> = self.record(position.row()).await?;
        Ok(found.filter(|key| secret_matches(secret, &key.secret_hash)))
    }

    fn lie_apart(&self, one: &[u8], other: &[u8]) -> bool {
        let map = self.store.shards();
        shard_of(map, one) != shard_of(map, other)
    }

    /// A tenant.
    ///
    /// # Errors
    /// The store's.
    pub async fn tenant(&self, account: AccountId, slug: &TenantSlug) -> Result<Option<TenantRecord>, StoreError> {
        self.record(&key::tenant(account, slug)).await
    }

    /// A grant of an account, in whatever state.
    ///
    /// # Errors
    /// The store's.
    pub async fn grant(&self, account: AccountId, id: GrantId) -> Result<Option<GrantRecord>, StoreError> {
        self.record_at(&key::grant_by_id(account, id)).await
    }

    /// All grants of a tenant, in whatever state, oldest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn tenant_grants(&self, account: AccountId, tenant: &TenantSlug) -> Result<Vec<GrantRecord>, StoreError> {
        let rows = self.rows(KeyRange::prefix(&key::tenant_grants(account, tenant))).await?;
        rows.iter().map(|(key, value)| decode(key, value)).collect()
    }

    /// A workspace of an account, in whatever state.
    ///
    /// # Errors
    /// The store's.
    pub async fn workspace(&self, account: AccountId, id: WorkspaceId) -> Result<Option<WorkspaceRecord>, StoreError> {
        self.record(&key::workspace(account, id)).await
    }

    /// The workspace that has this name and is not deleted, or the snapshot of it.
    ///
    /// # Errors
    /// The store's.
    pub async fn workspace_by_name(
        &self,
        account: AccountId,
        name: &WorkspaceName,
        snapshot: Option<&SnapshotName>,
    ) -> Result<Option<WorkspaceRecord>, StoreError> {
        self.record_at(&key::workspace_by_name(account, &label(name, snapshot))).await
    }

    /// The workspaces that belong to a tenant and are not deleted.
    ///
    /// # Errors
    /// The store's.
    pub async fn tenant_workspaces(&self, account: AccountId, tenant: &TenantSlug) -> Result<Vec<WorkspaceRecord>, StoreError> {
        let mut workspaces = Vec::new();
        for (_, position) in self.rows(KeyRange::prefix(&key::tenant_workspaces(account, tenant))).await? {
            workspaces.extend(self.record::<WorkspaceRecord>(&position).await?);
        }
        Ok(workspaces)
    }

    /// All snapshots of a workspace that are not deleted.
    ///
    /// # Errors
    /// The store's.
    pub async fn all_snapshots(&self, workspace: &WorkspaceRecord) -> Result<Vec<WorkspaceRecord>, StoreError> {
        let mut snapshots = Vec::new();
        for (_, position) in self.rows(KeyRange::prefix(&key::snapshot_names(workspace.account, &workspace.name))).await? {
            let found: Option<WorkspaceRecord> = self.record(&position).await?;
            snapshots.extend(found.filter(|snapshot| is_snapshot_of(snapshot, workspace.id)));
        }
        Ok(snapshots)
    }

    /// The workspaces that were being made or removed when the node stopped.
    ///
    /// # Errors
    /// The store's.
    pub async fn unsettled_workspaces(&self) -> Result<Vec<WorkspaceRecord>, StoreError> {
        let rows = self.rows(KeyRange::prefix(&key::workspaces())).await?;
        let all: Vec<WorkspaceRecord> = rows.iter().map(|(key, value)| decode(key, value)).collect::<Result<_, _>>()?;
        Ok(all.into_iter().filter(|workspace| matches!(workspace.status, WorkspaceStatus::Creating | WorkspaceStatus::Deleting)).collect())
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// The store's.
    pub async fn probe(&self) -> Result<(), StoreError> {
        self.store.get(&key::signing_keys()).await.map(|_| ())
    }

    /// The record under `key`.
    async fn record<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, StoreError> {
        self.store.get(key).await?.map(|value| decode(key, &value)).transpose()
    }

    /// The record under the key that an index entry holds.
    async fn record_at<T: DeserializeOwned>(&self, index: &[u8]) -> Result<Option<T>, StoreError> {
        match self.store.get(index).await? {
            Some(position) => self.record(&position).await,
            None => Ok(None),
        }
    }

    /// All pairs of a range.
    async fn rows(&self, mut range: KeyRange) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let mut rows = Vec::new();
        loop {
            let some = self.store.scan(range.clone(), SCAN_ROWS).await?;
            let last = some.last().map(|(key, _)| key.clone());
            let full = some.len() == SCAN_ROWS;
            rows.extend(some);
            match last {
                Some(last) if full => range = range.after(&last),
                _ => return Ok(rows),
            }
        }
    }
}

/// Whether this is a snapshot, and of this workspace: an earlier one may have had the name.
fn is_snapshot_of(record: &WorkspaceRecord, workspace: WorkspaceId) -> bool {
    record.origin.as_ref().is_some_and(|origin| origin.snapshot.is_some() && origin.workspace == workspace)
}

/// Reads a record; one that does not parse is damage, which nobody must mistake for absence.
fn decode<T: DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(value).map_err(|error| StoreError::Corrupt {
        reason: format!("a record of table `{}` cannot be read: {error}", key.first().map_or('?', |&tag| char::from(tag))),
    })
}

#[cfg(test)]
mod tests;
