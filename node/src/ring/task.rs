use std::sync::Arc;
use std::time::Duration;

use artifacts_core::mesh::{Endpoint, Facts, Heard, Identity, Incarnation, MemberId, Membership, NodePhase};
use chitchat::{Chitchat, ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig, NodeState, spawn_chitchat};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::MissedTickBehavior;

use super::RingView;
use super::caller::Caller;
use super::config::RingConfig;
use super::handle::{RingSeat, Silences};
use super::socket::{Ending, SealedTransport, SharedEndpoint};
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

/// Lives one life after another until it is told to stop.
pub(super) struct RingTask {
    seat: RingSeat,
    facts: Facts,
    view: watch::Sender<RingView>,
    silences: Silences,
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
    pub(super) fn new(
        seat: RingSeat,
        facts: Facts,
        caller: Caller,
        (view, silences): (watch::Sender<RingView>, Silences),
        words: mpsc::Receiver<Word>,
    ) -> Self {
        let config = &seat.config;
        let membership = Membership::new(seat.lives.node().clone(), config.gossip_interval_ms, config.suspect_after_ms);
        let joined_ms = seat.clock.monotonic_ms();
        Self { seat, facts, view, silences, words, caller, membership, joined_ms, is_stranded: false, unheard_ms: None, is_ignored: false }
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
            tokio::select! {
                () = pause(*delay) => {}
                word = self.words.recv() => match word {
                    // There is nobody to tell: this node is not in the ring. Its next life begins with it.
                    Some(Word::Leave(_)) => {
                        self.facts.phase = NodePhase::Leaving;
                        continue;
                    }
                    Some(Word::Stranded(is_stranded)) => {
                        self.is_stranded = is_stranded;
                        self.settle();
                        continue;
                    }
                    Some(Word::Stop) | None => return None,
                    #[cfg(test)]
                    Some(Word::Break) => continue,
                },
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
        let ending = watch::Sender::new(None);
        let mut ended = ending.subscribe();
        let endpoint = Endpoint::new(seat.config.name.as_str(), seat.keys.clone(), identity.clone());
        let endpoint: SharedEndpoint = Arc::new(Mutex::new(endpoint));
        let (socket, clock, deaf_after_ms) = (seat.socket.clone(), seat.clock.clone(), deaf_after_ms(&seat.config));
        let transport = SealedTransport::new(&seat.config.name, socket, endpoint.clone(), deaf_after_ms, clock, ending);
        let config = self.chitchat_config(&identity);
        let handle = match spawn_chitchat(config, self.facts.pairs(), &transport).await {
            Ok(handle) => handle,
            Err(error) => {
                tracing::error!(%error, "gossip does not start");
                return End::Again { above: 0 };
            }
        };
        tracing::info!(node = %identity.name, generation = incarnation.generation, address = %identity.address, "the node is in the ring");
        let end = self.live(&handle, &identity, &endpoint, &mut ended).await;
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
                    Some(Word::Stop) | None => return End::Stopped,
                    #[cfg(test)]
                    Some(Word::Break) => handle.abort(),
                },
                _ = ticks.tick() => {
                    self.listen(endpoint);
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
    fn listen(&mut self, endpoint: &SharedEndpoint) {
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
        *self.silences.lock() = self.membership.silences().map(|(name, silent_ms)| (name.clone(), silent_ms)).collect();
        let (me, generation) = (identity.name.clone(), identity.incarnation.generation);
        let view = RingView { me, generation, is_heard: !self.is_ignored, members };
        self.view.send_if_modified(|known| {
            let changed = *known != view;
            if changed {
                report(known, &view);
                *known = view;
            }
            changed
        });
        gap_ms
    }

    /// Says what this node says of itself now, at once, to some.
    async fn tell(&self, handle: &ChitchatHandle) {
        let pairs = self.facts.pairs();
        handle
            .with_chitchat(|chitchat| {
                let state = chitchat.self_node_state();
                pairs.iter().for_each(|(key, value)| state.set(key, value));
            })
            .await;
        let me = &self.view.borrow().me.clone();
        let others: Vec<_> = self.view.borrow().members.iter().filter(|member| member.live && member.id.name != *me).cloned().collect();
        for member in others.iter().take(TOLD_AT_ONCE) {
            if let Err(error) = handle.gossip(member.id.address) {
                tracing::debug!(%error, "gossip has ended");
            }
        }
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
