use std::net::SocketAddr;
use std::sync::Arc;

use artifacts_core::KeyId;
use artifacts_core::hosts::{GuestBearer, guest_name};
use artifacts_core::mesh::CredentialFile;
use artifacts_core::name::NodeName;

use crate::error::MountError;
use crate::random::random_u64;
use crate::session::MountSession;
use crate::transport::Endpoint;

/// As whom an agent takes part in the mesh.
#[derive(Debug, Clone)]
pub(super) enum Member {
    /// A host, with a credential.
    Host {
        /// Which.
        credential: KeyId,
        /// Its secret.
        secret: String,
        /// Where nodes are.
        endpoints: Vec<Endpoint>,
    },
    /// One mount, with its session.
    Guest(Arc<MountSession>),
}

/// A member, and how it takes part.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) member: Member,
    pub(super) http: reqwest::Client,
    /// Where to receive datagrams; absent: at the address from which it reaches the nodes, and any port.
    pub(super) listen: Option<SocketAddr>,
    /// Where others reach that; absent: where it is.
    pub(super) advertise: Option<SocketAddr>,
}

impl Member {
    /// A host with this credential.
    ///
    /// # Errors
    /// When an endpoint of it is no address, or there is none.
    pub(super) fn host(credential: &CredentialFile) -> Result<Self, MountError> {
        let parsed: Result<Vec<Endpoint>, String> = credential.endpoints.iter().map(|endpoint| endpoint.parse()).collect();
        let endpoints = parsed.map_err(|reason| MountError::system("cannot use an endpoint of the mesh credential", reason))?;
        if endpoints.is_empty() {
            return Err(MountError::system("cannot join the mesh", "the credential names no endpoint"));
        }
        Ok(Self::Host { credential: credential.id, secret: credential.secret.clone(), endpoints })
    }

    /// Whether it is to take part at all: a guest only while its session stands and the nodes say that they let guests in.
    pub(super) fn takes_part(&self) -> bool {
        match self {
            Self::Host { .. } => true,
            Self::Guest(session) => session.admits_guests() && session.gate.fenced().is_none() && !session.is_ending(),
        }
    }

    /// What it is called in the mesh, by a life that begins.
    pub(super) fn name(&self) -> Option<NodeName> {
        match self {
            Self::Host { .. } => format!("host-{:016x}", random_u64()).parse().ok(),
            Self::Guest(session) => Some(guest_name(session.id())),
        }
    }

    /// Where nodes are; at least one.
    pub(super) fn endpoints(&self) -> Vec<Endpoint> {
        match self {
            Self::Host { endpoints, .. } => endpoints.clone(),
            Self::Guest(session) => std::iter::once(session.endpoint()).chain(session.peers()).collect(),
        }
    }

    /// What it shows them.
    pub(super) fn bearer(&self) -> String {
        match self {
            Self::Host { secret, .. } => secret.clone(),
            Self::Guest(session) => GuestBearer::new(session.id(), &session.welcome.secret).to_string(),
        }
    }

    pub(super) fn is_guest(&self) -> bool {
        matches!(self, Self::Guest(_))
    }
}
