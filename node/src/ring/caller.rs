use std::sync::Arc;
use std::time::Duration;

use artifacts_core::mesh::limits::CALL_MAX_BYTES;
use artifacts_core::mesh::{Answer, CallError, CallSeat, Incarnation, IncomingCall, Member, SendersError};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use parking_lot::Mutex;
use tokio::sync::watch;

/// The header that a call's head travels in.
pub(super) const HEAD: &str = "artifacts-call";
/// How long to wait for a connection to another node.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// Why a call to another node came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum CallFailed {
    /// The node has not said where it is.
    #[error("the node has not said where it is reached")]
    Unknown,
    /// No HTTP answer in time.
    #[error("the node is not reached: {0}")]
    Unreachable(String),
    /// It does not take the call: it knows another key, or was started again meanwhile.
    #[error("the node refuses the call with status {0}")]
    Refused(u16),
    /// The call or the answer is not as it should be.
    #[error(transparent)]
    Seal(#[from] CallError),
}

/// Calls other nodes, and judges their calls. Clones share it.
///
/// Secrecy and proof of both sides come from the seal, not from TLS: where the other node speaks TLS, its certificate is
/// not looked at, because it is made for the names that clients use.
#[derive(Clone)]
pub struct Caller {
    seat: Arc<Mutex<CallSeat>>,
    /// Whether more nodes have called than a seat can tell apart.
    full: Arc<watch::Sender<bool>>,
    http: Option<reqwest::Client>,
}

impl Caller {
    pub(super) fn new(seat: CallSeat) -> Self {
        // TLS needs a provider for the process; if there is one already, it does as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_LIMIT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tls_danger_accept_invalid_certs(true)
            .build();
        let http = client.inspect_err(|error| tracing::error!(%error, "no calls to other nodes")).ok();
        Self { seat: Arc::new(Mutex::new(seat)), full: Arc::new(watch::Sender::new(false)), http }
    }

    /// Calls a member and waits for its answer, at most so long.
    ///
    /// # Errors
    /// [`CallFailed`]. Unless it is [`CallFailed::Unknown`] the call may have been carried out.
    pub async fn call(&self, member: &Member, path: &str, body: &[u8], limit: Duration) -> Result<Answer, CallFailed> {
        let facts = member.facts.as_ref().ok_or(CallFailed::Unknown)?;
        let http = self.http.as_ref().ok_or(CallFailed::Unknown)?;
        let mut call = self.seat.lock().seal(facts.calls, path, body)?;
        let url = format!("{}{path}", facts.api.trim_end_matches('/'));
        let unreachable = |error: reqwest::Error| CallFailed::Unreachable(chain(&error));
        let request = http.post(url).header(HEAD, BASE64URL.encode(&call.head)).body(std::mem::take(&mut call.body)).timeout(limit);
        let mut response = request.send().await.map_err(unreachable)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(CallFailed::Refused(response.status().as_u16()));
        }
        let mut sealed = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if sealed.len() + chunk.len() > CALL_MAX_BYTES {
                return Err(CallError::TooLarge.into());
            }
            sealed.extend_from_slice(&chunk);
        }
        Ok(call.open_answer(&sealed)?)
    }

    /// Judges the head of a call to this node.
    pub(super) fn open(&self, path: &str, head: &[u8]) -> Result<IncomingCall, CallError> {
        let opened = self.seat.lock().open(path, head);
        if matches!(opened, Err(CallError::Sender(SendersError::Full))) {
            self.full.send_replace(true);
        }
        opened
    }

    /// Waits until the seat needs a new life.
    pub(super) async fn filled(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.full.subscribe().wait_for(|full| *full).await;
    }

    /// Whether the seat needs a new life.
    pub(super) fn is_full(&self) -> bool {
        *self.full.borrow()
    }

    /// Gives the seat a new life, of which others have to hear.
    pub(super) fn renew(&self, incarnation: Incarnation) {
        self.seat.lock().renew(incarnation);
        self.full.send_replace(false);
    }
}

/// The error with what it comes from: reqwest's own text says little.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
