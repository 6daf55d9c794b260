//! What all streams of server-sent events begin with.

use std::str::FromStr;

use artifacts_core::ErrorCode;
use axum::http::HeaderMap;
use tokio::sync::OwnedSemaphorePermit;

use super::{ApiError, ApiState};

/// The id of the last event that the client has seen, if it comes again.
pub(super) fn last_event_id<T: FromStr>(headers: &HeaderMap) -> Result<Option<T>, ApiError> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let id = value.to_str().ok().and_then(|text| text.parse().ok());
    id.map(Some).ok_or_else(|| ApiError::invalid("last-event-id", "is not the id of an event of this stream; leave it out to begin now"))
}

/// Room for one more stream.
pub(super) fn permit(state: &ApiState) -> Result<OwnedSemaphorePermit, ApiError> {
    let streams = state.streams().clone();
    streams.try_acquire_owned().map_err(|_| ApiError::new(ErrorCode::Unavailable, "too many streams of events are open; try again"))
}
