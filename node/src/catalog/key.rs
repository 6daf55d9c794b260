//! The layout of the control plane's keys: one byte that names the table, then the fields in the order in which a
//! list wants them.
//!
//! Ids are 16 bytes, times 8, both big-endian, so byte order is their order. Names end with a zero byte, which no
//! name contains: `a` never is a prefix of `ab`. The bytes `W` (namespaces) and `S` (sessions) belong to others.
//!
//! Every key says in which shard it lies, see [`crate::store::shard_of`]: behind the table stands the id of the account that
//! it belongs to. What has to be found without knowing the account is keyed by a name (`a`) or by a hash (`h`).

use artifacts_core::id::Kind;
use artifacts_core::name::{Handle, TenantSlug, WorkspaceName};
use artifacts_core::{AccountId, AuditId, GrantId, Id, KeyId, RevocationId, Timestamp, WorkspaceId};
use bytes::{BufMut, Bytes, BytesMut};

/// What a key's first byte says.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Table {
    Account = b'A',
    AccountByHandle = b'a',
    HandleClaim = b'H',
    Key = b'K',
    KeyById = b'k',
    KeyBySecret = b'h',
    Tenant = b'T',
    Grant = b'G',
    GrantById = b'g',
    Workspace = b'V',
    WorkspaceByName = b'N',
    WorkspaceByTenant = b'n',
    Revocation = b'R',
    Audit = b'E',
    AuditById = b'e',
    SigningKeys = b'Y',
    AdminToken = b'Z',
    Layout = b'L',
    Idempotency = b'I',
    IdempotencyByExpiry = b'i',
}

/// A key under construction.
struct Builder(BytesMut);

impl Builder {
    fn new(table: Table) -> Self {
        Self(BytesMut::with_capacity(64)).byte(table as u8)
    }

    fn byte(mut self, byte: u8) -> Self {
        self.0.put_u8(byte);
        self
    }

    fn id<K: Kind>(mut self, id: Id<K>) -> Self {
        self.0.put_u128(id.bits());
        self
    }

    fn time(mut self, at: Timestamp) -> Self {
        self.0.put_u64(at.unix_ms());
        self
    }

    fn name(mut self, name: &str) -> Self {
        self.0.put_slice(name.as_bytes());
        self.byte(0)
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.put_slice(bytes);
        self
    }

    fn done(self) -> Bytes {
        self.0.freeze()
    }
}

/// An account's record.
pub(super) fn account(id: AccountId) -> Bytes {
    Builder::new(Table::Account).id(id).done()
}

/// Holds the id of the account with this handle.
pub(super) fn account_by_handle(handle: &Handle) -> Bytes {
    Builder::new(Table::AccountByHandle).name(handle.as_str()).done()
}

/// Holds the region that has claimed this handle, if it is not the one that keeps the handles.
pub(super) fn handle_claim(handle: &Handle) -> Bytes {
    Builder::new(Table::HandleClaim).name(handle.as_str()).done()
}

/// All API keys of an account, oldest first.
pub(super) fn keys(account: AccountId) -> Bytes {
    Builder::new(Table::Key).id(account).done()
}

/// An API key's record.
pub(super) fn key(account: AccountId, created_at: Timestamp, id: KeyId) -> Bytes {
    Builder::new(Table::Key).id(account).time(created_at).id(id).done()
}

/// Holds the position of an API key's record.
pub(super) fn key_by_id(account: AccountId, id: KeyId) -> Bytes {
    Builder::new(Table::KeyById).id(account).id(id).done()
}

/// Holds the position of the record of the API key with this secret.
pub(super) fn key_by_secret(hash: &[u8; 32]) -> Bytes {
    Builder::new(Table::KeyBySecret).bytes(hash).done()
}

/// All tenants of an account, by slug.
pub(super) fn tenants(account: AccountId) -> Bytes {
    Builder::new(Table::Tenant).id(account).done()
}

/// A tenant's record.
pub(super) fn tenant(account: AccountId, slug: &TenantSlug) -> Bytes {
    Builder::new(Table::Tenant).id(account).name(slug.as_str()).done()
}

/// All grants of an account, by tenant, each tenant's oldest first.
pub(super) fn grants(account: AccountId) -> Bytes {
    Builder::new(Table::Grant).id(account).done()
}

/// All grants of a tenant, oldest first.
pub(super) fn tenant_grants(account: AccountId, tenant: &TenantSlug) -> Bytes {
    Builder::new(Table::Grant).id(account).name(tenant.as_str()).done()
}

/// A grant's record.
pub(super) fn grant(account: AccountId, tenant: &TenantSlug, created_at: Timestamp, id: GrantId) -> Bytes {
    Builder::new(Table::Grant).id(account).name(tenant.as_str()).time(created_at).id(id).done()
}

/// Holds the position of a grant's record.
pub(super) fn grant_by_id(account: AccountId, id: GrantId) -> Bytes {
    Builder::new(Table::GrantById).id(account).id(id).done()
}

/// All workspaces' records.
pub(super) fn workspaces() -> Bytes {
    Builder::new(Table::Workspace).done()
}

/// A workspace's record.
pub(super) fn workspace(account: AccountId, id: WorkspaceId) -> Bytes {
    Builder::new(Table::Workspace).id(account).id(id).done()
}

/// The names of all workspaces of an account that are not deleted.
pub(super) fn workspace_names(account: AccountId) -> Bytes {
    Builder::new(Table::WorkspaceByName).id(account).done()
}

/// Holds the position of the workspace or snapshot that has this label and is not deleted.
pub(super) fn workspace_by_name(account: AccountId, label: &str) -> Bytes {
    Builder::new(Table::WorkspaceByName).id(account).name(label).done()
}

/// The names of all snapshots of a workspace.
pub(super) fn snapshot_names(account: AccountId, workspace: &WorkspaceName) -> Bytes {
    Builder::new(Table::WorkspaceByName).id(account).bytes(workspace.as_str().as_bytes()).byte(b'@').done()
}

/// The workspaces of a tenant that are not deleted.
pub(super) fn tenant_workspaces(account: AccountId, tenant: &TenantSlug) -> Bytes {
    Builder::new(Table::WorkspaceByTenant).id(account).name(tenant.as_str()).done()
}

/// Holds the position of the record of a tenant's workspace that is not deleted.
pub(super) fn workspace_by_tenant(account: AccountId, tenant: &TenantSlug, id: WorkspaceId) -> Bytes {
    Builder::new(Table::WorkspaceByTenant).id(account).name(tenant.as_str()).id(id).done()
}

/// The revocation logs of all accounts, each oldest first.
pub(super) fn revocations() -> Bytes {
    Builder::new(Table::Revocation).done()
}

/// One entry of an account's revocation log.
pub(super) fn revocation(account: AccountId, at: Timestamp, id: RevocationId) -> Bytes {
    Builder::new(Table::Revocation).id(account).time(at).id(id).done()
}

/// The audit trails of all accounts, each oldest first.
pub(super) fn audits() -> Bytes {
    Builder::new(Table::Audit).done()
}

/// An account's audit trail, oldest first.
pub(super) fn audit(account: AccountId) -> Bytes {
    Builder::new(Table::Audit).id(account).done()
}

/// One entry of an account's audit trail, or where one of this stamp would be.
pub(super) fn audit_event(account: AccountId, stamp: u64) -> Bytes {
    Builder::new(Table::Audit).id(account).bytes(&stamp.to_be_bytes()).done()
}

/// That an entry of this id is in the trail.
pub(super) fn audit_by_id(account: AccountId, id: AuditId) -> Bytes {
    Builder::new(Table::AuditById).id(account).id(id).done()
}

/// The ring of signing keys.
pub(super) fn signing_keys() -> Bytes {
    Builder::new(Table::SigningKeys).done()
}

/// The hash of the admin token.
pub(super) fn admin_token() -> Bytes {
    Builder::new(Table::AdminToken).done()
}

/// Which layout the keys have.
pub(super) fn layout() -> Bytes {
    Builder::new(Table::Layout).done()
}

/// One part of the answer kept for a repeated request; part 0 is its head.
pub(super) fn idempotency(slot: &[u8; 32], part: u16) -> Bytes {
    Builder::new(Table::Idempotency).bytes(slot).bytes(&part.to_be_bytes()).done()
}

/// All kept answers in the order in which they run out.
pub(super) fn idempotency_expiries() -> Bytes {
    Builder::new(Table::IdempotencyByExpiry).done()
}

/// All kept answers that run out at this instant or later.
pub(super) fn idempotency_expiries_from(at: Timestamp) -> Bytes {
    Builder::new(Table::IdempotencyByExpiry).time(at).done()
}

/// Says when a kept answer runs out. Behind the time stands the slot, and with it the shard.
pub(super) fn idempotency_expiry(at: Timestamp, slot: &[u8; 32]) -> Bytes {
    Builder::new(Table::IdempotencyByExpiry).time(at).bytes(slot).done()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_never_the_prefix_of_another() {
        let account = AccountId::from_bits(7);
        let slug = |text: &str| text.parse::<TenantSlug>().unwrap();
        let inner = grant(account, &slug("ab"), Timestamp::from_unix_ms(1), GrantId::from_bits(1));
        assert!(inner.starts_with(&tenant_grants(account, &slug("ab"))));
        assert!(!inner.starts_with(&tenant_grants(account, &slug("a"))));
        assert!(inner.starts_with(&grants(account)));
        assert!(!inner.starts_with(&grants(AccountId::from_bits(8))));
    }

    #[test]
    fn lists_are_in_the_order_of_creation() {
        let account = AccountId::from_bits(7);
        let at = |ms, id| key(account, Timestamp::from_unix_ms(ms), KeyId::from_bits(id));
        assert!(at(1, 9) < at(2, 1) && at(255, 9) < at(256, 1) && at(2, 1) < at(2, 2));
    }
}
