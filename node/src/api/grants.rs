use artifacts_core::name::{RuntimeId, Subpath, TenantSlug, WorkspaceAddress};
use artifacts_core::ticket::Mode;
use artifacts_core::{GrantId, Timestamp};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body::JsonBody;
use super::caller::Caller;
use super::error::ErrorBody;
use super::fenced::{self, FencedSessions, WaitQuery};
use super::page::{self, PageBody};
use super::path::PathParams;
use super::query::QueryParams;
use super::schema::ModeSchema;
use super::scope::{Action, Subject};
use super::workspaces::WorkspacePath;
use super::{ApiError, ApiState, audit, rules};
use crate::control::GrantOrder;
use crate::control::grant_rules::RevokeChoice;
use crate::records::GrantRecord;

/// The right of a tenant, or of one of its runtimes, to mount a workspace.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Grant {
    /// `grt_…`
    #[schema(value_type = String, pattern = "^grt_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    id: GrantId,
    /// `handle/name`.
    workspace: String,
    /// For whom.
    #[schema(value_type = String, pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
    tenant_slug: TenantSlug,
    /// For which of its runtimes; absent: for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z0-9._:-]{1,128}$")]
    runtime_id: Option<RuntimeId>,
    /// How.
    #[schema(value_type = ModeSchema)]
    mode: Mode,
    /// Below which directory; absent: everywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    subpath: Option<Subpath>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// From when it stands no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
}

impl From<GrantRecord> for Grant {
    fn from(record: GrantRecord) -> Self {
        Self {
            id: record.id,
            workspace: record.workspace_name,
            tenant_slug: record.tenant,
            runtime_id: record.runtime,
            mode: record.mode,
            subpath: record.subpath,
            created_at: record.created_at,
            expires_at: record.expires_at,
            revoked_at: record.revoked_at,
        }
    }
}

/// The grant that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateGrant {
    /// For whom; must exist.
    #[schema(value_type = String, pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
    tenant_slug: TenantSlug,
    /// For which of its runtimes; absent: for all.
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z0-9._:-]{1,128}$")]
    runtime_id: Option<RuntimeId>,
    /// How.
    #[schema(value_type = ModeSchema)]
    mode: Mode,
    /// How long it stands; absent: until it is revoked.
    #[schema(minimum = 1, maximum = 315_360_000)]
    ttl_seconds: Option<u64>,
    /// Below which directory; absent: everywhere.
    #[schema(value_type = Option<String>)]
    subpath: Option<Subpath>,
}

/// Grants a tenant, or one of its runtimes, this workspace.
#[utoipa::path(post, path = "/v1/workspaces/{handle}/{name}/grants", tag = "grants", operation_id = "create_grant", params(WorkspacePath), request_body = CreateGrant, responses(
    (status = 201, description = "The grant", body = Grant),
    (status = 404, description = "`workspace_not_found` or `tenant_not_found`", body = ErrorBody),
    (status = 409, description = "`workspace_not_active`", body = ErrorBody),
))]
pub(super) async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    PathParams(path): PathParams<WorkspacePath>,
    JsonBody(body): JsonBody<CreateGrant>,
) -> Result<(StatusCode, Json<Grant>), ApiError> {
    let workspace = caller.own(Some(&path.handle), &path.name)?;
    caller.may(Action::HandOut(Subject::access(workspace, &body.tenant_slug), body.mode))?;
    let order = GrantOrder {
        workspace: workspace.clone(),
        tenant: body.tenant_slug,
        runtime: body.runtime_id,
        mode: body.mode,
        subpath: body.subpath,
        expires_at: rules::end(None, body.ttl_seconds, state.context().clock.wall())?,
    };
    let grant = state.control_for(&caller).create_grant(caller.account(), order).await?;
    Ok((StatusCode::CREATED, Json(grant.into())))
}

/// Which grants are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct GrantsQuery {
    /// Those of this tenant.
    #[param(value_type = Option<String>, pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
    tenant_slug: Option<TenantSlug>,
    /// Those made for this runtime.
    #[param(value_type = Option<String>, pattern = "^[A-Za-z0-9._:-]{1,128}$")]
    runtime_id: Option<RuntimeId>,
    /// Those to this workspace: `name`, `handle/name` or `artifacts://handle/name`.
    #[param(value_type = Option<String>)]
    workspace: Option<WorkspaceAddress>,
    /// How many items; 50 unless given. At most 200 are given, however many are asked for.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists the grants by tenant, each tenant's oldest first, revoked ones included.
#[utoipa::path(get, path = "/v1/grants", tag = "grants", operation_id = "list_grants", params(GrantsQuery), responses(
    (status = 200, description = "A page of grants", body = PageBody<Grant>),
    (status = 404, description = "`workspace_not_found`: another account's workspace", body = ErrorBody),
))]
pub(super) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    QueryParams(query): QueryParams<GrantsQuery>,
) -> Result<Json<PageBody<Grant>>, ApiError> {
    let request = page::request(query.limit, query.cursor)?;
    let workspace = audit::address(&caller, query.workspace.as_ref())?;
    let wanted = |grant: &GrantRecord| {
        query.runtime_id.as_ref().is_none_or(|runtime| grant.runtime.as_ref() == Some(runtime))
            && workspace.as_ref().is_none_or(|workspace| grant.workspace_name == *workspace)
            && caller.sees(Action::Read(Subject::grant(grant)))
    };
    let page = state.context().catalog.grants(caller.account().id, query.tenant_slug.as_ref(), &request, wanted).await?;
    Ok(Json(PageBody::new(page, |grant| grant.under(caller.account()).into())))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct GrantPath {
    /// `grt_…`
    #[param(value_type = String, pattern = "^grt_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    id: GrantId,
}

/// Shows a grant, in whatever state.
#[utoipa::path(get, path = "/v1/grants/{id}", tag = "grants", operation_id = "get_grant", params(GrantPath), responses(
    (status = 200, description = "The grant", body = Grant),
    (status = 404, description = "`grant_not_found`", body = ErrorBody),
))]
pub(super) async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    PathParams(path): PathParams<GrantPath>,
) -> Result<Json<Grant>, ApiError> {
    let grant = state.control().grant(caller.account(), path.id).await?;
    caller.may(Action::Read(Subject::grant(&grant)))?;
    Ok(Json(grant.under(caller.account()).into()))
}

/// What a revoke call took away.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RevokedGrants {
    /// The grants that stand no more because of this call.
    grants: Vec<Grant>,
    /// The sessions that stood on them.
    sessions: FencedSessions,
}

/// Revokes a grant and ends its sessions.
#[utoipa::path(delete, path = "/v1/grants/{id}", tag = "grants", operation_id = "revoke_grant", params(GrantPath, WaitQuery), responses(
    (status = 200, description = "What was taken away", body = RevokedGrants),
    (status = 404, description = "`grant_not_found`, also when it is revoked already", body = ErrorBody),
))]
pub(super) async fn revoke_one(
    State(state): State<ApiState>,
    caller: Caller,
    PathParams(path): PathParams<GrantPath>,
    QueryParams(query): QueryParams<WaitQuery>,
) -> Result<Json<RevokedGrants>, ApiError> {
    let grant = state.control().grant(caller.account(), path.id).await?;
    caller.may(Action::Change(Subject::grant(&grant)))?;
    let (grant, report) = state.control_for(&caller).revoke_grant(caller.account(), path.id, query.wait()?).await?;
    Ok(Json(RevokedGrants { grants: vec![grant.into()], sessions: report.into() }))
}

/// Which grants to revoke.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RevokeGrants {
    /// Those of this tenant.
    #[schema(value_type = String, pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
    tenant_slug: TenantSlug,
    /// Of those, the ones made for this runtime. Grants for all runtimes of the tenant stay.
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z0-9._:-]{1,128}$")]
    runtime_id: Option<RuntimeId>,
    /// Of those, the ones to this workspace: `name`, `handle/name` or `artifacts://handle/name`.
    #[schema(value_type = Option<String>)]
    workspace: Option<WorkspaceAddress>,
    /// How long to wait for mounts to confirm, in milliseconds; 1000 unless given.
    #[schema(maximum = 10_000)]
    wait_ms: Option<u64>,
}

/// Revokes the grants of a tenant, of one of its runtimes, or of either to one workspace, and ends their sessions.
///
/// Answers once the revocation is durable and every session that can be reached is fenced at the control nodes.
#[utoipa::path(post, path = "/v1/grants/revoke", tag = "grants", operation_id = "revoke_grants", request_body = RevokeGrants, responses(
    (status = 200, description = "What was taken away", body = RevokedGrants),
    (status = 404, description = "`tenant_not_found` or `workspace_not_found`", body = ErrorBody),
))]
pub(super) async fn revoke(
    State(state): State<ApiState>,
    caller: Caller,
    JsonBody(body): JsonBody<RevokeGrants>,
) -> Result<Json<RevokedGrants>, ApiError> {
    let wait = fenced::wait(body.wait_ms)?;
    let name = body.workspace.as_ref().map(|address| caller.own_address(address)).transpose()?;
    let subject = Subject { workspace: name.map(|name| name.as_str()), tenant: Some(body.tenant_slug.as_str()) };
    caller.may(Action::Change(subject))?;
    let workspace = match name {
        Some(name) => Some(state.control().workspace(caller.account(), name).await?.id),
        None => None,
    };
    let choice = RevokeChoice { runtime: body.runtime_id, workspace };
    let (grants, report) = state.control_for(&caller).revoke_grants(caller.account(), &body.tenant_slug, choice, wait).await?;
    Ok(Json(RevokedGrants { grants: grants.into_iter().map(Grant::from).collect(), sessions: report.into() }))
}
