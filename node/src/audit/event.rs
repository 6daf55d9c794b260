use artifacts_core::name::{RuntimeId, TenantSlug};
use artifacts_core::revocation::Target;
use artifacts_core::session::Out;
use artifacts_core::ticket::Mode;
use artifacts_core::{AuditId, GrantId, KeyId, SessionId, TicketId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::context::Context;
use crate::records::{GrantRecord, KeyRecord, SessionRecord, SessionRight, TenantRecord, WorkspaceRecord};

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditKind {
    /// The account was made, with its first API key.
    AccountCreated,
    /// An API key was made.
    ApiKeyCreated,
    /// An API key was revoked.
    ApiKeyRevoked,
    /// A mesh credential was made.
    MeshCredentialCreated,
    /// A mesh credential was revoked.
    MeshCredentialRevoked,
    /// A tenant was made.
    TenantCreated,
    /// A tenant's quotas were changed.
    TenantChanged,
    /// A tenant was deleted.
    TenantDeleted,
    /// A workspace was made, also as a fork of another; or a snapshot of one, whose address is `handle/name@snapshot`.
    WorkspaceCreated,
    /// A workspace's quotas were changed.
    WorkspaceChanged,
    /// The deletion of a workspace or of a snapshot has begun.
    WorkspaceDeleted,
    /// What a deleted workspace, a deleted snapshot, or an attempt to make one held is gone.
    WorkspaceRemoved,
    /// A grant was made.
    GrantCreated,
    /// A grant was revoked.
    GrantRevoked,
    /// A mount ticket was issued.
    TicketIssued,
    /// A workspace was mounted.
    SessionOpened,
    /// It was unmounted in good order.
    SessionEnded,
    /// A session was ended by a call.
    SessionRevoked,
    /// The control nodes accept nothing of a session any more; `reason` says why.
    SessionFenced,
    /// Every call in the mount of a fenced session fails; `how` says how that is known.
    SessionOut,
    /// Everything that the account had handed out was revoked at once.
    EverythingRevoked,
}

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum By {
    /// Whoever bears this API key.
    ApiKey {
        /// Which.
        key_id: KeyId,
    },
    /// Whoever bears this mount ticket.
    Ticket {
        /// Which.
        ticket_id: TicketId,
    },
    /// Whoever bears the admin token.
    Operator,
    /// A control node, by itself.
    Node,
}

/// What was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RevokedRight)]
pub enum Revoked {
    /// The grant.
    Grant,
    /// The session itself.
    Session,
    /// The API key that opened it.
    ApiKey,
    /// The workspace, which is being deleted.
    Workspace,
    /// Everything that the account had handed out.
    Everything,
}

impl From<Target> for Revoked {
    fn from(target: Target) -> Self {
        match target {
            Target::Grant(_) => Self::Grant,
            Target::Session(_) => Self::Session,
            Target::Key(_) => Self::ApiKey,
            Target::Workspace(_) => Self::Workspace,
            Target::Account(_) => Self::Everything,
        }
    }
}

/// An entry of an account's audit trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditEvent)]
pub struct AuditEvent {
    /// `aud_…`
    #[schema(value_type = String)]
    pub id: AuditId,
    /// When, by the clock of the node that did it.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What has happened.
    pub kind: AuditKind,
    /// Who did it.
    #[schema(value_type = crate::api::AuditActorSchema)]
    pub by: By,
    /// Which workspace: `handle/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// What it is a copy of, as that was called then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied_from: Option<String>,
    /// For which tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tenant_slug: Option<TenantSlug>,
    /// For which of its runtimes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub runtime_id: Option<RuntimeId>,
    /// Which grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub grant_id: Option<GrantId>,
    /// Which ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub ticket_id: Option<TicketId>,
    /// Which session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub session_id: Option<SessionId>,
    /// Which API key it is about, or opened the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub key_id: Option<KeyId>,
    /// What may be done with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::api::ModeSchema>)]
    pub mode: Option<Mode>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// The machine that has mounted, as it calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Where it connected from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_addr: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of a session that was fenced: what it stood on that was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revoked>,
    /// Of a mount that is out: how that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::api::OutSchema>)]
    pub how: Option<Out>,
    /// Of a session that was fenced, and of its mount that is out: how many milliseconds after the revocation was recorded. If it
    /// ended without one, how many after it was fenced. By the clocks of the nodes, which may differ a little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<u64>,
}

impl AuditEvent {
    /// That something has happened now.
    pub(crate) fn now(context: &Context, kind: AuditKind, by: By) -> Self {
        Self {
            id: context.entropy.id(),
            at: context.clock.wall(),
            kind,
            by,
            workspace: None,
            copied_from: None,
            tenant_slug: None,
            runtime_id: None,
            grant_id: None,
            ticket_id: None,
            session_id: None,
            key_id: None,
            mode: None,
            expires_at: None,
            host: None,
            remote_addr: None,
            reason: None,
            revoked: None,
            how: None,
            after_ms: None,
        }
    }

    /// The same, of an API key.
    #[must_use]
    pub(crate) fn of_key(self, key: &KeyRecord) -> Self {
        let (workspace, tenant) = (key.scope.workspace.as_ref().map(ToString::to_string), key.scope.tenant.clone());
        Self { key_id: Some(key.id), workspace, tenant_slug: tenant, mode: key.scope.mode, expires_at: key.expires_at, ..self }
    }

    /// The same, of a tenant.
    #[must_use]
    pub(crate) fn of_tenant(self, tenant: &TenantRecord) -> Self {
        Self { tenant_slug: Some(tenant.slug.clone()), ..self }
    }

    /// The same, of a workspace.
    #[must_use]
    pub(crate) fn of_workspace(self, workspace: &WorkspaceRecord) -> Self {
        let copied_from = workspace.origin.as_ref().map(|origin| origin.address.clone());
        Self { workspace: Some(workspace.address()), copied_from, tenant_slug: workspace.tenant.clone(), ..self }
    }

    /// The same, of a grant.
    #[must_use]
    pub(crate) fn of_grant(self, grant: &GrantRecord) -> Self {
        Self {
            grant_id: Some(grant.id),
            workspace: Some(grant.workspace_name.clone()),
            tenant_slug: Some(grant.tenant.clone()),
            runtime_id: grant.runtime.clone(),
            mode: Some(grant.mode),
            expires_at: grant.expires_at,
            ..self
        }
    }

    /// The same, of a session.
    #[must_use]
    pub(crate) fn of_session(self, session: &SessionRecord) -> Self {
        let about = Self {
            session_id: Some(session.id),
            workspace: Some(session.workspace_name.clone()),
            mode: Some(session.mode),
            expires_at: session.expires_at,
            host: Some(session.host.clone()),
            remote_addr: Some(session.remote_addr.clone()),
            ..self
        };
        match &session.right {
            SessionRight::Ticket { ticket, grant, tenant, runtime } => Self {
                ticket_id: Some(*ticket),
                grant_id: Some(*grant),
                tenant_slug: Some(tenant.clone()),
                runtime_id: Some(runtime.clone()),
                ..about
            },
            SessionRight::Key { key } => Self { key_id: Some(*key), ..about },
        }
    }
}

impl By {
    /// Whoever has opened a session.
    pub(crate) fn holder(right: &SessionRight) -> Self {
        match right {
            SessionRight::Ticket { ticket, .. } => Self::Ticket { ticket_id: *ticket },
            SessionRight::Key { key } => Self::ApiKey { key_id: *key },
        }
    }
}
