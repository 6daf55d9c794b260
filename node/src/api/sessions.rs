use artifacts_core::name::{RuntimeId, TenantSlug, WorkspaceAddress};
use artifacts_core::session::Phase;
use artifacts_core::ticket::Mode;
use artifacts_core::{GrantId, KeyId, SessionId, TicketId, Timestamp};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::Caller;
use super::error::ErrorBody;
use super::fenced::{FencedSessions, WaitQuery};
use super::page::{self, PageBody};
use super::path::PathParams;
use super::query::QueryParams;
use super::schema::ModeSchema;
use super::scope::{Action, Subject};
use super::{ApiError, ApiState};
use crate::catalog::{ListError, ListKind, Page};
use crate::records::{SessionRecord, SessionRight};
use crate::sessions::SessionStatus;

/// A mount.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Session {
    /// `ses_…`
    #[schema(value_type = String, pattern = "^ses_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    id: SessionId,
    /// `handle/name`.
    workspace: String,
    /// For whom; absent when it was opened with an API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
    tenant_slug: Option<TenantSlug>,
    /// In which runtime.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z0-9._:-]{1,128}$")]
    runtime_id: Option<RuntimeId>,
    /// The grant that it stands on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^grt_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    grant_id: Option<GrantId>,
    /// The ticket that opened it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^tkt_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    ticket_id: Option<TicketId>,
    /// The API key that opened it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^key_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    key_id: Option<KeyId>,
    /// What it may do.
    #[schema(value_type = ModeSchema)]
    mode: Mode,
    /// The machine, as it calls itself.
    host: String,
    /// The agent's name and version.
    agent: String,
    /// Where it connected from.
    remote_addr: String,
    /// Whether its agent was heard within the lease.
    state: SessionState,
    /// Whether its stream is up.
    connected: bool,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    opened_at: Timestamp,
    /// When its agent was heard last.
    #[schema(value_type = String, format = DateTime)]
    last_heard_at: Timestamp,
    /// Until when it is kept if its agent is not heard again; then somebody else may have its place.
    #[schema(value_type = String, format = DateTime)]
    lease_ends_at: Timestamp,
    /// When it ends whatever happens.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// Where a session stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum SessionState {
    /// Its agent was heard within the lease.
    Live,
    /// Not heard for a lease; it may come back as long as nobody was given its place.
    Lapsed,
}

impl Session {
    /// A session as it stands, on a node with this lease.
    fn of(status: SessionStatus, lease_ms: u64) -> Self {
        let record = status.record;
        let (tenant_slug, runtime_id, grant_id, ticket_id, key_id) = match record.right {
            SessionRight::Ticket { ticket, grant, tenant, runtime } => (Some(tenant), Some(runtime), Some(grant), Some(ticket), None),
            SessionRight::Key { key } => (None, None, None, None, Some(key)),
        };
        Self {
            id: record.id,
            workspace: record.workspace_name,
            tenant_slug,
            runtime_id,
            grant_id,
            ticket_id,
            key_id,
            mode: record.mode,
            host: record.host,
            agent: record.agent,
            remote_addr: record.remote_addr,
            state: if status.phase == Phase::Lapsed { SessionState::Lapsed } else { SessionState::Live },
            connected: status.connected,
            opened_at: record.opened_at,
            last_heard_at: status.last_heard_at,
            lease_ends_at: status.last_heard_at.plus_ms(lease_ms),
            expires_at: record.expires_at,
        }
    }
}

/// Which sessions are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SessionsQuery {
    /// Those of this tenant.
    #[param(value_type = Option<String>, pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
    tenant_slug: Option<TenantSlug>,
    /// Those of this runtime.
    #[param(value_type = Option<String>, pattern = "^[A-Za-z0-9._:-]{1,128}$")]
    runtime_id: Option<RuntimeId>,
    /// Those of this workspace: `name`, `handle/name` or `artifacts://handle/name`.
    #[param(value_type = Option<String>)]
    workspace: Option<WorkspaceAddress>,
    /// How many items; 50 unless given. At most 200 are given, however many are asked for.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

impl SessionsQuery {
    fn picks(&self, session: &SessionRecord, workspace: Option<&str>) -> bool {
        let (tenant, runtime) = match &session.right {
            SessionRight::Ticket { tenant, runtime, .. } => (Some(tenant), Some(runtime)),
            SessionRight::Key { .. } => (None, None),
        };
        workspace.is_none_or(|workspace| session.workspace_name == workspace)
            && self.tenant_slug.as_ref().is_none_or(|wanted| tenant == Some(wanted))
            && self.runtime_id.as_ref().is_none_or(|wanted| runtime == Some(wanted))
    }
}

/// A session's place in the list: oldest first.
fn position(session: &SessionRecord) -> [u8; 24] {
    let mut position = [0; 24];
    position[..8].copy_from_slice(&session.opened_at.unix_ms().to_be_bytes());
    position[8..].copy_from_slice(&session.id.bits().to_be_bytes());
    position
}

/// Lists the sessions that are not over, oldest first: who has what mounted, from where, since when, last heard.
#[utoipa::path(get, path = "/v1/sessions", tag = "sessions", operation_id = "list_sessions", params(SessionsQuery), responses(
    (status = 200, description = "A page of sessions", body = PageBody<Session>),
    (status = 404, description = "`workspace_not_found`: another account's workspace", body = ErrorBody),
))]
pub(super) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    QueryParams(mut query): QueryParams<SessionsQuery>,
) -> Result<Json<PageBody<Session>>, ApiError> {
    let account = caller.account();
    let request = page::request(query.limit, query.cursor.take())?;
    let workspace = match &query.workspace {
        Some(address) => Some(format!("{}/{}", account.handle, caller.own_address(address)?)),
        None => None,
    };
    let after =
        request.cursor.as_deref().map(|cursor| ListKind::Sessions.position(account.id, cursor)).transpose().map_err(ListError::from)?;
    let mut items = state.control().data_plane().sessions(Some(account)).await?;
    items.retain(|SessionStatus { record, .. }| {
        record.account == account.id
            && after.as_ref().is_none_or(|after| position(record).as_slice() > after.as_slice())
            && query.picks(record, workspace.as_deref())
            && caller.sees(Action::Read(Subject::session(record)))
    });
    items.sort_by_key(|session| position(&session.record));
    let more = items.len() > request.limit;
    items.truncate(request.limit);
    let last = items.last().filter(|_| more);
    let next_cursor = last.map(|last| ListKind::Sessions.cursor(account.id, &position(&last.record)));
    let lease_ms = state.context().config.session_lease_ms;
    Ok(Json(PageBody::new(Page { items, next_cursor }, |status| Session::of(status, lease_ms))))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct SessionPath {
    /// `ses_…`
    #[param(value_type = String, pattern = "^ses_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    id: SessionId,
}

/// A session that was ended.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EndedSession {
    /// The session as it was.
    session: Session,
    /// What became of it.
    sessions: FencedSessions,
}

/// Ends a session. Its ticket may open another one for as long as it lives; revoke the grant to prevent that.
#[utoipa::path(delete, path = "/v1/sessions/{id}", tag = "sessions", operation_id = "end_session", params(SessionPath, WaitQuery), responses(
    (status = 200, description = "The session that was ended", body = EndedSession),
    (status = 404, description = "`session_not_found`, also when it is over already", body = ErrorBody),
))]
pub(super) async fn end(
    State(state): State<ApiState>,
    caller: Caller,
    PathParams(path): PathParams<SessionPath>,
    QueryParams(query): QueryParams<WaitQuery>,
) -> Result<Json<EndedSession>, ApiError> {
    let session = state.control().session(caller.account(), path.id).await?;
    caller.may(Action::Change(Subject::session(&session.record)))?;
    let (session, report) = state.control_for(&caller).end_session(caller.account(), path.id, query.wait()?).await?;
    let session = Session::of(session, state.context().config.session_lease_ms);
    Ok(Json(EndedSession { session, sessions: report.into() }))
}
