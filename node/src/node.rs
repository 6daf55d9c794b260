use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use artifacts_core::mesh::Facts;
use artifacts_core::protocol::DataPath;
use tokio::task::JoinHandle;

use crate::api::{self, ApiState};
use crate::blob::{BlobError, BlobsConfig};
use crate::catalog::Catalog;
use crate::cluster::{ClusterError, Shards};
use crate::config::{NodeConfig, StoreKind};
use crate::context::{Context, SharedContext};
use crate::control::Control;
use crate::opening::{self, Opened};
use crate::random::{SharedEntropy, SystemEntropy};
use crate::ring::{self, Ring, RingConfig, RingError, RingSeat};
use crate::server::{Drained, Listener, ServerConfig, ServerError, Shutdown, TlsFiles};
use crate::sessions::Sessions;
use crate::store::StoreError;
use crate::stream::{self, StreamState};
use crate::time::{SharedClock, SystemClock};

/// How long requests may go on after a shutdown has begun.
const DRAIN: Duration = Duration::from_secs(10);

/// Why a node did not start or did not stop in good order.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The data directory cannot be used.
    #[error("cannot use the data directory {path}: {source}")]
    DataDirectory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration contradicts itself.
    #[error("{0}")]
    Config(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The blobs.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The sockets or TLS.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The ring of nodes.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// The control plane.
    #[error("the control plane does not start: {0}")]
    Control(String),
}

/// A control node that serves.
pub struct Node {
    context: SharedContext,
    sessions: Sessions,
    control: Control,
    ring: Option<Ring>,
    shutdown: Shutdown,
    local_addr: SocketAddr,
    serving: JoinHandle<Drained>,
    /// The shards in the bucket, if that is where the metadata is.
    shards: Option<Shards>,
}

impl Node {
    /// Opens the data directory and serves. On return every call is answered.
    ///
    /// # Errors
    /// [`NodeError`]; nothing is left running.
    pub async fn start(config: NodeConfig) -> Result<Self, NodeError> {
        let tls = match (&config.tls_cert, &config.tls_key) {
            (Some(certificate_chain), Some(private_key)) => {
                Some(TlsFiles { certificate_chain: certificate_chain.clone(), private_key: private_key.clone() })
            }
            (None, None) => None,
            _ => return Err(NodeError::Config("TLS needs both --tls-cert and --tls-key".to_owned())),
        };
        if config.session_lease_ms < 2_000 {
            return Err(NodeError::Config("session_lease_ms must be at least 2000: a mount stalls after 1000".to_owned()));
        }
        // A mount has to live through the wait of a new owner and its start.
        let shortest_lease_ms = config.cluster.ownership_ttl_ms.saturating_add(1_000);
        if config.store == StoreKind::Slate && config.session_lease_ms < shortest_lease_ms {
            return Err(NodeError::Config(format!(
                "session_lease_ms must be at least {shortest_lease_ms}: cluster.ownership_ttl_ms and 1000"
            )));
        }
        if matches!((&config.blobs, config.data_path), (BlobsConfig::Directory, Some(DataPath::Direct))) {
            return Err(NodeError::Config(
                "data_path `direct` needs segments in S3: agents cannot reach a directory of the node".to_owned(),
            ));
        }
        let scheme = if tls.is_some() { "https" } else { "http" };
        opening::make_data_directory(&config)?;

        let server = ServerConfig { tls, max_connections: config.max_connections, drain_limit: DRAIN, ..ServerConfig::new(config.listen) };
        let listener = Listener::bind(server).await?;
        let local_addr = listener.local_address();
        let (clock, entropy): (SharedClock, SharedEntropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        let take = |ring: &RingConfig| RingSeat::take(ring.clone(), &config.data, clock.clone(), entropy.clone());
        let seat = config.ring.as_ref().map(take).transpose()?;
        let facts = seat.as_ref().map(|seat| own_facts(seat, &config, scheme, local_addr)).transpose()?;
        let Opened { store, blobs, shards } = opening::open(&config, &clock, &entropy).await?;
        let endpoints = if config.public_urls.is_empty() { vec![format!("{scheme}://{local_addr}")] } else { config.public_urls.clone() };
        let context = Arc::new(Context {
            clock,
            entropy,
            catalog: Catalog::new(store.clone()),
            store,
            blobs,
            key_ring: parking_lot::RwLock::default(),
            revocations: parking_lot::RwLock::default(),
            endpoints,
            config,
        });
        // The revocations come first: no session on record may come back that one of them took.
        Control::load(&context).await.map_err(|error| NodeError::Control(error.to_string()))?;
        let sessions = Sessions::start(context.clone()).await?;
        let control = Control::start(context.clone(), sessions.clone(), sessions.locks().clone())
            .await
            .map_err(|error| NodeError::Control(error.to_string()))?;
        let shutdown = Shutdown::new();
        let ring = seat.zip(facts).map(|(seat, facts)| seat.start(facts));
        let api = ApiState::in_ring(control.clone(), ring.clone());
        let agents = StreamState { context: context.clone(), sessions: sessions.clone(), shutdown: shutdown.clone() };
        let others = ring.iter().fold(stream::router(agents), |others, ring| others.merge(ring::router(ring.clone())));
        let router = api::router_with(api, others);
        let serving = tokio::spawn(listener.serve(router, shutdown.clone()));
        tracing::info!(address = %local_addr, region = context.config.region, "the node serves");
        Ok(Self { context, sessions, control, ring, shutdown, local_addr, serving, shards })
    }

    /// Where it listens, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What clients are told to connect to.
    pub fn urls(&self) -> &[String] {
        &self.context.endpoints
    }

    /// The file that holds the admin token.
    pub fn admin_token_path(&self) -> PathBuf {
        self.context.config.data.join("admin-token")
    }

    /// Waits until another node has taken from this one what it answers for. Then it answers nothing any more and should be
    /// stopped; it can be started again.
    pub async fn superseded(&self) {
        match &self.shards {
            Some(shards) => {
                let _ = shards.lost().wait_for(Option::is_some).await;
            }
            None => std::future::pending().await,
        }
    }

    /// Stops in good order: no new calls, mounts are told to reconnect, everything applied becomes durable.
    ///
    /// # Errors
    /// The store's: then what was not durable comes back from the mounts when the node starts again.
    pub async fn shutdown(self) -> Result<(), NodeError> {
        if let Some(ring) = &self.ring {
            ring.leave().await;
        }
        self.shutdown.start();
        self.sessions.locks().close();
        match self.serving.await {
            Ok(Drained { cut: 0 }) => {}
            Ok(Drained { cut }) => tracing::warn!(cut, "connections were cut at the drain limit"),
            Err(error) => tracing::error!(%error, "the listener failed"),
        }
        self.control.stop().await;
        self.sessions.stop().await?;
        self.context.store.close().await?;
        if let Some(ring) = &self.ring {
            ring.stop().await;
        }
        tracing::info!("the node has stopped");
        Ok(())
    }
}

/// Other nodes call this one where it listens, or where the settings say; a wildcard is reached where its gossip is.
fn own_facts(seat: &RingSeat, config: &NodeConfig, scheme: &str, local_addr: SocketAddr) -> Result<Facts, RingError> {
    let ip = if local_addr.ip().is_unspecified() { seat.advertise().ip() } else { local_addr.ip() };
    let listening = format!("{scheme}://{}", SocketAddr::new(ip, local_addr.port()));
    let configured = config.ring.as_ref().and_then(|ring| ring.api.clone());
    let stream = config.public_urls.first().cloned().unwrap_or_else(|| listening.clone());
    seat.facts(configured.unwrap_or(listening), stream, config.region.clone())
}
