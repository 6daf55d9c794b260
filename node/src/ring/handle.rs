use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use artifacts_core::mesh::{CallSeat, Facts, Incarnation, Member, MeshKeys, NodePhase};
use artifacts_core::name::NodeName;
use parking_lot::Mutex;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::caller::Caller;
use super::lives::Lives;
use super::task::{RingTask, Shown, Word};
use super::{RingConfig, RingError, RingView, Rumours};
use crate::random::SharedEntropy;
use crate::time::SharedClock;

/// How long the others get to hear that this node leaves.
const LEAVE_LIMIT: Duration = Duration::from_secs(5);

/// How long the task may take to end.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// A place in the ring that is taken, before anything is said: socket, name and first life.
pub struct RingSeat {
    pub(super) config: RingConfig,
    pub(super) keys: MeshKeys,
    pub(super) socket: Arc<UdpSocket>,
    pub(super) advertise: SocketAddr,
    pub(super) lives: Lives,
    pub(super) first: Incarnation,
    pub(super) clock: SharedClock,
    pub(super) entropy: SharedEntropy,
}

impl RingSeat {
    /// Takes the place: everything that can fail.
    ///
    /// # Errors
    /// [`RingError`].
    pub fn take(config: RingConfig, data: &Path, clock: SharedClock, entropy: SharedEntropy) -> Result<Self, RingError> {
        config.check()?;
        let keys = config.keys()?;
        let mut lives = Lives::open(data, config.node.as_ref(), &*entropy)?;
        let failed = |source| RingError::Socket { address: config.listen, source };
        let socket = artifacts_gossip::bind(config.listen).map_err(failed)?;
        let bound = socket.local_addr().map_err(failed)?;
        let mut advertise = config.advertise.unwrap_or(config.listen);
        if advertise.port() == 0 {
            advertise.set_port(bound.port());
        }
        let first = lives.next(0, clock.wall(), &*entropy)?;
        Ok(Self { config, keys, socket: Arc::new(socket), advertise, lives, first, clock, entropy })
    }

    /// Where others reach this node's gossip.
    pub fn advertise(&self) -> SocketAddr {
        self.advertise
    }

    /// What this node will say of itself: where other nodes and agents reach it, and its region.
    ///
    /// # Errors
    /// [`RingError::Config`] if others could not read it.
    pub fn facts(&self, api: String, stream: String, region: String) -> Result<Facts, RingError> {
        let facts = Facts {
            api,
            stream,
            region,
            protocol: artifacts_core::protocol::VersionRange::OURS,
            release: env!("CARGO_PKG_VERSION").to_owned(),
            // Calls have a life of their own, which is the ring's first: its next ones do not disturb them.
            calls: self.first,
            phase: NodePhase::Joining,
            regions: String::new(),
            shards: None,
        };
        facts
            .check()
            .map_err(|error| RingError::Config(format!("the node cannot tell others where it is and of which region: {error}")))?;
        Ok(facts)
    }

    /// Begins to gossip.
    pub fn start(self, facts: Facts) -> Ring {
        let region = facts.region.clone();
        let (cluster, me) = (self.config.name.clone(), self.lives.node().clone());
        let seat = CallSeat::new(cluster.as_str(), self.keys.clone(), me.clone(), self.first);
        let caller = Caller::new(seat);
        let view = watch::Sender::new(RingView { me: me.clone(), generation: self.first.generation, is_heard: true, members: Vec::new() });
        let (words, heard) = mpsc::channel(4);
        let (silences, rumours) = (Silences::default(), watch::Sender::new(Rumours::default()));
        let inner = Inner {
            cluster,
            me,
            region,
            keys: self.keys.clone(),
            view: view.subscribe(),
            silences: silences.clone(),
            rumours: rumours.subscribe(),
            caller: caller.clone(),
            words,
        };
        let task = tokio::spawn(RingTask::new(self, facts, caller, Shown { view, silences, rumours }, heard).run());
        Ring { inner: Arc::new(inner), task: Arc::new(Mutex::new(Some(task))) }
    }
}

/// For how long each member was not heard, in milliseconds. Beside the view, which is news only when something changes.
pub(super) type Silences = Arc<Mutex<BTreeMap<NodeName, u64>>>;

struct Inner {
    cluster: String,
    me: NodeName,
    region: String,
    keys: MeshKeys,
    view: watch::Receiver<RingView>,
    silences: Silences,
    rumours: watch::Receiver<Rumours>,
    caller: Caller,
    words: mpsc::Sender<Word>,
}

/// This node's place in the ring. Clones share it; the task behind it ends when it is told to or when the last is gone.
#[derive(Clone)]
pub struct Ring {
    inner: Arc<Inner>,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Ring {
    /// The cluster's name.
    pub fn cluster(&self) -> &str {
        &self.inner.cluster
    }

    /// This node's name.
    pub fn me(&self) -> &NodeName {
        &self.inner.me
    }

    /// This node's region.
    pub fn region(&self) -> &str {
        &self.inner.region
    }

    /// The keys that count here.
    pub fn keys(&self) -> &MeshKeys {
        &self.inner.keys
    }

    /// What is known now.
    pub fn view(&self) -> RingView {
        self.inner.view.borrow().clone()
    }

    /// What is known, whenever it changes.
    pub fn watch(&self) -> watch::Receiver<RingView> {
        self.inner.view.clone()
    }

    /// For how long a member was not heard, in milliseconds: how old what is known of it is.
    pub fn silence_ms(&self, member: &NodeName) -> Option<u64> {
        self.inner.silences.lock().get(member).copied()
    }

    /// Brings the metrics up to date that say how the ring stands.
    pub(crate) fn show(&self) {
        let view = self.view();
        for state in ["joining", "serving", "stranded", "leaving", "unknown", "silent"] {
            let count = view.members.iter().filter(|member| state_of(member) == state).count();
            metrics::gauge!("artifacts_ring_members", "state" => state).set(count as f64);
        }
        metrics::gauge!("artifacts_ring_heard").set(f64::from(u8::from(view.is_heard)));
        let longest_ms = view.members.iter().filter(|member| member.live).filter_map(|member| self.silence_ms(&member.id.name)).max();
        metrics::gauge!("artifacts_ring_silence_seconds").set(longest_ms.unwrap_or(0) as f64 / 1000.0);
    }

    /// Calls to other nodes, and the judge of theirs.
    pub fn caller(&self) -> &Caller {
        &self.inner.caller
    }

    /// Tells the others that this node takes over nothing any more, and waits until most have heard it. Gossip goes on.
    pub async fn leave(&self) {
        let (told, done) = oneshot::channel();
        if self.inner.words.send(Word::Leave(told)).await.is_ok() && tokio::time::timeout(LEAVE_LIMIT, done).await.is_err() {
            tracing::warn!("the ring was not told in time that this node leaves");
        }
    }

    /// Tells the others whether this node does not reach the bucket.
    pub async fn strand(&self, is_stranded: bool) {
        // It fails only when the task has ended, and then nobody hears anything.
        let _ = self.inner.words.send(Word::Stranded(is_stranded)).await;
    }

    /// Says something to all: each pair takes the place of what was said under its key. It goes to so many at once, and from there
    /// on with the rest. Keys begin with `rev-`.
    pub async fn say(&self, pairs: Vec<(String, String)>, at_once: usize) {
        // As above.
        let _ = self.inner.words.send(Word::Say(pairs, at_once)).await;
    }

    /// What others say, whenever that changes.
    pub fn rumours(&self) -> watch::Receiver<Rumours> {
        self.inner.rumours.clone()
    }

    /// Ends the gossip instance as a panic would.
    #[cfg(test)]
    pub(super) async fn break_gossip(&self) {
        self.inner.words.send(Word::Break).await.expect("the task lives");
    }

    /// Falls silent.
    pub async fn stop(&self) {
        let _ = self.inner.words.send(Word::Stop).await;
        let task = self.task.lock().take();
        if let Some(mut task) = task {
            // It may be waiting for a name server. A panic of it was logged where it happened.
            if tokio::time::timeout(STOP_LIMIT, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

/// The word for where a member is.
pub(crate) fn state_of(member: &Member) -> &'static str {
    match &member.facts {
        _ if !member.live => "silent",
        Some(facts) => facts.phase.as_str(),
        None => "unknown",
    }
}
