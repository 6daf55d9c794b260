use artifacts_core::ticket::Mode;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::body::JsonBody;
use super::error::ErrorBody;
use super::file_entry::{FileEntry, target};
use super::lock_caller::LockCaller;
use super::path::PathParams;
use super::workspaces::WorkspacePath;
use super::{ApiError, ApiState, file_path};

/// What is to be moved.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MoveFile {
    /// Its path.
    #[schema(example = "drafts/report.md")]
    from: String,
    /// Its new path; the directory must exist.
    #[schema(example = "report.md")]
    to: String,
    /// Whether it replaces what is there, as rename(2) does; if not, that is `file_exists`.
    #[serde(default)]
    overwrite: bool,
}

/// Gives a file, a symbolic link or a directory another name, in one step and durably.
#[utoipa::path(post, path = "/v1/workspaces/{handle}/{name}/files/move", tag = "files", operation_id = "move_file", params(WorkspacePath), request_body = MoveFile, responses(
    (status = 200, description = "It, at its new path", body = FileEntry),
    (status = 404, description = "`workspace_not_found`, `file_not_found`", body = ErrorBody),
    (status = 409, description = "`file_exists`, `is_a_directory`, `not_a_directory`, `directory_not_empty`, `workspace_not_active`", body = ErrorBody),
))]
pub(super) async fn run(
    State(state): State<ApiState>,
    caller: LockCaller,
    PathParams(path): PathParams<WorkspacePath>,
    JsonBody(body): JsonBody<MoveFile>,
) -> Result<Json<FileEntry>, ApiError> {
    let workspace = caller.workspace(&state, &path, Mode::Rw).await?;
    let (from, to) = (file_path::plain(&body.from)?, file_path::plain(&body.to)?);
    let files = state.files()?;
    let moved = files.rename(&workspace, target(&caller, from)?, target(&caller, to.clone())?, body.overwrite).await?;
    Ok(Json(FileEntry::new(&to, &moved)))
}
