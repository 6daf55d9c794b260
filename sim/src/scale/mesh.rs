use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use artifacts_core::mesh::{Endpoint, Gossip, Identity, Incarnation, MeshKey, MeshKeys, Opened};
use artifacts_gossip::codec;
use chitchat::{ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig, spawn_chitchat};

use super::port::{Port, Wire};
use super::traffic::Traffic;
use super::weather::Weather;
use crate::Random;

/// How many members a member speaks to in a round of its own, as chitchat does.
const PARTNERS: usize = 3;
/// In place of chitchat's own interval: within a run it never gossips by itself.
const NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// What a life of a member looks like in size: milliseconds since 1970.
const GENERATION: u64 = 1_760_000_000_000;
/// The port of all members.
const PORT: u16 = 7_701;
/// How often a task may be passed over before it does what it was woken for.
const PATIENCE: usize = 1_000;
/// The heartbeat of a member that has not had a round yet.
const HEARTBEAT_BEFORE: u64 = 1;
/// What begins the keys that are not about members themselves.
const PREFIX: &str = "rev-";

/// Who comes into a mesh.
pub(super) struct Joining {
    pub(super) name: String,
    pub(super) region: usize,
    /// What it says from the beginning.
    pub(super) pairs: Vec<(String, String)>,
}

/// Everybody in a mesh, and the datagrams between them; with timers of whoever drives it.
///
/// Each member is a chitchat behind an [`Endpoint`]. **Rounds are not chitchat's own.** Every interval, each member speaks to three
/// others that it knows, and to a seed if none of these is one, with the probability of seeds among those that it knows: the rule of
/// chitchat 0.11 where nobody has died, drawn from the seed of the simulation. News of one message are put in the order of members,
/// which chitchat draws, too. The rest (digests, news, versions) is chitchat's.
pub(super) struct Mesh<T> {
    name: &'static str,
    weather: Weather,
    random: Random,
    interval_us: u64,
    /// The first so many are the seeds.
    seeds: usize,
    members: Vec<Member>,
    queue: BTreeMap<(u64, u64), Due<T>>,
    queued: u64,
    now_us: u64,
}

struct Member {
    id: ChitchatId,
    region: usize,
    endpoint: Endpoint,
    port: Arc<Port>,
    chitchat: ChitchatHandle,
    sent: Traffic,
    /// With whom to begin when something is said to some.
    turn: usize,
}

enum Due<T> {
    Round(usize),
    Datagram { to: usize, source: SocketAddr, bytes: Vec<u8> },
    Timer(T),
}

/// What is up to whoever drives the mesh.
pub(super) enum Event<T> {
    /// A timer.
    Timer(T),
    /// A member has taken in what others have changed.
    News(usize),
}

impl<T> Mesh<T> {
    /// A mesh whose members know its seeds, the first so many of them, and nobody else.
    pub(super) async fn start(
        name: &'static str,
        joining: Vec<Joining>,
        seeds: usize,
        interval_ms: u64,
        weather: Weather,
        mut random: Random,
    ) -> anyhow::Result<Self> {
        let interval_us = 1_000 * interval_ms;
        let keys = MeshKeys::one(MeshKey::new([7; 32]));
        let (mut members, mut queue, mut queued) = (Vec::new(), BTreeMap::new(), 0);
        for (index, joining) in joining.into_iter().enumerate() {
            let salt = (u128::from(random.next()) << 64 | u128::from(random.next())).to_be_bytes();
            let identity = Identity {
                name: joining.name.parse().with_context(|| format!("{} is no name of a member", joining.name))?,
                incarnation: Incarnation { generation: GENERATION + random.below(1 << 30), salt },
                address: address(index),
            };
            let id = ChitchatId::new(identity.name.as_str(), identity.incarnation.generation, identity.address);
            let port = Arc::new(Port::default());
            let chitchat = spawn_chitchat(config(name, id.clone()), joining.pairs, &Wire(port.clone())).await?;
            let endpoint = Endpoint::new(name, keys.clone(), identity);
            members.push(Member { id, region: joining.region, endpoint, port, chitchat, sent: Traffic::default(), turn: 0 });
            queue.insert((random.below(interval_us), queued), Due::Round(index));
            queued += 1;
        }
        let mesh = Self { name, weather, random, interval_us, seeds, members, queue, queued, now_us: 0 };
        mesh.pass_first_rounds().await?;
        Ok(mesh)
    }

    /// Waits until each chitchat has had the one round of its own that it begins with: nobody knows anybody, so nothing is said.
    async fn pass_first_rounds(&self) -> anyhow::Result<()> {
        let mut looks = tokio::time::interval(Duration::from_millis(1));
        for (index, member) in self.members.iter().enumerate() {
            let mut left = PATIENCE;
            while heartbeat(&member.chitchat, &member.id).await <= HEARTBEAT_BEFORE {
                left = left.checked_sub(1).with_context(|| format!("the gossip of member {index} does not begin"))?;
                looks.tick().await;
            }
            self.settle(index).await?;
        }
        Ok(())
    }

    pub(super) fn now_us(&self) -> u64 {
        self.now_us
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.now_us / 1_000
    }

    pub(super) fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// What all members have sent together.
    pub(super) fn sent(&self) -> Traffic {
        let mut sent = Traffic::default();
        self.members.iter().for_each(|member| sent.add(member.sent));
        sent
    }

    /// Begins anew to count what is sent.
    pub(super) fn forget_sent(&mut self) {
        self.members.iter_mut().for_each(|member| member.sent = Traffic::default());
    }

    /// How many members there are.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Sets a timer.
    pub(super) fn at(&mut self, at_us: u64, timer: T) {
        self.queue_at(at_us.max(self.now_us), Due::Timer(timer));
    }

    fn queue_at(&mut self, at_us: u64, due: Due<T>) {
        self.queue.insert((at_us, self.queued), due);
        self.queued += 1;
    }

    /// Goes on until something happens that is up to the caller; nothing happens any more before `until_us`.
    pub(super) async fn next(&mut self, until_us: u64) -> anyhow::Result<Option<Event<T>>> {
        loop {
            let Some(first) = self.queue.first_entry().filter(|first| first.key().0 < until_us) else {
                self.now_us = until_us;
                return Ok(None);
            };
            let ((at_us, _), due) = first.remove_entry();
            self.now_us = at_us;
            match due {
                Due::Timer(timer) => return Ok(Some(Event::Timer(timer))),
                Due::Round(member) => {
                    self.queue_at(at_us + self.interval_us, Due::Round(member));
                    for partner in self.draw_partners(member).await {
                        self.gossip(member, partner).await?;
                    }
                }
                Due::Datagram { to, source, bytes } => {
                    if self.deliver(to, source, &bytes).await? {
                        return Ok(Some(Event::News(to)));
                    }
                }
            }
        }
    }

    /// Says something under keys that begin with `rev-`, and tells some others at once.
    pub(super) async fn say(&mut self, member: usize, pairs: &[(String, String)], at_once: usize) -> anyhow::Result<()> {
        let chitchat = &self.members[member].chitchat;
        chitchat.with_chitchat(|chitchat| pairs.iter().for_each(|(key, value)| chitchat.self_node_state().set(key, value))).await;
        let others = self.others(member).await;
        let turn = self.members[member].turn;
        self.members[member].turn = turn.wrapping_add(at_once);
        let told: Vec<_> = others.iter().cycle().skip(turn % others.len().max(1)).take(at_once.min(others.len())).copied().collect();
        for other in told {
            self.gossip(member, other).await?;
        }
        Ok(())
    }

    /// What a member knows that another says under such keys and has changed since `seen`, which is brought up to date.
    pub(super) async fn changed(&self, member: usize, of: usize, seen: &mut u64) -> Vec<(String, String)> {
        let (chitchat, id, after) = (&self.members[member].chitchat, &self.members[of].id, *seen);
        let changed = chitchat
            .with_chitchat(|chitchat| {
                let news = chitchat.node_state(id).into_iter().flat_map(|state| state.iter_prefix(PREFIX));
                let news = news.filter(|(_, value)| value.version > after);
                news.map(|(key, value)| (value.version, (key.to_owned(), value.value.clone()))).collect::<Vec<_>>()
            })
            .await;
        *seen = changed.iter().map(|(version, _)| *version).max().unwrap_or(0).max(after);
        changed.into_iter().map(|(_, pair)| pair).collect()
    }

    /// How many members a member knows, itself included.
    pub(super) async fn knows(&self, member: usize) -> usize {
        self.members[member].chitchat.with_chitchat(|chitchat| chitchat.node_states().len()).await
    }

    async fn others(&self, member: usize) -> Vec<usize> {
        let known = |chitchat: &mut chitchat::Chitchat| -> Vec<usize> {
            chitchat.node_states().keys().filter_map(|id| index_of(id.gossip_advertise_addr)).filter(|other| *other != member).collect()
        };
        self.members[member].chitchat.with_chitchat(known).await
    }

    async fn draw_partners(&mut self, member: usize) -> Vec<usize> {
        let mut others = self.others(member).await;
        let mut partners = Vec::with_capacity(PARTNERS + 1);
        while partners.len() < PARTNERS && !others.is_empty() {
            partners.push(others.swap_remove(self.random.below(others.len() as u64) as usize));
        }
        let known = (others.len() + partners.len()) as u64;
        let seeds: Vec<_> = (0..self.seeds).filter(|seed| *seed != member).collect();
        let has_seed = partners.iter().any(|partner| seeds.contains(partner));
        if !has_seed && (known == 0 || self.random.below(known) < seeds.len() as u64) {
            partners.extend(self.random.choose(&seeds));
        }
        partners
    }

    /// Begins an exchange.
    async fn gossip(&mut self, member: usize, with: usize) -> anyhow::Result<()> {
        let from = &self.members[member];
        from.chitchat.gossip(address(with))?;
        for _ in 0..PATIENCE {
            if from.port.has_said() {
                self.post_said(member);
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
        anyhow::bail!("the gossip of member {member} has ended")
    }

    /// Hands a datagram over. Whether it has brought news.
    async fn deliver(&mut self, to: usize, source: SocketAddr, bytes: &[u8]) -> anyhow::Result<bool> {
        let (now_ms, member) = (self.now_ms(), &mut self.members[to]);
        match member.endpoint.open(source, bytes, now_ms) {
            Ok(Opened::Gossip { from, message }) => {
                let has_news = message.delta().iter().any(|entry| !entry.changes.is_empty());
                let Some(message) = codec::to_chitchat(&message, self.name) else { return Ok(false) };
                member.port.hear(from, message);
                self.settle(to).await?;
                self.post_said(to);
                return Ok(has_news);
            }
            Ok(Opened::Introduce { to: address, datagram }) => self.post(to, address, datagram),
            // One that came twice, or before its sender knew this life: said again soon.
            Ok(Opened::Introduced) | Err(_) => {}
        }
        Ok(false)
    }

    /// Waits until a member's task has nothing to do.
    async fn settle(&self, member: usize) -> anyhow::Result<()> {
        for _ in 0..PATIENCE {
            if self.members[member].port.is_idle() {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
        anyhow::bail!("the gossip of member {member} has ended")
    }

    fn post_said(&mut self, member: usize) {
        for (to, message) in self.members[member].port.take_said() {
            let Some(mut message) = codec::from_chitchat(&message) else { continue };
            if let Gossip::SynAck(_, news) | Gossip::Ack(news) = &mut message {
                news.sort_by(|one, other| one.member.cmp(&other.member));
            }
            // What is too large is never sent: the limits on members see to it.
            if let Ok(bytes) = self.members[member].endpoint.seal(to, message) {
                self.post(member, to, bytes);
            }
        }
    }

    fn post(&mut self, member: usize, to: SocketAddr, bytes: Vec<u8>) {
        let from = &mut self.members[member];
        from.sent.count(bytes.len());
        let (source, region) = (from.id.gossip_advertise_addr, from.region);
        let Some(to) = index_of(to).filter(|to| *to < self.members.len()) else { return };
        if !self.weather.loses(&mut self.random) {
            let delay_us = Weather::datagram_us(region, self.members[to].region, &mut self.random);
            self.queue_at(self.now_us + delay_us, Due::Datagram { to, source, bytes });
        }
    }
}

async fn heartbeat(chitchat: &ChitchatHandle, id: &ChitchatId) -> u64 {
    chitchat.with_chitchat(|chitchat| chitchat.node_state(id).map_or(0, |state| state.heartbeat().into())).await
}

/// Where the member of this number receives datagrams.
fn address(index: usize) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from_bits(0x0a00_0001 + index as u32), PORT))
}

fn index_of(address: SocketAddr) -> Option<usize> {
    match address {
        SocketAddr::V4(v4) => v4.ip().to_bits().checked_sub(0x0a00_0001).map(|index| index as usize),
        SocketAddr::V6(_) => None,
    }
}

fn config(name: &str, id: ChitchatId) -> ChitchatConfig {
    ChitchatConfig {
        listen_addr: id.gossip_advertise_addr,
        chitchat_id: id,
        cluster_id: name.to_owned(),
        gossip_interval: NEVER,
        seed_nodes: Vec::new(),
        // Nobody dies, and it is never asked who lives.
        failure_detector_config: FailureDetectorConfig { sampling_window_size: 16, ..FailureDetectorConfig::default() },
        marked_for_deletion_grace_period: NEVER,
        catchup_callback: None,
        extra_liveness_predicate: None,
    }
}
