//! What an operator decides about a node. Every field has a default; the file is JSON with the same names.

use std::net::SocketAddr;
use std::path::PathBuf;

use artifacts_core::cluster::{Regions, RegionsError};
use artifacts_core::protocol::{DataPath, VersionRange};
use artifacts_trace::TraceOptions;
use serde::{Deserialize, Serialize};

use crate::blob::BlobsConfig;
use crate::cluster::ClusterConfig;
use crate::encryption::EncryptionConfig;
use crate::ring::RingConfig;
pub use crate::workspace::UpkeepRules;

/// What a node keeps its metadata in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreKind {
    /// Files below the data directory, of this node alone.
    #[default]
    Sled,
    /// Objects in the cluster's bucket; whatever is on the node's disk can be lost.
    Slate,
}

/// Whom the mesh lets in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeshAdmission {
    /// Agents of hosts, with a mesh credential.
    #[default]
    Hosts,
    /// Guests as well: mounts in sandboxes, with their sessions, in cells of their own.
    All,
}

/// How a node of a cluster takes part in the mesh of agents. Nothing is opened before one has come.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MeshConfig {
    /// Whom to let in. The same on all nodes of a cluster: the node that is asked and the one that forms the cells must both agree.
    pub admit: MeshAdmission,
    /// Where to receive datagrams of agents (UDP); absent: the address and the port of `listen`.
    pub listen: Option<SocketAddr>,
    /// Where agents reach that; absent: where it is, or the address at which other nodes reach this one's gossip.
    pub advertise: Option<SocketAddr>,
}

/// The configuration of a control node.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeConfig {
    /// Where metadata, blobs and the admin token live.
    pub data: PathBuf,
    /// Where to listen.
    pub listen: SocketAddr,
    /// What clients are told to connect to, when that differs from `listen` (a proxy, a DNS name). Each `http(s)://…`.
    pub public_urls: Vec<String>,
    /// PEM certificate chain; with `tls_key` turns on TLS.
    pub tls_cert: Option<PathBuf>,
    /// PEM private key.
    pub tls_key: Option<PathBuf>,
    /// The name of this node's region.
    pub region: String,
    /// How long a session is kept for an agent that is not heard, in milliseconds; 2,000 at least.
    pub session_lease_ms: u64,
    /// How often the key that signs tickets is replaced, in hours.
    pub signing_key_hours: u64,
    /// How long entries of audit trails are kept, in days; 0 keeps them for ever.
    pub audit_retention_days: u64,
    /// API calls a second that one credential may make on average; bursts of twice as many. 0 turns the limit off.
    pub rate_limit: u32,
    /// The most connections at once.
    pub max_connections: usize,
    /// Memory for the store's cache, in bytes.
    pub store_cache_bytes: u64,
    /// What the metadata is kept in.
    pub store: StoreKind,
    /// How the node takes part in a cluster, if `store` is `slate`.
    pub cluster: ClusterConfig,
    /// Where segments are kept.
    pub blobs: BlobsConfig,
    /// Whether workspaces that are made from now on are encrypted at rest, and with which key of the cluster.
    pub encryption: Option<EncryptionConfig>,
    /// Whether agents exchange data with the object store themselves; absent: they do if there is one.
    pub data_path: Option<DataPath>,
    /// How the node finds the others of its cluster; absent: it is alone.
    pub ring: Option<RingConfig>,
    /// How the node takes part in the mesh of agents.
    pub mesh: MeshConfig,
    /// Whether the web console is served at `/console`.
    pub console: bool,
    /// Where traces go, if anywhere. Whoever starts the process begins to trace; the node itself only makes spans.
    pub traces: TraceOptions,
    /// Which versions of the session protocol the node says that it speaks: for tests of upgrades. One newer than this program's
    /// newest is spoken as that.
    pub protocol: VersionRange,
    /// When workspaces are tidied up; not for the file.
    #[serde(skip)]
    pub upkeep: UpkeepRules,
}

impl NodeConfig {
    /// The regions of the node's cluster.
    ///
    /// # Errors
    /// [`RegionsError`] for a list that cannot be.
    pub fn regions(&self) -> Result<Regions, RegionsError> {
        Regions::new(self.region.as_str(), self.ring.as_ref().map_or(&[], |ring| ring.regions.as_slice()))
    }

    /// Whether sessions are told that they let their agents into the mesh. Where one node does everything there is none.
    pub fn admits_guests(&self) -> bool {
        self.ring.is_some() && self.mesh.admit == MeshAdmission::All
    }

    /// How data travels.
    pub fn data_path(&self) -> DataPath {
        let default = match self.blobs {
            BlobsConfig::Directory => DataPath::Proxied,
            BlobsConfig::S3(_) => DataPath::Direct,
        };
        self.data_path.unwrap_or(default)
    }
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            data: PathBuf::from("artifacts-data"),
            listen: SocketAddr::from(([127, 0, 0, 1], 7700)),
            public_urls: Vec::new(),
            tls_cert: None,
            tls_key: None,
            region: "local".to_owned(),
            session_lease_ms: artifacts_core::session::DEFAULT_LEASE_MS,
            signing_key_hours: 30 * 24,
            audit_retention_days: 365,
            rate_limit: 1_000,
            max_connections: 10_000,
            store_cache_bytes: 32 << 20,
            store: StoreKind::default(),
            cluster: ClusterConfig::default(),
            blobs: BlobsConfig::Directory,
            encryption: None,
            data_path: None,
            ring: None,
            mesh: MeshConfig::default(),
            console: true,
            traces: TraceOptions::default(),
            protocol: VersionRange::OURS,
            upkeep: UpkeepRules::default(),
        }
    }
}
