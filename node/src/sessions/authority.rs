use artifacts_core::cluster::Region;
use artifacts_core::name::{Subpath, WorkspaceAddress};
use artifacts_core::protocol::{Opening, Refusal};
use artifacts_core::revocation::Standing;
use artifacts_core::ticket::Mode;
use artifacts_core::{AccountId, ErrorCode, Timestamp, WorkspaceId};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::opening::{refuse, unavailable};
use super::standing_ticket::{StandingTicket, TicketRefusal, standing_ticket};
use crate::audit::AuditEvent;
use crate::catalog::KeyPosition;
use crate::context::SharedContext;
use crate::records::{SessionRecord, SessionRight, WorkspaceRecord, WorkspaceStatus};
use crate::store::StoreError;

/// What a credential allows, before there is a session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Right {
    /// The region of the account, if it is not that of whoever asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_region: Option<Region>,
    /// What may be mounted.
    pub workspace: WorkspaceRecord,
    /// By what right.
    pub right: SessionRight,
    /// Of which generation that is; see [`AccountRecord::generation`](crate::records::AccountRecord::generation).
    #[serde(default)]
    pub generation: u64,
    /// How.
    pub mode: Mode,
    /// Below which directory.
    pub subpath: Option<Subpath>,
    /// Until when.
    pub expires_at: Option<Timestamp>,
}

/// Who knows what rights there are: the owner of the account, which may be another node than that of the workspace.
pub trait Authority: Send + Sync + 'static {
    /// What a ticket or a key opens.
    fn right<'a>(&'a self, opening: &'a Opening) -> BoxFuture<'a, Result<Right, Refusal>>;

    /// That what a session stands on stands now, and its workspace.
    fn confirm<'a>(&'a self, session: &'a SessionRecord, standing: &'a Standing) -> BoxFuture<'a, Result<WorkspaceRecord, Refusal>>;

    /// Puts entries into an account's audit trail, durably, each once however often it is told. The region is that of the
    /// account, if it is another one.
    fn record<'a>(
        &'a self,
        account: AccountId,
        region: Option<&'a Region>,
        events: &'a [AuditEvent],
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Whether everything that was revoked in a session's account until a moment ago is known here. If not, no session of it is
    /// vouched for.
    fn is_current(&self, session: &SessionRecord) -> bool;
}

/// The authority over accounts that lie in this process' own store.
pub struct LocalAuthority {
    context: SharedContext,
    key: Option<KeyPosition>,
}

impl LocalAuthority {
    /// Over the accounts in the context's store.
    pub fn new(context: SharedContext) -> Self {
        Self { context, key: None }
    }

    /// The same, where the API key that is shown is known to be on record there.
    pub(crate) fn with_key_at(self, position: KeyPosition) -> Self {
        Self { key: Some(position), ..self }
    }

    async fn right_of_ticket(&self, token: &str) -> Result<Right, Refusal> {
        let ticket = standing_ticket(&self.context, token).await.map_err(|refusal| match refusal {
            TicketRefusal::Store(error) => unavailable(error),
            refusal => refuse(ErrorCode::Unauthorized, refusal.to_string()),
        })?;
        let expires_at = ticket.expires_at();
        let StandingTicket { claims, grant } = ticket;
        Ok(Right {
            account_region: None,
            workspace: self.active_workspace(claims.account, claims.workspace).await?,
            right: SessionRight::Ticket { ticket: claims.jti, grant: claims.grant, tenant: claims.tenant, runtime: claims.runtime },
            generation: grant.generation,
            mode: claims.mode,
            subpath: claims.subpath.or(grant.subpath),
            expires_at,
        })
    }

    async fn right_of_key(&self, secret: &str, address: &WorkspaceAddress, mode: Mode, subpath: Option<Subpath>) -> Result<Right, Refusal> {
        let context = &self.context;
        let now = context.clock.wall();
        let unauthorized = || refuse(ErrorCode::Unauthorized, "the API key is unknown, expired or revoked");
        let found = match &self.key {
            Some(position) => context.catalog.key_at(position, secret).await,
            None => context.catalog.key_by_secret(secret).await,
        };
        let key = found.map_err(unavailable)?.ok_or_else(unauthorized)?;
        let account = context.catalog.account(key.account).await.map_err(unavailable)?.ok_or_else(unauthorized)?;
        if !key.stands(&account, now) {
            return Err(unauthorized());
        }
        // A snapshot can only be read, whatever was asked for.
        let mode = if address.snapshot.is_some() { Mode::Ro } else { mode };
        let scope = &key.scope;
        let in_scope = !scope.mesh
            && scope.tenant.is_none()
            && scope.mode.is_none_or(|allowed| allowed.allows(mode))
            && scope.workspace.as_ref().is_none_or(|allowed| allowed.name == address.name);
        if !in_scope {
            return Err(refuse(ErrorCode::Forbidden, "the API key's scope does not allow this mount"));
        }
        let missing = || refuse(ErrorCode::WorkspaceNotFound, format!("there is no workspace `{address}`"));
        if address.handle.as_ref().is_some_and(|handle| *handle != account.handle) {
            return Err(missing());
        }
        let found = context.catalog.workspace_by_name(account.id, &address.name, address.snapshot.as_ref()).await;
        let workspace = found.map_err(unavailable)?.ok_or_else(missing)?;
        Ok(Right {
            account_region: None,
            workspace: self.active_workspace(account.id, workspace.id).await?,
            right: SessionRight::Key { key: key.id },
            generation: key.generation,
            mode,
            subpath,
            expires_at: key.expires_at,
        })
    }

    pub(crate) async fn active_workspace(&self, account: AccountId, id: WorkspaceId) -> Result<WorkspaceRecord, Refusal> {
        let record = self.context.catalog.workspace(account, id).await.map_err(unavailable)?;
        match record {
            Some(record) if record.status == WorkspaceStatus::Active => Ok(record),
            Some(record) if matches!(record.status, WorkspaceStatus::Creating | WorkspaceStatus::Deleting) => {
                Err(refuse(ErrorCode::WorkspaceNotActive, "the workspace is being made or deleted"))
            }
            _ => Err(refuse(ErrorCode::WorkspaceNotFound, "the workspace does not exist any more")),
        }
    }
}

impl Authority for LocalAuthority {
    fn right<'a>(&'a self, opening: &'a Opening) -> BoxFuture<'a, Result<Right, Refusal>> {
        async move {
            match opening {
                Opening::Ticket { token } => self.right_of_ticket(token).await,
                Opening::ApiKey { key, workspace, mode, subpath } => self.right_of_key(key, workspace, *mode, subpath.clone()).await,
                Opening::Resume { .. } => Err(refuse(ErrorCode::InvalidRequest, "a session that is resumed has its right")),
            }
        }
        .boxed()
    }

    fn confirm<'a>(&'a self, session: &'a SessionRecord, standing: &'a Standing) -> BoxFuture<'a, Result<WorkspaceRecord, Refusal>> {
        self.active_workspace(session.account, standing.workspace).boxed()
    }

    fn record<'a>(&'a self, account: AccountId, _: Option<&'a Region>, events: &'a [AuditEvent]) -> BoxFuture<'a, Result<(), StoreError>> {
        self.context.audit.take(&self.context, account, events).boxed()
    }

    /// Whoever owns the workspace here owns the account as well, and revocations are in the register when they are answered.
    fn is_current(&self, _: &SessionRecord) -> bool {
        true
    }
}
