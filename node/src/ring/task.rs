use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use artifacts_core::mesh::{Endpoint, Facts, Heard, Identity, Incarnation, Member, MemberId, Membership, NodePhase};
use artifacts_gossip::{self as gossip, Ending, PREFIX, SealedTransport, SharedEndpoint, TransportParts};
use chitchat::{Chitchat, ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig, NodeState, spawn_chitchat};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::MissedTickBehavior;

use super::caller::Caller;
use super::config::RingConfig;
use super::handle::{RingSeat, Silences};
use super::{RingView, Rumours};
use crate::time::pause;

/// Nobody waits longer for the next life after the last has failed.
const REBIRTH_PAUSE_MAX: Duration = Duration::from_secs(10);
const REBIRTH_PAUSE_MIN: Duration = Duration::from_millis(200);
/// A life that lasted this long was none that failed at once.
const SETTLED: Duration = Duration::from_secs(60);
/// How long the dead are remembered, and removed keys. After half of it nobody mentions the dead any more.
const GRACE: Duration = Duration::from_secs(10 * 60);
/// chitchat's own detector, which only steers whom it speaks to.
const PHI_THRESHOLD: f64 = 16.0;
/// A node that is not heard for so many times the time after which it is suspected takes it for granted. By then it also knows
/// whether it reaches the bucket, and one that does not keeps what it has until the store says otherwise.
const IGNORED_AFTER: u64 = 2;
/// To so many nodes the news that this one leaves goes at once; the others hear it from them.
const TOLD_AT_ONCE: usize = 16;
/// After so many intervals all have heard of it.
const INTERVALS_TO_SPREAD: u32 = 3;

/// After how long a node that hears nobody keeps its heartbeat to itself. The others then still take their time to suspect it, so
/// this is short: one that hears again has lost nothing.
fn deaf_after_ms(config: &RingConfig) -> u64 {
    (config.suspect_after_ms / 4).max(2 * config.gossip_interval_ms)
}

/// What the node tells its ring.
pub(super) enum Word {
    /// Say that this node leaves, and answer when that had time to spread.
    Leave(oneshot::Sender<()>),
    /// Say that this node does not reach the bucket, or that it does again.
    Stranded(bool),
    /// Say this, to so many at once.
    Say(Vec<(String, String)>, usize),
    /// End.
    Stop,
    /// Let the gossip instance end by itself.
    #[cfg(test)]
    Break,
}

/// Why a life ended.
#[derive(Debug)]
enum End {
    Stopped,
    /// The next generation is to be above this.
    Again {
        above: u64,
    },
}

/// Where the task shows what it knows.
pub(super) struct Shown {
    pub(super) view: watch::Sender<RingView>,
    pub(super) silences: Silences,
    pub(super) rumours: watch::Sender<Rumours>,
}

/// Lives one life after another until it is told to stop.
pub(super) struct RingTask {
    seat: RingSeat,
    facts: Facts,
    shown: Shown,
    /// What is said besides.
    said: BTreeMap<String, String>,
    heard: gossip::Heard,
    /// With whom to begin when something is said to some.
    turn: usize,
    words: mpsc::Receiver<Word>,
    caller: Caller,
    membership: Membership,
    /// When this node first looked around.
    joined_ms: u64,
    /// Whether it does not reach the bucket.
    is_stranded: bool,
    /// Since when the others do not hear it, if so.
    unheard_ms: Option<u64>,
    /// Whether that counts: they have taken it for dead by now.
    is_ignored: bool,
}

impl RingTask {
    pub(super) fn new(seat: RingSeat, facts: Facts, caller: Caller, shown: Shown, words: mpsc::Receiver<Word>) -> Self {
        let config = &seat.config;
        let membership = Membership::new(seat.lives.node().clone(), config.gossip_interval_ms, config.suspect_after_ms);
        let joined_ms = seat.clock.monotonic_ms();
        let (said, heard) = (BTreeMap::new(), gossip::Heard::default());
        let (is_stranded, unheard_ms, is_ignored) = (false, None, false);
        Self { seat, facts, shown, said, heard, turn: 0, words, caller, membership, joined_ms, is_stranded, unheard_ms, is_ignored }
    }

    pub(super) async fn run(mut self) {
        let mut incarnation = self.seat.first;
        let mut delay = REBIRTH_PAUSE_MIN;
        loop {
            let begun_ms = self.seat.clock.monotonic_ms();
            let above = match self.life(incarnation).await {
                End::Stopped => return,
                End::Again { above } => above,
            };
            let lasted = Duration::from_millis(self.seat.clock.monotonic_ms().saturating_sub(begun_ms));
            delay = if lasted > SETTLED { REBIRTH_PAUSE_MIN } else { (2 * delay).min(REBIRTH_PAUSE_MAX) };
            incarnation = match self.rebirth(above, &mut delay).await {
                Some(incarnation) => incarnation,
                None => return,
            };
            // Nodes that remember a later life would refuse the calls of this one as well.
            if above > 0 || self.caller.is_full() {
                self.caller.renew(incarnation);
                self.facts.calls = incarnation;
            }
        }
    }

    /// Waits a while and begins the next life; none if the node ends meanwhile.
    async fn rebirth(&mut self, above: u64, delay: &mut Duration) -> Option<Incarnation> {
        loop {
            // However much there is to say meanwhile, it does not begin anew.
            let paused = pause(*delay);
            tokio::pin!(paused);
            loop {
                tokio::select! {
                    () = &mut paused => break,
                    word = self.words.recv() => match word {
                        // There is nobody to tell: this node is not in the ring. Its next life begins with it.
                        Some(Word::Leave(_)) => self.facts.phase = NodePhase::Leaving,
                        Some(Word::Stranded(is_stranded)) => {
                            self.is_stranded = is_stranded;
                            self.settle();
                        }
                        Some(Word::Say(pairs, _)) => self.said.extend(pairs),
                        Some(Word::Stop) | None => return None,
                        #[cfg(test)]
                        Some(Word::Break) => {}
                    },
                }
            }
            match self.seat.lives.next(above, self.seat.clock.wall(), &*self.seat.entropy) {
                Ok(incarnation) => return Some(incarnation),
                Err(error) => tracing::error!(%error, "the node cannot go back to the ring yet"),
            }
            *delay = (2 * *delay).min(REBIRTH_PAUSE_MAX);
        }
    }

    async fn life(&mut self, incarnation: Incarnation) -> End {
        let seat = &self.seat;
        let identity = Identity { name: seat.lives.node().clone(), incarnation, address: seat.advertise };
        let (ending, news) = (watch::Sender::new(None), Arc::new(Notify::new()));
        let mut ended = ending.subscribe();
        let endpoint = Endpoint::new(seat.config.name.as_str(), seat.keys.clone(), identity.clone());
        let endpoint: SharedEndpoint = Arc::new(Mutex::new(endpoint));
        let clock = seat.clock.clone();
        let transport = SealedTransport::new(TransportParts {
            mesh: seat.config.name.clone(),
            socket: seat.socket.clone(),
            endpoint: endpoint.clone(),
            deaf_after_ms: deaf_after_ms(&seat.config),
            clock: Arc::new(move || clock.monotonic_ms()),
            ending,
            news: news.clone(),
            count,
        });
        let config = self.chitchat_config(&identity);
        let handle = match spawn_chitchat(config, self.pairs(), &transport).await {
            Ok(handle) => handle,
            Err(error) => {
                tracing::error!(%error, "gossip does not start");
                return End::Again { above: 0 };
            }
        };
        tracing::info!(node = %identity.name, generation = incarnation.generation, address = %identity.address, "the node is in the ring");
        let end = self.live(&handle, &identity, &endpoint, &mut ended, &news).await;
        if let Err(error) = handle.shutdown().await {
            tracing::debug!(%error, "gossip ended");
        }
        end
    }

    async fn live(
        &mut self,
        handle: &ChitchatHandle,
        identity: &Identity,
        endpoint: &SharedEndpoint,
        ended: &mut watch::Receiver<Option<Ending>>,
        news: &Notify,
    ) -> End {
        let config = &self.seat.config;
        let suspect_after_ms = config.suspect_after_ms;
        let mut ticks = tokio::time::interval(Duration::from_millis(config.gossip_interval_ms));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut leaving: Option<(u32, oneshot::Sender<()>)> = None;
        let terminated = handle.termination_watcher();
        tokio::pin!(terminated);
        loop {
            tokio::select! {
                outcome = &mut terminated => {
                    tracing::error!(outcome = ?outcome.err().map(|error| error.to_string()), "gossip has ended by itself; the node joins anew");
                    return End::Again { above: 0 };
                }
                Ok(()) = ended.changed() => match *ended.borrow_and_update() {
                    Some(Ending::Outlived(generation)) => {
                        tracing::error!(generation, "others know a later life of this node: its clock went back, or another node has its name");
                        return End::Again { above: generation };
                    }
                    Some(Ending::Full) => {
                        tracing::info!("the table of senders is full; the node joins anew");
                        return End::Again { above: 0 };
                    }
                    None => {}
                },
                () = self.caller.filled() => {
                    tracing::info!("more nodes have called than can be told apart; the node joins anew");
                    return End::Again { above: 0 };
                }
                word = self.words.recv() => match word {
                    Some(Word::Leave(told)) => {
                        self.facts.phase = NodePhase::Leaving;
                        self.tell(handle).await;
                        leaving = Some((INTERVALS_TO_SPREAD, told));
                    }
                    Some(Word::Stranded(is_stranded)) => {
                        self.is_stranded = is_stranded;
                        if self.settle() {
                            self.tell(handle).await;
                        }
                    }
                    Some(Word::Say(pairs, at_once)) => {
                        self.said.extend(pairs);
                        self.tell_some(handle, at_once).await;
                    }
                    Some(Word::Stop) | None => return End::Stopped,
                    #[cfg(test)]
                    Some(Word::Break) => handle.abort(),
                },
                () = news.notified() => self.listen(handle).await,
                _ = ticks.tick() => {
                    self.judge_reception(endpoint);
                    let gap_ms = self.look(handle, identity).await;
                    if gap_ms > suspect_after_ms {
                        tracing::warn!(gap_ms, "this node did not run for so long that the others suspect it; it joins anew");
                        return End::Again { above: 0 };
                    }
                    if self.settle() {
                        self.tell(handle).await;
                    }
                    leaving = match leaving {
                        Some((0, told)) => {
                            // Whoever waited may have given up.
                            let _ = told.send(());
                            None
                        }
                        Some((left, told)) => Some((left - 1, told)),
                        None => None,
                    };
                }
            }
        }
    }

    /// Looks whether the others hear this node.
    fn judge_reception(&mut self, endpoint: &SharedEndpoint) {
        let (now_ms, limit_ms) = (self.seat.clock.monotonic_ms(), self.seat.config.suspect_after_ms);
        let is_heard = endpoint.lock().is_heard(now_ms, limit_ms);
        self.unheard_ms = if is_heard { None } else { self.unheard_ms.or(Some(now_ms)) };
        let is_ignored = self.unheard_ms.is_some_and(|since_ms| now_ms.saturating_sub(since_ms) >= IGNORED_AFTER * limit_ms);
        if is_ignored && !self.is_ignored {
            tracing::error!(
                "the other nodes do not hear this one, so it takes no part: their datagrams come here, and its own do not get there, or \
                 it was restarted so often that its last start does not count yet"
            );
        } else if self.is_ignored && !is_ignored {
            tracing::info!("the other nodes hear this one again");
        }
        self.is_ignored = is_ignored;
    }

    /// Says in which phase this node is by now, unless it leaves. Answers whether that is news.
    fn settle(&mut self) -> bool {
        // Who does not answer for so long counts as dead to the others as well.
        let has_looked = self.seat.clock.monotonic_ms().saturating_sub(self.joined_ms) > self.seat.config.suspect_after_ms;
        let before = self.facts.phase;
        let is_in = if before == NodePhase::Joining { self.unheard_ms.is_none() } else { !self.is_ignored };
        self.facts.phase = match before {
            NodePhase::Leaving => NodePhase::Leaving,
            _ if !has_looked || !is_in => NodePhase::Joining,
            _ if self.is_stranded => NodePhase::Stranded,
            _ => NodePhase::Serving,
        };
        self.facts.phase != before
    }

    /// Reads what gossip knows and shows it if it is new. Returns for how long nobody looked.
    async fn look(&mut self, handle: &ChitchatHandle, identity: &Identity) -> u64 {
        let heard: Vec<Heard> = handle.with_chitchat(|chitchat| heard(chitchat)).await;
        let gap_ms = self.membership.observe(self.seat.clock.monotonic_ms(), heard);
        let members: Vec<_> = self.membership.members().cloned().collect();
        *self.shown.silences.lock() = self.membership.silences().map(|(name, silent_ms)| (name.clone(), silent_ms)).collect();
        let (me, generation) = (identity.name.clone(), identity.incarnation.generation);
        let view = RingView { me, generation, is_heard: !self.is_ignored, members };
        self.shown.view.send_if_modified(|known| {
            let changed = *known != view;
            if changed {
                report(known, &view);
                *known = view;
            }
            changed
        });
        self.listen(handle).await;
        gap_ms
    }

    /// Reads what others say besides, and shows it if it is new.
    async fn listen(&mut self, handle: &ChitchatHandle) {
        let me = self.seat.lives.node();
        let heard = &mut self.heard;
        let is_news = handle
            .with_chitchat(|chitchat| {
                let mut is_news = false;
                for (id, state) in chitchat.node_states() {
                    let Some(name) = id.node_id.parse().ok().filter(|name| name != me) else { continue };
                    for (key, value) in state.iter_prefix(PREFIX) {
                        is_news |= heard.hear(&name, id.generation_id, key, value.version, &value.value);
                    }
                }
                is_news
            })
            .await;
        if is_news {
            let members = &self.membership;
            self.heard.retain(|name| members.members().any(|member| member.id.name == *name));
            self.shown.rumours.send_replace(self.heard.all());
        }
    }

    /// All that this node says.
    fn pairs(&self) -> Vec<(String, String)> {
        let mut pairs = self.facts.pairs();
        pairs.extend(self.said.iter().map(|(key, value)| (key.clone(), value.clone())));
        pairs
    }

    /// Says what this node says of itself now, at once, to some.
    async fn tell(&mut self, handle: &ChitchatHandle) {
        self.tell_some(handle, TOLD_AT_ONCE).await;
    }

    async fn tell_some(&mut self, handle: &ChitchatHandle, at_once: usize) {
        let pairs = self.pairs();
        handle
            .with_chitchat(|chitchat| {
                let state = chitchat.self_node_state();
                pairs.iter().for_each(|(key, value)| state.set(key, value));
            })
            .await;
        let me = self.seat.lives.node();
        let is_other = |member: &&Member| member.live && member.id.name != *me;
        let others: Vec<_> = self.membership.members().filter(is_other).map(|member| member.id.address).collect();
        for address in others.iter().cycle().skip(self.turn % others.len().max(1)).take(at_once.min(others.len())) {
            if let Err(error) = handle.gossip(*address) {
                tracing::debug!(%error, "gossip has ended");
            }
        }
        self.turn = self.turn.wrapping_add(at_once);
    }

    fn chitchat_config(&self, identity: &Identity) -> ChitchatConfig {
        let config = &self.seat.config;
        let interval = Duration::from_millis(config.gossip_interval_ms);
        ChitchatConfig {
            chitchat_id: ChitchatId::new(identity.name.as_str(), identity.incarnation.generation, identity.address),
            cluster_id: config.name.clone(),
            gossip_interval: interval,
            listen_addr: config.listen,
            seed_nodes: config.seeds.clone(),
            failure_detector_config: FailureDetectorConfig {
                phi_threshold: PHI_THRESHOLD,
                initial_interval: interval,
                dead_node_grace_period: GRACE,
                ..FailureDetectorConfig::default()
            },
            marked_for_deletion_grace_period: GRACE,
            catchup_callback: None,
            extra_liveness_predicate: None,
        }
    }
}

fn heard(chitchat: &Chitchat) -> Vec<Heard> {
    let heard = |(id, state): (&ChitchatId, &NodeState)| {
        let member = MemberId { name: id.node_id.parse().ok()?, generation: id.generation_id, address: id.gossip_advertise_addr };
        Some(Heard { member, heartbeat: heartbeat(state), facts: Facts::read(|key| state.get(key)).ok() })
    };
    chitchat.node_states().iter().filter_map(heard).collect()
}

fn count(outcome: &'static str) {
    metrics::counter!("artifacts_ring_datagrams_total", "outcome" => outcome).increment(1);
}

fn heartbeat(state: &NodeState) -> u64 {
    state.heartbeat().into()
}

/// Logs what has changed.
fn report(before: &RingView, after: &RingView) {
    for member in &after.members {
        let was_live = before.member(&member.id.name).is_some_and(|known| known.live);
        if member.live != was_live {
            tracing::info!(node = %member.id.name, generation = member.id.generation, live = member.live, "a node is heard, or no more");
        }
    }
}
