use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use artifacts_core::name::{Subpath, WorkspaceAddress};
use artifacts_core::protocol::Opening;
use artifacts_core::ticket::{Mode, TicketFile};
use artifacts_trace::TraceOptions;
use serde::{Deserialize, Serialize};

use crate::mesh::GuestMesh;

/// Memory for blocks unless the caller says otherwise, in bytes.
pub const DEFAULT_CACHE_BYTES: u64 = 32 << 20;

/// Room on disk for blocks, where there is a directory for them, unless the caller says otherwise, in bytes.
pub const DEFAULT_DISK_CACHE_BYTES: u64 = 4 << 30;

/// By what right a workspace is mounted.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum Credential {
    /// A mount ticket, which names the workspace and the nodes.
    Ticket(TicketFile),
    /// An API key of the account that owns the workspace.
    ApiKey {
        /// Where the control nodes are, most preferred first; `http(s)://…`.
        endpoints: Vec<String>,
        /// The secret.
        key: String,
        /// What to mount.
        workspace: WorkspaceAddress,
        /// How.
        mode: Mode,
        /// Which directory is to be the root.
        subpath: Option<Subpath>,
    },
}

impl Credential {
    /// Where to connect, most preferred first.
    pub fn endpoints(&self) -> &[String] {
        match self {
            Self::Ticket(ticket) => &ticket.endpoints,
            Self::ApiKey { endpoints, .. } => endpoints,
        }
    }

    /// What the first message of the stream says.
    pub(crate) fn opening(&self, read_only: bool) -> Opening {
        match self {
            Self::Ticket(ticket) => Opening::Ticket { token: ticket.token.clone() },
            Self::ApiKey { key, workspace, mode, subpath, .. } => Opening::ApiKey {
                key: key.clone(),
                workspace: workspace.clone(),
                mode: if read_only { Mode::Ro } else { *mode },
                subpath: subpath.clone(),
            },
        }
    }
}

/// Tells what a credential is for and never what it is.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ticket(ticket) => {
                f.debug_struct("Ticket").field("id", &ticket.id).field("workspace", &ticket.workspace).finish_non_exhaustive()
            }
            Self::ApiKey { workspace, mode, .. } => {
                f.debug_struct("ApiKey").field("workspace", workspace).field("mode", mode).finish_non_exhaustive()
            }
        }
    }
}

/// All that an agent must be told. Travels over a pipe to the agent's process, never over its command line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MountOptions {
    /// By what right.
    pub credential: Credential,
    /// Where.
    pub mountpoint: PathBuf,
    /// Whether the kernel is to refuse every change, even if the credential allows it.
    pub read_only: bool,
    /// Memory for blocks of files, in bytes.
    pub cache_bytes: u64,
    /// Where blocks are kept on disk as well, if at all.
    pub cache_dir: Option<PathBuf>,
    /// Room on disk for them, in bytes.
    pub disk_cache_bytes: u64,
    /// Where this host's mounts are on record, their control sockets and logs; only its owner may read it.
    pub state_dir: PathBuf,
    /// A PEM file of further authorities to trust when connecting.
    pub ca_cert: Option<PathBuf>,
    /// Threads that take requests from the kernel.
    pub threads: usize,
    /// Whether SIGTERM and SIGINT unmount. False for a mount that is not the only concern of its process.
    pub handle_signals: bool,
    /// Its part in the mesh, where no host agent takes part for it. Whoever is asked to mount by an earlier version is not told.
    #[serde(default)]
    pub mesh: GuestMesh,
    /// Where traces go, if anywhere; of no effect in a process that serves several mounts, which traces them all alike.
    #[serde(default)]
    pub traces: TraceOptions,
    /// Where Prometheus finds the metrics of the mount, if anywhere; of no effect in a process that serves several mounts.
    #[serde(default)]
    pub metrics_listen: Option<SocketAddr>,
}

impl MountOptions {
    /// The usual options.
    pub fn new(credential: Credential, mountpoint: impl Into<PathBuf>, state_dir: impl Into<PathBuf>) -> Self {
        Self {
            credential,
            mountpoint: mountpoint.into(),
            read_only: false,
            cache_bytes: DEFAULT_CACHE_BYTES,
            cache_dir: None,
            disk_cache_bytes: DEFAULT_DISK_CACHE_BYTES,
            state_dir: state_dir.into(),
            ca_cert: None,
            threads: 2,
            handle_signals: true,
            mesh: GuestMesh::default(),
            traces: TraceOptions::default(),
            metrics_listen: None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use artifacts_core::{TicketId, Timestamp};

    #[test]
    fn debug_output_tells_no_secret() {
        let ticket = TicketFile {
            version: 1,
            id: TicketId::from_bits(1),
            workspace: "acme/task".to_owned(),
            mode: Mode::Rw,
            expires_at: Timestamp::from_unix_ms(0),
            endpoints: vec!["http://node".to_owned()],
            token: "sesame".to_owned(),
        };
        let key = Credential::ApiKey {
            endpoints: vec![],
            key: "sesame".to_owned(),
            workspace: "acme/task".parse().unwrap(),
            mode: Mode::Rw,
            subpath: None,
        };
        for credential in [Credential::Ticket(ticket), key] {
            let options = MountOptions::new(credential, "/mnt", "/state");
            assert!(!format!("{options:?}").contains("sesame"));
            let json = serde_json::to_string(&options).unwrap();
            let back: MountOptions = serde_json::from_str(&json).unwrap();
            assert_eq!(serde_json::to_string(&back).unwrap(), json);
        }
    }
}
