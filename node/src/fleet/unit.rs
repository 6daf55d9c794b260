use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use artifacts_core::AccountId;
use artifacts_core::cluster::{Claim, Region, Shard};
use artifacts_core::mesh::Circles;
use artifacts_core::name::{Handle, NodeName};
use artifacts_core::protocol::FenceReason;
use artifacts_core::revocation::{Feed, Target};
use axum::Router;
use parking_lot::Mutex;
use tokio::sync::{OwnedRwLockReadGuard, RwLock, watch};

use super::cells::CellsOfShard;
use super::elsewhere::ToOwner;
use super::plane::FleetPlane;
use super::{Fleet, authority::FleetAuthority};
use crate::api::{self, ApiState};
use crate::catalog::{Catalog, layout};
use crate::cluster::OwnedStore;
use crate::context::{Context, SharedContext};
use crate::control::{Control, ControlError, StartError, hits};
use crate::encryption::{DataKeys, EncryptionError, SealedBlobs, SealedStore};
use crate::files::Files;
use crate::server::Shutdown;
use crate::sessions::{FenceReport, LocalAuthority, Sessions};
use crate::store::{ShardedStore, Store as _, StoreError};
use crate::stream::{self, StreamState};
use crate::time::pause;

/// How long calls that are under way may go on when a unit closes.
const DRAIN: Duration = Duration::from_secs(3);
/// How long the end of a unit may take that another node has taken the shard from.
const DROP_LIMIT: Duration = Duration::from_secs(5);

/// Everything that a node runs for one shard that it owns.
pub(crate) struct Unit {
    pub(super) shard: Shard,
    pub(super) context: SharedContext,
    pub(super) sessions: Sessions,
    control: Control,
    /// The API for accounts in this shard.
    pub(super) api: Router,
    /// The locks of workspaces in this shard, for calls that were passed on.
    pub(super) passed_on: Router,
    pub(super) agents: StreamState,
    store: Arc<OwnedStore>,
    /// Held for reading by each call that is under way.
    door: Arc<RwLock<()>>,
    end: Shutdown,
    /// The cells of its accounts' hosts and guests. They are as old as the unit: nothing of them is kept.
    pub(super) cells: Mutex<BTreeMap<AccountId, Circles>>,
    /// Which nodes follow the revocations of this shard, and when each asked last.
    followers: Mutex<BTreeMap<NodeName, u64>>,
}

/// Why a unit does not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnitError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Encryption(#[from] EncryptionError),
    #[error("an import into this cluster has not ended; run `artifacts node import` with the same file again")]
    Importing,
    #[error("the keys of the cluster are not known yet")]
    NoSecrets,
}

impl Unit {
    /// Starts to serve a shard whose store is open, once no owner before can act any more.
    pub(super) async fn start(fleet: &Fleet, shard: Shard, owned: Arc<OwnedStore>) -> Result<Arc<Self>, UnitError> {
        let clock = fleet.clock();
        pause(Duration::from_millis(owned.alone_from_ms().saturating_sub(clock.monotonic_ms()))).await;
        let (map, common) = (fleet.map(), fleet.common());
        let is_home = shard == map.of_cluster();
        let store = Arc::new(ShardedStore::new(map));
        store.attach(shard, owned.clone());
        let data_keys = Arc::new(DataKeys::new(store.clone(), fleet.cluster_keys().cloned()));
        if is_home {
            data_keys.check(fleet.entropy()).await??;
            if layout::bring_up_to_date(&*store).await? == layout::LayoutState::Importing {
                return Err(UnitError::Importing);
            }
        } else if common.admin_token_hash.read().is_none() {
            return Err(UnitError::NoSecrets);
        }
        let store = Arc::new(SealedStore::new(store, data_keys.clone(), fleet.entropy().clone()));
        let mut name = [0; 8];
        fleet.entropy().fill(&mut name);
        let context = Arc::new(Context {
            config: fleet.config().clone(),
            clock: clock.clone(),
            entropy: fleet.entropy().clone(),
            catalog: Catalog::new(store.clone()),
            store,
            blobs: Arc::new(SealedBlobs::new(fleet.blobs().clone(), data_keys.clone())),
            data_keys,
            key_ring: common.key_ring.clone(),
            revocations: common.revocations.clone(),
            log: Mutex::new(Feed::new(u64::from_be_bytes(name))),
            audit: crate::audit::Trail::default(),
            admin_token_hash: common.admin_token_hash.clone(),
            endpoints: common.endpoints.clone(),
            peers: common.peers.clone(),
            regions: fleet.regions().clone(),
            abroad: common.abroad.clone(),
            homes: Default::default(),
            is_home,
        });
        Control::load(&context).await?;
        let sessions = Sessions::under(context.clone(), Arc::new(FleetAuthority::new(fleet))).await?;
        let plane = FleetPlane::new(fleet, &context, shard);
        let control = Control::start(context.clone(), plane, sessions.locks().clone()).await?;
        let end = Shutdown::new();
        let speaks = common.speaks.clone();
        let agents = StreamState { context: context.clone(), sessions: sessions.clone(), shutdown: end.clone(), speaks };
        let (elsewhere, cells) = (Arc::new(ToOwner::new(fleet, shard)), Arc::new(CellsOfShard::new(fleet, shard)));
        let state = ApiState::of_shard(control.clone(), Files::new(&sessions), shard, elsewhere, cells);
        Ok(Arc::new(Self {
            shard,
            api: api::router_with(state.clone(), stream::data_router(agents.clone())),
            passed_on: api::passed_on_router(state),
            context,
            sessions,
            control,
            agents,
            store: owned,
            door: Arc::default(),
            end,
            cells: Mutex::default(),
            followers: Mutex::default(),
        }))
    }

    /// Begins a call; none begins any more when the unit closes. The call is under way until the guard is dropped.
    pub(super) fn enter(&self) -> Option<OwnedRwLockReadGuard<()>> {
        let guard = Arc::clone(&self.door).try_read_owned().ok()?;
        (!self.end.is_started()).then_some(guard)
    }

    /// Whether it closes or has closed.
    pub(super) fn is_closing(&self) -> bool {
        self.end.is_started()
    }

    /// Keeps a handle for another region.
    pub(super) async fn claim_handle(&self, handle: &Handle, region: &Region) -> Result<bool, StoreError> {
        self.control.claim_handle(handle, region).await.map_err(|error| match error {
            ControlError::Store(error) => error,
            error => StoreError::Unavailable { reason: error.to_string() },
        })
    }

    /// What decides about the rights of this shard's accounts.
    pub(super) fn authority(&self) -> LocalAuthority {
        LocalAuthority::new(self.context.clone())
    }

    /// Which opening of the shard this is.
    pub(super) fn epoch(&self) -> Option<u64> {
        self.store.epoch().ok()
    }

    /// How many commits are not durable yet.
    pub(super) fn unflushed(&self) -> Option<u64> {
        self.store.unflushed().ok()
    }

    /// How old the last proof of ownership is, in milliseconds, while the shard is in use.
    pub(super) fn proof_age_ms(&self) -> Option<u64> {
        self.store.proof_age_ms()
    }

    /// Whether the store has not said that it is over.
    pub(super) fn is_sound(&self) -> bool {
        self.store.epoch().is_ok() && self.store.claim() != Claim::Lost
    }

    /// Becomes true when another node has the shard.
    pub(super) fn lost(&self) -> watch::Receiver<bool> {
        self.store.lost()
    }

    /// Whether it is proven at this moment that this node owns the shard.
    pub(super) fn is_proven(&self) -> bool {
        self.store.holds(self.shard)
    }

    /// Whether it is doubtful: the last proof is too old, and the store does not answer.
    pub(super) fn is_doubtful(&self) -> bool {
        self.store.is_doubtful(self.shard)
    }

    /// Proves it.
    pub(super) async fn vouch(&self) -> Result<(), StoreError> {
        self.store.vouch(self.shard).await
    }

    /// Ends the sessions of this shard that stand on one of these, and frees the locks that were taken by what they name.
    pub(super) async fn enforce(&self, targets: &BTreeSet<Target>, reason: FenceReason, wait: Duration) -> FenceReport {
        let ended = targets.iter().filter_map(|target| match target {
            Target::Session(session) => self.sessions.get(*session)?.record.ticket(),
            _ => None,
        });
        let (tickets, of_locks): (Vec<_>, Vec<_>) = (ended.collect(), targets.iter().copied().collect());
        let fence = self.sessions.fence(|session| hits(targets, session), reason, wait);
        let (report, ()) = tokio::join!(fence, self.sessions.locks().revoke(&of_locks, &tickets));
        report
    }

    /// A node has asked for the revocations of this shard.
    pub(super) fn follows(&self, node: &NodeName, now_ms: u64) {
        self.followers.lock().insert(node.clone(), now_ms);
    }

    /// Whether any node has asked for them since then.
    pub(super) fn is_followed_since(&self, since_ms: u64) -> bool {
        self.followers.lock().values().any(|at_ms| *at_ms >= since_ms)
    }

    /// When a node asked for them last.
    pub(super) fn followed_at_ms(&self, node: &NodeName) -> Option<u64> {
        self.followers.lock().get(node).copied()
    }

    /// Stops in good order: what was answered is durable, streams are told to go elsewhere, and the next owner need not wait.
    pub(super) async fn close(&self) {
        self.end.start();
        self.sessions.locks().close();
        if tokio::time::timeout(DRAIN, self.door.write()).await.is_err() {
            tracing::warn!(shard = %self.shard, "calls are under way while their shard is given up");
        }
        self.control.stop().await;
        if let Err(error) = self.sessions.stop().await {
            tracing::warn!(shard = %self.shard, %error, "what was not durable comes back from the mounts");
        }
        if let Err(error) = self.context.store.close().await {
            tracing::warn!(shard = %self.shard, %error, "a shard was not handed over; its next owner waits");
        }
    }

    /// Stops at once: another node has the shard.
    pub(super) async fn abandon(&self) {
        self.end.start();
        self.sessions.locks().close();
        let ending = async {
            self.control.stop().await;
            // It fails, since nothing can be written any more; what the mounts remember they take to the next owner.
            let _ = self.sessions.stop().await;
            let _ = self.context.store.close().await;
        };
        if tokio::time::timeout(DROP_LIMIT, ending).await.is_err() {
            tracing::warn!(shard = %self.shard, "what is left of a shard that another node has taken ends slowly");
        }
    }
}
