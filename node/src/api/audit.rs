use artifacts_core::Timestamp;
use artifacts_core::name::{RuntimeId, TenantSlug, WorkspaceAddress};
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::caller::Caller;
use super::error::ErrorBody;
use super::page::{self, PageBody};
use super::query::QueryParams;
use super::scope::{Action, Subject};
use super::{ApiError, ApiState};
use crate::audit::{AuditEvent, AuditKind};

/// Which entries are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// Those about this tenant.
    #[param(value_type = Option<String>, pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
    tenant_slug: Option<TenantSlug>,
    /// Those about this runtime.
    #[param(value_type = Option<String>, pattern = "^[A-Za-z0-9._:-]{1,128}$")]
    runtime_id: Option<RuntimeId>,
    /// Those about this workspace: `name`, `handle/name` or `artifacts://handle/name`.
    #[param(value_type = Option<String>)]
    workspace: Option<WorkspaceAddress>,
    /// Those that tell of this.
    #[param(inline)]
    kind: Option<AuditKind>,
    /// Those that were put into the trail at this instant or later.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// How many items; 50 unless given. At most 200 are given, however many are asked for.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// What of a trail is wanted, and may be seen.
pub(super) struct Wanted {
    pub(super) tenant: Option<TenantSlug>,
    pub(super) runtime: Option<RuntimeId>,
    pub(super) workspace: Option<String>,
    pub(super) kind: Option<AuditKind>,
}

impl Wanted {
    /// Whether an entry is one of them.
    pub(super) fn picks(&self, caller: &Caller, event: &AuditEvent) -> bool {
        self.tenant.as_ref().is_none_or(|tenant| event.tenant_slug.as_ref() == Some(tenant))
            && self.runtime.as_ref().is_none_or(|runtime| event.runtime_id.as_ref() == Some(runtime))
            && self
                .workspace
                .as_deref()
                .is_none_or(|workspace| event.workspace.as_deref().and_then(|of| of.split('@').next()) == Some(workspace))
            && self.kind.is_none_or(|kind| event.kind == kind)
            && caller.sees(Action::Read(Subject::audited(event)))
    }
}

/// The whole address of a workspace of the caller's.
pub(super) fn address(caller: &Caller, workspace: Option<&WorkspaceAddress>) -> Result<Option<String>, ApiError> {
    let Some(address) = workspace else { return Ok(None) };
    Ok(Some(format!("{}/{}", caller.account().handle, caller.own_address(address)?)))
}

/// Lists the account's audit trail, oldest first: who granted, issued, mounted and revoked what, and what that fenced.
///
/// Entries about sessions come to the trail a moment after the others. `since` and the order of the list go by the moment in
/// which an entry came; `at` says when it happened.
#[utoipa::path(get, path = "/v1/audit", tag = "audit", operation_id = "list_audit", params(AuditQuery), responses(
    (status = 200, description = "A page of entries", body = PageBody<AuditEvent>),
    (status = 404, description = "`workspace_not_found`: another account's workspace", body = ErrorBody),
))]
pub(super) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    QueryParams(query): QueryParams<AuditQuery>,
) -> Result<Json<PageBody<AuditEvent>>, ApiError> {
    let request = page::request(query.limit, query.cursor)?;
    let workspace = address(&caller, query.workspace.as_ref())?;
    let wanted = Wanted { tenant: query.tenant_slug, runtime: query.runtime_id, workspace, kind: query.kind };
    let since = query.since.map_or(0, |since| since.unix_ms().saturating_mul(1_000));
    let (context, account) = (state.context(), caller.account().id);
    let settled = context.audit.settled(context, account).await?;
    let page = context.catalog.audit_page(account, &request, since, settled, |event| wanted.picks(&caller, event)).await?;
    Ok(Json(PageBody::new(page, |event| event)))
}
