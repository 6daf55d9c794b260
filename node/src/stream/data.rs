use artifacts_core::ticket::Mode;
use artifacts_core::{ErrorCode, SegmentId, SessionId};
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RANGE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use std::sync::Arc;

use super::StreamState;
use crate::api::ApiError;
use crate::blob::{BlobError, whole};
use crate::sessions::Handle;
use crate::workspace::segment_key;

/// The largest segment.
pub(crate) const SEGMENT_MAX_BYTES: usize = 8 << 20;

/// The session whose `{session}.{secret}` a request bears.
pub(super) fn session(state: &StreamState, headers: &HeaderMap) -> Result<Arc<Handle>, ApiError> {
    let unauthorized = || ApiError::new(ErrorCode::Unauthorized, "the data endpoints take a session's id and secret");
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let (id, secret) = bearer.and_then(|text| text.split_once('.')).ok_or_else(unauthorized)?;
    let id: SessionId = id.parse().map_err(|_| unauthorized())?;
    let handle = state.sessions.authenticate(id, secret).ok_or_else(unauthorized)?;
    if !state.sessions.is_current(&handle.record) {
        return Err(ApiError::new(ErrorCode::Unavailable, "nobody can say at the moment whether the session stands; try again"));
    }
    Ok(handle)
}

pub(super) fn segment(text: &str) -> Result<SegmentId, ApiError> {
    text.parse().map_err(|_| ApiError::new(ErrorCode::InvalidRequest, "the path names no segment: expected seg_…"))
}

/// Stores a segment, durably. The same bytes again are fine, others under the same id are not.
pub(super) async fn put_segment(
    State(state): State<StreamState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let handle = session(&state, &headers)?;
    let id = segment(&id)?;
    if handle.record.mode == Mode::Ro {
        return Err(ApiError::new(ErrorCode::Forbidden, "the session may only read"));
    }
    let body = body.map_err(|_| ApiError::new(ErrorCode::PayloadTooLarge, format!("a segment holds at most {SEGMENT_MAX_BYTES} bytes")))?;
    if body.is_empty() {
        return Err(ApiError::new(ErrorCode::InvalidRequest, "a segment holds at least one byte"));
    }
    let key = segment_key(handle.record.workspace, id).map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?;
    metrics::counter!("artifacts_segment_bytes_written_total").increment(body.len() as u64);
    state.context.blobs.put(&key, body).await.map_err(blob_error)?;
    Ok(StatusCode::CREATED.into_response())
}

/// Reads a part of a segment: `Range: bytes=first-last`, both required, both included. A range that reaches behind the
/// end is cut there (RFC 9110, 14.1.2), so that a reader may ask for more than one block without knowing what follows.
pub(super) async fn get_segment(
    State(state): State<StreamState>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let handle = session(&state, &headers)?;
    let id = segment(&id)?;
    let range = headers.get(RANGE).and_then(|value| {
        let (first, last) = value.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
        Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?))
    });
    let bounded = range.filter(|(first, last)| first <= last && last - first < SEGMENT_MAX_BYTES as u64);
    let (first, last) =
        bounded.ok_or_else(|| ApiError::new(ErrorCode::InvalidRequest, "a segment is read by `Range: bytes=first-last`"))?;
    let key = state.context.homes.key(&*state.context.store, handle.record.workspace, id).await?;
    // A reader that wants what lies beside something may ask beyond the end.
    let blobs = &state.context.blobs;
    let wanted = first..last + 1;
    let (wanted, data) = match blobs.get(&key, wanted.clone()).await {
        Err(BlobError::OutOfRange { len_bytes, .. }) if first < len_bytes => (first..len_bytes, blobs.get(&key, first..len_bytes).await),
        outcome => (wanted, outcome),
    };
    let data = data.and_then(|data| whole(data, &wanted)).map_err(blob_error)?;
    metrics::counter!("artifacts_segment_bytes_read_total").increment(data.len() as u64);
    Ok((StatusCode::PARTIAL_CONTENT, [(CONTENT_TYPE, "application/octet-stream")], data).into_response())
}

pub(super) fn blob_error(error: BlobError) -> ApiError {
    match error {
        BlobError::NotFound { .. } => ApiError::new(ErrorCode::NotFound, "there is no such segment in this workspace"),
        BlobError::AlreadyExists { .. } => ApiError::new(ErrorCode::IdempotencyConflict, "another segment has this id"),
        error @ BlobError::Full { .. } => {
            tracing::error!(%error, "the disk of the data store is full");
            ApiError::new(ErrorCode::QuotaExceeded, "the data store is full")
        }
        error => {
            tracing::warn!(%error, "a segment could not be served");
            ApiError::new(ErrorCode::Unavailable, "the data store does not answer; try again")
        }
    }
}
