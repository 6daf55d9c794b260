use artifacts_core::ErrorCode;
use artifacts_core::ticket::Mode;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, LAST_MODIFIED, RANGE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::byte_range::{Wanted, wanted};
use super::error::ErrorBody;
use super::file_entry::{FileEntry, target};
use super::file_path::FilePath;
use super::file_version::{self, Read};
use super::lock_caller::LockCaller;
use super::query::QueryParams;
use super::schema::Binary;
use super::{ApiError, ApiState};
use crate::files::{FileError, LONGEST_BYTES};
use crate::workspace::NewFile;

const ARTIFACTS_MODE: HeaderName = HeaderName::from_static("artifacts-mode");

/// `/v1/workspaces/{handle}/{name}/files/{path}`, for the description.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "stands for `FilePath` in the description")]
pub(super) struct FilePathParams {
    /// The owner's handle.
    #[param(pattern = "^[a-z0-9][a-z0-9-]{0,38}$")]
    handle: String,
    /// The workspace's name.
    #[param(pattern = "^[a-zA-Z0-9][a-zA-Z0-9_-]{0,62}$")]
    name: String,
    /// From the root of the workspace, or of the ticket's subpath; slashes stand as they are.
    path: String,
}

/// Gets a file, or with `range` a part of it; `HEAD` gets the headers alone. Symbolic links are followed inside the workspace. What
/// any mount had written before is in it.
#[utoipa::path(get, path = "/v1/workspaces/{handle}/{name}/files/{*path}", tag = "files", operation_id = "get_file", params(FilePathParams,
    ("range" = Option<String>, Header, description = "One range of bytes"),
    ("if-range" = Option<String>, Header, description = "An `etag`: without it being the file's, all of it is sent"),
    ("if-match" = Option<String>, Header, description = "An `etag`, or `*`"),
    ("if-none-match" = Option<String>, Header, description = "An `etag`, or `*`"),
    ("if-modified-since" = Option<String>, Header, description = "An HTTP-date"),
), responses(
    (status = 200, description = "The file", body = Binary, content_type = "application/octet-stream"),
    (status = 206, description = "The range", body = Binary, content_type = "application/octet-stream"),
    (status = 304, description = "It is as `if-none-match` or `if-modified-since` says"),
    (status = 404, description = "`workspace_not_found`, `file_not_found`", body = ErrorBody),
    (status = 409, description = "`is_a_directory`, `not_a_directory`, `workspace_not_active`", body = ErrorBody),
    (status = 412, description = "`precondition_failed`", body = ErrorBody),
    (status = 416, description = "`range_not_satisfiable`", body = ErrorBody),
))]
pub(super) async fn get(
    State(state): State<ApiState>,
    caller: LockCaller,
    path: FilePath,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let workspace = caller.workspace(&state, &path.workspace, Mode::Ro).await?;
    let file = state.files()?.open(&workspace, target(&caller, path.names)?).await?;
    let attr = file.attr().clone();
    let mut response = Response::new(Body::empty());
    let mut set = |name: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    };
    set(ETAG, file_version::etag(&attr));
    if let Some(date) = file_version::last_modified(&attr) {
        set(LAST_MODIFIED, date);
    }
    set(ACCEPT_RANGES, "bytes".to_owned());
    match file_version::judge(&headers, &attr)? {
        Read::Goes => {}
        Read::NotModified => {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return Ok(response);
        }
        Read::Unmet => return Err(FileError::Unmet.into()),
    }
    set(CONTENT_TYPE, "application/octet-stream".to_owned());
    set(HeaderName::from_static("x-content-type-options"), "nosniff".to_owned());
    set(ARTIFACTS_MODE, format!("{:04o}", attr.mode));
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let range = text(RANGE).filter(|_| file_version::is_still(text(IF_RANGE), &attr));
    let range = match wanted(range, attr.size) {
        Wanted::Whole => 0..attr.size,
        Wanted::Part(range) => {
            set(CONTENT_RANGE, format!("bytes {}-{}/{}", range.start, range.end - 1, attr.size));
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            range
        }
        Wanted::Unsatisfiable => {
            let error = ApiError::new(ErrorCode::RangeNotSatisfiable, format!("the file has {} bytes", attr.size));
            let mut refused = error.into_response();
            refused
                .headers_mut()
                .insert(CONTENT_RANGE, HeaderValue::from_str(&format!("bytes */{}", attr.size)).map_err(|_| ApiError::internal())?);
            return Ok(refused);
        }
    };
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    *response.body_mut() = file.body(range);
    Ok(response)
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PutQuery {
    /// Whether missing directories are made.
    #[serde(default)]
    parents: bool,
    /// Permission bits in octal; those of the file that is replaced, or else `0644`, unless given.
    #[param(value_type = Option<String>, pattern = "^0?[0-7]{1,3}$")]
    mode: Option<String>,
}

impl PutQuery {
    fn mode(&self) -> Result<Option<u16>, ApiError> {
        let Some(text) = &self.mode else { return Ok(None) };
        let bits = u16::from_str_radix(text, 8).ok().filter(|&bits| bits <= 0o777 && text.len() <= 4 && !text.starts_with('+'));
        bits.map(Some).ok_or_else(|| ApiError::invalid("mode", "must be permission bits in octal, as in `0644`"))
    }
}

/// Puts a file, of any length, as a whole: whoever looks sees the old one or the new one, and it is durable when this is answered. A
/// symbolic link at the path is followed inside the workspace. Who has the old file open goes on with that; extended attributes and other hard links stay with it.
#[utoipa::path(put, path = "/v1/workspaces/{handle}/{name}/files/{*path}", tag = "files", operation_id = "put_file", params(FilePathParams, PutQuery,
    ("if-match" = Option<String>, Header, description = "An `etag`, or `*`: something must be there"),
    ("if-none-match" = Option<String>, Header, description = "`*`: nothing may be there"),
), request_body(content = Binary, content_type = "application/octet-stream", description = "The content"), responses(
    (status = 200, description = "It has replaced a file", body = FileEntry),
    (status = 201, description = "It is new", body = FileEntry),
    (status = 404, description = "`workspace_not_found`; `file_not_found`: a directory on the way", body = ErrorBody),
    (status = 409, description = "`is_a_directory`, `not_a_directory`, `workspace_not_active`", body = ErrorBody),
    (status = 412, description = "`precondition_failed`", body = ErrorBody),
    (status = 413, description = "`payload_too_large`", body = ErrorBody),
    (status = 507, description = "`quota_exceeded`", body = ErrorBody),
))]
pub(super) async fn put(
    State(state): State<ApiState>,
    caller: LockCaller,
    path: FilePath,
    QueryParams(query): QueryParams<PutQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let workspace = caller.workspace(&state, &path.workspace, Mode::Rw).await?;
    let len = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if len.is_some_and(|len| len > LONGEST_BYTES) {
        return Err(FileError::TooLong.into());
    }
    let new = NewFile {
        target: target(&caller, path.names.clone())?,
        condition: file_version::condition(&headers)?,
        makes_parents: query.parents,
        mode: query.mode()?,
        extents: Vec::new(),
        segments: Vec::new(),
    };
    let (attr, is_new) = state.files()?.put(&workspace, new, body, || caller.stands(&state)).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, [(ETAG, file_version::etag(&attr))], Json(FileEntry::new(&path.names, &attr))).into_response())
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeleteQuery {
    /// Whether a directory goes with all that is in it, step by step.
    #[serde(default)]
    recursive: bool,
}

/// Removes a file, a symbolic link or an empty directory, durably.
#[utoipa::path(delete, path = "/v1/workspaces/{handle}/{name}/files/{*path}", tag = "files", operation_id = "delete_file", params(FilePathParams, DeleteQuery,
    ("if-match" = Option<String>, Header, description = "An `etag`, or `*`"),
), responses(
    (status = 204, description = "It is gone"),
    (status = 404, description = "`workspace_not_found`, `file_not_found`", body = ErrorBody),
    (status = 409, description = "`directory_not_empty`, `not_a_directory`, `workspace_not_active`", body = ErrorBody),
    (status = 412, description = "`precondition_failed`", body = ErrorBody),
))]
pub(super) async fn delete(
    State(state): State<ApiState>,
    caller: LockCaller,
    path: FilePath,
    QueryParams(query): QueryParams<DeleteQuery>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let workspace = caller.workspace(&state, &path.workspace, Mode::Rw).await?;
    let target = target(&caller, path.names)?;
    let condition = file_version::condition(&headers)?;
    state.files()?.remove(&workspace, target, condition, query.recursive, || caller.stands(&state)).await?;
    Ok(StatusCode::NO_CONTENT)
}
