use artifacts_core::name::{SnapshotName, TenantSlug, WorkspaceName};
use artifacts_core::{GrantId, SessionId, SnapshotId, WorkspaceId};

use super::{Control, ControlError};
use crate::records::{AccountRecord, GrantRecord, TenantRecord, WorkspaceRecord, WorkspaceStatus};
use crate::sessions::SessionStatus;

/// What an account has, by name or id. What it has not is an error.
impl Control {
    /// The workspace of this name, if it is in use.
    ///
    /// # Errors
    /// [`ControlError::WorkspaceNotFound`], [`ControlError::WorkspaceNotActive`], or the store's.
    pub async fn active_workspace(&self, account: &AccountRecord, name: &WorkspaceName) -> Result<WorkspaceRecord, ControlError> {
        active(self.workspace(account, name).await?)
    }

    /// As [`Control::active_workspace`], or a snapshot of it.
    ///
    /// # Errors
    /// As there; [`ControlError::SnapshotNotFound`].
    pub async fn active_place(
        &self,
        account: &AccountRecord,
        name: &WorkspaceName,
        snapshot: Option<&SnapshotName>,
    ) -> Result<WorkspaceRecord, ControlError> {
        match snapshot {
            None => self.active_workspace(account, name).await,
            Some(snapshot) => active(self.snapshot(account, name, snapshot).await?),
        }
    }

    /// A snapshot of a workspace, unless it is deleted.
    ///
    /// # Errors
    /// [`ControlError::WorkspaceNotFound`], [`ControlError::SnapshotNotFound`], or the store's.
    pub async fn snapshot(
        &self,
        account: &AccountRecord,
        name: &WorkspaceName,
        snapshot: &SnapshotName,
    ) -> Result<WorkspaceRecord, ControlError> {
        let workspace = self.workspace(account, name).await?;
        let catalog = &self.context().catalog;
        let found = match snapshot.as_str().parse::<SnapshotId>() {
            // A snapshot's id is that of the copy that it is.
            Ok(id) => catalog.workspace(account.id, WorkspaceId::from_bits(id.bits())).await?,
            Err(_) => catalog.workspace_by_name(account.id, name, Some(snapshot)).await?,
        };
        let is_its = |found: &WorkspaceRecord| {
            found.snapshot().is_some()
                && found.status != WorkspaceStatus::Deleted
                && found.origin.as_ref().is_some_and(|origin| origin.workspace == workspace.id)
        };
        found.filter(is_its).ok_or_else(|| ControlError::SnapshotNotFound(format!("{}@{snapshot}", workspace.address())))
    }

    /// The workspace of this name, unless it is deleted.
    ///
    /// # Errors
    /// [`ControlError::WorkspaceNotFound`], or the store's.
    pub async fn workspace(&self, account: &AccountRecord, name: &WorkspaceName) -> Result<WorkspaceRecord, ControlError> {
        let found = self.context().catalog.workspace_by_name(account.id, name, None).await?;
        found.ok_or_else(|| ControlError::WorkspaceNotFound(format!("{}/{name}", account.handle)))
    }

    /// The tenant of this slug.
    ///
    /// # Errors
    /// [`ControlError::TenantNotFound`], or the store's.
    pub async fn tenant(&self, account: &AccountRecord, slug: &TenantSlug) -> Result<TenantRecord, ControlError> {
        let found = self.context().catalog.tenant(account.id, slug).await?;
        found.ok_or_else(|| ControlError::TenantNotFound(slug.clone()))
    }

    /// A grant of the account, in whatever state.
    ///
    /// # Errors
    /// [`ControlError::GrantNotFound`], or the store's.
    pub async fn grant(&self, account: &AccountRecord, id: GrantId) -> Result<GrantRecord, ControlError> {
        let found = self.context().catalog.grant(account.id, id).await?;
        found.ok_or(ControlError::GrantNotFound(id))
    }

    /// A session of the account that is not over.
    ///
    /// # Errors
    /// [`ControlError::SessionNotFound`], or the store's.
    pub async fn session(&self, account: &AccountRecord, id: SessionId) -> Result<SessionStatus, ControlError> {
        let found = self.data_plane().session_of(account, id).await?;
        found.filter(|session| session.record.account == account.id).ok_or(ControlError::SessionNotFound(id))
    }
}

fn active(workspace: WorkspaceRecord) -> Result<WorkspaceRecord, ControlError> {
    if workspace.status == WorkspaceStatus::Active { Ok(workspace) } else { Err(ControlError::WorkspaceNotActive(workspace.address())) }
}
