use std::net::SocketAddr;
use std::path::PathBuf;

use artifacts_core::mesh::CredentialFile;
use serde::{Deserialize, Serialize};

/// How a host agent takes part in the mesh.
#[derive(Debug, Clone)]
pub struct MeshOptions {
    /// What lets it in.
    pub credential: CredentialFile,
    /// Where to receive datagrams (UDP); absent: at the address from which it reaches the nodes, and any port.
    pub listen: Option<SocketAddr>,
    /// Where others reach that; absent: where it is.
    pub advertise: Option<SocketAddr>,
    /// A PEM file of further authorities for TLS.
    pub ca_cert: Option<PathBuf>,
}

/// How a mount takes part in the mesh by itself, where no host agent does it for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GuestMesh {
    /// Whether it is to, once a node says that guests are let in.
    pub enabled: bool,
    /// Where to receive datagrams (UDP); absent: at the address from which it reaches the nodes, and any port.
    pub listen: Option<SocketAddr>,
    /// Where others reach that; absent: where it is.
    pub advertise: Option<SocketAddr>,
}

impl Default for GuestMesh {
    fn default() -> Self {
        Self { enabled: true, listen: None, advertise: None }
    }
}
