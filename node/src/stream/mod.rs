//! The agents' side of a node: the session stream and the data endpoints (`docs/design/0001-session-stream.md`).
//!
//! Thin: frames are decoded here and handed on, in order; nothing is decided. A stream has at most
//! [`socket::QUESTIONS_MAX`] unanswered frames, which bounds the mailboxes behind it.

mod data;
mod direct;
mod socket;

use artifacts_core::protocol::FRAME_MAX_BYTES;
use axum::Router;
use axum::extract::{ConnectInfo, State, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use std::net::SocketAddr;

use crate::context::SharedContext;
use crate::server::Shutdown;
use crate::sessions::Sessions;

/// What the agents' endpoints need.
#[derive(Clone)]
pub(crate) struct StreamState {
    pub(crate) context: SharedContext,
    pub(crate) sessions: Sessions,
    pub(crate) shutdown: Shutdown,
}

/// `/v1/stream`, `/v1/data/{segment}` and `/v1/data/{segment}/url`.
pub(crate) fn router(state: StreamState) -> Router {
    Router::new()
        .route("/v1/stream", get(open_stream))
        .route("/v1/data/{segment}", get(data::get_segment).put(data::put_segment))
        .route("/v1/data/{segment}/url", get(direct::segment_url))
        .layer(axum::extract::DefaultBodyLimit::max(data::SEGMENT_MAX_BYTES))
        .with_state(state)
}

async fn open_stream(
    State(state): State<StreamState>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    upgrade: WebSocketUpgrade,
) -> Response {
    upgrade.max_message_size(FRAME_MAX_BYTES).max_frame_size(FRAME_MAX_BYTES).on_upgrade(move |socket| socket::serve(state, socket, remote))
}
