use std::time::Duration;

use artifacts_core::name::{RuntimeId, SnapshotName, Subpath, TenantSlug, WorkspaceName};
use artifacts_core::revocation::{Issue, Target};
use artifacts_core::ticket::{Mode, TicketFile};
use artifacts_core::{GrantId, KeyId, SessionId, Timestamp};

use super::account_actor::AccountMessage;
use super::asked::Asker;
use super::grant_rules::{RevokeChoice, TicketWish};
use super::tenant_actor::{GrantWish, TenantMessage};
use super::{Control, ControlError};
use crate::records::{AccountRecord, GrantRecord};
use crate::sessions::{FenceReport, SessionStatus};

/// A grant as the API is asked for it.
#[derive(Debug, Clone)]
pub struct GrantOrder {
    /// To what.
    pub workspace: WorkspaceName,
    /// For whom.
    pub tenant: TenantSlug,
    /// Absent: for every runtime of the tenant.
    pub runtime: Option<RuntimeId>,
    /// How.
    pub mode: Mode,
    /// Below which directory.
    pub subpath: Option<Subpath>,
    /// From when it stands no more.
    pub expires_at: Option<Timestamp>,
}

/// A ticket as the API is asked for it.
#[derive(Debug, Clone)]
pub struct TicketOrder {
    /// To what.
    pub workspace: WorkspaceName,
    /// To which snapshot of that.
    pub snapshot: Option<SnapshotName>,
    /// For whom.
    pub tenant: TenantSlug,
    /// For which of its runtimes.
    pub runtime: RuntimeId,
    /// How.
    pub mode: Mode,
    /// Below which directory.
    pub subpath: Option<Subpath>,
    /// How long it lives.
    pub ttl_seconds: u64,
    /// Whether its session may outlive it.
    pub renewable: bool,
}

/// Who may mount what: grants, tickets, and taking them away with the sessions that stand on them.
impl Control {
    /// Grants a tenant, or one of its runtimes, a workspace.
    ///
    /// # Errors
    /// [`ControlError::WorkspaceNotFound`], [`ControlError::WorkspaceNotActive`], [`ControlError::TenantNotFound`], or
    /// the store's.
    pub async fn create_grant(&self, account: &AccountRecord, order: GrantOrder) -> Result<GrantRecord, ControlError> {
        let workspace = self.active_workspace(account, &order.workspace).await?;
        let tenant = self.tenant(account, &order.tenant).await?;
        let GrantOrder { runtime, mode, subpath, expires_at, .. } = order;
        let wish = GrantWish { workspace, runtime, mode, subpath, expires_at };
        self.inner.shared.ask_tenant(&tenant, Asker::new(self.by, account), |reply| TenantMessage::CreateGrant { wish, reply }).await
    }

    /// Signs a mount ticket, after making the tenant and a grant for the runtime if they are missing.
    ///
    /// # Errors
    /// [`ControlError::WorkspaceNotFound`], [`ControlError::WorkspaceNotActive`], or the store's.
    pub async fn create_ticket(&self, account: &AccountRecord, order: TicketOrder) -> Result<TicketFile, ControlError> {
        let workspace = self.active_place(account, &order.workspace, order.snapshot.as_ref()).await?;
        if workspace.snapshot().is_some() && order.mode != Mode::Ro {
            return Err(ControlError::Invalid { field: "mode", problem: "must be `ro`: a snapshot can only be read".to_owned() });
        }
        let TicketOrder { tenant, runtime, mode, subpath, ttl_seconds, renewable, .. } = order;
        let wish = TicketWish { workspace: workspace.id, runtime, mode, subpath, ttl_seconds, renewable };
        let attempt = async || {
            let tenant = match self.context().catalog.tenant(account.id, &tenant).await? {
                Some(found) => found,
                None => self.ask_account(account, |reply| AccountMessage::EnsureTenant { slug: tenant.clone(), reply }).await?,
            };
            let message = |reply| TenantMessage::CreateTicket { workspace: workspace.clone(), wish: wish.clone(), reply };
            self.inner.shared.ask_tenant(&tenant, Asker::new(self.by, account), message).await
        };
        match attempt().await {
            // Deleted since we looked: whoever asks for a ticket wants the tenant made.
            Err(ControlError::TenantNotFound(_)) => attempt().await,
            outcome => outcome,
        }
    }

    /// Revokes one grant and ends its sessions.
    ///
    /// # Errors
    /// [`ControlError::GrantNotFound`], also when it is revoked already, or the store's.
    pub async fn revoke_grant(
        &self,
        account: &AccountRecord,
        id: GrantId,
        wait: Duration,
    ) -> Result<(GrantRecord, FenceReport), ControlError> {
        let grant = self.grant(account, id).await?;
        let gone = |error| match error {
            // A tenant takes its grants with it.
            ControlError::TenantNotFound(_) => ControlError::GrantNotFound(id),
            error => error,
        };
        let tenant = self.tenant(account, &grant.tenant).await.map_err(gone)?;
        let revoked = self
            .inner
            .shared
            .ask_tenant(&tenant, Asker::new(self.by, account), |reply| TenantMessage::RevokeGrant { id, reply })
            .await
            .map_err(gone)?;
        let report = self.fence_grants(std::slice::from_ref(&revoked), wait).await;
        Ok((revoked, report))
    }

    /// Revokes the grants of a tenant that `choice` picks and ends their sessions.
    ///
    /// # Errors
    /// [`ControlError::TenantNotFound`], or the store's.
    pub async fn revoke_grants(
        &self,
        account: &AccountRecord,
        tenant: &TenantSlug,
        choice: RevokeChoice,
        wait: Duration,
    ) -> Result<(Vec<GrantRecord>, FenceReport), ControlError> {
        let tenant = self.tenant(account, tenant).await?;
        let grants = self
            .inner
            .shared
            .ask_tenant(&tenant, Asker::new(self.by, account), |reply| TenantMessage::RevokeGrants { choice, reply })
            .await?;
        let report = self.fence_grants(&grants, wait).await;
        Ok((grants, report))
    }

    /// Ends one session. Its ticket may open another one for as long as it lives.
    ///
    /// # Errors
    /// [`ControlError::SessionNotFound`], or the store's.
    pub async fn end_session(
        &self,
        account: &AccountRecord,
        id: SessionId,
        wait: Duration,
    ) -> Result<(SessionStatus, FenceReport), ControlError> {
        let session = self.session(account, id).await?;
        let record = Box::new(session.record.clone());
        self.ask_account(account, |reply| AccountMessage::RevokeSession { session: record, reply }).await?;
        Ok((session, self.fence([Target::Session(id)], wait).await))
    }

    /// Revokes everything that an account has handed out but one API key: all grants with their tickets, all sessions, and all
    /// other API keys. The cost of making that durable does not depend on how much it is.
    ///
    /// # Errors
    /// [`ControlError::KeyNotFound`] if the key that is to be kept is revoked meanwhile, or the store's.
    pub async fn revoke_everything(
        &self,
        account: &AccountRecord,
        but: KeyId,
        wait: Duration,
    ) -> Result<(AccountRecord, FenceReport), ControlError> {
        let account = self.ask_account(account, |reply| AccountMessage::RevokeEverything { but, reply }).await?;
        let ended = Issue { account: account.id, generation: account.generation.saturating_sub(1) };
        let report = self.fence([Target::Account(ended)], wait).await;
        Ok((account, report))
    }

    pub(super) async fn fence_grants(&self, grants: &[GrantRecord], wait: Duration) -> FenceReport {
        self.fence(grants.iter().map(|grant| Target::Grant(grant.id)), wait).await
    }

    pub(super) async fn fence(&self, targets: impl IntoIterator<Item = Target>, wait: Duration) -> FenceReport {
        self.inner.shared.revoker.fence(targets.into_iter().collect(), wait).await
    }
}
