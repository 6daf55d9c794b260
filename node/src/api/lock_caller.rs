use std::sync::Arc;

use artifacts_core::name::Subpath;
use artifacts_core::ticket::{Mode, TicketClaims};
use artifacts_core::{AccountId, ErrorCode, Timestamp};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};

use super::caller::Caller;
use super::scope::{Action, Subject};
use super::workspaces::WorkspacePath;
use super::{ApiError, ApiState};
use crate::control::ControlError;
use crate::locks::LockRight;
use crate::records::{AccountRecord, GrantRecord, KeyRecord, WorkspaceRecord, WorkspaceStatus};
use crate::sessions::StandingTicket;

/// Who calls the locks of a workspace: an account through one of its keys, or a runtime with its mount ticket.
#[derive(Clone)]
pub(super) struct LockCaller {
    who: Who,
    /// The workspace that the owner of the account has found, if the call was passed on to the owner of the workspace.
    workspace: Option<Arc<WorkspaceRecord>>,
}

#[derive(Clone)]
enum Who {
    /// An account.
    Key(Caller),
    /// A runtime. It sees the workspace of its ticket and no other.
    Ticket(Arc<StandingTicket>),
}

/// Who calls the locks of which workspace, as the owner of the account has found: for the owner of the workspace.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Attested {
    who: AttestedWho,
    workspace: WorkspaceRecord,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum AttestedWho {
    Key(AccountRecord, KeyRecord),
    Ticket(TicketClaims, GrantRecord),
}

impl Attested {
    /// Which workspace.
    pub(crate) fn workspace(&self) -> &WorkspaceRecord {
        &self.workspace
    }
}

impl LockCaller {
    /// The bearer of a ticket that was found good.
    pub(super) fn of_ticket(ticket: StandingTicket) -> Self {
        Self { who: Who::Ticket(Arc::new(ticket)), workspace: None }
    }

    fn of_key(caller: Caller) -> Self {
        Self { who: Who::Key(caller), workspace: None }
    }

    /// Who calls, in a call that was passed on.
    pub(super) fn of_attested(attested: Attested) -> Self {
        let who = match attested.who {
            AttestedWho::Key(account, key) => Who::Key(Caller::new(account, key)),
            AttestedWho::Ticket(claims, grant) => Who::Ticket(Arc::new(StandingTicket { claims, grant })),
        };
        Self { who, workspace: Some(Arc::new(attested.workspace)) }
    }

    /// What to pass on with a call for this workspace.
    pub(super) fn attest(&self, workspace: WorkspaceRecord) -> Attested {
        let who = match &self.who {
            Who::Key(caller) => AttestedWho::Key(caller.account().clone(), caller.key().clone()),
            Who::Ticket(ticket) => AttestedWho::Ticket(ticket.claims.clone(), ticket.grant.clone()),
        };
        Attested { who, workspace }
    }

    /// The workspace that the path names, if the caller may do this with its locks: look at them and share them (`ro`), or
    /// have them alone (`rw`).
    ///
    /// # Errors
    /// `workspace_not_found` for whatever is not the caller's, `workspace_not_active`, `forbidden`.
    pub(super) async fn workspace(&self, state: &ApiState, path: &WorkspacePath, needed: Mode) -> Result<WorkspaceRecord, ApiError> {
        match &self.who {
            Who::Key(caller) => {
                let name = caller.own(Some(&path.handle), &path.name)?;
                let subject = Subject::workspace(name);
                caller.may(if needed == Mode::Ro { Action::Read(subject) } else { Action::Change(subject) })?;
                match &self.workspace {
                    Some(found) if found.name == *name => Ok(WorkspaceRecord::clone(found)),
                    Some(_) => Err(ControlError::WorkspaceNotFound(format!("{}/{}", path.handle, path.name)).into()),
                    None => Ok(state.control().active_workspace(caller.account(), name).await?),
                }
            }
            Who::Ticket(ticket) => {
                let found = match &self.workspace {
                    Some(found) => Some(WorkspaceRecord::clone(found)),
                    None => state.context().catalog.workspace(ticket.claims.account, ticket.claims.workspace).await?,
                };
                let named = found.filter(|workspace| workspace.handle == path.handle && workspace.name == path.name);
                let missing = || ControlError::WorkspaceNotFound(format!("{}/{}", path.handle, path.name));
                let workspace = named.filter(|workspace| workspace.status != WorkspaceStatus::Deleted).ok_or_else(missing)?;
                if workspace.status != WorkspaceStatus::Active {
                    return Err(ControlError::WorkspaceNotActive(workspace.address()).into());
                }
                if !ticket.claims.mode.allows(needed) {
                    return Err(ApiError::new(
                        ErrorCode::Forbidden,
                        "a ticket of mode `ro` only reads, and takes locks in mode `shared` only",
                    ));
                }
                Ok(workspace)
            }
        }
    }

    /// The directory that it sees as the root, from that of the workspace.
    pub(super) fn root(&self) -> Option<&Subpath> {
        match &self.who {
            Who::Key(_) => None,
            Who::Ticket(ticket) => ticket.claims.subpath.as_ref().or(ticket.grant.subpath.as_ref()),
        }
    }

    /// By what right it locks.
    pub(super) fn right(&self) -> LockRight {
        match &self.who {
            Who::Key(caller) => LockRight::Key { key: caller.key().id, issue: Some(caller.key().issue()) },
            Who::Ticket(ticket) => {
                LockRight::Ticket { ticket: ticket.claims.jti, grant: ticket.claims.grant, issue: Some(ticket.grant.issue()) }
            }
        }
    }

    /// When that right ends.
    pub(super) fn until(&self) -> Option<Timestamp> {
        match &self.who {
            Who::Key(caller) => caller.key().expires_at,
            Who::Ticket(ticket) => ticket.expires_at(),
        }
    }

    /// Whether it still stands, as far as this process knows. For calls that go on for long.
    pub(super) fn stands(&self, state: &ApiState) -> bool {
        let context = state.context();
        self.until().is_none_or(|until| context.clock.wall() < until) && self.right().stands(&context.revocations.read())
    }

    /// Whose cursors it follows.
    pub(super) fn account(&self) -> AccountId {
        match &self.who {
            Who::Key(caller) => caller.account().id,
            Who::Ticket(ticket) => ticket.claims.account,
        }
    }

    /// Whether it may do more than look and share.
    pub(super) fn writes(&self) -> bool {
        let mode = match &self.who {
            Who::Key(caller) => caller.key().scope.mode.unwrap_or(Mode::Rw),
            Who::Ticket(ticket) => ticket.claims.mode,
        };
        mode.allows(Mode::Rw)
    }

    /// Whether it is told who holds a lock by this right, and what gives power over it.
    pub(super) fn knows(&self, right: Option<LockRight>) -> bool {
        right == Some(self.right()) || (matches!(self.who, Who::Key(_)) && self.writes())
    }

    /// Whether it is told of locks on files: whoever sees only a part of them is not.
    pub(super) fn sees_files(&self) -> bool {
        match &self.who {
            Who::Key(_) => true,
            Who::Ticket(ticket) => ticket.claims.subpath.is_none() && ticket.grant.subpath.is_none(),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for LockCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        if let Some(caller) = parts.extensions.get::<Self>() {
            return Ok(caller.clone());
        }
        // The gate put one of them there; a route without the gate is a mistake of ours.
        parts.extensions.get::<Caller>().cloned().map(Self::of_key).ok_or_else(ApiError::internal)
    }
}
