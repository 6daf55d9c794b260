//! What other nodes may call: `POST /internal/v1/…`, with a sealed head in a header and a sealed body.
//!
//! Nothing of a body is read before its head has proved that a member of the ring calls, now and this very path; and
//! then no more than the head says. Who fails that gets 401 and no reason.

use std::sync::Arc;

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
    /// Whether the others hear it; a node of an earlier version does not know.
    #[serde(default = "is_heard")]
    pub(crate) is_heard: bool,
    /// What it has in hand.
    #[serde(flatten)]
    pub(crate) holdings: Holdings,
}

fn is_heard() -> bool {
    true
}

/// What a node has in hand.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Holdings {
    /// The shards.
    #[serde(default)]
    pub(crate) units: Vec<UnitStatus>,
    /// What it follows of other nodes' accounts.
    #[serde(default)]
    pub(crate) feeds: Vec<FeedStatus>,
}

/// How far behind a node is with what is revoked in the accounts of a shard.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FeedStatus {
    /// Whose.
    pub(crate) region: String,
    /// Which shard.
    pub(crate) shard: u16,
    /// How old what is known is; absent before it was read whole.
    pub(crate) age_ms: Option<u64>,
}

/// Where a node is with a shard.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct UnitStatus {
    /// Which.
    pub(crate) shard: u16,
    /// See [`artifacts_core::cluster::UnitPhase`].
    pub(crate) state: String,
    /// Which opening of the shard this is.
    pub(crate) epoch: Option<u64>,
    /// How many commits are not durable yet.
    #[serde(default)]
    pub(crate) unflushed: Option<u64>,
}

/// Says what this node has in hand.
pub(crate) type SeeHoldings = Arc<dyn Fn() -> Holdings + Send + Sync>;

/// All of it.
pub(crate) fn router(ring: Ring, holdings: SeeHoldings) -> Router {
    Router::new().route(STATUS_PATH, post(status)).with_state((ring, holdings))
}

async fn status(State((ring, holdings)): State<(Ring, SeeHoldings)>, headers: HeaderMap, body: Body) -> Response {
    let call = match open(&ring, STATUS_PATH, &headers, body).await {
        Ok(call) => call,
        Err(refusal) => return refusal.into_response(),
    };
    let view = ring.view();
    let live = view.members.iter().filter(|member| member.live).count();
    let status = StatusAnswer { generation: view.generation, live, is_heard: view.is_heard, holdings: holdings() };
    answer(call, 200, &status)
}

/// Reads and opens a call.
pub(crate) async fn open(ring: &Ring, path: &'static str, headers: &HeaderMap, body: Body) -> Result<OpenedCall, ApiError> {
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

/// Seals an answer.
pub(crate) fn answer<T: Serialize>(call: OpenedCall, status: u16, content: &T) -> Response {
    let sealed = serde_json::to_vec(content).ok().and_then(|body| call.answer(&Answer { status, body }).ok());
    match sealed {
        Some(sealed) => (StatusCode::OK, sealed).into_response(),
        None => ApiError::internal().into_response(),
    }
}
