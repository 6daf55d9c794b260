use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use artifacts_core::mesh::{Endpoint, Identity, Incarnation, KeyId, MeshKey, MeshKeys};
use artifacts_core::name::NodeName;
use chitchat::{ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig, spawn_chitchat};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::port::Port;
use crate::rumours::{Heard, PREFIX, Rumours};
use crate::socket::{Ending, Inlet, SealedTransport, TransportParts};
use crate::surroundings::{Monotonic, Random, pause};

/// How often members of a cell gossip.
const INTERVAL: Duration = Duration::from_millis(200);
/// How long a member that nobody hears is remembered: hosts come and go, and each takes a place in every message meanwhile.
pub const FORGET_DEAD_AFTER: Duration = Duration::from_secs(60);
/// chitchat's own detector, which only steers whom it speaks to.
const PHI_THRESHOLD: f64 = 8.0;
/// A member that hears nobody for so long keeps its heartbeat to itself.
const DEAF_AFTER_MS: u64 = 1_000;
/// A member that did not run for so long begins anew: by then the others have begun to forget it.
const FROZEN_MS: u64 = 10_000;
/// What lies between the end of a life and the next, at first and at most.
const REBIRTH_PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// A life that lasted this long was none that failed at once.
const SETTLED_MS: u64 = 10_000;
/// So many words wait for the task.
const WORDS_MAX: usize = 64;

/// Who takes part in which cell.
#[derive(Debug, Clone)]
pub struct CellMember {
    /// The cell's name; what belongs to another cell does not count here.
    pub mesh: String,
    /// The cell's key.
    pub key: MeshKey,
    /// The member's name, unlike all others in the cell.
    pub name: NodeName,
    /// Where others reach it.
    pub advertise: SocketAddr,
    /// Through whom to find the others.
    pub seeds: Vec<SocketAddr>,
    /// Its first life is at least this one; later than all that a member of this name had before.
    pub generation: u64,
}

enum Word {
    Say(Vec<(String, String)>, usize),
    /// Let the gossip task end by itself.
    Break,
}

/// A member's place in a cell. It is given up when this is dropped.
pub struct Cell {
    words: mpsc::Sender<Word>,
    rumours: watch::Receiver<Rumours>,
    members: watch::Receiver<usize>,
    port: Port,
    key: KeyId,
    task: JoinHandle<()>,
}

impl Cell {
    /// Takes the place. Must be called within a runtime.
    pub fn join(member: CellMember, port: &Port, clock: Monotonic, random: Random) -> Self {
        let key = member.key.id();
        let (words, heard) = mpsc::channel(WORDS_MAX);
        let (rumours, members) = (watch::Sender::new(Rumours::default()), watch::Sender::new(1));
        let (seen_rumours, seen_members) = (rumours.subscribe(), members.subscribe());
        let task = Task {
            inlet: port.route(key),
            port: port.clone(),
            member,
            clock,
            random,
            words: heard,
            said: BTreeMap::new(),
            heard: Heard::default(),
            rumours,
            members,
            turn: 0,
        };
        Self { words, rumours: seen_rumours, members: seen_members, port: port.clone(), key, task: tokio::spawn(task.run()) }
    }

    /// Says something to all: each pair takes the place of what was said under its key. It goes to so many at once, and from there
    /// on with the rest. Keys begin with [`PREFIX`]. What comes too fast is lost; whoever says it says it again.
    pub fn say(&self, pairs: Vec<(String, String)>, at_once: usize) {
        if self.words.try_send(Word::Say(pairs, at_once)).is_err() {
            tracing::debug!("a cell is said more than it takes");
        }
    }

    /// What others say, whenever that changes.
    pub fn rumours(&self) -> watch::Receiver<Rumours> {
        self.rumours.clone()
    }

    /// How many members are heard, this one included.
    pub fn members(&self) -> usize {
        *self.members.borrow()
    }

    /// Ends the gossip task as a panic would; its supervisor begins the next. For tests.
    pub fn break_gossip(&self) {
        let _ = self.words.try_send(Word::Break);
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        self.port.unroute(self.key);
        self.task.abort();
    }
}

/// Lives one life after another.
struct Task {
    inlet: Inlet,
    port: Port,
    member: CellMember,
    clock: Monotonic,
    random: Random,
    words: mpsc::Receiver<Word>,
    said: BTreeMap<String, String>,
    heard: Heard,
    rumours: watch::Sender<Rumours>,
    members: watch::Sender<usize>,
    /// With whom to begin when something is said to some.
    turn: usize,
}

impl Task {
    async fn run(mut self) {
        let (mut generation, mut delay) = (self.member.generation, REBIRTH_PAUSES.0);
        loop {
            let begun_ms = (self.clock)();
            let Some(above) = self.life(generation).await else { return };
            generation = generation.max(above) + 1;
            let lasted_ms = (self.clock)().saturating_sub(begun_ms);
            delay = if lasted_ms > SETTLED_MS { REBIRTH_PAUSES.0 } else { (2 * delay).min(REBIRTH_PAUSES.1) };
            pause(delay).await;
        }
    }

    /// Lives one life; the generation that the next is to be above, or nothing if nobody wants another.
    async fn life(&mut self, generation: u64) -> Option<u64> {
        let mut incarnation = Incarnation { generation, salt: [0; 16] };
        (self.random)(&mut incarnation.salt);
        let identity = Identity { name: self.member.name.clone(), incarnation, address: self.member.advertise };
        let endpoint = Endpoint::new(self.member.mesh.as_str(), MeshKeys::one(self.member.key.clone()), identity);
        let (ending, news) = (watch::Sender::new(None), Arc::new(Notify::new()));
        let ended = ending.subscribe();
        let parts = TransportParts {
            mesh: self.member.mesh.clone(),
            socket: self.port.socket().clone(),
            endpoint: Arc::new(Mutex::new(endpoint)),
            deaf_after_ms: DEAF_AFTER_MS,
            clock: self.clock.clone(),
            ending,
            news: news.clone(),
            count: self.port.count(),
        };
        let transport = SealedTransport::over(parts, self.inlet.clone());
        let said = self.said.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let handle = match spawn_chitchat(self.config(generation), said, &transport).await {
            Ok(handle) => handle,
            Err(error) => {
                tracing::error!(%error, "gossip in a cell does not start");
                return Some(0);
            }
        };
        let handle = OwnedGossip(handle);
        self.live(&handle.0, ended, &news).await
    }

    async fn live(&mut self, handle: &ChitchatHandle, mut ended: watch::Receiver<Option<Ending>>, news: &Notify) -> Option<u64> {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let terminated = handle.termination_watcher();
        tokio::pin!(terminated);
        let mut looked_ms = (self.clock)();
        loop {
            tokio::select! {
                outcome = &mut terminated => {
                    let outcome = outcome.err().map(|error| error.to_string());
                    tracing::error!(?outcome, mesh = self.member.mesh, "gossip in a cell has ended by itself; the member joins anew");
                    return Some(0);
                }
                Ok(()) = ended.changed() => match *ended.borrow_and_update() {
                    Some(Ending::Outlived(generation)) => {
                        tracing::warn!(mesh = self.member.mesh, generation, "a later life of this member is told of; it begins anew");
                        return Some(generation);
                    }
                    Some(Ending::Full) => return Some(0),
                    None => {}
                },
                word = self.words.recv() => match word {
                    Some(Word::Say(pairs, at_once)) => self.say(handle, pairs, at_once).await,
                    Some(Word::Break) => handle.abort(),
                    None => return None,
                },
                () = news.notified() => self.listen(handle).await,
                _ = ticks.tick() => {
                    let now_ms = (self.clock)();
                    if now_ms.saturating_sub(looked_ms) > FROZEN_MS {
                        return Some(0);
                    }
                    looked_ms = now_ms;
                    self.listen(handle).await;
                }
            }
        }
    }

    /// Reads what others say, and shows it if it is new.
    async fn listen(&mut self, handle: &ChitchatHandle) {
        let (me, heard) = (&self.member.name, &mut self.heard);
        let (is_news, known, live) = handle
            .with_chitchat(|chitchat| {
                let (mut is_news, mut known) = (false, Vec::new());
                for (id, state) in chitchat.node_states() {
                    let Some(name) = id.node_id.parse::<NodeName>().ok().filter(|name| name != me) else { continue };
                    for (key, value) in state.iter_prefix(PREFIX) {
                        is_news |= heard.hear(&name, id.generation_id, key, value.version, &value.value);
                    }
                    known.push(name);
                }
                (is_news, known, chitchat.live_nodes().count())
            })
            .await;
        if is_news {
            self.heard.retain(|name| known.contains(name));
            self.rumours.send_replace(self.heard.all());
        }
        self.members.send_if_modified(|members| std::mem::replace(members, live) != live);
    }

    async fn say(&mut self, handle: &ChitchatHandle, pairs: Vec<(String, String)>, at_once: usize) {
        let me = self.member.name.as_str();
        let live: Vec<SocketAddr> = handle
            .with_chitchat(|chitchat| {
                let state = chitchat.self_node_state();
                pairs.iter().for_each(|(key, value)| state.set(key, value));
                chitchat.live_nodes().filter(|id| *id.node_id != *me).map(|id| id.gossip_advertise_addr).collect()
            })
            .await;
        self.said.extend(pairs);
        for address in live.iter().cycle().skip(self.turn % live.len().max(1)).take(at_once.min(live.len())) {
            if let Err(error) = handle.gossip(*address) {
                tracing::debug!(%error, "gossip has ended");
            }
        }
        self.turn = self.turn.wrapping_add(at_once);
    }

    fn config(&self, generation: u64) -> ChitchatConfig {
        let CellMember { mesh, name, advertise, seeds, .. } = &self.member;
        ChitchatConfig {
            chitchat_id: ChitchatId::new(name.as_str(), generation, *advertise),
            cluster_id: mesh.clone(),
            gossip_interval: INTERVAL,
            listen_addr: self.port.local_addr(),
            seed_nodes: seeds.iter().map(SocketAddr::to_string).collect(),
            failure_detector_config: FailureDetectorConfig {
                phi_threshold: PHI_THRESHOLD,
                initial_interval: INTERVAL,
                dead_node_grace_period: FORGET_DEAD_AFTER,
                ..FailureDetectorConfig::default()
            },
            marked_for_deletion_grace_period: FORGET_DEAD_AFTER,
            catchup_callback: None,
            extra_liveness_predicate: None,
        }
    }
}

/// Ends a gossip task with whoever lives by it.
struct OwnedGossip(ChitchatHandle);

impl Drop for OwnedGossip {
    fn drop(&mut self) {
        self.0.abort();
    }
}
