use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use artifacts_core::cluster::Region;
use artifacts_core::name::{Handle, SnapshotName, TenantSlug, WorkspaceName};
use artifacts_core::revocation::Target;
use artifacts_core::{AccountId, KeyId, Timestamp};
use parking_lot::Mutex;
use ractor::RpcReplyPort;
use tokio::task::JoinSet;

use super::account_actor::{AccountActor, AccountMessage};
use super::asked::{Asked, Asker};
use super::revoker::Revoker;
use super::shared::{Shared, ask};
use super::wishes::{CopyWish, KeyWish, QuotaChange, TenantWish, WorkspaceWish};
use super::{ControlError, DataPlane, NewKey, admin_token, durable, housekeeping, signing, workspace_removal};
use crate::actors::Family;
use crate::audit::{AuditEvent, AuditKind, By};
use crate::catalog::Records;
use crate::context::SharedContext;
use crate::locks::Locks;
use crate::random::secret_matches;
use crate::records::{AccountRecord, GrantRecord, KeyRecord, TenantRecord, WorkspaceRecord, WorkspaceStatus};
use crate::sessions::FenceReport;
use crate::store::{Batch, StoreError};

/// Why the control plane did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file with the admin token cannot be read or written.
    #[error("the admin token cannot be kept in {}: {source}; make the data directory writable", path.display())]
    AdminToken {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The runtime is shutting down.
    #[error("the actors do not start: {0}")]
    Actors(#[from] ractor::SpawnErr),
}

/// The control plane of a node. Cheap to clone.
///
/// Reads go to the [`Catalog`](crate::catalog::Catalog) of the context. Every change goes through the actor of its
/// object and is durable when it is answered. A change has two steps, the actor's and the fence after it, so **a
/// future of this type that has been polled has to be driven to its end**: whoever serves clients that may hang up
/// runs it in a task of its own.
#[derive(Clone)]
pub struct Control {
    pub(super) inner: Arc<Inner>,
    pub(super) by: By,
}

pub(super) struct Inner {
    pub(super) shared: Arc<Shared>,
    accounts: Family<AccountId, Asked<AccountMessage>>,
    /// Handles are unique in the cluster: one account at a time is made.
    creating_account: tokio::sync::Mutex<()>,
    /// One key at a time is made to sign.
    pub(super) rotating: tokio::sync::Mutex<()>,
    tasks: Mutex<JoinSet<()>>,
}

impl Control {
    /// Puts into the context what signs and what is revoked. Comes before anything that admits sessions.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn load(context: &SharedContext) -> Result<(), StartError> {
        if context.is_home {
            signing::load(context).await?;
        }
        for revocation in context.catalog.revocations().await? {
            context.revocations.write().admit(revocation.record.clone());
            context.log.lock().push(revocation);
        }
        Ok(housekeeping::forget_revocations(context).await?)
    }

    /// Starts the control plane, after [`Control::load`]: the admin token, the actors, the workspaces whose removal was
    /// interrupted. The sessions that stand on something revoked are fenced again, in case the node died before it
    /// came to that.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(context: SharedContext, data_plane: impl DataPlane, locks: Locks) -> Result<Self, StartError> {
        if context.is_home {
            let hash = admin_token::load_or_make(&context).await?;
            *context.admin_token_hash.write() = Some(hash);
        }
        let targets = context.catalog.revocations().await?.into_iter().map(|signed| signed.record.target).collect();
        let data_plane: Arc<dyn DataPlane> = Arc::new(data_plane);
        let revoker = Revoker::new(context.clone(), data_plane.clone(), locks.clone());
        revoker.catch_up(targets).await;
        // The supervisor says what failed; each starts anew when next needed.
        let tenants = Family::start("tenant", |_| {}).await?;
        let accounts = Family::start("account", |_| {}).await?;
        let shared = Arc::new(Shared { context, data_plane, locks, revoker, tenants });
        let creating_account = tokio::sync::Mutex::new(());
        let inner = Arc::new(Inner { shared, accounts, creating_account, rotating: tokio::sync::Mutex::new(()), tasks: Mutex::default() });
        let control = Self { inner, by: By::Node };
        control.inner.tasks.lock().spawn(housekeeping::run(Arc::downgrade(&control.inner)));
        for mut workspace in control.context().catalog.unsettled_workspaces().await? {
            if workspace.status == WorkspaceStatus::Creating {
                // Whoever asked for the copy has not heard that it is there, nor will.
                workspace.status = WorkspaceStatus::Deleting;
                let mut batch = Batch::new();
                batch.put_workspace(&workspace);
                durable::write(control.context(), batch).await?;
            }
            control.remove_in_background(workspace);
        }
        Ok(control)
    }

    /// The same control plane for this caller: what it changes is put down to it in the audit trail.
    #[must_use]
    pub fn by(&self, by: By) -> Self {
        Self { inner: self.inner.clone(), by }
    }

    /// Stops the background work and the actors, each after the message it is at.
    pub async fn stop(&self) {
        self.inner.tasks.lock().abort_all();
        self.inner.accounts.stop().await;
        self.inner.shared.tenants.stop().await;
    }

    /// What the control plane shares with the rest of the node.
    pub fn context(&self) -> &SharedContext {
        &self.inner.shared.context
    }

    /// The sessions and workspaces in use.
    pub fn data_plane(&self) -> &dyn DataPlane {
        &*self.inner.shared.data_plane
    }

    /// The locks of all workspaces.
    pub fn locks(&self) -> &Locks {
        &self.inner.shared.locks
    }

    /// Whether this is the admin token, in constant time.
    pub fn is_admin_token(&self, token: &str) -> bool {
        let context = self.context();
        context.admin_token_hash.read().is_some_and(|hash| secret_matches(token, &hash)) || context.abroad.read().is_admin_token(token)
    }

    /// Replaces the key that signs tickets, and answers its name and from when it signs. For the control plane of the shard in
    /// which the keys of the region lie.
    ///
    /// # Errors
    /// The store's.
    pub async fn rotate_signing_key(&self) -> Result<(String, Timestamp), ControlError> {
        if !self.context().is_home {
            return Err(ControlError::Interrupted);
        }
        let _one_at_a_time = self.inner.rotating.lock().await;
        Ok(signing::rotate(self.context()).await?)
    }

    /// Makes an account with its first API key.
    ///
    /// # Errors
    /// [`ControlError::HandleExists`], or the store's.
    pub async fn create_account(&self, handle: Handle) -> Result<(AccountRecord, NewKey), ControlError> {
        let _one_at_a_time = self.inner.creating_account.lock().await;
        let context = self.context();
        let is_free = !context.catalog.is_taken(&handle).await?
            // In the region that keeps the handles of all.
            && context.catalog.handle_claim(&handle).await?.is_none()
            && self.data_plane().claim_handle(&handle).await?;
        if !is_free {
            return Err(ControlError::HandleExists(handle));
        }
        // An account lies where its handle does, so both are written together.
        let shards = context.store.shards();
        let home = shards.of_bytes(handle.as_str().as_bytes());
        let id = shards.draw_beside(home, || context.entropy.id(), |id: &AccountId| shards.of(*id));
        let account = AccountRecord {
            id,
            handle,
            abroad: BTreeSet::new(),
            generation: 0,
            everything_revoked_at: None,
            created_at: context.clock.wall(),
        };
        let key = NewKey::draw(context, account.issue(), KeyWish::default());
        let mut batch = Batch::new();
        batch.put_account(&account);
        batch.put_key(&key.record);
        let event = AuditEvent::now(context, AuditKind::AccountCreated, self.by).of_key(&key.record);
        durable::write_noted(context, account.id, [event], batch).await?;
        Ok((account, key))
    }

    /// Keeps a handle for another region, where an account of this name is to be made. False if it is taken. The same region may
    /// claim it again: it knows itself whether it has that account.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn claim_handle(&self, handle: &Handle, region: &Region) -> Result<bool, ControlError> {
        let _one_at_a_time = self.inner.creating_account.lock().await;
        let context = self.context();
        if context.catalog.is_taken(handle).await? {
            return Ok(false);
        }
        if let Some(known) = context.catalog.handle_claim(handle).await? {
            return Ok(known == *region);
        }
        let mut batch = Batch::new();
        batch.put_handle_claim(handle, region);
        durable::write(context, batch).await?;
        Ok(true)
    }

    /// Makes an API key.
    ///
    /// # Errors
    /// The store's.
    pub async fn create_key(&self, account: &AccountRecord, wish: KeyWish) -> Result<NewKey, ControlError> {
        self.ask_account(account, |reply| AccountMessage::CreateKey { wish, reply }).await
    }

    /// Revokes an API key and ends the sessions that were opened with it, or a mesh credential if `is_mesh`.
    ///
    /// # Errors
    /// [`ControlError::KeyNotFound`], also for one of the other kind, or the store's.
    pub async fn revoke_key(
        &self,
        account: &AccountRecord,
        id: KeyId,
        is_mesh: bool,
        wait: Duration,
    ) -> Result<(KeyRecord, FenceReport), ControlError> {
        let key = self.ask_account(account, |reply| AccountMessage::RevokeKey { id, is_mesh, reply }).await?;
        Ok((key, self.fence([Target::Key(id)], wait).await))
    }

    /// Makes a tenant.
    ///
    /// # Errors
    /// [`ControlError::TenantExists`], or the store's.
    pub async fn create_tenant(&self, account: &AccountRecord, wish: TenantWish) -> Result<TenantRecord, ControlError> {
        self.ask_account(account, |reply| AccountMessage::CreateTenant { wish, reply }).await
    }

    /// Deletes a tenant, revokes all its grants and ends their sessions. Its revoked grants are given, too.
    ///
    /// # Errors
    /// [`ControlError::TenantNotFound`], or the store's.
    pub async fn delete_tenant(
        &self,
        account: &AccountRecord,
        slug: TenantSlug,
        wait: Duration,
    ) -> Result<(TenantRecord, Vec<GrantRecord>, FenceReport), ControlError> {
        let (tenant, grants) = self.ask_account(account, |reply| AccountMessage::DeleteTenant { slug, reply }).await?;
        let report = self.fence_grants(&grants, wait).await;
        Ok((tenant, grants, report))
    }

    /// Changes a tenant's quotas.
    ///
    /// # Errors
    /// [`ControlError::TenantNotFound`], [`ControlError::QuotaGiven`], or the store's.
    pub async fn change_tenant(
        &self,
        account: &AccountRecord,
        slug: TenantSlug,
        change: QuotaChange,
    ) -> Result<TenantRecord, ControlError> {
        self.ask_account(account, |reply| AccountMessage::ChangeTenant { slug, change, reply }).await
    }

    /// Changes a workspace's quotas. When this returns no mount goes by the earlier ones. One that failed may be made again.
    ///
    /// # Errors
    /// [`ControlError::WorkspaceNotFound`], [`ControlError::WorkspaceNotActive`], those of
    /// [`quota_rules::fit`](super::quota_rules::fit), or the store's.
    pub async fn change_workspace(
        &self,
        account: &AccountRecord,
        name: WorkspaceName,
        change: QuotaChange,
    ) -> Result<WorkspaceRecord, ControlError> {
        let workspace = self.ask_account(account, |reply| AccountMessage::ChangeWorkspace { name, change, reply }).await?;
        self.data_plane().set_quotas(&workspace).await?;
        Ok(workspace)
    }

    /// Makes a workspace, ready to be mounted.
    ///
    /// # Errors
    /// [`ControlError::WorkspaceExists`], or the store's.
    pub async fn create_workspace(&self, account: &AccountRecord, wish: WorkspaceWish) -> Result<WorkspaceRecord, ControlError> {
        self.ask_account(account, |reply| AccountMessage::CreateWorkspace { wish, reply }).await
    }

    /// Ends all sessions of a workspace and begins to remove its data; the name is free once that is done. One that is
    /// being deleted already is answered as it is.
    ///
    /// # Errors
    /// [`ControlError::WorkspaceNotFound`], or the store's.
    pub async fn delete_workspace(
        &self,
        account: &AccountRecord,
        name: WorkspaceName,
        wait: Duration,
    ) -> Result<(WorkspaceRecord, FenceReport), ControlError> {
        self.delete(account, name, None, wait).await
    }

    /// As [`Control::delete_workspace`], of a snapshot.
    ///
    /// # Errors
    /// [`ControlError::SnapshotNotFound`], or the store's.
    pub async fn delete_snapshot(
        &self,
        account: &AccountRecord,
        name: WorkspaceName,
        snapshot: SnapshotName,
        wait: Duration,
    ) -> Result<(WorkspaceRecord, FenceReport), ControlError> {
        self.delete(account, name, Some(snapshot), wait).await
    }

    async fn delete(
        &self,
        account: &AccountRecord,
        name: WorkspaceName,
        snapshot: Option<SnapshotName>,
        wait: Duration,
    ) -> Result<(WorkspaceRecord, FenceReport), ControlError> {
        let mut going = self.ask_account(account, |reply| AccountMessage::DeleteWorkspace { name, snapshot, reply }).await?;
        let report = self.fence(going.iter().map(|workspace| Target::Workspace(workspace.id)), wait).await;
        for workspace in &going {
            self.remove_in_background(workspace.clone());
        }
        Ok((going.swap_remove(0), report))
    }

    /// Makes a fork or a snapshot: a workspace that holds what its source holds at some moment of this call, after all that mounts
    /// had done before it.
    ///
    /// # Errors
    /// [`ControlError::WorkspaceExists`], [`ControlError::SnapshotExists`], [`ControlError::WorkspaceNotActive`], or the store's.
    pub async fn copy_workspace(&self, account: &AccountRecord, wish: CopyWish) -> Result<WorkspaceRecord, ControlError> {
        let source = wish.source.clone();
        let wish = CopyWish { id: self.data_plane().id_beside(&source).await?, ..wish };
        let copy = self.ask_account(account, |reply| AccountMessage::BeginCopy { wish, reply }).await?;
        let id = copy.id;
        match self.data_plane().copy(&source, &copy).await {
            Ok(()) => self.ask_account(account, |reply| AccountMessage::EndCopy { id, is_done: true, reply }).await,
            Err(error) => {
                tracing::warn!(workspace = %source.id, copy = %id, %error, "a workspace could not be copied");
                let failed = self.ask_account(account, |reply| AccountMessage::EndCopy { id, is_done: false, reply }).await?;
                self.remove_in_background(failed);
                Err(error.into())
            }
        }
    }

    /// Gives a workspace's name free: its data is gone.
    pub(super) async fn finish_workspace(&self, workspace: &WorkspaceRecord) -> Result<(), ControlError> {
        let found = self.context().catalog.account(workspace.account).await?;
        let account = found.ok_or(ControlError::Interrupted)?;
        self.ask_account(&account, |reply| AccountMessage::FinishWorkspace { id: workspace.id, reply }).await
    }

    fn remove_in_background(&self, workspace: WorkspaceRecord) {
        let mut tasks = self.inner.tasks.lock();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(workspace_removal::run(self.clone(), workspace));
    }

    pub(super) async fn ask_account<T: Send + 'static>(
        &self,
        account: &AccountRecord,
        message: impl FnOnce(RpcReplyPort<Result<T, ControlError>>) -> AccountMessage,
    ) -> Result<T, ControlError> {
        let started = self.inner.accounts.get_or_start(account.id, AccountActor, (self.inner.shared.clone(), account.clone())).await;
        let actor = started.map_err(|error| {
            tracing::warn!(account = %account.id, %error, "an account's actor does not start");
            ControlError::Interrupted
        })?;
        ask(&actor, Asker::new(self.by, account), message).await
    }
}
