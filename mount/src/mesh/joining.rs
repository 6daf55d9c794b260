use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use artifacts_core::ErrorCode;
use artifacts_core::hosts::{CellAnswer, JOIN_PATH, JoinCell};
use artifacts_core::mesh::CredentialFile;
use reqwest::StatusCode;
use serde::Deserialize;
use tokio::net::UdpSocket;

use crate::error::MountError;
use crate::transport::{Endpoint, Trust, http_client};

/// How long a node may take to answer.
const LIMIT: Duration = Duration::from_secs(5);

/// Why a host has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum JoinError {
    /// The credential is good for nothing any more.
    #[error("{0}")]
    Unauthorized(String),
    /// The node is alone, or of an earlier version.
    #[error("the node has no mesh: it is alone, or older than this agent")]
    NoMesh,
    /// Try again.
    #[error("{0}")]
    Failed(String),
}

/// Asks control nodes for the host's cell.
#[derive(Debug, Clone)]
pub(super) struct Joiner {
    http: reqwest::Client,
    endpoints: Vec<Endpoint>,
    secret: String,
    next: usize,
}

/// The API's error body, as far as it matters here.
#[derive(Deserialize)]
struct ErrorBody {
    code: ErrorCode,
    message: String,
}

impl Joiner {
    /// With this credential.
    ///
    /// # Errors
    /// When an endpoint of it is no address, or there is none; when TLS cannot be set up.
    pub(super) fn new(credential: &CredentialFile, ca_cert: Option<&std::path::Path>) -> Result<Self, MountError> {
        let parsed: Result<Vec<Endpoint>, String> = credential.endpoints.iter().map(|endpoint| endpoint.parse()).collect();
        let endpoints = parsed.map_err(|reason| MountError::system("cannot use an endpoint of the mesh credential", reason))?;
        if endpoints.is_empty() {
            return Err(MountError::system("cannot join the mesh", "the credential names no endpoint"));
        }
        let http = http_client(&Trust::load(ca_cert)?)?;
        Ok(Self { http, endpoints, secret: credential.secret.clone(), next: 0 })
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoints[self.next % self.endpoints.len()]
    }

    /// The address of this machine from which it reaches the nodes.
    ///
    /// # Errors
    /// When none can be reached; another one is tried next.
    pub(super) async fn local_ip(&mut self) -> std::io::Result<IpAddr> {
        let endpoint = self.endpoint().clone();
        let found = async {
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
        let mut last = JoinError::Failed("not tried".to_owned());
        for _ in 0..self.endpoints.len() {
            match self.attempt(join).await {
                Err(JoinError::Failed(reason)) => last = JoinError::Failed(format!("{}: {reason}", self.endpoint())),
                outcome => return outcome,
            }
            self.next += 1;
        }
        Err(last)
    }

    async fn attempt(&self, join: &JoinCell) -> Result<CellAnswer, JoinError> {
        let failed = |error: reqwest::Error| JoinError::Failed(error.without_url().to_string());
        let request = self.http.post(self.endpoint().at(JOIN_PATH)).bearer_auth(&self.secret).json(join).timeout(LIMIT);
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        if status.is_success() {
            return response.json().await.map_err(failed);
        }
        let body: Option<ErrorBody> = response.json().await.ok();
        Err(match (status, body) {
            (_, Some(ErrorBody { code: ErrorCode::Unauthorized | ErrorCode::Forbidden, message })) => JoinError::Unauthorized(message),
            (StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED, _) => JoinError::NoMesh,
            (_, Some(body)) => JoinError::Failed(format!("{} ({})", body.message, body.code)),
            (status, None) => JoinError::Failed(format!("the address answers {status}, which no control node does")),
        })
    }
}
