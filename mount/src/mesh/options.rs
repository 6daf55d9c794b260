use std::net::SocketAddr;
use std::path::PathBuf;

use artifacts_core::mesh::CredentialFile;

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
