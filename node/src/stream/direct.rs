//! Signed requests with which an agent reaches one segment at the object store itself.
//!
//! Always true: a request is signed for a session that stands, for a segment that its own workspace has, for reading or,
//! in a session that may write, for creating it with the length that was named; and it is good for
//! [`DIRECT_URL_MAX_MS`] at most, and not beyond the end of the session that is known by now.

use std::time::Duration;

use artifacts_core::ErrorCode;
use artifacts_core::protocol::{DIRECT_URL_MAX_MS, DataPath, DirectUrl};
use artifacts_core::ticket::Mode;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use super::StreamState;
use super::data::{SEGMENT_MAX_BYTES, blob_error, segment, session};
use crate::api::ApiError;
use crate::blob::DirectOp;
use crate::workspace::segment_key;

/// What the request is to be for.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    op: Op,
    /// With `put`: how long the segment is.
    len: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Op {
    Get,
    Put,
}

/// Signs a request for a segment.
pub(super) async fn segment_url(
    State(state): State<StreamState>,
    Path(id): Path<String>,
    query: Result<Query<Wanted>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let handle = session(&state, &headers)?;
    let id = segment(&id)?;
    let invalid = |message: &str| ApiError::new(ErrorCode::InvalidRequest, message);
    let Query(wanted) = query.map_err(|_| invalid("expected `?op=get` or `?op=put&len=N`"))?;
    if wanted.op == Op::Put && handle.record.mode == Mode::Ro {
        return Err(ApiError::new(ErrorCode::Forbidden, "the session may only read"));
    }
    let not_here = || invalid("data goes through this node; use /v1/data/{segment}");
    if state.context.config.data_path() != DataPath::Direct {
        return Err(not_here());
    }
    let op = match (wanted.op, wanted.len) {
        (Op::Get, None) => DirectOp::Get,
        (Op::Put, Some(len_bytes)) if (1..=SEGMENT_MAX_BYTES as u64).contains(&len_bytes) => DirectOp::Put { len_bytes },
        (Op::Put, Some(0)) => return Err(invalid("a segment holds at least one byte")),
        (Op::Put, Some(_)) => {
            return Err(ApiError::new(ErrorCode::PayloadTooLarge, format!("a segment holds at most {SEGMENT_MAX_BYTES} bytes")));
        }
        _ => return Err(invalid("`len` goes with `op=put`, and only with it")),
    };
    let ends_in_ms = handle.record.expires_at.map_or(u64::MAX, |at| at.since_ms(state.context.clock.wall()));
    // The signature counts whole seconds.
    let valid_for = Duration::from_secs((ends_in_ms.min(DIRECT_URL_MAX_MS) / 1_000).max(1));
    let key = match wanted.op {
        Op::Get => state.context.homes.key(&*state.context.store, handle.record.workspace, id).await?,
        Op::Put => segment_key(handle.record.workspace, id).map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?,
    };
    let signed: DirectUrl = state.context.blobs.direct_url(&key, op, valid_for).await.map_err(blob_error)?.ok_or_else(not_here)?;
    let op = if wanted.op == Op::Put { "put" } else { "get" };
    metrics::counter!("artifacts_segment_urls_total", "op" => op).increment(1);
    Ok(([(CACHE_CONTROL, "no-store")], Json(signed)).into_response())
}
