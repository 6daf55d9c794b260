use std::sync::Arc;

use artifacts_core::name::{SnapshotName, TenantSlug, WorkspaceName};
use artifacts_core::revocation::{Issue, Target};
use artifacts_core::{KeyId, WorkspaceId};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use super::asked::{Asked, Asker};
use super::shared::Shared;
use super::tenant_actor::TenantMessage;
use super::wishes::{CopyWish, KeyWish, QuotaChange, TenantWish, WorkspaceWish};
use super::{ControlError, NewKey, durable, quota_rules};
use crate::audit::{AuditEvent, AuditKind};
use crate::catalog::Records;
use crate::records::{
    AccountRecord, GrantRecord, KeyRecord, Origin, Quotas, SessionRecord, TenantRecord, WorkspaceRecord, WorkspaceStatus, label,
};
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
    ChangeTenant {
        slug: TenantSlug,
        change: QuotaChange,
        reply: Reply<TenantRecord>,
    },
    CreateWorkspace {
        wish: WorkspaceWish,
        reply: Reply<WorkspaceRecord>,
    },
    ChangeWorkspace {
        name: WorkspaceName,
        change: QuotaChange,
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
        session: Box<SessionRecord>,
        reply: Reply<()>,
    },
    /// Revokes everything that the account has issued but this key.
    RevokeEverything {
        but: KeyId,
        reply: Reply<AccountRecord>,
    },
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
    type Msg = Asked<AccountMessage>;
    type State = State;
    type Arguments = (Arc<Shared>, AccountRecord);

    async fn pre_start(&self, _: ActorRef<Asked<AccountMessage>>, (shared, account): Self::Arguments) -> Result<State, ActorProcessingErr> {
        Ok(State { shared, account })
    }

    async fn handle(
        &self,
        _: ActorRef<Asked<AccountMessage>>,
        Asked { asker, message }: Asked<AccountMessage>,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            AccountMessage::CreateKey { wish, reply } => answer(reply, state.create_key(asker, wish).await),
            AccountMessage::RevokeKey { id, is_mesh, reply } => answer(reply, state.revoke_key(asker, id, is_mesh).await),
            AccountMessage::CreateTenant { wish, reply } => answer(reply, state.create_tenant(asker, wish).await),
            AccountMessage::EnsureTenant { slug, reply } => answer(reply, state.ensure_tenant(asker, slug).await),
            AccountMessage::DeleteTenant { slug, reply } => answer(reply, state.delete_tenant(asker, slug).await),
            AccountMessage::ChangeTenant { slug, change, reply } => answer(reply, state.change_tenant(asker, slug, change).await),
            AccountMessage::CreateWorkspace { wish, reply } => answer(reply, state.create_workspace(asker, wish).await),
            AccountMessage::ChangeWorkspace { name, change, reply } => answer(reply, state.change_workspace(asker, &name, change).await),
            AccountMessage::BeginCopy { wish, reply } => answer(reply, state.begin_copy(wish).await),
            AccountMessage::EndCopy { id, is_done, reply } => answer(reply, state.end_copy(asker, id, is_done).await),
            AccountMessage::DeleteWorkspace { name, snapshot, reply } => {
                answer(reply, state.delete_workspace(asker, &name, snapshot.as_ref()).await)
            }
            AccountMessage::FinishWorkspace { id, reply } => answer(reply, state.finish_workspace(asker, id).await),
            AccountMessage::RevokeSession { session, reply } => answer(reply, state.revoke_session(asker, &session).await),
            AccountMessage::RevokeEverything { but, reply } => answer(reply, state.revoke_everything(asker, but).await),
        }
        Ok(())
    }
}

fn answer<T>(reply: Reply<T>, outcome: Result<T, ControlError>) {
    // Nobody may be waiting any more, which changes nothing.
    let _ = reply.send(outcome);
}

impl State {
    /// Writes a change together with the entry of the audit trail that tells of it.
    async fn write(&self, event: AuditEvent, batch: Batch) -> Result<(), ControlError> {
        Ok(durable::write_noted(&self.shared.context, self.account.id, [event], batch).await?)
    }

    /// The account's record as it is now.
    async fn record(&self) -> Result<AccountRecord, ControlError> {
        self.shared.context.catalog.account(self.account.id).await?.ok_or(ControlError::Interrupted)
    }

    async fn create_key(&self, asker: Asker, wish: KeyWish) -> Result<NewKey, ControlError> {
        let context = &self.shared.context;
        let new = NewKey::draw(context, Issue { account: self.account.id, generation: asker.generation }, wish);
        let mut batch = Batch::new();
        batch.put_key(&new.record);
        let kind = if new.record.scope.mesh { AuditKind::MeshCredentialCreated } else { AuditKind::ApiKeyCreated };
        self.write(asker.event(context, kind).of_key(&new.record), batch).await?;
        Ok(new)
    }

    async fn revoke_key(&self, asker: Asker, id: KeyId, is_mesh: bool) -> Result<KeyRecord, ControlError> {
        let context = &self.shared.context;
        let found = context.catalog.key(self.account.id, id).await?;
        let generation = self.record().await?.generation;
        let standing = |key: &KeyRecord| key.revoked_at.is_none() && key.generation >= generation && key.scope.mesh == is_mesh;
        let mut key = found.filter(standing).ok_or(ControlError::KeyNotFound(id))?;
        key.revoked_at = Some(context.clock.wall());
        let mut batch = Batch::new();
        batch.change_key(&key);
        let kind = if is_mesh { AuditKind::MeshCredentialRevoked } else { AuditKind::ApiKeyRevoked };
        let event = asker.event(context, kind).of_key(&key);
        self.shared.revoker.revoke(self.account.id, [Target::Key(id)], [event], batch).await?;
        Ok(key)
    }

    async fn create_tenant(&self, asker: Asker, wish: TenantWish) -> Result<TenantRecord, ControlError> {
        let context = &self.shared.context;
        if context.catalog.tenant(self.account.id, &wish.slug).await?.is_some() {
            return Err(ControlError::TenantExists(wish.slug));
        }
        // Workspaces of an earlier tenant of this name are this one's.
        quota_rules::cover(wish.quotas, &context.catalog.tenant_workspaces(self.account.id, &wish.slug).await?)?;
        let tenant = TenantRecord {
            id: context.entropy.id(),
            account: self.account.id,
            slug: wish.slug,
            external_id: wish.external_id,
            metadata: wish.metadata,
            quotas: wish.quotas,
            created_at: context.clock.wall(),
        };
        let mut batch = Batch::new();
        batch.put_tenant(&tenant);
        self.write(asker.event(context, AuditKind::TenantCreated).of_tenant(&tenant), batch).await?;
        Ok(tenant)
    }

    async fn change_tenant(&self, asker: Asker, slug: TenantSlug, change: QuotaChange) -> Result<TenantRecord, ControlError> {
        let context = &self.shared.context;
        let found = context.catalog.tenant(self.account.id, &slug).await?;
        let mut tenant = found.ok_or_else(|| ControlError::TenantNotFound(slug.clone()))?;
        let quotas = change.of(tenant.quotas);
        quota_rules::cover(quotas, &context.catalog.tenant_workspaces(self.account.id, &slug).await?)?;
        if quotas != tenant.quotas {
            tenant.quotas = quotas;
            let mut batch = Batch::new();
            batch.put_tenant(&tenant);
            self.write(asker.event(context, AuditKind::TenantChanged).of_tenant(&tenant), batch).await?;
        }
        Ok(tenant)
    }

    async fn ensure_tenant(&self, asker: Asker, slug: TenantSlug) -> Result<TenantRecord, ControlError> {
        match self.shared.context.catalog.tenant(self.account.id, &slug).await? {
            Some(tenant) => Ok(tenant),
            None => self.create_tenant(asker, TenantWish { slug, external_id: None, metadata: None, quotas: Quotas::default() }).await,
        }
    }

    /// The tenant's actor does it, because its grants and the tenant must go together. This one waits, so nobody
    /// makes a tenant of the same slug meanwhile.
    async fn delete_tenant(&self, asker: Asker, slug: TenantSlug) -> Result<(TenantRecord, Vec<GrantRecord>), ControlError> {
        let found = self.shared.context.catalog.tenant(self.account.id, &slug).await?;
        let tenant = found.ok_or(ControlError::TenantNotFound(slug))?;
        let grants = self.shared.ask_tenant(&tenant, asker, |reply| TenantMessage::Close { reply }).await?;
        Ok((tenant, grants))
    }

    /// The root directory first, then the record: nobody sees a workspace that cannot be mounted. A crash in between
    /// leaves a root that no name leads to.
    async fn create_workspace(&self, asker: Asker, wish: WorkspaceWish) -> Result<WorkspaceRecord, ControlError> {
        let context = &self.shared.context;
        let workspace = WorkspaceRecord {
            id: context.entropy.id(),
            account: self.account.id,
            handle: self.account.handle.clone(),
            name: wish.name,
            status: WorkspaceStatus::Active,
            tenant: wish.tenant,
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
        self.fits(&workspace).await?;
        self.shared.data_plane.format(&workspace).await?;
        let mut batch = Batch::new();
        batch.put_workspace(&workspace);
        if let Some(region) = workspace.elsewhere() {
            // What this account's sessions are asked of, and what is revoked in it told to, from now on.
            let mut account = self.record().await?;
            if account.abroad.insert(region) {
                batch.put_account(&account);
            }
        }
        self.write(asker.event(context, AuditKind::WorkspaceCreated).of_workspace(&workspace), batch).await?;
        Ok(workspace)
    }

    /// Whether the workspace's tenant has room for its quotas beside what its other workspaces have been given.
    async fn fits(&self, workspace: &WorkspaceRecord) -> Result<(), ControlError> {
        let Some(slug) = &workspace.tenant else { return Ok(()) };
        let catalog = &self.shared.context.catalog;
        let tenant = catalog.tenant(self.account.id, slug).await?.ok_or_else(|| ControlError::TenantNotFound(slug.clone()))?;
        if tenant.quotas.is_none() {
            return Ok(());
        }
        let mut others = catalog.tenant_workspaces(self.account.id, slug).await?;
        others.retain(|other| other.id != workspace.id);
        Ok(quota_rules::fit(tenant.quotas, &others, workspace.quotas())?)
    }

    /// As [`State::fits`], of a workspace whose tenant may have been deleted: then that limits nothing.
    async fn still_fits(&self, workspace: &WorkspaceRecord) -> Result<(), ControlError> {
        match self.fits(workspace).await {
            Ok(()) | Err(ControlError::TenantNotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What it says is on record; the owner of the workspace is told next.
    async fn change_workspace(&self, asker: Asker, name: &WorkspaceName, change: QuotaChange) -> Result<WorkspaceRecord, ControlError> {
        let context = &self.shared.context;
        let found = context.catalog.workspace_by_name(self.account.id, name, None).await?;
        let mut workspace = found.ok_or_else(|| ControlError::WorkspaceNotFound(format!("{}/{name}", self.account.handle)))?;
        if workspace.status != WorkspaceStatus::Active {
            return Err(ControlError::WorkspaceNotActive(workspace.address()));
        }
        let before = workspace.quotas();
        let quotas = change.of(before);
        (workspace.quota_bytes, workspace.quota_inodes) = (quotas.bytes, quotas.inodes);
        self.still_fits(&workspace).await?;
        if quotas != before {
            let mut batch = Batch::new();
            batch.put_workspace(&workspace);
            self.write(asker.event(context, AuditKind::WorkspaceChanged).of_workspace(&workspace), batch).await?;
        }
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
            tenant: source.tenant.clone(),
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
        if copy.snapshot().is_none() {
            self.still_fits(&copy).await?;
        }
        let mut batch = Batch::new();
        batch.put_workspace(&copy);
        durable::write(context, batch).await?;
        Ok(copy)
    }

    /// The audit trail tells of a copy when there is one.
    async fn end_copy(&self, asker: Asker, id: WorkspaceId, is_done: bool) -> Result<WorkspaceRecord, ControlError> {
        let context = &self.shared.context;
        let found = context.catalog.workspace(self.account.id, id).await?;
        let mut copy = found.ok_or(ControlError::Interrupted)?;
        if copy.status != WorkspaceStatus::Creating {
            // Deleted meanwhile, with the workspace that it is a snapshot of.
            return Err(ControlError::WorkspaceNotActive(copy.address()));
        }
        copy.status = if is_done { WorkspaceStatus::Active } else { WorkspaceStatus::Deleting };
        let made = is_done.then(|| asker.event(context, AuditKind::WorkspaceCreated).of_workspace(&copy));
        let mut batch = Batch::new();
        batch.put_workspace(&copy);
        durable::write_noted(context, self.account.id, made, batch).await?;
        Ok(copy)
    }

    /// From the moment this answers no mount is admitted, of the workspace or of a snapshot of it. A workspace that is being
    /// deleted already is answered as it is, so the call can be repeated.
    async fn delete_workspace(
        &self,
        asker: Asker,
        name: &WorkspaceName,
        snapshot: Option<&SnapshotName>,
    ) -> Result<Vec<WorkspaceRecord>, ControlError> {
        let context = &self.shared.context;
        let catalog = &context.catalog;
        let found = catalog.workspace_by_name(self.account.id, name, snapshot).await?;
        let address = || format!("{}/{}", self.account.handle, label(name, snapshot));
        let workspace = found.ok_or_else(|| match snapshot {
            Some(_) => ControlError::SnapshotNotFound(address()),
            None => ControlError::WorkspaceNotFound(address()),
        })?;
        let snapshots = if snapshot.is_some() { Vec::new() } else { catalog.all_snapshots(&workspace).await? };
        let mut going: Vec<WorkspaceRecord> = [workspace].into_iter().chain(snapshots).collect();
        let mut batch = Batch::new();
        let (mut targets, mut events) = (Vec::new(), Vec::new());
        for workspace in &mut going {
            if matches!(workspace.status, WorkspaceStatus::Creating | WorkspaceStatus::Active) {
                workspace.status = WorkspaceStatus::Deleting;
                batch.put_workspace(workspace);
                targets.push(Target::Workspace(workspace.id));
                events.push(asker.event(context, AuditKind::WorkspaceDeleted).of_workspace(workspace));
            }
        }
        if !targets.is_empty() {
            self.shared.revoker.revoke(self.account.id, targets, events, batch).await?;
        }
        Ok(going)
    }

    async fn finish_workspace(&self, asker: Asker, id: WorkspaceId) -> Result<(), ControlError> {
        let found = self.shared.context.catalog.workspace(self.account.id, id).await?;
        if let Some(mut workspace) = found.filter(|workspace| workspace.status == WorkspaceStatus::Deleting) {
            workspace.status = WorkspaceStatus::Deleted;
            let mut batch = Batch::new();
            batch.put_workspace(&workspace);
            self.write(asker.event(&self.shared.context, AuditKind::WorkspaceRemoved).of_workspace(&workspace), batch).await?;
        }
        Ok(())
    }

    async fn revoke_session(&self, asker: Asker, session: &SessionRecord) -> Result<(), ControlError> {
        let event = asker.event(&self.shared.context, AuditKind::SessionRevoked).of_session(session);
        self.shared.revoker.revoke(self.account.id, [Target::Session(session.id)], [event], Batch::new()).await
    }

    /// One record of the log, whatever the account has issued. What it issues from now on is of the next generation, and so is
    /// the key that is kept, but not the sessions that were opened with it.
    async fn revoke_everything(&self, asker: Asker, but: KeyId) -> Result<AccountRecord, ControlError> {
        let context = &self.shared.context;
        let mut account = self.record().await?;
        let found = context.catalog.key(account.id, but).await?;
        let now = context.clock.wall();
        // Another such call may have come first, and taken it.
        let mut key = found.filter(|key| key.stands(&account, now)).ok_or(ControlError::KeyNotFound(but))?;
        let ended = account.issue();
        account.generation += 1;
        account.everything_revoked_at = Some(now);
        key.generation = account.generation;
        let mut batch = Batch::new();
        batch.put_account(&account);
        batch.change_key(&key);
        let event = asker.event(context, AuditKind::EverythingRevoked).of_key(&key);
        self.shared.revoker.revoke(account.id, [Target::Account(ended)], [event], batch).await?;
        Ok(account)
    }
}
