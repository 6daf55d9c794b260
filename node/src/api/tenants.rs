use artifacts_core::name::TenantSlug;
use artifacts_core::namespace::Usage;
use artifacts_core::{TenantId, Timestamp};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body::JsonBody;
use super::caller::Caller;
use super::error::ErrorBody;
use super::fenced::{FencedSessions, WaitQuery};
use super::grants::Grant;
use super::page::{ListQuery, PageBody};
use super::path::PathParams;
use super::query::QueryParams;
use super::scope::{Action, Subject};
use super::workspaces::{ASKED_AT_ONCE, ChangeQuotas};
use super::{ApiError, ApiState, rules};
use crate::control::{TenantWish, quota_rules};
use crate::records::{Quotas, TenantRecord, WorkspaceRecord};

/// One of the platform's customers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Tenant {
    /// `ten_…`
    #[schema(value_type = String, pattern = "^ten_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    id: TenantId,
    /// Unique in the account.
    #[schema(value_type = String, pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
    slug: TenantSlug,
    /// The platform's own id for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    /// The platform's own data.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<serde_json::Map<String, serde_json::Value>>,
    /// How many bytes of data its workspaces may be given together.
    #[serde(skip_serializing_if = "Option::is_none")]
    quota_bytes: Option<u64>,
    /// How many inodes its workspaces may be given together.
    #[serde(skip_serializing_if = "Option::is_none")]
    quota_inodes: Option<u64>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<TenantRecord> for Tenant {
    fn from(record: TenantRecord) -> Self {
        let TenantRecord { id, slug, external_id, metadata, quotas, created_at, .. } = record;
        Self { id, slug, external_id, metadata, quota_bytes: quotas.bytes, quota_inodes: quotas.inodes, created_at }
    }
}

/// The tenant that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateTenant {
    /// Unique in the account.
    #[schema(value_type = String, pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
    slug: TenantSlug,
    /// The platform's own id for it.
    #[schema(min_length = 1, max_length = 255)]
    external_id: Option<String>,
    /// The platform's own data: any JSON object of at most 16 KiB.
    #[schema(value_type = Option<Object>)]
    metadata: Option<serde_json::Map<String, serde_json::Value>>,
    /// How many bytes of data its workspaces may be given together: each of them then needs a quota of its own.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    quota_bytes: Option<u64>,
    /// How many inodes, likewise.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    quota_inodes: Option<u64>,
}

/// Makes a tenant.
#[utoipa::path(post, path = "/v1/tenants", tag = "tenants", operation_id = "create_tenant", request_body = CreateTenant, responses(
    (status = 201, description = "The tenant", body = Tenant),
    (status = 409, description = "`tenant_exists`", body = ErrorBody),
    (status = 507, description = "`quota_exceeded`: workspaces of an earlier tenant of this slug have been given more", body = ErrorBody),
))]
pub(super) async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    JsonBody(body): JsonBody<CreateTenant>,
) -> Result<(StatusCode, Json<Tenant>), ApiError> {
    caller.may(Action::Change(Subject::tenant(&body.slug)))?;
    let wish = TenantWish {
        slug: body.slug,
        external_id: rules::text("external_id", body.external_id)?,
        metadata: rules::metadata(body.metadata)?,
        quotas: Quotas { bytes: rules::quota("quota_bytes", body.quota_bytes)?, inodes: rules::quota("quota_inodes", body.quota_inodes)? },
    };
    let tenant = state.control_for(&caller).create_tenant(caller.account(), wish).await?;
    Ok((StatusCode::CREATED, Json(tenant.into())))
}

/// Lists the tenants by slug.
#[utoipa::path(get, path = "/v1/tenants", tag = "tenants", operation_id = "list_tenants", params(ListQuery), responses(
    (status = 200, description = "A page of tenants", body = PageBody<Tenant>),
))]
pub(super) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    QueryParams(query): QueryParams<ListQuery>,
) -> Result<Json<PageBody<Tenant>>, ApiError> {
    let request = query.request()?;
    let visible = |tenant: &TenantRecord| caller.sees(Action::Read(Subject::tenant(&tenant.slug)));
    let page = state.context().catalog.tenants(caller.account().id, &request, visible).await?;
    Ok(Json(PageBody::new(page, Tenant::from)))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct TenantPath {
    /// The tenant's slug.
    #[param(value_type = String, pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
    slug: TenantSlug,
}

/// Shows a tenant.
#[utoipa::path(get, path = "/v1/tenants/{slug}", tag = "tenants", operation_id = "get_tenant", params(TenantPath), responses(
    (status = 200, description = "The tenant", body = Tenant),
    (status = 404, description = "`tenant_not_found`", body = ErrorBody),
))]
pub(super) async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    PathParams(path): PathParams<TenantPath>,
) -> Result<Json<Tenant>, ApiError> {
    caller.may(Action::Read(Subject::tenant(&path.slug)))?;
    Ok(Json(state.control().tenant(caller.account(), &path.slug).await?.into()))
}

/// Changes a tenant's quotas. Takes a key that is not confined to a workspace or a tenant.
#[utoipa::path(patch, path = "/v1/tenants/{slug}", tag = "tenants", operation_id = "change_tenant", params(TenantPath), request_body = ChangeQuotas, responses(
    (status = 200, description = "The tenant", body = Tenant),
    (status = 404, description = "`tenant_not_found`", body = ErrorBody),
    (status = 507, description = "`quota_exceeded`: its workspaces have been given more", body = ErrorBody),
))]
pub(super) async fn change(
    State(state): State<ApiState>,
    caller: Caller,
    PathParams(path): PathParams<TenantPath>,
    JsonBody(body): JsonBody<ChangeQuotas>,
) -> Result<Json<Tenant>, ApiError> {
    caller.may(Action::Change(Subject::default()))?;
    Ok(Json(state.control_for(&caller).change_tenant(caller.account(), path.slug, body.checked()?).await?.into()))
}

/// What a tenant has been given, and what of it is used.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TenantUsage {
    /// The tenant.
    #[schema(value_type = String)]
    tenant_slug: TenantSlug,
    /// How many workspaces belong to it.
    workspaces: u64,
    /// Bytes of data that they hold.
    bytes: u64,
    /// Inodes that they hold.
    inodes: u64,
    /// Bytes of data that they have been given by their quotas.
    given_bytes: u64,
    /// Inodes that they have been given by their quotas.
    given_inodes: u64,
    /// What they may be given together.
    #[serde(skip_serializing_if = "Option::is_none")]
    quota_bytes: Option<u64>,
    /// What they may be given together.
    #[serde(skip_serializing_if = "Option::is_none")]
    quota_inodes: Option<u64>,
}

/// What the workspaces of a tenant hold together, and what they have been given of its quotas.
#[utoipa::path(get, path = "/v1/tenants/{slug}/usage", tag = "tenants", operation_id = "tenant_usage", params(TenantPath), responses(
    (status = 200, description = "Its figures", body = TenantUsage),
    (status = 404, description = "`tenant_not_found`", body = ErrorBody),
))]
pub(super) async fn usage(
    State(state): State<ApiState>,
    caller: Caller,
    PathParams(path): PathParams<TenantPath>,
) -> Result<Json<TenantUsage>, ApiError> {
    caller.may(Action::Read(Subject::tenant(&path.slug)))?;
    let tenant = state.control().tenant(caller.account(), &path.slug).await?;
    let workspaces = state.context().catalog.tenant_workspaces(caller.account().id, &path.slug).await?;
    let asked = stream::iter(workspaces.clone()).map(|workspace| used(&state, workspace)).buffered(ASKED_AT_ONCE);
    let held: Vec<Usage> = asked.try_collect().await?;
    Ok(Json(TenantUsage {
        tenant_slug: tenant.slug,
        workspaces: workspaces.len() as u64,
        bytes: held.iter().map(|usage| usage.bytes).sum(),
        inodes: held.iter().map(|usage| usage.inodes).sum(),
        given_bytes: quota_rules::given(&workspaces, quota_rules::bytes),
        given_inodes: quota_rules::given(&workspaces, quota_rules::inodes),
        quota_bytes: tenant.quotas.bytes,
        quota_inodes: tenant.quotas.inodes,
    }))
}

async fn used(state: &ApiState, workspace: WorkspaceRecord) -> Result<Usage, ApiError> {
    Ok(state.control().data_plane().usage(&workspace).await?)
}

/// A tenant that was deleted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeletedTenant {
    /// The tenant as it was.
    tenant: Tenant,
    /// The grants that were revoked with it.
    grants: Vec<Grant>,
    /// The sessions that stood on them.
    sessions: FencedSessions,
}

/// Deletes a tenant: revokes all its grants and ends their sessions.
#[utoipa::path(delete, path = "/v1/tenants/{slug}", tag = "tenants", operation_id = "delete_tenant", params(TenantPath, WaitQuery), responses(
    (status = 200, description = "What was taken away", body = DeletedTenant),
    (status = 404, description = "`tenant_not_found`", body = ErrorBody),
))]
pub(super) async fn delete(
    State(state): State<ApiState>,
    caller: Caller,
    PathParams(path): PathParams<TenantPath>,
    QueryParams(query): QueryParams<WaitQuery>,
) -> Result<Json<DeletedTenant>, ApiError> {
    caller.may(Action::Change(Subject::tenant(&path.slug)))?;
    let (tenant, grants, report) = state.control_for(&caller).delete_tenant(caller.account(), path.slug, query.wait()?).await?;
    let grants = grants.into_iter().map(Grant::from).collect();
    Ok(Json(DeletedTenant { tenant: tenant.into(), grants, sessions: report.into() }))
}
