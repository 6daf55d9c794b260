use artifacts_core::name::{Handle, TenantSlug, WorkspaceName};
use artifacts_core::namespace::Usage;
use artifacts_core::{Timestamp, WorkspaceId};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body::JsonBody;
use super::caller::Caller;
use super::error::ErrorBody;
use super::fenced::{FencedSessions, WaitQuery};
use super::page::{ListQuery, PageBody};
use super::path::PathParams;
use super::query::QueryParams;
use super::scope::{Action, Subject};
use super::{ApiError, ApiState, rules};
use crate::catalog::Page;
use crate::control::{QuotaChange, WorkspaceWish};
use crate::records::{WorkspaceRecord, WorkspaceStatus};
use crate::store::StoreError;

/// A file system.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Workspace {
    /// `ws_…`
    #[schema(value_type = String, pattern = "^ws_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    id: WorkspaceId,
    /// Unique in the account.
    #[schema(value_type = String, pattern = "^[a-zA-Z0-9][a-zA-Z0-9_-]{0,62}$")]
    name: WorkspaceName,
    /// The owner's handle.
    #[schema(value_type = String, pattern = "^[a-z0-9][a-z0-9-]{0,38}$")]
    handle: Handle,
    /// `handle/name`.
    address: String,
    /// `active`; `creating` while it is copied from another; `deleting` while its data is being removed, then it is gone.
    #[schema(value_type = StatusSchema)]
    status: WorkspaceStatus,
    /// The tenant whose quotas it is given a part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
    tenant_slug: Option<TenantSlug>,
    /// Where its data lives.
    region: String,
    /// Hard limit on bytes of data.
    #[serde(skip_serializing_if = "Option::is_none")]
    quota_bytes: Option<u64>,
    /// Hard limit on inodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    quota_inodes: Option<u64>,
    /// What it holds now; absent in a list, and when it is deleted, while its region is out of reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<WorkspaceUsage>,
    /// What it is a fork of, as that was called then: `handle/name`, or a snapshot `handle/name@snapshot`.
    #[serde(skip_serializing_if = "Option::is_none")]
    forked_from: Option<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// Where a workspace is in its life.
#[derive(ToSchema)]
#[schema(as = WorkspaceStatus, rename_all = "snake_case")]
#[allow(dead_code, reason = "stands for the record's type in the description")]
pub(super) enum StatusSchema {
    /// Being copied from another.
    Creating,
    /// In use.
    Active,
    /// No mount is admitted; its data is being removed.
    Deleting,
    /// Gone.
    Deleted,
}

/// What a workspace holds.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WorkspaceUsage {
    /// Bytes of data.
    bytes: u64,
    /// Files, directories and the like, the root included.
    inodes: u64,
}

/// Of so many workspaces it is asked at once what they hold: some may be far away.
pub(super) const ASKED_AT_ONCE: usize = 16;

/// A workspace with what it holds now.
pub(super) async fn shown(state: &ApiState, record: WorkspaceRecord) -> Result<Workspace, ApiError> {
    let usage = state.control().data_plane().usage(&record).await?;
    Ok(with_usage(record, Some(usage)))
}

/// As [`shown`], for those who want to know of it even if it cannot be looked into.
async fn shown_if_reached(state: &ApiState, record: WorkspaceRecord) -> Result<Workspace, ApiError> {
    match state.control().data_plane().usage(&record).await {
        Ok(usage) => Ok(with_usage(record, Some(usage))),
        Err(StoreError::OutOfReach { .. }) => Ok(with_usage(record, None)),
        Err(error) => Err(error.into()),
    }
}

fn with_usage(record: WorkspaceRecord, usage: Option<Usage>) -> Workspace {
    Workspace {
        address: record.address(),
        id: record.id,
        name: record.name,
        handle: record.handle,
        status: record.status,
        tenant_slug: record.tenant,
        region: record.region,
        quota_bytes: record.quota_bytes,
        quota_inodes: record.quota_inodes,
        forked_from: record.origin.map(|origin| origin.address),
        usage: usage.map(|usage| WorkspaceUsage { bytes: usage.bytes, inodes: usage.inodes }),
        created_at: record.created_at,
    }
}

/// The workspace that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateWorkspace {
    /// Unique in the account.
    #[schema(value_type = String, pattern = "^[a-zA-Z0-9][a-zA-Z0-9_-]{0,62}$")]
    name: WorkspaceName,
    /// The tenant that it belongs to: it is given a part of the tenant's quotas. Must exist. If the tenant has a quota, so must
    /// the workspace.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
    tenant_slug: Option<TenantSlug>,
    /// Hard limit on bytes of data.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    quota_bytes: Option<u64>,
    /// Hard limit on inodes.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    quota_inodes: Option<u64>,
    /// Where its data is to live; the account's region unless given.
    region: Option<String>,
}

/// Makes a workspace, ready to be mounted.
#[utoipa::path(post, path = "/v1/workspaces", tag = "workspaces", operation_id = "create_workspace", request_body = CreateWorkspace, responses(
    (status = 201, description = "The workspace", body = Workspace),
    (status = 404, description = "`tenant_not_found`", body = ErrorBody),
    (status = 409, description = "`workspace_exists`", body = ErrorBody),
    (status = 507, description = "`quota_exceeded`: the tenant has not so much left to give", body = ErrorBody),
))]
pub(super) async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    JsonBody(body): JsonBody<CreateWorkspace>,
) -> Result<(StatusCode, Json<Workspace>), ApiError> {
    caller.may(Action::Change(Subject::workspace(&body.name)))?;
    let regions = &state.context().regions;
    let region = match &body.region {
        Some(name) => regions.get(name).ok_or_else(|| rules::no_such_region(regions))?,
        None => regions.here(),
    };
    let wish = WorkspaceWish {
        name: body.name,
        tenant: body.tenant_slug,
        quota_bytes: rules::quota("quota_bytes", body.quota_bytes)?,
        quota_inodes: rules::quota("quota_inodes", body.quota_inodes)?,
        region: region.clone(),
    };
    let workspace = state.control_for(&caller).create_workspace(caller.account(), wish).await?;
    Ok((StatusCode::CREATED, Json(shown(&state, workspace).await?)))
}

/// Lists the workspaces by name.
#[utoipa::path(get, path = "/v1/workspaces", tag = "workspaces", operation_id = "list_workspaces", params(ListQuery), responses(
    (status = 200, description = "A page of workspaces", body = PageBody<Workspace>),
))]
pub(super) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    QueryParams(query): QueryParams<ListQuery>,
) -> Result<Json<PageBody<Workspace>>, ApiError> {
    let request = query.request()?;
    let visible = |workspace: &WorkspaceRecord| caller.sees(Action::Read(Subject::workspace(&workspace.name)));
    let page = state.context().catalog.workspaces(caller.account().id, &request, visible).await?;
    let shown = stream::iter(page.items).map(|workspace| shown_if_reached(&state, workspace));
    let items = shown.buffered(ASKED_AT_ONCE).try_collect().await?;
    Ok(Json(PageBody::new(Page { items, next_cursor: page.next_cursor }, |workspace| workspace)))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct WorkspacePath {
    /// The owner's handle.
    #[param(value_type = String, pattern = "^[a-z0-9][a-z0-9-]{0,38}$")]
    pub(super) handle: Handle,
    /// The workspace's name.
    #[param(value_type = String, pattern = "^[a-zA-Z0-9][a-zA-Z0-9_-]{0,62}$")]
    pub(super) name: WorkspaceName,
}

/// Shows a workspace.
#[utoipa::path(get, path = "/v1/workspaces/{handle}/{name}", tag = "workspaces", operation_id = "get_workspace", params(WorkspacePath), responses(
    (status = 200, description = "The workspace", body = Workspace),
    (status = 404, description = "`workspace_not_found`", body = ErrorBody),
))]
pub(super) async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    PathParams(path): PathParams<WorkspacePath>,
) -> Result<Json<Workspace>, ApiError> {
    let name = caller.own(Some(&path.handle), &path.name)?;
    caller.may(Action::Read(Subject::workspace(name)))?;
    let workspace = state.control().workspace(caller.account(), name).await?;
    Ok(Json(shown(&state, workspace).await?))
}

/// The quotas that are wanted; absent ones stay as they are, and null lifts one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeQuotas {
    /// Hard limit on bytes of data.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    quota_bytes: Option<Option<u64>>,
    /// Hard limit on inodes.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    quota_inodes: Option<Option<u64>>,
}

/// Tells null from what is absent.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl ChangeQuotas {
    /// Checks it.
    ///
    /// # Errors
    /// `invalid_request`.
    pub(super) fn checked(self) -> Result<QuotaChange, ApiError> {
        let check = |field, wanted: Option<Option<u64>>| wanted.map(|limit| rules::quota(field, limit)).transpose();
        Ok(QuotaChange { bytes: check("quota_bytes", self.quota_bytes)?, inodes: check("quota_inodes", self.quota_inodes)? })
    }
}

/// Changes a workspace's quotas. When this answers no mount goes by the earlier ones. A workspace may hold more than a new
/// quota: then nothing is added until it holds less. Takes a key that is not confined to a workspace or a tenant.
#[utoipa::path(patch, path = "/v1/workspaces/{handle}/{name}", tag = "workspaces", operation_id = "change_workspace", params(WorkspacePath), request_body = ChangeQuotas, responses(
    (status = 200, description = "The workspace", body = Workspace),
    (status = 404, description = "`workspace_not_found`", body = ErrorBody),
    (status = 409, description = "`workspace_not_active`", body = ErrorBody),
    (status = 507, description = "`quota_exceeded`: its tenant has not so much left to give", body = ErrorBody),
))]
pub(super) async fn change(
    State(state): State<ApiState>,
    caller: Caller,
    PathParams(path): PathParams<WorkspacePath>,
    JsonBody(body): JsonBody<ChangeQuotas>,
) -> Result<Json<Workspace>, ApiError> {
    let name = caller.own(Some(&path.handle), &path.name)?;
    caller.may(Action::Change(Subject::default()))?;
    let workspace = state.control_for(&caller).change_workspace(caller.account(), name.clone(), body.checked()?).await?;
    Ok(Json(shown(&state, workspace).await?))
}

/// A workspace whose deletion has begun.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeletedWorkspace {
    /// The workspace.
    #[serde(flatten)]
    workspace: Workspace,
    /// The sessions that had it mounted.
    sessions: FencedSessions,
}

/// Deletes a workspace with its snapshots: ends its sessions, then removes its data in the background. The name is free once that is done.
#[utoipa::path(delete, path = "/v1/workspaces/{handle}/{name}", tag = "workspaces", operation_id = "delete_workspace", params(WorkspacePath, WaitQuery), responses(
    (status = 202, description = "The workspace, in status `deleting`", body = DeletedWorkspace),
    (status = 404, description = "`workspace_not_found`", body = ErrorBody),
))]
pub(super) async fn delete(
    State(state): State<ApiState>,
    caller: Caller,
    PathParams(path): PathParams<WorkspacePath>,
    QueryParams(query): QueryParams<WaitQuery>,
) -> Result<(StatusCode, Json<DeletedWorkspace>), ApiError> {
    let name = caller.own(Some(&path.handle), &path.name)?;
    caller.may(Action::Change(Subject::workspace(name)))?;
    let (workspace, report) = state.control_for(&caller).delete_workspace(caller.account(), name.clone(), query.wait()?).await?;
    let workspace = shown_if_reached(&state, workspace).await?;
    Ok((StatusCode::ACCEPTED, Json(DeletedWorkspace { workspace, sessions: report.into() })))
}
