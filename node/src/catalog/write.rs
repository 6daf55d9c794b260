use artifacts_core::cluster::Region;
use artifacts_core::name::Handle;
use bytes::Bytes;
use serde::Serialize;

use super::key;
use crate::records::{AccountRecord, GrantRecord, KeyRecord, TenantRecord, WorkspaceRecord, WorkspaceStatus};
use crate::store::Batch;

/// Puts records with all their indexes into a batch. For the actors that own them, and nobody else.
pub trait Records {
    /// A new or changed account.
    fn put_account(&mut self, account: &AccountRecord);
    /// A handle that another region has claimed.
    fn put_handle_claim(&mut self, handle: &Handle, region: &Region);
    /// A new API key.
    fn put_key(&mut self, key: &KeyRecord);
    /// An API key that is on record and has changed.
    fn change_key(&mut self, key: &KeyRecord);
    /// A new tenant.
    fn put_tenant(&mut self, tenant: &TenantRecord);
    /// A tenant that is no more.
    fn delete_tenant(&mut self, tenant: &TenantRecord);
    /// A new or changed grant.
    fn put_grant(&mut self, grant: &GrantRecord);
    /// A grant that nobody needs to remember.
    fn delete_grant(&mut self, grant: &GrantRecord);
    /// A new or changed workspace; one that is deleted gives its name free.
    fn put_workspace(&mut self, workspace: &WorkspaceRecord);
}

impl Records for Batch {
    fn put_account(&mut self, account: &AccountRecord) {
        self.put(key::account(account.id), json(account));
        self.put(key::account_by_handle(&account.handle), key::account(account.id));
    }

    fn put_handle_claim(&mut self, handle: &Handle, region: &Region) {
        self.put(key::handle_claim(handle), json(region));
    }

    fn put_key(&mut self, record: &KeyRecord) {
        let position = key::key(record.account, record.created_at, record.id);
        self.put(position.clone(), json(record));
        self.put(key::key_by_id(record.account, record.id), position.clone());
        self.put(key::key_by_secret(&record.secret_hash), position);
    }

    fn change_key(&mut self, record: &KeyRecord) {
        self.put(key::key(record.account, record.created_at, record.id), json(record));
    }

    fn put_tenant(&mut self, tenant: &TenantRecord) {
        self.put(key::tenant(tenant.account, &tenant.slug), json(tenant));
    }

    fn delete_tenant(&mut self, tenant: &TenantRecord) {
        self.delete(key::tenant(tenant.account, &tenant.slug));
    }

    fn put_grant(&mut self, grant: &GrantRecord) {
        let position = key::grant(grant.account, &grant.tenant, grant.created_at, grant.id);
        self.put(position.clone(), json(grant));
        self.put(key::grant_by_id(grant.account, grant.id), position);
    }

    fn delete_grant(&mut self, grant: &GrantRecord) {
        self.delete(key::grant(grant.account, &grant.tenant, grant.created_at, grant.id));
        self.delete(key::grant_by_id(grant.account, grant.id));
    }

    fn put_workspace(&mut self, workspace: &WorkspaceRecord) {
        let position = key::workspace(workspace.account, workspace.id);
        self.put(position.clone(), json(workspace));
        let by_name = key::workspace_by_name(workspace.account, &workspace.label());
        let by_tenant = workspace.tenant.as_ref().filter(|_| workspace.snapshot().is_none());
        let by_tenant = by_tenant.map(|tenant| key::workspace_by_tenant(workspace.account, tenant, workspace.id));
        for index in [Some(by_name), by_tenant].into_iter().flatten() {
            match workspace.status {
                WorkspaceStatus::Creating | WorkspaceStatus::Active | WorkspaceStatus::Deleting => self.put(index, position.clone()),
                WorkspaceStatus::Deleted => self.delete(index),
            };
        }
    }
}

/// A record as it is stored.
pub(super) fn json<T: Serialize>(record: &T) -> Bytes {
    // Records hold strings, numbers, lists and maps keyed by strings, which always serialise.
    serde_json::to_vec(record).unwrap_or_default().into()
}
