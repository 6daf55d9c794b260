use std::collections::BTreeSet;

use artifacts_core::WorkspaceId;
use artifacts_core::name::TenantSlug;
use artifacts_core::namespace::Usage;
use axum::Json;
use axum::extract::State;
use futures_util::future::ready;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::Caller;
use super::error::ErrorBody;
use super::page;
use super::path::PathParams;
use super::query::QueryParams;
use super::scope::{Action, Subject};
use super::workspaces::{ASKED_AT_ONCE, WorkspacePath};
use super::{ApiError, ApiState};
use crate::catalog::PageRequest;
use crate::records::{GrantRecord, WorkspaceRecord};

/// How many records of a list are read at a time.
const STEP: usize = 200;

/// What workspaces hold together.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct UsageTotal {
    /// How many they are.
    workspaces: u64,
    /// Bytes of data.
    bytes: u64,
    /// Files, directories and the like, the roots included.
    inodes: u64,
}

/// What one workspace holds.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageItem)]
pub(super) struct Item {
    /// `handle/name`.
    workspace: String,
    /// Bytes of data.
    bytes: u64,
    /// Files, directories and the like, the root included.
    inodes: u64,
}

/// What workspaces hold.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UsageBody {
    /// All of them together; only in the first page.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<UsageTotal>,
    /// One by one, by name.
    items: Vec<Item>,
    /// Give this as `cursor` to go on; null at the end. A page with few items, even none, may still have one.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// Whose workspaces are meant.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct UsageQuery {
    /// Those that the standing grants of this tenant name; absent: all of the account.
    #[param(value_type = Option<String>, pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
    tenant_slug: Option<TenantSlug>,
    /// How many items; 50 unless given. At most 200 are given, however many are asked for.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// What the account's workspaces hold, or those that a tenant may mount.
#[utoipa::path(get, path = "/v1/usage", tag = "workspaces", operation_id = "usage", params(UsageQuery), responses(
    (status = 200, description = "A page, and in the first one the total", body = UsageBody),
    (status = 404, description = "`tenant_not_found`", body = ErrorBody),
))]
pub(super) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    QueryParams(query): QueryParams<UsageQuery>,
) -> Result<Json<UsageBody>, ApiError> {
    let UsageQuery { tenant_slug: tenant, limit, cursor } = query;
    let first = cursor.is_none();
    let request = page::request(limit, cursor)?;
    if let Some(slug) = &tenant {
        state.control().tenant(caller.account(), slug).await?;
    }
    let granted = match &tenant {
        Some(slug) => Some(granted(&state, &caller, slug).await?),
        None => None,
    };
    let visible = |workspace: &WorkspaceRecord| {
        let subject = match &tenant {
            Some(slug) => Subject::access(&workspace.name, slug),
            None => Subject::workspace(&workspace.name),
        };
        granted.as_ref().is_none_or(|granted| granted.contains(&workspace.id)) && caller.sees(Action::Read(subject))
    };
    let catalog = &state.context().catalog;
    let page = catalog.workspaces(caller.account().id, &request, visible).await?;
    let asked = stream::iter(page.items).map(|workspace| item(&state, workspace)).buffered(ASKED_AT_ONCE);
    let items: Vec<Item> = asked.try_collect().await?;
    let total = if !first {
        None
    } else if page.next_cursor.is_none() {
        Some(items.iter().fold(UsageTotal::default(), UsageTotal::with))
    } else {
        Some(sum(&state, &caller, visible).await?)
    };
    Ok(Json(UsageBody { total, items, next_cursor: page.next_cursor }))
}

async fn item(state: &ApiState, workspace: WorkspaceRecord) -> Result<Item, ApiError> {
    let Usage { bytes, inodes } = state.control().data_plane().usage(&workspace).await?;
    Ok(Item { workspace: workspace.address(), bytes, inodes })
}

impl UsageTotal {
    fn with(self, item: &Item) -> Self {
        Self { workspaces: self.workspaces + 1, bytes: self.bytes + item.bytes, inodes: self.inodes + item.inodes }
    }
}

async fn sum(state: &ApiState, caller: &Caller, visible: impl Fn(&WorkspaceRecord) -> bool + Send + Sync) -> Result<UsageTotal, ApiError> {
    let mut total = UsageTotal::default();
    let mut request = PageRequest { limit: STEP, cursor: None };
    loop {
        let page = state.context().catalog.workspaces(caller.account().id, &request, &visible).await?;
        let asked = stream::iter(page.items).map(|workspace| item(state, workspace)).buffered(ASKED_AT_ONCE);
        total = asked.try_fold(total, |total, item| ready(Ok(total.with(&item)))).await?;
        if page.next_cursor.is_none() {
            return Ok(total);
        }
        request.cursor = page.next_cursor;
    }
}

/// The workspaces that a tenant's standing grants name.
async fn granted(state: &ApiState, caller: &Caller, tenant: &TenantSlug) -> Result<BTreeSet<WorkspaceId>, ApiError> {
    let now = state.context().clock.wall();
    let stands = |grant: &GrantRecord| grant.stands(now, caller.account().generation);
    let mut granted = BTreeSet::new();
    let mut request = PageRequest { limit: STEP, cursor: None };
    loop {
        let page = state.context().catalog.grants(caller.account().id, Some(tenant), &request, stands).await?;
        granted.extend(page.items.iter().map(|grant| grant.workspace));
        if page.next_cursor.is_none() {
            return Ok(granted);
        }
        request.cursor = page.next_cursor;
    }
}

/// What a workspace holds, and what it takes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WorkspaceStorage {
    /// `handle/name`.
    workspace: String,
    /// Bytes of data, as the quota counts them.
    bytes: u64,
    /// Files, directories and the like, the root included.
    inodes: u64,
    /// Hard limit on bytes of data.
    #[serde(skip_serializing_if = "Option::is_none")]
    quota_bytes: Option<u64>,
    /// Hard limit on inodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    quota_inodes: Option<u64>,
    /// Bytes of data that lie in the metadata store, until they are packed.
    inline_bytes: u64,
    /// Segments in which something lives.
    segments: u64,
    /// Their bytes.
    stored_bytes: u64,
    /// Those of them that live.
    live_bytes: u64,
    /// Segments that are dead and wait to be deleted.
    dead_segments: u64,
}

/// What a workspace holds, and what it takes in the store and in objects.
#[utoipa::path(get, path = "/v1/workspaces/{handle}/{name}/usage", tag = "workspaces", operation_id = "workspace_usage", params(WorkspacePath), responses(
    (status = 200, description = "Its figures", body = WorkspaceStorage),
    (status = 404, description = "`workspace_not_found`", body = ErrorBody),
))]
pub(super) async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    PathParams(path): PathParams<WorkspacePath>,
) -> Result<Json<WorkspaceStorage>, ApiError> {
    let name = caller.own(Some(&path.handle), &path.name)?;
    caller.may(Action::Read(Subject::workspace(name)))?;
    let workspace = state.control().workspace(caller.account(), name).await?;
    let storage = state.control().data_plane().storage(&workspace).await?;
    Ok(Json(WorkspaceStorage {
        workspace: workspace.address(),
        bytes: storage.usage.bytes,
        inodes: storage.usage.inodes,
        quota_bytes: workspace.quota_bytes,
        quota_inodes: workspace.quota_inodes,
        inline_bytes: storage.inline_bytes,
        segments: storage.segments,
        stored_bytes: storage.stored_bytes,
        live_bytes: storage.live_bytes,
        dead_segments: storage.dead_segments,
    }))
}
