use std::time::Duration;

use artifacts_core::protocol::{FRAME_MAX_BYTES, Refusal};
use rustls_pki_types::ServerName;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, http};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::wire::Wire;
use super::{Endpoint, Trust};
use artifacts_core::ErrorCode;

/// How much is read at a time. The library clears what is free of its buffer before each read, so a large one makes every
/// answer slower, most of which are small.
const READ_BUFFER_BYTES: usize = 16 << 10;

/// A WebSocket to a control node.
pub(crate) type Socket = WebSocketStream<Wire>;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// Nobody answers there, or not in our language.
    #[error("{0}")]
    Unreachable(String),
    /// The node answers and says no.
    #[error("{0}")]
    Refused(Refusal),
}

impl ConnectError {
    pub(crate) fn unreachable(reason: impl ToString) -> Self {
        Self::Unreachable(reason.to_string())
    }
}

/// Connects to an endpoint and upgrades at one of its WebSocket addresses, within `timeout`.
///
/// # Errors
/// [`ConnectError`].
pub(crate) async fn connect(endpoint: &Endpoint, url: &str, trust: &Trust, timeout: Duration) -> Result<Socket, ConnectError> {
    let connecting = Box::pin(connect_patiently(endpoint, url, trust));
    tokio::time::timeout(timeout, connecting).await.unwrap_or_else(|_| Err(ConnectError::unreachable("no answer in time")))
}

async fn connect_patiently(endpoint: &Endpoint, url: &str, trust: &Trust) -> Result<Socket, ConnectError> {
    let stream = TcpStream::connect((endpoint.host(), endpoint.port())).await.map_err(ConnectError::unreachable)?;
    stream.set_nodelay(true).map_err(ConnectError::unreachable)?;
    let wire = if endpoint.is_tls() {
        let name = ServerName::try_from(endpoint.host().to_owned()).map_err(ConnectError::unreachable)?;
        let stream = TlsConnector::from(trust.config()).connect(name, stream).await.map_err(ConnectError::unreachable)?;
        Wire::Tls(Box::new(stream))
    } else {
        Wire::Plain(stream)
    };
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES);
    let config = config.max_message_size(Some(FRAME_MAX_BYTES)).max_frame_size(Some(FRAME_MAX_BYTES));
    match client_async_with_config(url, wire, Some(config)).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(response)) => Err(refusal(&response)),
        Err(error) => Err(ConnectError::unreachable(error)),
    }
}

/// The API's error body, as far as it matters here.
#[derive(Deserialize)]
struct ErrorBody {
    code: ErrorCode,
    message: String,
}

/// What an answer other than the upgrade means. Busy and broken nodes may be better in a moment.
fn refusal(response: &http::Response<Option<Vec<u8>>>) -> ConnectError {
    let status = response.status();
    let body = response.body().as_deref().and_then(|body| serde_json::from_slice::<ErrorBody>(body).ok());
    match body {
        Some(body) => ConnectError::Refused(Refusal::new(body.code, body.message)),
        None => ConnectError::unreachable(format!("the address answers {status}, which no control node does")),
    }
}
