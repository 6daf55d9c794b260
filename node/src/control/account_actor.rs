use std::sync::Arc;

use artifacts_core::cluster::Region;
use artifacts_core::name::{SnapshotName, TenantSlug, WorkspaceName};
use artifacts_core::revocation::Target;
use artifacts_core::{KeyId, SessionId, Timestamp, WorkspaceId};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use super::shared::Shared;
use super::tenant_actor::TenantMessage;
use super::{ControlError, NewKey, durable};
use crate::catalog::Records;
use crate::records::{AccountRecord, GrantRecord, KeyRecord, KeyScope, Origin, TenantRecord, WorkspaceRecord, WorkspaceStatus, label};
use crate::store::Batch;

type Reply<T> = RpcReplyPort<Result<T, ControlError>>;

/// What is asked of an account.
pub(super) enum AccountMessage {
    CreateKey {
        wish: KeyWish,
        reply: Reply<NewKey>,
    },
    RevokeKey {
        id: KeyId,
        is_mesh: bool,
        reply: Reply<KeyRecord>,
    },
    CreateTenant {
        wish: TenantWish,
        reply: Reply<TenantRecord>,
    },
    /// As `CreateTenant`, and content with the one that is there.
    EnsureTenant {
        slug: TenantSlug,
        reply: Reply<TenantRecord>,
    },
    DeleteTenant {
        slug: TenantSlug,
        reply: Reply<(TenantRecord, Vec<GrantRecord>)>,
    },
    CreateWorkspace {
        wish: WorkspaceWish,
        reply: Reply<WorkspaceRecord>,
    },
    /// Makes the record of a copy, whose data is to be copied next.
    BeginCopy {
        wish: CopyWish,
        reply: Reply<WorkspaceRecord>,
    },
    /// That has been done, or has failed.
    EndCopy {
        id: WorkspaceId,
        is_done: bool,
        reply: Reply<WorkspaceRecord>,
    },
    /// The workspace itself comes first in the answer, then its snapshots, which go with it.
    DeleteWorkspace {
        name: WorkspaceName,
        snapshot: Option<SnapshotName>,
        reply: Reply<Vec<WorkspaceRecord>>,
    },
    /// Its data is gone: gives the name free.
    FinishWorkspace {
        id: WorkspaceId,
        reply: Reply<()>,
    },
    RevokeSession {
        id: SessionId,
        reply: Reply<()>,
    },
}

/// An API key that is asked for.
#[derive(Debug, Clone, Default)]
pub struct KeyWish {
    /// For people.
    pub name: Option<String>,
    /// What it is confined to.
    pub scope: KeyScope,
    /// From when it opens nothing.
    pub expires_at: Option<Timestamp>,
}

/// A tenant that is asked for.
#[derive(Debug, Clone)]
pub struct TenantWish {
    /// Unique in the account.
    pub slug: TenantSlug,
    /// The platform's own id for it.
    pub external_id: Option<String>,
    /// Free.
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

/// A workspace that is asked for.
#[derive(Debug, Clone)]
pub struct WorkspaceWish {
    /// Unique in the account.
    pub name: WorkspaceName,
    /// Hard limit on bytes of data.
    pub quota_bytes: Option<u64>,
    /// Hard limit on inodes.
    pub quota_inodes: Option<u64>,
    /// Where its data lives: one of the cluster's regions.
    pub region: Region,
}

/// A copy of a workspace that is asked for: a fork, or a snapshot if it has such a name.
#[derive(Debug, Clone)]
pub struct CopyWish {
    /// Of what: a workspace or a snapshot.
    pub source: WorkspaceRecord,
    /// Its own name; of a snapshot that of the workspace.
    pub name: WorkspaceName,
    /// As which snapshot of it.
    pub snapshot: Option<SnapshotName>,
    /// Hard limit on bytes of data.
    pub quota_bytes: Option<u64>,
    /// Hard limit on inodes.
    pub quota_inodes: Option<u64>,
    /// Its id: it lies where its source does.
    pub(super) id: WorkspaceId,
}

impl CopyWish {
    /// A copy with the quotas of its source.
    pub fn new(source: WorkspaceRecord, name: WorkspaceName, snapshot: Option<SnapshotName>) -> Self {
        let (quota_bytes, quota_inodes) = (source.quota_bytes, source.quota_inodes);
        Self { id: source.id, source, name, snapshot, quota_bytes, quota_inodes }
    }
}

/// The only writer of one account's API keys, tenants and workspace names. Whatever it answers is durable.
///
/// It keeps nothing in memory: each message reads what it needs, so an error of the store leaves no doubt behind.
/// It may wait for a [`TenantActor`](super::tenant_actor::TenantActor), never the other way round.
pub(super) struct AccountActor;

pub(super) struct State {
    shared: Arc<Shared>,
    account: AccountRecord,
}

impl Actor for AccountActor {
    type Msg = AccountMessage;
    type State = State;
    type Arguments = (Arc<Shared>, AccountRecord);

    async fn pre_start(&self, _: ActorRef<AccountMessage>, (shared, account): Self::Arguments) -> Result<State, ActorProcessingErr> {
        Ok(State { shared, account })
    }

    async fn handle(&self, _: ActorRef<AccountMessage>, message: AccountMessage, state: &mut State) -> Result<(), ActorProcessingErr> {
        match message {
            AccountMessage::CreateKey { wish, reply } => answer(reply, state.create_key(wish).await),
            AccountMessage::RevokeKey { id, is_mesh, reply } => answer(reply, state.revoke_key(id, is_mesh).await),
            AccountMessage::CreateTenant { wish, reply } => answer(reply, state.create_tenant(wish).await),
            AccountMessage::EnsureTenant { slug, reply } => answer(reply, state.ensure_tenant(slug).await),
            AccountMessage::DeleteTenant { slug, reply } => answer(reply, state.delete_tenant(slug).await),
            AccountMessage::CreateWorkspace { wish, reply } => answer(reply, state.create_workspace(wish).await),
            AccountMessage::BeginCopy { wish, reply } => answer(reply, state.begin_copy(wish).await),
            AccountMessage::EndCopy { id, is_done, reply } => answer(reply, state.end_copy(id, is_done).await),
            AccountMessage::DeleteWorkspace { name, snapshot, reply } => {
                answer(reply, state.delete_workspace(&name, snapshot.as_ref()).await)
            }
            AccountMessage::FinishWorkspace { id, reply } => answer(reply, state.finish_workspace(id).await),
            AccountMessage::RevokeSession { id, reply } => answer(reply, state.revoke_session(id).await),
        }
        Ok(())
    }
}

fn answer<T>(reply: Reply<T>, outcome: Result<T, ControlError>) {
    // Nobody may be waiting any more, which changes nothing.
    let _ = reply.send(outcome);
}

impl State {
    async fn write(&self, batch: Batch) -> Result<(), ControlError> {
        Ok(durable::write(&self.shared.context, batch).await?)
    }

    async fn create_key(&self, wish: KeyWish) -> Result<NewKey, ControlError> {
        let context = &self.shared.context;
        let new = NewKey::draw(context, self.account.id, wish);
        let mut batch = Batch::new();
        batch.put_key(&new.record);
        self.write(batch).await?;
        Ok(new)
    }

    async fn revoke_key(&self, id: KeyId, is_mesh: bool) -> Result<KeyRecord, ControlError> {
        let context = &self.shared.context;
        let found = context.catalog.key(self.account.id, id).await?;
        let standing = |key: &KeyRecord| key.revoked_at.is_none() && key.scope.mesh == is_mesh;
        let mut key = found.filter(standing).ok_or(ControlError::KeyNotFound(id))?;
        key.revoked_at = Some(context.clock.wall());
        let mut batch = Batch::new();
        batch.change_key(&key);
        self.shared.revoker.revoke(self.account.id, [Target::Key(id)], batch).await?;
        Ok(key)
    }

    async fn create_tenant(&self, wish: TenantWish) -> Result<TenantRecord, ControlError> {
        let context = &self.shared.context;
        if context.catalog.tenant(self.account.id, &wish.slug).await?.is_some() {
            return Err(ControlError::TenantExists(wish.slug));
        }
        let tenant = TenantRecord {
            id: context.entropy.id(),
            account: self.account.id,
            slug: wish.slug,
            external_id: wish.external_id,
            metadata: wish.metadata,
            created_at: context.clock.wall(),
        };
        let mut batch = Batch::new();
        batch.put_tenant(&tenant);
        self.write(batch).await?;
        Ok(tenant)
    }

    async fn ensure_tenant(&self, slug: TenantSlug) -> Result<TenantRecord, ControlError> {
        match self.shared.context.catalog.tenant(self.account.id, &slug).await? {
            Some(tenant) => Ok(tenant),
            None => self.create_tenant(TenantWish { slug, external_id: None, metadata: None }).await,
        }
    }

    /// The tenant's actor does it, because its grants and the tenant must go together. This one waits, so nobody
    /// makes a tenant of the same slug meanwhile.
    async fn delete_tenant(&self, slug: TenantSlug) -> Result<(TenantRecord, Vec<GrantRecord>), ControlError> {
        let found = self.shared.context.catalog.tenant(self.account.id, &slug).await?;
        let tenant = found.ok_or(ControlError::TenantNotFound(slug))?;
        let grants = self.shared.ask_tenant(&tenant, |reply| TenantMessage::Close { reply }).await?;
        Ok((tenant, grants))
    }

    /// The root directory first, then the record: nobody sees a workspace that cannot be mounted. A crash in between
    /// leaves a root that no name leads to.
    async fn create_workspace(&self, wish: WorkspaceWish) -> Result<WorkspaceRecord, ControlError> {
        let context = &self.shared.context;
        let workspace = WorkspaceRecord {
            id: context.entropy.id(),
            account: self.account.id,
            handle: self.account.handle.clone(),
            name: wish.name,
            status: WorkspaceStatus::Active,
            abroad: wish.region != *context.regions.here(),
            region: wish.region.into(),
            quota_bytes: wish.quota_bytes,
            quota_inodes: wish.quota_inodes,
            origin: None,
            created_at: context.clock.wall(),
        };
        if context.catalog.workspace_by_name(self.account.id, &workspace.name, None).await?.is_some() {
            return Err(ControlError::WorkspaceExists(workspace.address()));
        }
        self.shared.data_plane.format(&workspace).await?;
        let mut batch = Batch::new();
        batch.put_workspace(&workspace);
        if let Some(region) = workspace.elsewhere() {
            // What this account's sessions are asked of, and what is revoked in it told to, from now on.
            let found = context.catalog.account(self.account.id).await?;
            let mut account = found.ok_or(ControlError::Interrupted)?;
            if account.abroad.insert(region) {
                batch.put_account(&account);
            }
        }
        self.write(batch).await?;
        Ok(workspace)
    }

    /// The record first, so that a copy which is interrupted is found and removed; nobody can use it before it is whole.
    async fn begin_copy(&self, wish: CopyWish) -> Result<WorkspaceRecord, ControlError> {
        let context = &self.shared.context;
        let found = context.catalog.workspace(self.account.id, wish.source.id).await?;
        let is_active = |source: &WorkspaceRecord| source.status == WorkspaceStatus::Active;
        let source = found.filter(is_active).ok_or_else(|| ControlError::WorkspaceNotActive(wish.source.address()))?;
        let copy = WorkspaceRecord {
            id: wish.id,
            account: self.account.id,
            handle: self.account.handle.clone(),
            name: wish.name,
            status: WorkspaceStatus::Creating,
            region: source.region.clone(),
            abroad: source.abroad,
            quota_bytes: wish.quota_bytes,
            quota_inodes: wish.quota_inodes,
            origin: Some(Origin { workspace: source.id, address: source.address(), snapshot: wish.snapshot }),
            created_at: context.clock.wall(),
        };
        if context.catalog.workspace_by_name(self.account.id, &copy.name, copy.snapshot()).await?.is_some() {
            let address = copy.address();
            return Err(if copy.snapshot().is_some() {
                ControlError::SnapshotExists(address)
            } else {
                ControlError::WorkspaceExists(address)
            });
        }
        let mut batch = Batch::new();
        batch.put_workspace(&copy);
        self.write(batch).await?;
        Ok(copy)
    }

    async fn end_copy(&self, id: WorkspaceId, is_done: bool) -> Result<WorkspaceRecord, ControlError> {
        let found = self.shared.context.catalog.workspace(self.account.id, id).await?;
        let mut copy = found.ok_or(ControlError::Interrupted)?;
        if copy.status != WorkspaceStatus::Creating {
            // Deleted meanwhile, with the workspace that it is a snapshot of.
            return Err(ControlError::WorkspaceNotActive(copy.address()));
        }
        copy.status = if is_done { WorkspaceStatus::Active } else { WorkspaceStatus::Deleting };
        let mut batch = Batch::new();
        batch.put_workspace(&copy);
        self.write(batch).await?;
        Ok(copy)
    }

    /// From the moment this answers no mount is admitted, of the workspace or of a snapshot of it. A workspace that is being
    /// deleted already is answered as it is, so the call can be repeated.
    async fn delete_workspace(&self, name: &WorkspaceName, snapshot: Option<&SnapshotName>) -> Result<Vec<WorkspaceRecord>, ControlError> {
        let catalog = &self.shared.context.catalog;
        let found = catalog.workspace_by_name(self.account.id, name, snapshot).await?;
        let address = || format!("{}/{}", self.account.handle, label(name, snapshot));
        let workspace = found.ok_or_else(|| match snapshot {
            Some(_) => ControlError::SnapshotNotFound(address()),
            None => ControlError::WorkspaceNotFound(address()),
        })?;
        let snapshots = if snapshot.is_some() { Vec::new() } else { catalog.all_snapshots(&workspace).await? };
        let mut going: Vec<WorkspaceRecord> = [workspace].into_iter().chain(snapshots).collect();
        let mut batch = Batch::new();
        let mut targets = Vec::new();
        for workspace in &mut going {
            if matches!(workspace.status, WorkspaceStatus::Creating | WorkspaceStatus::Active) {
                workspace.status = WorkspaceStatus::Deleting;
                batch.put_workspace(workspace);
                targets.push(Target::Workspace(workspace.id));
            }
        }
        if !targets.is_empty() {
            self.shared.revoker.revoke(self.account.id, targets, batch).await?;
        }
        Ok(going)
    }

    async fn finish_workspace(&self, id: WorkspaceId) -> Result<(), ControlError> {
        let found = self.shared.context.catalog.workspace(self.account.id, id).await?;
        if let Some(mut workspace) = found.filter(|workspace| workspace.status == WorkspaceStatus::Deleting) {
            workspace.status = WorkspaceStatus::Deleted;
            let mut batch = Batch::new();
            batch.put_workspace(&workspace);
            self.write(batch).await?;
        }
        Ok(())
    }

    async fn revoke_session(&self, id: SessionId) -> Result<(), ControlError> {
        self.shared.revoker.revoke(self.account.id, [Target::Session(id)], Batch::new()).await
    }
}
