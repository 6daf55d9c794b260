use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use artifacts_core::cluster::{HostCommand, Hosting, Region, Shard, UnitPhase};
use artifacts_core::mesh::NodePhase;
use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::peer::{PeerCall, Secrets};
use super::place::Home;
use super::{Fleet, Unit, beacons, cells, follow, store_watch};
use crate::cluster::ClusterError;
use crate::store::{Store as _, StoreError};
use crate::time::pause;

/// How often the host looks around when nothing happens.
const LOOK: Duration = Duration::from_millis(500);
/// How often a node asks for the keys of the cluster once it has them.
const REFRESH_MS: u64 = 2_000;
/// How long whoever has a shard may take to let go of it before it is taken.
const YIELD_LIMIT: Duration = Duration::from_secs(4);
/// How long one question for the keys of the cluster may take.
const SECRETS_LIMIT: Duration = Duration::from_secs(2);
/// How often a unit that cannot start without them looks for them.
const SECRETS_PAUSE: Duration = Duration::from_millis(50);
/// How long it does before it lets go of its shard.
const SECRETS_PATIENCE: Duration = Duration::from_secs(10);
/// How long the bucket may take to answer before a shard is opened, what lies between two questions, and how long a node that has
/// reached it again waits until it hears others.
const REACH_LIMIT: Duration = Duration::from_millis(1_500);
const REACH_PAUSE: Duration = Duration::from_millis(50);
const HEAR_LIMIT: Duration = Duration::from_millis(1_500);
/// How long a node that stops gives itself to hand its shards over.
const LEAVE_LIMIT: Duration = Duration::from_secs(20);

/// What the host hears.
pub(super) enum HostEvent {
    Opened(Shard, Arc<Unit>),
    /// It did not open; whether because another took it meanwhile.
    Failed(Shard, bool),
    Lost(Shard),
    Closed(Shard),
    /// Another node should have the shard; it is told when nothing is left of it here.
    Yield(Shard, oneshot::Sender<()>),
    /// Let go of everything for good, and say when that is done.
    Leave(oneshot::Sender<()>),
}

/// Opens and closes the units of a node.
pub(crate) struct Host {
    fleet: Fleet,
    events: mpsc::UnboundedSender<HostEvent>,
    tasks: Vec<JoinHandle<()>>,
}

impl Host {
    /// Begins to open what should be this node's.
    pub(crate) fn start(fleet: &Fleet) -> Self {
        let (events, heard) = mpsc::unbounded_channel();
        let task = HostTask {
            fleet: fleet.clone(),
            events: events.clone(),
            hosting: Hosting::default(),
            yielded: Vec::new(),
            leaving: Vec::new(),
            is_leaving: false,
        };
        let tasks = vec![
            tokio::spawn(task.run(heard)),
            tokio::spawn(follow::run(fleet.weak())),
            tokio::spawn(beacons::run(fleet.weak())),
            tokio::spawn(cells::tend(fleet.weak())),
            tokio::spawn(cells::serve(fleet.weak())),
            tokio::spawn(keep_secrets(fleet.clone())),
            tokio::spawn(learn_of_regions(fleet.clone())),
            tokio::spawn(store_watch::run(fleet.weak())),
        ];
        Self { fleet: fleet.clone(), events, tasks }
    }

    /// What other nodes may ask of this one.
    pub(crate) fn router(&self) -> axum::Router {
        super::peer::router(self.fleet.clone(), self.events.clone())
    }

    /// Lets go of every shard in good order.
    pub(crate) async fn leave(&self) {
        let (done, is_done) = oneshot::channel();
        let _ = self.events.send(HostEvent::Leave(done));
        if tokio::time::timeout(LEAVE_LIMIT, is_done).await.is_err() {
            tracing::warn!("not all shards were handed over in time");
        }
        self.fleet.0.end.start();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

struct HostTask {
    fleet: Fleet,
    events: mpsc::UnboundedSender<HostEvent>,
    hosting: Hosting,
    yielded: Vec<(Shard, oneshot::Sender<()>)>,
    leaving: Vec<oneshot::Sender<()>>,
    is_leaving: bool,
}

impl HostTask {
    async fn run(mut self, mut heard: mpsc::UnboundedReceiver<HostEvent>) {
        let mut view = self.fleet.ring().watch();
        let mut looks = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                event = heard.recv() => match event {
                    Some(event) => self.take(event),
                    None => return,
                },
                changed = view.changed() => if changed.is_err() {
                    return;
                },
                _ = looks.tick() => self.look_after_units(),
            }
            self.follow_placement();
            let now_ms = self.fleet.clock().monotonic_ms();
            for command in self.hosting.step(now_ms) {
                self.carry_out(command);
            }
            self.tell();
        }
    }

    fn take(&mut self, event: HostEvent) {
        let now_ms = self.fleet.clock().monotonic_ms();
        match event {
            HostEvent::Opened(shard, unit) => {
                self.fleet.add(unit.clone());
                self.hosting.opened(shard, now_ms);
                let (mut lost, events) = (unit.lost(), self.events.clone());
                tokio::spawn(async move {
                    // An error: the unit is gone, and was not lost.
                    if lost.wait_for(|lost| *lost).await.is_ok() {
                        let _ = events.send(HostEvent::Lost(shard));
                    }
                });
            }
            HostEvent::Failed(shard, was_taken) => self.hosting.failed(shard, was_taken, now_ms),
            HostEvent::Lost(shard) => self.hosting.lost(shard),
            HostEvent::Closed(shard) => self.hosting.closed(shard, now_ms),
            // It could not let go in good order; whoever reaches the bucket takes it.
            HostEvent::Yield(_, done) if self.fleet.is_stranded() => drop(done.send(())),
            HostEvent::Yield(shard, done) => {
                self.hosting.give_up(shard);
                self.yielded.push((shard, done));
            }
            HostEvent::Leave(done) => {
                self.is_leaving = true;
                self.leaving.push(done);
            }
        }
    }

    /// A unit whose store has failed is dropped and started anew.
    fn look_after_units(&mut self) {
        for unit in self.fleet.units().iter().filter(|unit| !unit.is_sound()) {
            self.hosting.lost(unit.shard);
        }
    }

    fn follow_placement(&mut self) {
        let (view, map) = (self.fleet.ring().view(), self.fleet.map());
        let placement = view.placement(self.fleet.ring().region());
        let are_others_stranded = view.others_in(self.fleet.ring().region(), NodePhase::Stranded).next().is_some();
        let is_one_of_many = view.members.len() > 1;
        let are_others_away = are_others_stranded || (is_one_of_many && self.fleet.others().is_empty());
        let follows = self.fleet.reach(|reach, now_ms| reach.follows_others(now_ms, are_others_away));
        let is_own = |shard: &Shard| match () {
            () if self.is_leaving => false,
            () if follows => placement.owner(shard.0) == Some(&view.me),
            () => self.fleet.unit(*shard).is_some(),
        };
        self.hosting.want(map.all().filter(is_own));
        self.hosting.see_few(view.is_smaller_part(self.fleet.ring().region()));
        self.fleet.refresh_endpoints();
        self.fleet.refresh_versions();
    }

    fn carry_out(&self, command: HostCommand) {
        let (fleet, events) = (self.fleet.clone(), self.events.clone());
        match command {
            HostCommand::Open(shard) => {
                tokio::spawn(async move {
                    let event = match open(&fleet, shard).await {
                        Ok(unit) => HostEvent::Opened(shard, unit),
                        Err(was_taken) => HostEvent::Failed(shard, was_taken),
                    };
                    let _ = events.send(event);
                });
            }
            HostCommand::Close(shard) | HostCommand::Drop(shard) => {
                let unit = fleet.remove(shard);
                let how = if matches!(command, HostCommand::Drop(_)) { "lost" } else { "given_up" };
                metrics::counter!("artifacts_shards_closed_total", "how" => how).increment(1);
                tokio::spawn(async move {
                    match (unit, command) {
                        (Some(unit), HostCommand::Drop(_)) => {
                            tracing::warn!(%shard, "a shard is another node's now");
                            unit.abandon().await;
                        }
                        (Some(unit), _) => {
                            let begun_ms = fleet.clock().monotonic_ms();
                            unit.close().await;
                            let took_ms = fleet.clock().monotonic_ms().saturating_sub(begun_ms);
                            tracing::info!(%shard, took_ms, "a shard was given up");
                        }
                        (None, _) => {}
                    }
                    let _ = events.send(HostEvent::Closed(shard));
                });
            }
        }
    }

    /// Tells whoever wants to know where this node is.
    fn tell(&mut self) {
        let phase = |shard: Shard| self.hosting.phase(shard);
        let phases: BTreeMap<Shard, UnitPhase> = self.fleet.map().all().map(|shard| (shard, phase(shard))).collect();
        let has_let_go = |shard: &Shard| matches!(phases.get(shard), None | Some(UnitPhase::Away | UnitPhase::Due));
        let (told, waiting): (Vec<_>, Vec<_>) = self.yielded.drain(..).partition(|(shard, _)| has_let_go(shard));
        self.yielded = waiting;
        for (_, done) in told {
            let _ = done.send(());
        }
        if self.is_leaving && self.hosting.is_empty() {
            for done in self.leaving.drain(..) {
                let _ = done.send(());
            }
        }
        self.fleet.note(phases, self.hosting.is_settled());
    }
}

/// Waits until the bucket answers. A node that is cut off hears nobody, so it takes everything to be its own; when the bucket answers
/// again it would take all that from whoever serves it. So it waits a moment until it hears the others again, too.
async fn reach_bucket(fleet: &Fleet) {
    let is_reached = async || matches!(tokio::time::timeout(REACH_LIMIT, fleet.shards().probe()).await, Ok(Ok(())));
    if is_reached().await {
        return;
    }
    while !is_reached().await {
        pause(REACH_PAUSE).await;
    }
    let heard = async {
        while fleet.others().is_empty() {
            pause(REACH_PAUSE).await;
        }
    };
    let _ = tokio::time::timeout(HEAR_LIMIT, heard).await;
}

/// Whether a shard should be this node's.
fn should_own(fleet: &Fleet, shard: Shard) -> bool {
    let view = fleet.ring().view();
    view.placement(fleet.ring().region()).owner(shard.0) == Some(&view.me)
}

/// Takes a shard and starts its unit; what is left of an attempt that failed is gone.
///
/// # Errors
/// Whether another took it meanwhile.
async fn open(fleet: &Fleet, shard: Shard) -> Result<Arc<Unit>, bool> {
    // Whoever has it lets go of it in good order, if it can: then nobody waits.
    let (others, call) = (fleet.others(), PeerCall::Yield(shard));
    join_all(others.iter().map(|member| fleet.ask_member(member, &call, YIELD_LIMIT))).await;
    reach_bucket(fleet).await;
    if !should_own(fleet, shard) {
        tracing::info!(%shard, "a shard is not opened: it should be another's by now");
        return Err(false);
    }
    let begun_ms = fleet.clock().monotonic_ms();
    let store = match fleet.shards().open(shard).await {
        Ok(store) => store,
        Err(error) => {
            tracing::warn!(%shard, %error, "a shard does not open");
            return Err(matches!(error, ClusterError::Store(StoreError::Fenced)));
        }
    };
    if shard != fleet.map().of_cluster() {
        let known = async {
            while fleet.common().admin_token_hash.read().is_none() {
                pause(SECRETS_PAUSE).await;
            }
        };
        let _ = tokio::time::timeout(SECRETS_PATIENCE, known).await;
    }
    match Box::pin(Unit::start(fleet, shard, store.clone())).await {
        Ok(unit) => {
            let took_ms = fleet.clock().monotonic_ms().saturating_sub(begun_ms);
            tracing::info!(%shard, epoch = unit.epoch(), took_ms, "this node serves a shard");
            metrics::histogram!("artifacts_shard_opening_seconds").record(took_ms as f64 / 1000.0);
            let how = if store.was_taken() { "taken" } else { "handed_over" };
            metrics::counter!("artifacts_shards_opened_total", "how" => how).increment(1);
            Ok(unit)
        }
        Err(error) => {
            tracing::warn!(%shard, %error, "a shard is not served");
            if let Err(error) = store.close().await {
                tracing::debug!(%shard, %error, "nor is it handed over");
            }
            Err(*store.lost().borrow())
        }
    }
}

/// Learns the keys of the cluster from the owner of the shard they lie in, and keeps up with them.
async fn keep_secrets(fleet: Fleet) {
    let cluster = fleet.map().of_cluster();
    let home = Home::shard(fleet.regions().here(), cluster);
    loop {
        let is_known = fleet.common().admin_token_hash.read().is_some();
        if fleet.unit(cluster).is_none()
            && let super::find::Found::There(member) = fleet.find(&home)
        {
            let asked = fleet.ask_member(&member, &PeerCall::Secrets, SECRETS_LIMIT).await;
            match asked.map(serde_json::from_value::<Secrets>) {
                Ok(Ok(secrets)) => {
                    *fleet.common().key_ring.write() = secrets.key_ring;
                    *fleet.common().admin_token_hash.write() = Some(secrets.admin_token_hash);
                }
                other => tracing::debug!(error = ?other.err(), "the keys of the cluster are not told"),
            }
        }
        pause(if is_known { Duration::from_millis(REFRESH_MS) } else { SECRETS_PAUSE }).await;
    }
}

/// Asks the other regions for what all may know of their keys, for as long as there are any.
async fn learn_of_regions(fleet: Fleet) {
    if fleet.regions().is_single() {
        return;
    }
    loop {
        let others: Vec<Region> = fleet.regions().others().cloned().collect();
        join_all(others.iter().map(|region| learn_of(&fleet, region))).await;
        pause(Duration::from_millis(REFRESH_MS)).await;
    }
}

async fn learn_of(fleet: &Fleet, region: &Region) {
    let home = Home::shard(region, fleet.map().of_cluster());
    let super::find::Found::There(member) = fleet.find(&home) else { return };
    match fleet.ask_member(&member, &PeerCall::RegionKeys, SECRETS_LIMIT).await.map(serde_json::from_value) {
        Ok(Ok(keys)) => fleet.common().abroad.write().learn_keys(region.clone(), keys),
        other => tracing::debug!(%region, error = ?other.err(), "a region does not tell its keys"),
    }
}
