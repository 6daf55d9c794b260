//! The agents' side of a node: the session stream and the data endpoints (`docs/design/0001-session-stream.md`).
//!
//! Thin: frames are decoded here and handed on, in order; nothing is decided. A stream has at most
//! [`socket::QUESTIONS_MAX`] unanswered frames, which bounds the mailboxes behind it.

mod data;
mod direct;
mod socket;

pub(crate) use data::SEGMENT_MAX_BYTES;
pub(crate) use socket::{HELLO_WITHIN, read_hello};

use artifacts_core::protocol::{FRAME_MAX_BYTES, Hello, Refusal, VersionRange};
use axum::Router;
use axum::extract::{ConnectInfo, State, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use parking_lot::RwLock;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::context::SharedContext;
use crate::server::Shutdown;
use crate::sessions::Sessions;

/// What the agents' endpoints need.
#[derive(Clone)]
pub(crate) struct StreamState {
    pub(crate) context: SharedContext,
    pub(crate) sessions: Sessions,
    pub(crate) shutdown: Shutdown,
    /// The versions of the protocol that are spoken now.
    pub(crate) speaks: Arc<RwLock<VersionRange>>,
}

/// `/v1/stream`, `/v1/data/{segment}` and `/v1/data/{segment}/url`.
pub(crate) fn router(state: StreamState) -> Router {
    data_router(state.clone()).route("/v1/stream", get(open_stream).with_state(state))
}

/// `/v1/data/{segment}` and `/v1/data/{segment}/url`.
pub(crate) fn data_router(state: StreamState) -> Router {
    Router::new()
        .route("/v1/data/{segment}", get(data::get_segment).put(data::put_segment))
        .route("/v1/data/{segment}/url", get(direct::segment_url))
        .layer(axum::extract::DefaultBodyLimit::max(data::SEGMENT_MAX_BYTES))
        .with_state(state)
}

/// How much of a stream is read at a time. Every stream has a buffer of this size, and the library clears what is free of it
/// before each read, however little comes: heartbeats, mostly.
const READ_BUFFER_BYTES: usize = 8 << 10;

async fn open_stream(
    State(state): State<StreamState>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    upgrade: WebSocketUpgrade,
) -> Response {
    serve_stream(upgrade, remote, move |_| ready(Ok(state)).boxed())
}

/// Finds by whom the stream is served that begins with a hello.
pub(crate) trait FindServer: FnOnce(Hello) -> BoxFuture<'static, Result<StreamState, Refusal>> + Send + 'static {}

impl<F: FnOnce(Hello) -> BoxFuture<'static, Result<StreamState, Refusal>> + Send + 'static> FindServer for F {}

/// Upgrades to a stream; `find` says by whom it is served.
pub(crate) fn serve_stream(upgrade: WebSocketUpgrade, remote: SocketAddr, find: impl FindServer) -> Response {
    let upgrade = upgrade.read_buffer_size(READ_BUFFER_BYTES).max_message_size(FRAME_MAX_BYTES).max_frame_size(FRAME_MAX_BYTES);
    upgrade.on_upgrade(move |socket| socket::serve(socket, remote, find))
}
