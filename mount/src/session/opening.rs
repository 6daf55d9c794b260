use std::time::Duration;

use artifacts_core::ErrorCode;
use artifacts_core::SessionId;
use artifacts_core::protocol::{ClientFrame, Hello, HelloAnswer, Opening, Refusal, VersionRange, Welcome, encode};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::Message;

use crate::error::MountError;
use crate::time::{SharedClock, pause};
use crate::transport::{ConnectError, Endpoint, Socket, Trust, connect};

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(5);
/// How long it may take until there is a connection; short, because another endpoint may answer.
pub(super) const CONNECT: Duration = Duration::from_millis(1_500);
/// How often one attempt follows a node's word that the workspace is elsewhere.
const HOPS_MAX: usize = 3;
/// For how long a first opening is tried again when nobody answers or the node is not ready.
const FIRST_OPENING_MS: u64 = 5_000;

/// A stream on which the node has said welcome.
pub(crate) struct Opened {
    pub(super) socket: Socket,
    pub(super) welcome: Welcome,
    /// When the hello was sent, which is the moment that the welcome proves something about.
    pub(super) asked_at_ms: u64,
    pub(super) endpoint: Endpoint,
}

/// Opens streams to whichever node answers.
#[derive(Debug)]
pub(crate) struct Opener {
    endpoints: Vec<Endpoint>,
    trust: Trust,
    clock: SharedClock,
    next: usize,
    /// The owner of the workspace that a node has named, while it answers there.
    owner: Option<Endpoint>,
}

impl Opener {
    /// For these endpoints, most preferred first.
    ///
    /// # Errors
    /// When an endpoint is no address, or there is none.
    pub(crate) fn new(endpoints: &[String], trust: Trust, clock: SharedClock) -> Result<Self, MountError> {
        let parsed: Result<Vec<Endpoint>, String> = endpoints.iter().map(|endpoint| endpoint.parse()).collect();
        let endpoints = parsed.map_err(|reason| MountError::system("cannot use an endpoint of the credential", reason))?;
        if endpoints.is_empty() {
            return Err(MountError::system("cannot connect", "the credential names no endpoint"));
        }
        Ok(Self { endpoints, trust, clock, next: 0, owner: None })
    }

    /// Opens a new session, trying all endpoints for a while.
    ///
    /// # Errors
    /// What the node refused, or why none could be reached.
    pub(crate) async fn open(&mut self, opening: &Opening) -> Result<Opened, MountError> {
        let give_up_at_ms = self.clock.boot_ms() + FIRST_OPENING_MS;
        let mut pause_ms = 50;
        loop {
            let mut last = ConnectError::unreachable("not tried");
            for _ in 0..self.endpoints.len() {
                match self.attempt(opening.clone(), ATTEMPT).await {
                    Ok(opened) => return Ok(opened),
                    Err(ConnectError::Refused(refusal)) if !may_pass(refusal.code) => return Err(refusal.into()),
                    Err(error) => last = error,
                }
            }
            if self.clock.boot_ms() + pause_ms >= give_up_at_ms {
                return Err(match last {
                    ConnectError::Refused(refusal) => refusal.into(),
                    ConnectError::Unreachable(reason) => {
                        let endpoints: Vec<_> = self.endpoints.iter().map(ToString::to_string).collect();
                        MountError::Unreachable { endpoints: endpoints.join(", "), reason }
                    }
                });
            }
            pause(pause_ms).await;
            pause_ms = (pause_ms * 2).min(1_000);
        }
    }

    /// Whom it trusts.
    pub(super) fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Begins elsewhere, if it can.
    pub(super) fn avoid(&mut self, endpoint: &Endpoint) {
        self.owner = self.owner.take().filter(|owner| owner != endpoint);
        if self.endpoints[self.next % self.endpoints.len()] == *endpoint {
            self.next = (self.next + 1) % self.endpoints.len();
        }
    }

    /// One attempt: at the owner that was named last, or else at the endpoint whose turn it is; and from there to where it says
    /// that the owner is. Whoever answers stays first.
    pub(super) async fn attempt(&mut self, opening: Opening, timeout: Duration) -> Result<Opened, ConnectError> {
        let mut hops = 0;
        loop {
            let named = self.owner.take();
            let endpoint = named.clone().unwrap_or_else(|| self.endpoints[self.next % self.endpoints.len()].clone());
            let attempt = Box::pin(attempt(&endpoint, &self.trust, &self.clock, opening.clone(), timeout));
            let error = match attempt.await {
                Ok(opened) => {
                    self.owner = named;
                    return Ok(opened);
                }
                Err(error) => error,
            };
            if let ConnectError::Refused(refusal) = &error
                && hops < HOPS_MAX
                && let Some(owner) = owner(&endpoint, refusal)
            {
                tracing::debug!(from = %endpoint, to = %owner, "the workspace is at another node");
                hops += 1;
                self.owner = Some(owner);
                continue;
            }
            if named.is_none() {
                self.next = (self.next + 1) % self.endpoints.len();
            }
            return Err(error);
        }
    }
}

/// Where a node sends the agent. A credential that was kept secret on the way stays so.
fn owner(from: &Endpoint, refusal: &Refusal) -> Option<Endpoint> {
    let owner: Endpoint = refusal.owner.as_deref()?.parse().ok()?;
    (owner != *from && (owner.is_tls() || !from.is_tls())).then_some(owner)
}

/// The first message of a stream.
pub(super) fn hello(opening: Opening) -> Result<String, ConnectError> {
    let hello = Hello {
        protocol: VersionRange::OURS,
        agent: concat!("artifacts-mount/", env!("CARGO_PKG_VERSION")).to_owned(),
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        opening,
    };
    serde_json::to_string(&hello).map_err(ConnectError::unreachable)
}

async fn attempt(
    endpoint: &Endpoint,
    trust: &Trust,
    clock: &SharedClock,
    opening: Opening,
    timeout: Duration,
) -> Result<Opened, ConnectError> {
    let mut socket = connect(endpoint, &endpoint.stream(), trust, timeout.min(CONNECT)).await?;
    let hello = hello(opening)?;
    let asked_at_ms = clock.boot_ms();
    let exchange = async {
        socket.send(Message::text(hello)).await.map_err(ConnectError::unreachable)?;
        match socket.next().await {
            Some(Ok(Message::Text(text))) => serde_json::from_str::<HelloAnswer>(&text)
                .map_err(|error| ConnectError::unreachable(format!("an unreadable answer: {error}"))),
            Some(Ok(Message::Close(Some(frame)))) => Err(ConnectError::unreachable(format!("closed: {}", frame.reason))),
            Some(Err(error)) => Err(ConnectError::unreachable(error)),
            _ => Err(ConnectError::unreachable("the connection was closed before the answer")),
        }
    };
    match tokio::time::timeout(timeout, exchange).await {
        Err(_) => Err(ConnectError::unreachable("no answer to the hello in time")),
        Ok(Err(error)) => Err(error),
        Ok(Ok(HelloAnswer::Refused(refusal))) => Err(ConnectError::Refused(refusal)),
        Ok(Ok(HelloAnswer::Welcome(welcome))) => {
            let sound = VersionRange::OURS.agree(VersionRange { min: welcome.version, max: welcome.version }).is_some();
            if !sound || welcome.heartbeat_ms == 0 || welcome.lease_ms < welcome.proof_ms {
                return Err(ConnectError::unreachable("a welcome that makes no sense"));
            }
            Ok(Opened { socket, welcome, asked_at_ms, endpoint: endpoint.clone() })
        }
    }
}

/// Whether a refusal may pass by itself.
fn may_pass(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::Unavailable | ErrorCode::RateLimited | ErrorCode::Internal)
}

/// Whether a refused resume means that the session is gone for good. Everything else may pass: another node may
/// speak our version, an owner may be found.
pub(super) fn is_gone(refusal: &Refusal) -> bool {
    use ErrorCode as Code;
    matches!(
        refusal.code,
        Code::SessionNotFound | Code::Unauthorized | Code::Forbidden | Code::NotFound | Code::WorkspaceNotFound | Code::GrantNotFound
    )
}

/// Ends the session that an agent left behind when it died, so that its ticket can be used at once. Nothing is lost
/// by it: what only that agent knew died with it, and what the node had applied stands.
pub(crate) async fn bury(opener: &mut Opener, session: SessionId, secret: String) {
    let opening = Opening::Resume { session, secret };
    let Ok(mut opened) = opener.attempt(opening, Duration::from_secs(2)).await else { return };
    for frame in [ClientFrame::ResendDone { open: vec![] }, ClientFrame::Goodbye] {
        let Ok(bytes) = encode(&frame) else { return };
        if opened.socket.send(Message::Binary(Bytes::from(bytes))).await.is_err() {
            return;
        }
    }
    // The node closes the stream once the session has ended.
    let closed = async { while let Some(Ok(_)) = opened.socket.next().await {} };
    let _ = tokio::time::timeout(Duration::from_secs(2), closed).await;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::*;
    use crate::time::SystemClock;

    #[test]
    fn a_node_that_fell_silent_is_asked_last() {
        let [a, b] = ["http://127.0.0.1:1", "http://127.0.0.1:2"].map(|endpoint| endpoint.parse::<Endpoint>().unwrap());
        let both = [a.to_string(), b.to_string()];
        let mut opener = Opener::new(&both, Trust::load(None).unwrap(), Arc::new(SystemClock)).unwrap();
        opener.owner = Some(a.clone());
        opener.avoid(&a);
        assert_eq!((opener.owner.clone(), opener.endpoints[opener.next].clone()), (None, b.clone()));
        opener.owner = Some(b.clone());
        opener.avoid(&a);
        assert_eq!((opener.owner.clone(), opener.next), (Some(b), 1));
        let mut lonely = Opener::new(&both[..1], Trust::load(None).unwrap(), Arc::new(SystemClock)).unwrap();
        lonely.avoid(&a);
        assert_eq!(lonely.next, 0, "there is nobody else");
    }
}
