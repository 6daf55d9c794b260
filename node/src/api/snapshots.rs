use artifacts_core::name::{Handle, SnapshotName, WorkspaceName};
use artifacts_core::{SnapshotId, Timestamp};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body::JsonBody;
use super::caller::Caller;
use super::error::ErrorBody;
use super::fenced::{FencedSessions, WaitQuery};
use super::page::{ListQuery, PageBody};
use super::path::PathParams;
use super::query::QueryParams;
use super::scope::{Action, Subject};
use super::workspaces::{StatusSchema, Workspace, WorkspacePath, shown};
use super::{ApiError, ApiState, rules};
use crate::control::CopyWish;
use crate::records::{WorkspaceRecord, WorkspaceStatus};

/// What a workspace held at one moment. It can be mounted (`ro`) and forked.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Snapshot {
    /// `snp_…`
    #[schema(value_type = String, pattern = "^snp_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    id: SnapshotId,
    /// Unique in the workspace.
    name: String,
    /// The workspace, `handle/name`.
    workspace: String,
    /// What it is mounted by: `handle/name@snapshot`.
    address: String,
    /// `active`; `creating` while it is made; `deleting` while it is removed, then it is gone.
    #[schema(value_type = StatusSchema)]
    status: WorkspaceStatus,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

fn snapshot(record: WorkspaceRecord) -> Snapshot {
    Snapshot {
        // It is a copy of the workspace.
        id: SnapshotId::from_bits(record.id.bits()),
        name: record.snapshot().map(ToString::to_string).unwrap_or_default(),
        workspace: format!("{}/{}", record.handle, record.name),
        address: record.address(),
        status: record.status,
        created_at: record.created_at,
    }
}

/// The snapshot that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateSnapshot {
    /// Unique in the workspace; the time of day in UTC unless given.
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,62}$")]
    name: Option<SnapshotName>,
}

/// A name that nobody chose: when it was, to the millisecond.
fn name_of(now: Timestamp) -> Result<SnapshotName, ApiError> {
    now.to_string().replace('+', "-").parse().map_err(|_| ApiError::internal())
}

fn not_an_id(name: SnapshotName) -> Result<SnapshotName, ApiError> {
    match name.as_str().parse::<SnapshotId>() {
        Ok(_) => Err(ApiError::invalid("name", "must not look like the id of a snapshot")),
        Err(_) => Ok(name),
    }
}

/// Takes a snapshot: what the workspace holds at this moment, with all that calls on mounts had returned before. Copies no data, and
/// takes a time that does not depend on how long files are.
#[utoipa::path(post, path = "/v1/workspaces/{handle}/{name}/snapshots", tag = "snapshots", operation_id = "create_snapshot", params(WorkspacePath), request_body = CreateSnapshot, responses(
    (status = 201, description = "The snapshot", body = Snapshot),
    (status = 404, description = "`workspace_not_found`", body = ErrorBody),
    (status = 409, description = "`snapshot_exists`, `workspace_not_active`", body = ErrorBody),
))]
pub(super) async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    PathParams(path): PathParams<WorkspacePath>,
    JsonBody(body): JsonBody<CreateSnapshot>,
) -> Result<(StatusCode, Json<Snapshot>), ApiError> {
    let name = caller.own(Some(&path.handle), &path.name)?;
    caller.may(Action::Change(Subject::workspace(name)))?;
    let source = state.control().active_workspace(caller.account(), name).await?;
    let as_snapshot = match body.name {
        Some(name) => not_an_id(name)?,
        None => name_of(state.context().clock.wall())?,
    };
    let made = state.control_for(&caller).copy_workspace(caller.account(), CopyWish::new(source, name.clone(), Some(as_snapshot))).await?;
    Ok((StatusCode::CREATED, Json(snapshot(made))))
}

/// Lists the snapshots of a workspace by name.
#[utoipa::path(get, path = "/v1/workspaces/{handle}/{name}/snapshots", tag = "snapshots", operation_id = "list_snapshots", params(WorkspacePath, ListQuery), responses(
    (status = 200, description = "A page of snapshots", body = PageBody<Snapshot>),
    (status = 404, description = "`workspace_not_found`", body = ErrorBody),
))]
pub(super) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    PathParams(path): PathParams<WorkspacePath>,
    QueryParams(query): QueryParams<ListQuery>,
) -> Result<Json<PageBody<Snapshot>>, ApiError> {
    let name = caller.own(Some(&path.handle), &path.name)?;
    caller.may(Action::Read(Subject::workspace(name)))?;
    let workspace = state.control().workspace(caller.account(), name).await?;
    let page = state.context().catalog.snapshots(&workspace, &query.request()?).await?;
    Ok(Json(PageBody::new(page, snapshot)))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct SnapshotPath {
    /// The owner's handle.
    #[param(value_type = String, pattern = "^[a-z0-9][a-z0-9-]{0,38}$")]
    handle: Handle,
    /// The workspace's name.
    #[param(value_type = String, pattern = "^[a-zA-Z0-9][a-zA-Z0-9_-]{0,62}$")]
    name: WorkspaceName,
    /// The snapshot's name or id.
    #[param(value_type = String, pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,62}$")]
    snapshot: SnapshotName,
}

/// Shows a snapshot.
#[utoipa::path(get, path = "/v1/workspaces/{handle}/{name}/snapshots/{snapshot}", tag = "snapshots", operation_id = "get_snapshot", params(SnapshotPath), responses(
    (status = 200, description = "The snapshot", body = Snapshot),
    (status = 404, description = "`workspace_not_found`, `snapshot_not_found`", body = ErrorBody),
))]
pub(super) async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    PathParams(path): PathParams<SnapshotPath>,
) -> Result<Json<Snapshot>, ApiError> {
    let name = caller.own(Some(&path.handle), &path.name)?;
    caller.may(Action::Read(Subject::workspace(name)))?;
    Ok(Json(snapshot(state.control().snapshot(caller.account(), name, &path.snapshot).await?)))
}

/// A snapshot whose deletion has begun.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeletedSnapshot {
    /// The snapshot.
    #[serde(flatten)]
    snapshot: Snapshot,
    /// The sessions that had it mounted.
    sessions: FencedSessions,
}

/// Deletes a snapshot: ends its sessions, then removes it in the background. Forks of it stay whole.
#[utoipa::path(delete, path = "/v1/workspaces/{handle}/{name}/snapshots/{snapshot}", tag = "snapshots", operation_id = "delete_snapshot", params(SnapshotPath, WaitQuery), responses(
    (status = 202, description = "The snapshot, in status `deleting`", body = DeletedSnapshot),
    (status = 404, description = "`workspace_not_found`, `snapshot_not_found`", body = ErrorBody),
))]
pub(super) async fn delete(
    State(state): State<ApiState>,
    caller: Caller,
    PathParams(path): PathParams<SnapshotPath>,
    QueryParams(query): QueryParams<WaitQuery>,
) -> Result<(StatusCode, Json<DeletedSnapshot>), ApiError> {
    let name = caller.own(Some(&path.handle), &path.name)?;
    caller.may(Action::Change(Subject::workspace(name)))?;
    let found = state.control().snapshot(caller.account(), name, &path.snapshot).await?;
    let label = found.snapshot().cloned().ok_or_else(ApiError::internal)?;
    let (deleted, report) = state.control_for(&caller).delete_snapshot(caller.account(), name.clone(), label, query.wait()?).await?;
    Ok((StatusCode::ACCEPTED, Json(DeletedSnapshot { snapshot: snapshot(deleted), sessions: report.into() })))
}

/// The fork that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ForkWorkspace {
    /// Unique in the account.
    #[schema(value_type = String, pattern = "^[a-zA-Z0-9][a-zA-Z0-9_-]{0,62}$")]
    name: WorkspaceName,
    /// The name or id of a snapshot of the workspace; absent: as it is now.
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,62}$")]
    snapshot: Option<SnapshotName>,
    /// Hard limit on bytes of data; that of the workspace unless given.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    quota_bytes: Option<u64>,
    /// Hard limit on inodes; that of the workspace unless given.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    quota_inodes: Option<u64>,
}

/// Makes a workspace that begins with what another one, or a snapshot of it, holds. From then on neither sees what happens in the
/// other, and each can be deleted. It belongs to the tenant of that one, if it has one. Copies no data, and takes a time that does
/// not depend on how long files are.
#[utoipa::path(post, path = "/v1/workspaces/{handle}/{name}/fork", tag = "snapshots", operation_id = "fork_workspace", params(WorkspacePath), request_body = ForkWorkspace, responses(
    (status = 201, description = "The new workspace", body = Workspace),
    (status = 404, description = "`workspace_not_found`, `snapshot_not_found`", body = ErrorBody),
    (status = 409, description = "`workspace_exists`, `workspace_not_active`", body = ErrorBody),
    (status = 507, description = "`quota_exceeded`: the tenant has not so much left to give", body = ErrorBody),
))]
pub(super) async fn fork(
    State(state): State<ApiState>,
    caller: Caller,
    PathParams(path): PathParams<WorkspacePath>,
    JsonBody(body): JsonBody<ForkWorkspace>,
) -> Result<(StatusCode, Json<Workspace>), ApiError> {
    let name = caller.own(Some(&path.handle), &path.name)?;
    caller.may(Action::Read(Subject::workspace(name)))?;
    caller.may(Action::Change(Subject::workspace(&body.name)))?;
    let source = state.control().active_place(caller.account(), name, body.snapshot.as_ref()).await?;
    let (quota_bytes, quota_inodes) = (rules::quota("quota_bytes", body.quota_bytes)?, rules::quota("quota_inodes", body.quota_inodes)?);
    let mut wish = CopyWish::new(source, body.name, None);
    wish.quota_bytes = quota_bytes.or(wish.quota_bytes);
    wish.quota_inodes = quota_inodes.or(wish.quota_inodes);
    let made = state.control_for(&caller).copy_workspace(caller.account(), wish).await?;
    Ok((StatusCode::CREATED, Json(shown(&state, made).await?)))
}
