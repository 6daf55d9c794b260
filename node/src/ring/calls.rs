//! What other nodes may call: `POST /internal/v1/…`, with a sealed head in a header and a sealed body.
//!
//! Nothing of a body is read before its head has proved that a member of the ring calls, now and this very path; and
//! then no more than the head says. Who fails that gets 401 and no reason.

use artifacts_core::ErrorCode;
use artifacts_core::mesh::{Answer, CallError, OpenedCall};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde::{Deserialize, Serialize};

use super::Ring;
use super::caller::HEAD;
use crate::api::ApiError;

/// What a node says of itself and of the ring.
pub(crate) const STATUS_PATH: &str = "/internal/v1/status";

/// How a node sees the ring.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StatusAnswer {
    /// Its current life.
    pub(crate) generation: u64,
    /// How many nodes it counts as alive, itself included.
    pub(crate) live: usize,
}

/// All of it.
pub(crate) fn router(ring: Ring) -> Router {
    Router::new().route(STATUS_PATH, post(status)).with_state(ring)
}

async fn status(State(ring): State<Ring>, headers: HeaderMap, body: Body) -> Response {
    let call = match open(&ring, STATUS_PATH, &headers, body).await {
        Ok(call) => call,
        Err(refusal) => return refusal.into_response(),
    };
    let view = ring.view();
    let live = view.members.iter().filter(|member| member.live).count();
    answer(call, &StatusAnswer { generation: view.generation, live })
}

/// Reads and opens a call.
async fn open(ring: &Ring, path: &'static str, headers: &HeaderMap, body: Body) -> Result<OpenedCall, ApiError> {
    let refused = |error: CallError| {
        tracing::debug!(%error, path, "a call between nodes is refused");
        ApiError::new(ErrorCode::Unauthorized, "this is for nodes of the cluster")
    };
    let head = headers.get(HEAD).and_then(|head| BASE64URL.decode(head).ok()).unwrap_or_default();
    let incoming = ring.caller().open(path, &head).map_err(refused)?;
    let limit = incoming.body_bytes;
    let sealed = axum::body::to_bytes(body, limit)
        .await
        .map_err(|_| ApiError::new(ErrorCode::PayloadTooLarge, "the body does not come as it was announced"))?;
    incoming.open_body(&sealed).map_err(refused)
}

fn answer<T: Serialize>(call: OpenedCall, content: &T) -> Response {
    let sealed = serde_json::to_vec(content).ok().and_then(|body| call.answer(&Answer { status: 200, body }).ok());
    match sealed {
        Some(sealed) => (StatusCode::OK, sealed).into_response(),
        None => ApiError::internal().into_response(),
    }
}
