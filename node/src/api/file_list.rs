use artifacts_core::namespace::Name;
use artifacts_core::ticket::Mode;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::error::ErrorBody;
use super::file_entry::{FileEntry, target};
use super::lock_caller::LockCaller;
use super::page::{self, PageBody};
use super::path::PathParams;
use super::query::QueryParams;
use super::workspaces::WorkspacePath;
use super::{ApiError, ApiState, file_path};
use crate::catalog::{BadCursor, ListError, ListKind, Page};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct FilesQuery {
    /// Which directory; the root unless given.
    path: Option<String>,
    /// Whether all below it is listed: each directory before what is in it.
    #[serde(default)]
    recursive: bool,
    /// How many items; 50 unless given. At most 200 are given, however many are asked for.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists a directory, names in the order of their bytes. Each page is of one moment.
#[utoipa::path(get, path = "/v1/workspaces/{handle}/{name}/files", tag = "files", operation_id = "list_files", params(WorkspacePath, FilesQuery), responses(
    (status = 200, description = "A page of what is there", body = PageBody<FileEntry>),
    (status = 404, description = "`workspace_not_found`, `file_not_found`", body = ErrorBody),
    (status = 409, description = "`not_a_directory`, `workspace_not_active`", body = ErrorBody),
))]
pub(super) async fn list(
    State(state): State<ApiState>,
    caller: LockCaller,
    PathParams(path): PathParams<WorkspacePath>,
    QueryParams(query): QueryParams<FilesQuery>,
) -> Result<Json<PageBody<FileEntry>>, ApiError> {
    let workspace = caller.workspace(&state, &path, Mode::Ro).await?;
    let base = file_path::plain(query.path.as_deref().unwrap_or_default())?;
    let request = page::request(query.limit, query.cursor)?;
    let after = request.cursor.as_deref().map(|cursor| position(&caller, cursor)).transpose()?.unwrap_or_default();
    let target = target(&caller, base.clone())?;
    let mut listed = state.files()?.list(&workspace, target, after, query.recursive, request.limit + 1).await?;
    let is_cut = listed.len() > request.limit;
    listed.truncate(request.limit);
    let next_cursor = listed.last().filter(|_| is_cut).map(|last| {
        let names: Vec<&[u8]> = last.path.iter().map(Name::as_bytes).collect();
        ListKind::Files.cursor(caller.account(), &names.join(&b'/'))
    });
    let page = Page { items: listed, next_cursor };
    let names = |path: &[Name]| base.iter().chain(path).cloned().collect::<Vec<_>>();
    Ok(Json(PageBody::new(page, |listed| FileEntry::new(&names(&listed.path), &listed.attr))))
}

fn position(caller: &LockCaller, cursor: &str) -> Result<Vec<Name>, ApiError> {
    let position = ListKind::Files.position(caller.account(), cursor).map_err(ListError::from)?;
    let names = position.split(|&byte| byte == b'/').map(|name| Name::new(name.to_vec()));
    Ok(names.collect::<Result<_, _>>().map_err(|_| ListError::from(BadCursor))?)
}
