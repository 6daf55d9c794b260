use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use artifacts_core::cluster::{Regions, RegionsError};
use artifacts_core::mesh::Facts;
use artifacts_core::protocol::DataPath;
use axum::Router;
use tokio::task::JoinHandle;

use crate::api::{self, ApiState};
use crate::blob::{BlobError, BlobsConfig};
use crate::catalog::Catalog;
use crate::cluster::{ClusterError, Shards};
use crate::config::{NodeConfig, StoreKind};
use crate::console;
use crate::context::{Context, SharedContext};
use crate::control::Control;
use crate::encryption::{ClusterKeys, DataKeys, EncryptionError, SealedBlobs, SealedStore};
use crate::files::Files;
use crate::fleet::{self, Common, Fleet, FleetParts, Host};
use crate::opening::{self, Opened};
use crate::random::{SharedEntropy, SystemEntropy};
use crate::ring::{self, Holdings, Ring, RingConfig, RingError, RingSeat};
use crate::server::{Drained, Listener, ServerConfig, ServerError, Shutdown, TlsFiles};
use crate::sessions::Sessions;
use crate::store::{Store, StoreError};
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
    /// The regions that are configured cannot be.
    #[error("ring.regions: {0}")]
    Regions(#[from] RegionsError),
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
    /// Encryption at rest.
    #[error(transparent)]
    Encryption(#[from] EncryptionError),
    /// The control plane.
    #[error("the control plane does not start: {0}")]
    Control(String),
}

/// A control node that serves.
pub struct Node {
    role: Role,
    ring: Option<Ring>,
    shutdown: Shutdown,
    local_addr: SocketAddr,
    urls: Vec<String>,
    admin_token_path: PathBuf,
    serving: JoinHandle<Drained>,
}

/// What a node answers for.
enum Role {
    /// Everything.
    Alone(Box<Alone>),
    /// The shards that are its part.
    Among(Host),
}

/// A node that answers for everything that is in its store.
struct Alone {
    context: SharedContext,
    sessions: Sessions,
    control: Control,
    /// The shards in the bucket, if that is where the metadata is.
    shards: Option<Shards>,
}

impl Node {
    /// Opens the data directory and serves. On return every call is answered.
    ///
    /// # Errors
    /// [`NodeError`]; nothing is left running.
    pub async fn start(config: NodeConfig) -> Result<Self, NodeError> {
        Self::start_by(Arc::new(SystemClock), config).await
    }

    /// As [`Node::start`], by another clock than the machine's.
    ///
    /// # Errors
    /// As [`Node::start`].
    pub async fn start_by(clock: SharedClock, config: NodeConfig) -> Result<Self, NodeError> {
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
        if config.protocol.min > config.protocol.max {
            return Err(NodeError::Config("protocol.min must not be above protocol.max".to_owned()));
        }
        let regions = config.regions()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        opening::make_data_directory(&config)?;

        let server = ServerConfig { tls, max_connections: config.max_connections, drain_limit: DRAIN, ..ServerConfig::new(config.listen) };
        let listener = Listener::bind(server).await?;
        let local_addr = listener.local_address();
        let entropy: SharedEntropy = Arc::new(SystemEntropy);
        let take = |ring: &RingConfig| RingSeat::take(ring.clone(), &config.data, clock.clone(), entropy.clone());
        let seat = config.ring.as_ref().map(take).transpose()?;
        let facts = seat.as_ref().map(|seat| own_facts(seat, &config, scheme, local_addr)).transpose()?;
        let urls = if config.public_urls.is_empty() { vec![format!("{scheme}://{local_addr}")] } else { config.public_urls.clone() };
        let shutdown = Shutdown::new();
        let admin_token_path = config.data.join("admin-token");
        let region = config.region.clone();
        let start = Start { config, regions, clock, entropy, urls: urls.clone(), shutdown: shutdown.clone() };
        let (role, ring, router) = match seat.zip(facts) {
            Some((seat, facts)) if start.config.store == StoreKind::Slate => Box::pin(start.among(seat, facts)).await?,
            Some(_) if start.regions.is_listed() => {
                return Err(NodeError::Config("ring.regions needs `store` `slate`: each region has a bucket of its own".to_owned()));
            }
            seat => Box::pin(start.alone(seat)).await?,
        };
        let serving = tokio::spawn(listener.serve(router, shutdown.clone()));
        tracing::info!(address = %local_addr, region, "the node serves");
        Ok(Self { role, ring, shutdown, local_addr, urls, admin_token_path, serving })
    }

    /// Where it listens, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What clients are told to connect to.
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// The file that holds the admin token.
    pub fn admin_token_path(&self) -> PathBuf {
        self.admin_token_path.clone()
    }

    /// Waits until another node has taken from this one what it answers for. Then it answers nothing any more and should be
    /// stopped; it can be started again.
    pub async fn superseded(&self) {
        let shards = match &self.role {
            Role::Alone(alone) => alone.shards.as_ref(),
            Role::Among(_) => None,
        };
        match shards {
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
        if let Role::Among(host) = &self.role {
            // While the shards go to others, calls are passed on to them.
            host.leave().await;
        }
        self.shutdown.start();
        if let Role::Alone(alone) = &self.role {
            alone.sessions.locks().close();
        }
        match self.serving.await {
            Ok(Drained { cut: 0 }) => {}
            Ok(Drained { cut }) => tracing::warn!(cut, "connections were cut at the drain limit"),
            Err(error) => tracing::error!(%error, "the listener failed"),
        }
        if let Role::Alone(alone) = &self.role {
            alone.control.stop().await;
            alone.sessions.stop().await?;
            alone.context.store.close().await?;
        }
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
    let facts = seat.facts(configured.unwrap_or(listening), stream, config.region.clone())?;
    Ok(Facts { protocol: config.protocol, ..facts })
}

/// What a node starts from.
struct Start {
    config: NodeConfig,
    regions: Regions,
    clock: SharedClock,
    entropy: SharedEntropy,
    urls: Vec<String>,
    shutdown: Shutdown,
}

impl Start {
    /// Starts to answer for everything in the store. In a ring it sees the others, and no more.
    async fn alone(self, seat: Option<(RingSeat, Facts)>) -> Result<(Role, Option<Ring>, Router), NodeError> {
        let Self { config, regions, clock, entropy, urls, shutdown } = self;
        let cluster_keys = config.encryption.as_ref().map(ClusterKeys::read).transpose()?;
        let Opened { store, blobs, shards } = opening::open(&config, &clock, &entropy).await?;
        let data_keys = Arc::new(DataKeys::new(store.clone(), cluster_keys));
        data_keys.check(&entropy).await??;
        let store: Arc<dyn Store> = Arc::new(SealedStore::new(store, data_keys.clone(), entropy.clone()));
        let blobs = Arc::new(SealedBlobs::new(blobs, data_keys.clone()));
        let context = Arc::new(Context {
            clock,
            entropy,
            catalog: Catalog::new(store.clone()),
            store,
            blobs,
            data_keys,
            key_ring: Arc::default(),
            revocations: Arc::default(),
            log: parking_lot::Mutex::default(),
            audit: crate::audit::Trail::default(),
            admin_token_hash: Arc::default(),
            endpoints: Arc::new(parking_lot::RwLock::new(urls)),
            peers: Arc::default(),
            regions,
            abroad: Arc::default(),
            homes: Default::default(),
            is_home: true,
            config,
        });
        // The revocations come first: no session on record may come back that one of them took.
        Control::load(&context).await.map_err(|error| NodeError::Control(error.to_string()))?;
        let sessions = Sessions::start(context.clone()).await?;
        let control = Control::start(context.clone(), sessions.clone(), sessions.locks().clone())
            .await
            .map_err(|error| NodeError::Control(error.to_string()))?;
        let ring = seat.map(|(seat, facts)| seat.start(facts));
        let api = ApiState::in_ring(control.clone(), Files::new(&sessions), ring.clone());
        let speaks = Arc::new(parking_lot::RwLock::new(context.config.protocol));
        let agents = StreamState { context: context.clone(), sessions: sessions.clone(), shutdown, speaks };
        let of_nodes = ring.iter().map(|ring| ring::router(ring.clone(), Arc::new(Holdings::default)));
        let others = of_nodes.fold(stream::router(agents), Router::merge).merge(console::router(context.config.console));
        let router = api::router_with(api, others);
        Ok((Role::Alone(Box::new(Alone { context, sessions, control, shards })), ring, router))
    }

    /// Starts to answer for the shards that are its part of a cluster.
    async fn among(self, seat: RingSeat, mut facts: Facts) -> Result<(Role, Option<Ring>, Router), NodeError> {
        let Self { config, regions, clock, entropy, urls, .. } = self;
        let console = console::router(config.console);
        let cluster_keys = config.encryption.as_ref().map(ClusterKeys::read).transpose()?;
        let (blobs, shards) = opening::join(&config, &clock, &entropy).await?;
        (facts.regions, facts.shards) = (regions.told(), Some(shards.record().shards));
        let gossip_ip = seat.advertise().ip();
        let ring = seat.start(facts);
        let (common, ring_of_fleet) = (Common::new(config.protocol), ring.clone());
        let parts = FleetParts {
            config,
            clock,
            entropy,
            blobs,
            cluster_keys,
            shards,
            ring: ring_of_fleet,
            common,
            regions,
            own_urls: urls,
            gossip_ip,
        };
        let fleet = Fleet::new(parts);
        let host = Host::start(&fleet);
        let seen = fleet.clone();
        let others = host.router().merge(ring::router(ring.clone(), Arc::new(move || seen.holdings()))).merge(console);
        let router = fleet::router(&fleet, others);
        Ok((Role::Among(host), Some(ring), router))
    }
}
