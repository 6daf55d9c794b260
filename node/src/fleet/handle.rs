use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use artifacts_core::RevocationId;
use artifacts_core::cluster::{Reach, Region, Regions, Seat, Shard, ShardMap, Strangers, UnitPhase};
use artifacts_core::mesh::{Member, NodePhase};
use artifacts_core::protocol::{FenceReason, VersionRange};
use artifacts_core::revocation::{ClockId, Evidence, Following, RevocationRecord, RevocationRegister, Target};
use artifacts_core::ticket::KeyRing;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, join_all};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, watch};

use super::Unit;
use super::cells::CellsHere;
use super::place::Home;
use crate::abroad::SharedAbroad;
use crate::blob::BlobStore;
use crate::cluster::Shards;
use crate::config::NodeConfig;
use crate::encryption::ClusterKeys;
use crate::random::SharedEntropy;
use crate::records::WorkspaceRecord;
use crate::ring::Ring;
use crate::server::Shutdown;
use crate::sessions::FenceReport;
use crate::time::SharedClock;

/// How long mounts are waited for whose revocation was heard of by gossip, what it may take besides, and for how long it is known
/// what came of it. The owner of the account waits for a second more than it wants mounts to be waited for.
const HEARD_WAIT: Duration = Duration::from_millis(500);
const HEARD_GRACE: Duration = Duration::from_millis(200);
const HEARD_FOR_MS: u64 = 10_000;

/// What all units of a node share.
#[derive(Clone)]
pub(crate) struct Common {
    /// The keys that sign tickets.
    pub(crate) key_ring: Arc<RwLock<KeyRing>>,
    /// All revocations that are known here.
    pub(crate) revocations: Arc<RwLock<RevocationRegister>>,
    /// The hash of the admin token, once it is known.
    pub(crate) admin_token_hash: Arc<RwLock<Option<[u8; 32]>>>,
    /// Where agents can connect to.
    pub(crate) endpoints: Arc<RwLock<Vec<String>>>,
    /// Those of them that are other nodes.
    pub(crate) peers: Arc<RwLock<Vec<String>>>,
    /// What is known of other regions.
    pub(crate) abroad: SharedAbroad,
    /// The versions of the session protocol that are spoken now: what all nodes of the ring can go on with.
    pub(crate) speaks: Arc<RwLock<VersionRange>>,
}

impl Common {
    /// Nothing is known yet; this node speaks these versions.
    pub(crate) fn new(speaks: VersionRange) -> Self {
        Self {
            key_ring: Arc::default(),
            revocations: Arc::default(),
            admin_token_hash: Arc::default(),
            endpoints: Arc::default(),
            peers: Arc::default(),
            abroad: SharedAbroad::default(),
            speaks: Arc::new(RwLock::new(speaks)),
        }
    }
}

/// What a fleet is made of.
pub(crate) struct FleetParts {
    pub(crate) config: NodeConfig,
    pub(crate) clock: SharedClock,
    pub(crate) entropy: SharedEntropy,
    pub(crate) blobs: Arc<dyn BlobStore>,
    /// The keys for encryption at rest, if workspaces are to be encrypted.
    pub(crate) cluster_keys: Option<ClusterKeys>,
    pub(crate) shards: Shards,
    pub(crate) ring: Ring,
    pub(crate) common: Common,
    pub(crate) regions: Regions,
    /// What agents are told of this node.
    pub(crate) own_urls: Vec<String>,
    /// Where others reach its datagrams, if nothing else is said.
    pub(crate) gossip_ip: IpAddr,
}

/// The units of this node, and the way to those of others. Clones share it.
#[derive(Clone)]
pub(crate) struct Fleet(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) parts: FleetParts,
    units: RwLock<BTreeMap<Shard, Arc<Unit>>>,
    /// Grows whenever a unit comes or goes.
    changed: watch::Sender<u64>,
    phases: Mutex<Phases>,
    pub(super) following: Mutex<BTreeMap<Seat, Following>>,
    /// For each other region, whose credentials are shown to it.
    pub(super) strangers: Mutex<BTreeMap<Region, Strangers>>,
    reach: Mutex<Reach>,
    /// Somebody waits to be vouched for.
    pub(super) follow_now: Notify,
    /// Of this process.
    pub(super) clock_id: ClockId,
    /// What is known of revocations by gossip.
    pub(super) evidence: Mutex<Evidence>,
    /// What came of revocations that were heard of by gossip, and when: whoever pushes them later is told.
    heard: Mutex<BTreeMap<RevocationId, (u64, Enforcing)>>,
    /// Something was revoked here, of which all are to hear.
    pub(super) say_now: Notify,
    /// Grows with each revocation that is learned of.
    pub(super) revoked: watch::Sender<u64>,
    /// The shards of the accounts whose mounts get proofs here, without being served here.
    pub(super) witnessed: Mutex<BTreeMap<Seat, usize>>,
    /// What the clock of each shard's owner said last, with when it was asked for that.
    pub(super) owner_clocks: Mutex<BTreeMap<Seat, (u64, ClockId, u64)>>,
    /// This node's part in cells of agents.
    pub(super) cells: CellsHere,
    /// The node stops.
    pub(super) end: Shutdown,
}

/// What comes of a revocation, for whoever asks.
type Enforcing = Shared<BoxFuture<'static, FenceReport>>;

/// Where the host is with each shard.
#[derive(Default)]
struct Phases {
    of: BTreeMap<Shard, UnitPhase>,
    is_settled: bool,
}

impl Fleet {
    pub(crate) fn new(parts: FleetParts) -> Self {
        let mut clock_id = ClockId([0; 16]);
        parts.entropy.fill(&mut clock_id.0);
        Self(Arc::new(Inner {
            clock_id,
            evidence: Mutex::default(),
            heard: Mutex::default(),
            say_now: Notify::new(),
            revoked: watch::Sender::new(0),
            witnessed: Mutex::default(),
            owner_clocks: Mutex::default(),
            cells: CellsHere::default(),
            end: Shutdown::new(),
            parts,
            units: RwLock::default(),
            changed: watch::Sender::new(0),
            phases: Mutex::default(),
            following: Mutex::default(),
            strangers: Mutex::default(),
            reach: Mutex::default(),
            follow_now: Notify::new(),
        }))
    }

    pub(super) fn weak(&self) -> Weak<Inner> {
        Arc::downgrade(&self.0)
    }

    pub(crate) fn config(&self) -> &NodeConfig {
        &self.0.parts.config
    }

    pub(super) fn clock(&self) -> &SharedClock {
        &self.0.parts.clock
    }

    pub(super) fn entropy(&self) -> &SharedEntropy {
        &self.0.parts.entropy
    }

    pub(super) fn blobs(&self) -> &Arc<dyn BlobStore> {
        &self.0.parts.blobs
    }

    pub(super) fn cluster_keys(&self) -> Option<&ClusterKeys> {
        self.0.parts.cluster_keys.as_ref()
    }

    pub(super) fn shards(&self) -> &Shards {
        &self.0.parts.shards
    }

    pub(super) fn ring(&self) -> &Ring {
        &self.0.parts.ring
    }

    pub(super) fn common(&self) -> &Common {
        &self.0.parts.common
    }

    /// The regions of the cluster.
    pub(super) fn regions(&self) -> &Regions {
        &self.0.parts.regions
    }

    /// Where a workspace lives whose account is of this region.
    pub(super) fn home_of(&self, workspace: &WorkspaceRecord) -> Home {
        let region = workspace.elsewhere();
        Home::of(region.as_ref().unwrap_or(self.regions().here()), workspace.id)
    }

    /// Whether all nodes that are heard go by the same list of regions. Those that differ are in the log.
    pub(super) fn regions_agree(&self) -> bool {
        let (view, told) = (self.ring().view(), self.regions().told());
        let known = view.members.iter().filter(|member| member.live).filter_map(|member| Some((&member.id.name, member.facts.as_ref()?)));
        let other: Vec<_> =
            known.filter(|(_, facts)| facts.regions != told).map(|(name, facts)| format!("{name}: {}", facts.regions)).collect();
        if !other.is_empty() {
            tracing::error!(here = told, ?other, "nodes have different lists of regions; make `ring.regions` the same on all");
        }
        other.is_empty()
    }

    /// Which shard of this region a thing lies in.
    pub(super) fn map(&self) -> ShardMap {
        self.0.parts.shards.record().shards
    }

    /// The unit of a shard, if it serves here.
    pub(super) fn unit(&self, shard: Shard) -> Option<Arc<Unit>> {
        self.0.units.read().get(&shard).cloned()
    }

    /// All units that serve here.
    pub(super) fn units(&self) -> Vec<Arc<Unit>> {
        self.0.units.read().values().cloned().collect()
    }

    pub(super) fn add(&self, unit: Arc<Unit>) {
        self.0.units.write().insert(unit.shard, unit);
        self.0.changed.send_modify(|count| *count += 1);
    }

    /// From now on calls for this shard go to its next owner.
    pub(super) fn remove(&self, shard: Shard) -> Option<Arc<Unit>> {
        let unit = self.0.units.write().remove(&shard);
        self.0.changed.send_modify(|count| *count += 1);
        unit
    }

    /// Hears of units that come or go.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// The host says where it is.
    pub(super) fn note(&self, of: BTreeMap<Shard, UnitPhase>, is_settled: bool) {
        *self.0.phases.lock() = Phases { of, is_settled };
    }

    /// Where the host is with each shard.
    pub(super) fn phases(&self) -> BTreeMap<Shard, UnitPhase> {
        self.0.phases.lock().of.clone()
    }

    /// Whether this node reaches the bucket.
    pub(super) fn reach<T>(&self, look: impl FnOnce(&mut Reach, u64) -> T) -> T {
        look(&mut self.0.reach.lock(), self.clock().monotonic_ms())
    }

    /// Whether it does not.
    pub(super) fn is_stranded(&self) -> bool {
        self.reach(Reach::is_stranded)
    }

    /// Why this node should not be sent calls, if so.
    pub(super) fn not_ready(&self) -> Option<&'static str> {
        let view = self.ring().view();
        if !view.is_heard {
            return Some("the other nodes do not hear this one");
        }
        let phase = view.member(&view.me).and_then(|me| me.facts.as_ref()).map(|facts| facts.phase);
        match phase {
            Some(NodePhase::Serving) => {}
            Some(NodePhase::Leaving) => return Some("the node leaves"),
            Some(NodePhase::Stranded) => return Some("the node does not reach the object store"),
            _ => return Some("the node has just come"),
        }
        if self.common().admin_token_hash.read().is_none() {
            return Some("the node does not know the keys of the cluster yet");
        }
        (!self.0.phases.lock().is_settled).then_some("the node has shards to open")
    }

    /// The other nodes of this region that are heard.
    pub(super) fn others(&self) -> Vec<Member> {
        let mut others = self.members_of(self.regions().here());
        others.retain(|member| member.id.name != *self.ring().me());
        others
    }

    /// The nodes of a region that are heard.
    pub(super) fn members_of(&self, region: &Region) -> Vec<Member> {
        let is_of = |member: &&Member| member.live && member.facts.as_ref().is_some_and(|facts| facts.region == region.as_str());
        self.ring().view().members.iter().filter(is_of).cloned().collect()
    }

    /// Where agents can connect to: here, and at every node of the region that is heard. And the same for the other regions.
    pub(super) fn refresh_endpoints(&self) {
        for region in self.regions().others() {
            let facts: Vec<_> = self.members_of(region).into_iter().filter_map(|member| member.facts).collect();
            metrics::gauge!("artifacts_region_nodes", "region" => region.to_string()).set(facts.len() as f64);
            let map = facts.iter().find_map(|facts| facts.shards);
            self.common().abroad.write().learn_nodes(region, facts.into_iter().map(|facts| facts.stream).collect(), map);
        }
        let mut urls = self.0.parts.own_urls.clone();
        let mut peers = Vec::new();
        for url in self.others().into_iter().filter_map(|member| member.facts).map(|facts| facts.stream) {
            if !urls.contains(&url) {
                urls.push(url.clone());
                peers.push(url);
            }
        }
        *self.common().peers.write() = peers;
        *self.common().endpoints.write() = urls;
    }

    /// Offers agents what every node of the region that is heard can go on with.
    pub(super) fn refresh_versions(&self) {
        let of_others = self.others().into_iter().filter_map(|member| member.facts).map(|facts| facts.protocol);
        let now = self.config().protocol.beside(of_others);
        let before = std::mem::replace(&mut *self.common().speaks.write(), now);
        if before != now {
            tracing::info!(min = now.min, max = now.max, "the versions of the session protocol that are offered have changed");
        }
    }

    /// As [`Fleet::enforce`], of what was heard by gossip. Does not wait.
    pub(super) fn enforce_heard(&self, record: RevocationRecord) {
        let (id, now_ms, fleet) = (record.id, self.clock().monotonic_ms(), self.clone());
        let enforcing = async move { fleet.enforce(&[record], HEARD_WAIT).await }.boxed().shared();
        let mut heard = self.0.heard.lock();
        heard.retain(|_, (at_ms, _)| now_ms.saturating_sub(*at_ms) < HEARD_FOR_MS);
        heard.insert(id, (now_ms, enforcing.clone()));
        tokio::spawn(enforcing);
    }

    /// As [`Fleet::enforce`], for the owner of the account. What was ended because gossip was faster counts as well.
    pub(super) async fn enforce_pushed(&self, records: &[RevocationRecord], wait: Duration) -> FenceReport {
        let heard = {
            let heard = self.0.heard.lock();
            let earlier = records.iter().filter_map(|record| heard.get(&record.id)).map(|(_, enforcing)| enforcing.clone());
            join_all(earlier.collect::<Vec<_>>())
        };
        let (now, earlier) = tokio::join!(self.enforce(records, wait), tokio::time::timeout(wait.max(HEARD_WAIT) + HEARD_GRACE, heard));
        earlier.unwrap_or_default().into_iter().fold(now, add)
    }

    /// Learns of revocations, and ends what stands on them in every unit of this node.
    pub(super) async fn enforce(&self, records: &[RevocationRecord], wait: Duration) -> FenceReport {
        {
            let mut register = self.common().revocations.write();
            for record in records {
                register.admit(record.clone());
            }
        }
        self.0.revoked.send_modify(|count| *count += 1);
        let (workspaces, others): (BTreeSet<_>, BTreeSet<_>) =
            records.iter().map(|record| record.target).partition(|target| matches!(target, Target::Workspace(_)));
        let mut sum = FenceReport::default();
        for (targets, reason) in [(others, FenceReason::Revoked), (workspaces, FenceReason::WorkspaceDeleted)] {
            if targets.is_empty() {
                continue;
            }
            let units = self.units();
            let reports = join_all(units.iter().map(|unit| unit.enforce(&targets, reason, wait))).await;
            sum = reports.into_iter().fold(sum, add);
        }
        sum
    }
}

/// The sum of two reports.
pub(super) fn add(one: FenceReport, two: FenceReport) -> FenceReport {
    FenceReport { matched: one.matched + two.matched, fenced: one.fenced + two.fenced, confirmed: one.confirmed + two.confirmed }
}
