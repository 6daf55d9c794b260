//! Brings rows that an earlier version has written to where this one looks for them.
//!
//! Layout 2 puts the account into the key of every row that belongs to one, so that all of them lie in the account's shard.
//! The rows of layout 1 are told by the length of their keys.

use artifacts_core::revocation::SignedRevocation;
use bytes::{BufMut as _, Bytes, BytesMut};

use super::write::json;
use super::{SCAN_ROWS, decode, key};
use crate::records::{WorkspaceRecord, WorkspaceStatus};
use crate::store::{Batch, Durability, KeyRange, Store, StoreError};

/// What this version writes.
const LAYOUT: u32 = 2;
/// A table's byte and an id.
const ID_KEY_BYTES: usize = 1 + 16;
/// A table's byte, a time and an id.
const TIMED_KEY_BYTES: usize = 1 + 8 + 16;

/// Where the rows of a store stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LayoutState {
    /// As this version wants them, or there are none.
    Current,
    /// An import has begun and has not ended.
    Importing,
}

/// What stands for a row: the row itself, or those that a row of layout 1 has become.
///
/// # Errors
/// [`StoreError::Corrupt`].
fn current(row_key: &Bytes, value: &Bytes) -> Result<Batch, StoreError> {
    let mut rows = Batch::new();
    match (row_key.first(), row_key.len()) {
        (Some(b'V'), ID_KEY_BYTES) => {
            let workspace: WorkspaceRecord = decode(row_key, value)?;
            let position = key::workspace(workspace.account, workspace.id);
            rows.put(position.clone(), json(&workspace));
            // The name of one that is deleted may be another's.
            if workspace.status != WorkspaceStatus::Deleted {
                rows.put(key::workspace_by_name(workspace.account, &workspace.label()), position);
            }
        }
        // Its value is the position of a record, which begins with the record's table and account.
        (Some(b'g' | b'k'), ID_KEY_BYTES) => {
            let account = value.get(1..ID_KEY_BYTES).ok_or_else(|| StoreError::Corrupt { reason: "an index leads nowhere".into() })?;
            let mut with_account = BytesMut::from(&row_key[..1]);
            with_account.put_slice(account);
            with_account.put_slice(&row_key[1..]);
            rows.put(with_account, value.clone());
        }
        (Some(b'R'), TIMED_KEY_BYTES) => {
            let revocation: SignedRevocation = decode(row_key, value)?;
            let record = &revocation.record;
            rows.put(key::revocation(record.account, record.revoked_at, record.id), json(&revocation));
        }
        _ => {
            rows.put(row_key.clone(), value.clone());
        }
    }
    Ok(rows)
}

/// Brings a store to this layout, unless it has it. For the only process that uses the store; can be interrupted.
///
/// # Errors
/// The store's.
pub(crate) async fn bring_up_to_date(store: &dyn Store) -> Result<LayoutState, StoreError> {
    match store.get(&key::layout()).await? {
        Some(found) if found == json(&LAYOUT) => return Ok(LayoutState::Current),
        Some(_) => return Ok(LayoutState::Importing),
        None => {}
    }
    for table in *b"VgkR" {
        let mut range = KeyRange::prefix(&[table]);
        loop {
            let rows = store.scan(range.clone(), SCAN_ROWS).await?;
            let Some((last, _)) = rows.last() else { break };
            range = range.after(last);
            for (row_key, value) in &rows {
                let mut batch = current(row_key, value)?;
                if batch.iter().all(|(key, _)| key != row_key) {
                    batch.delete(row_key.clone());
                    store.write(batch, Durability::Visible).await?;
                }
            }
        }
    }
    finish(store).await?;
    Ok(LayoutState::Current)
}

/// Notes that an import has begun: until [`finish`] no node uses the store.
///
/// # Errors
/// The store's.
pub(crate) async fn begin_import(store: &dyn Store) -> Result<(), StoreError> {
    note(store, &0).await
}

/// Notes that all rows are as this version wants them.
///
/// # Errors
/// The store's.
pub(crate) async fn finish(store: &dyn Store) -> Result<(), StoreError> {
    // Whatever came before, in whichever shard.
    store.write(Batch::new(), Durability::Durable).await?;
    note(store, &LAYOUT).await
}

/// Whether a row is this module's own.
pub(crate) fn is_note(row_key: &[u8]) -> bool {
    row_key == key::layout()
}

async fn note(store: &dyn Store, layout: &u32) -> Result<(), StoreError> {
    let mut batch = Batch::new();
    batch.put(key::layout(), json(layout));
    store.write(batch, Durability::Durable).await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use artifacts_core::name::Handle;
    use artifacts_core::revocation::{RevocationRecord, Target};
    use artifacts_core::{AccountId, GrantId, KeyId, RevocationId, Timestamp, WorkspaceId};

    use super::super::Catalog;
    use super::*;
    use crate::records::{GrantRecord, KeyRecord, KeyScope};
    use crate::store::MemoryStore;

    const ACCOUNT: AccountId = AccountId::from_bits(7);
    const AT: Timestamp = Timestamp::from_unix_ms(1_000);

    fn workspace(status: WorkspaceStatus) -> WorkspaceRecord {
        WorkspaceRecord {
            id: WorkspaceId::from_bits(1 + status as u128),
            account: ACCOUNT,
            handle: "acme".parse::<Handle>().unwrap(),
            name: "w".parse().unwrap(),
            status,
            region: "local".into(),
            abroad: false,
            tenant: None,
            origin: None,
            quota_bytes: None,
            quota_inodes: None,
            created_at: AT,
        }
    }

    fn old(table: u8, parts: &[&[u8]]) -> Vec<u8> {
        [&[table], parts.concat().as_slice()].concat()
    }

    /// A store as version 0.1 before layout 2 has left it.
    async fn layout_1() -> Arc<MemoryStore> {
        let store = Arc::new(MemoryStore::new());
        let mut rows = Batch::new();
        for status in [WorkspaceStatus::Active, WorkspaceStatus::Deleted] {
            let workspace = workspace(status);
            let position = old(b'V', &[&workspace.id.bits().to_be_bytes()]);
            rows.put(position.clone(), json(&workspace));
            if status == WorkspaceStatus::Active {
                rows.put(key::workspace_by_name(ACCOUNT, workspace.name.as_str()), position);
            }
        }
        let grant = GrantRecord {
            id: GrantId::from_bits(3),
            account: ACCOUNT,
            workspace: workspace(WorkspaceStatus::Active).id,
            workspace_name: "acme/w".into(),
            tenant: "t".parse().unwrap(),
            runtime: None,
            mode: artifacts_core::ticket::Mode::Rw,
            subpath: None,
            generation: 0,
            created_at: AT,
            expires_at: None,
            revoked_at: None,
        };
        let position = key::grant(ACCOUNT, &grant.tenant, AT, grant.id);
        rows.put(position.clone(), json(&grant)).put(old(b'g', &[&grant.id.bits().to_be_bytes()]), position);
        let api_key = KeyRecord {
            id: KeyId::from_bits(4),
            account: ACCOUNT,
            name: None,
            secret_hash: [9; 32],
            scope: KeyScope::default(),
            generation: 0,
            created_at: AT,
            expires_at: None,
            revoked_at: None,
        };
        let position = key::key(ACCOUNT, AT, api_key.id);
        rows.put(position.clone(), json(&api_key)).put(old(b'k', &[&api_key.id.bits().to_be_bytes()]), position);
        let record = RevocationRecord { id: RevocationId::from_bits(5), account: ACCOUNT, target: Target::Key(api_key.id), revoked_at: AT };
        let signed = SignedRevocation::sign(record, "k", &artifacts_core::ticket::SigningKey::from_bytes(&[1; 32]));
        rows.put(old(b'R', &[&AT.unix_ms().to_be_bytes(), &5u128.to_be_bytes()]), json(&signed));
        store.write(rows, Durability::Durable).await.unwrap();
        store
    }

    #[tokio::test]
    async fn rows_of_layout_1_are_found_again() {
        let store = layout_1().await;
        let rows = store.scan(KeyRange::all(), 100).await.unwrap().len();
        for _ in 0..2 {
            assert_eq!(bring_up_to_date(&*store).await.unwrap(), LayoutState::Current);
            let catalog = Catalog::new(store.clone());
            assert_eq!(
                catalog.workspace_by_name(ACCOUNT, &"w".parse().unwrap(), None).await.unwrap(),
                Some(workspace(WorkspaceStatus::Active))
            );
            assert!(catalog.workspace(ACCOUNT, workspace(WorkspaceStatus::Deleted).id).await.unwrap().is_some());
            assert!(catalog.grant(ACCOUNT, GrantId::from_bits(3)).await.unwrap().is_some());
            assert!(catalog.key(ACCOUNT, KeyId::from_bits(4)).await.unwrap().is_some());
            assert_eq!(catalog.revocations().await.unwrap().len(), 1);
            assert_eq!(store.scan(KeyRange::all(), 100).await.unwrap().len(), rows + 1, "each row moved, and a note");
        }
    }

    #[tokio::test]
    async fn a_store_that_is_being_filled_says_so() {
        let store = MemoryStore::new();
        begin_import(&store).await.unwrap();
        assert_eq!(bring_up_to_date(&store).await.unwrap(), LayoutState::Importing);
        finish(&store).await.unwrap();
        assert_eq!(bring_up_to_date(&store).await.unwrap(), LayoutState::Current);
    }
}
