use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use artifacts_core::ErrorCode;
use artifacts_core::hosts::{CellAnswer, JOIN_PATH, JoinCell};
use reqwest::StatusCode;
use serde::Deserialize;
use tokio::net::UdpSocket;

use super::member::Member;
use crate::transport::Endpoint;

/// How long a node may take to answer.
const LIMIT: Duration = Duration::from_secs(5);

/// Why a member has no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum JoinError {
    /// The credential is good for nothing any more, or the session has ended.
    #[error("{0}")]
    Unauthorized(String),
    /// Nobody like it is let in, or no more of them; or it is in vain.
    #[error("{0}")]
    Closed(String),
    /// The node is alone, or of an earlier version.
    #[error("the node has no mesh: it is alone, or older than this agent")]
    NoMesh,
    /// Try again.
    #[error("{0}")]
    Failed(String),
}

/// Asks control nodes for the member's cell.
#[derive(Debug, Clone)]
pub(super) struct Joiner {
    http: reqwest::Client,
    member: Member,
    next: usize,
}

/// The API's error body, as far as it matters here.
#[derive(Deserialize)]
struct ErrorBody {
    code: ErrorCode,
    message: String,
}

impl Joiner {
    /// For this member.
    pub(super) fn new(member: Member, http: reqwest::Client) -> Self {
        Self { http, member, next: 0 }
    }

    /// The address of this machine from which it reaches the nodes.
    ///
    /// # Errors
    /// When none can be reached; another one is tried next.
    pub(super) async fn local_ip(&mut self) -> std::io::Result<IpAddr> {
        let endpoints = self.member.endpoints();
        let found = async {
            let endpoint = turn(&endpoints, self.next).ok_or_else(|| std::io::Error::other("no node is known"))?;
            let mut addresses = tokio::net::lookup_host((endpoint.host(), endpoint.port())).await?;
            let to = addresses.next().ok_or_else(|| std::io::Error::other(format!("{} has no address", endpoint.host())))?;
            let any: SocketAddr = if to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
            // Nothing is sent: the kernel only chooses the way.
            let socket = UdpSocket::bind(any).await?;
            socket.connect(to).await?;
            Ok(socket.local_addr()?.ip())
        };
        let found = found.await;
        if found.is_err() {
            self.next += 1;
        }
        found
    }

    /// Asks each node in turn until one answers; that one is asked first the next time.
    ///
    /// # Errors
    /// [`JoinError`].
    pub(super) async fn ask(&mut self, join: &JoinCell) -> Result<CellAnswer, JoinError> {
        let mut last = JoinError::Failed("no node is known".to_owned());
        let endpoints = self.member.endpoints();
        for _ in 0..endpoints.len() {
            let Some(endpoint) = turn(&endpoints, self.next) else { break };
            match self.attempt(endpoint, join).await {
                Err(JoinError::Failed(reason)) => last = JoinError::Failed(format!("{endpoint}: {reason}")),
                outcome => return outcome,
            }
            self.next += 1;
        }
        Err(last)
    }

    async fn attempt(&self, endpoint: &Endpoint, join: &JoinCell) -> Result<CellAnswer, JoinError> {
        let failed = |error: reqwest::Error| JoinError::Failed(error.without_url().to_string());
        let request = self.http.post(endpoint.at(JOIN_PATH)).bearer_auth(self.member.bearer()).json(join).timeout(LIMIT);
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        if status.is_success() {
            return response.json().await.map_err(failed);
        }
        let body: Option<ErrorBody> = response.json().await.ok();
        Err(match (status, body) {
            (_, Some(ErrorBody { code: ErrorCode::Unauthorized, message })) => JoinError::Unauthorized(message),
            (_, Some(ErrorBody { code: ErrorCode::Forbidden | ErrorCode::QuotaExceeded, message })) => JoinError::Closed(message),
            (StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED, _) => JoinError::NoMesh,
            (_, Some(body)) => JoinError::Failed(format!("{} ({})", body.message, body.code)),
            (status, None) => JoinError::Failed(format!("the address answers {status}, which no control node does")),
        })
    }
}

fn turn(endpoints: &[Endpoint], next: usize) -> Option<&Endpoint> {
    endpoints.get(next.checked_rem(endpoints.len())?)
}
