use artifacts_core::name::TenantSlug;
use artifacts_core::{TenantId, Timestamp};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
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
use super::{ApiError, ApiState, rules};
use crate::control::TenantWish;
use crate::records::TenantRecord;

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
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<TenantRecord> for Tenant {
    fn from(record: TenantRecord) -> Self {
        let TenantRecord { id, slug, external_id, metadata, created_at, .. } = record;
        Self { id, slug, external_id, metadata, created_at }
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
}

/// Makes a tenant.
#[utoipa::path(post, path = "/v1/tenants", tag = "tenants", operation_id = "create_tenant", request_body = CreateTenant, responses(
    (status = 201, description = "The tenant", body = Tenant),
    (status = 409, description = "`tenant_exists`", body = ErrorBody),
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
    };
    let tenant = state.control().create_tenant(caller.account(), wish).await?;
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
    let (tenant, grants, report) = state.control().delete_tenant(caller.account(), path.slug, query.wait()?).await?;
    let grants = grants.into_iter().map(Grant::from).collect();
    Ok(Json(DeletedTenant { tenant: tenant.into(), grants, sessions: report.into() }))
}
