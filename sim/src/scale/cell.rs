//! A cell of host agents of one account: what its two nodes know goes from member to member.

use artifacts_core::cluster::Seat;
use artifacts_core::revocation::{
    Evidence, Reading, Recent, RevocationRegister, SignedBeacon, SignedReadings, SignedRevocation, Taken, from_text, to_text,
};

use super::authority::{self, Authority};
use super::case::Case;
use super::cost::{Cost, thread_cpu_us};
use super::mesh::{Event, Joining, Mesh};
use super::node_log::NodeLog;
use super::plan::{CellPlan, OWNER, Plan, random};
use super::ring::{self, BEACON, FOLLOW_US, RECORDS};
use super::weather::Weather;

/// How often an agent asks for the time of the owner's clock, and when it does so first.
const ASK_US: u64 = 5_000_000;
const FIRST_ASK_US: u64 = 2_000_000;
/// The members that are nodes; they are the seeds as well.
const NODES: usize = 2;
/// To how many members a beacon goes at once; a record goes to all.
const SOME: usize = 8;

const ASK: &str = "rev-ask";
const CLOCK: &str = "rev-clock";

/// What came of a cell.
pub(super) struct CellResult {
    /// When each of its agents heard of each round's revocations, by [`Case::GOSSIPED`].
    pub(super) heard_us: Vec<Vec<[Option<u64>; 2]>>,
    /// How old each agent's newest proof by beacons was when something was revoked.
    pub(super) ages_ms: Vec<Option<u64>>,
    /// How many did not know everybody at the first revocation.
    pub(super) strangers: u64,
    pub(super) cost: Cost,
}

enum Timer {
    Measure,
    /// A node has heard a beacon in the ring.
    Beacon {
        node: usize,
        of_us: u64,
    },
    /// A node knows of a revocation.
    Record {
        node: usize,
        case: Case,
        round: usize,
    },
    Ask {
        host: usize,
    },
    /// The owner has told a node what its clock said.
    Answer {
        node: usize,
        host: usize,
        reading: Reading,
    },
    /// Something is revoked somewhere.
    Look,
}

/// One of the nodes, as a member of the cell.
#[derive(Default)]
struct Node {
    recent: Recent,
    /// Of when the last beacon was.
    beacon_us: Option<u64>,
    readings: Vec<Option<Reading>>,
    has_readings: bool,
    seen: Vec<u64>,
}

/// An agent, as a member of the cell.
#[derive(Default)]
struct Host {
    evidence: Evidence,
    register: RevocationRegister,
    seen: [u64; NODES],
    heard_us: Vec<[Option<u64>; 2]>,
}

struct Cell<'a> {
    authority: &'a Authority,
    seat: Seat,
    weather: Weather,
    mesh: Mesh<Timer>,
    nodes: [Node; NODES],
    hosts: Vec<Host>,
}

/// Simulates a cell whose nodes have learned this in the ring.
pub(super) async fn simulate(plan: &Plan, cell: &CellPlan, logs: &[NodeLog], authority: &Authority) -> anyhow::Result<CellResult> {
    let mut random = random(plan.settings.seed, 1_000_000 + cell.agents.start as u64);
    let weather = Weather::new(plan.settings.loss_ppm);
    let (home, hosts) = (plan.nodes[OWNER], cell.agents.len());
    let mut joining: Vec<Joining> = (0..NODES).map(|_| ring::node(home, format!("node-{:016x}", random.next()))).collect();
    let host = |agent| Joining { name: format!("host-{:016x}", random.next()), region: plan.region(agent), pairs: Vec::new() };
    joining.extend(cell.agents.clone().map(host));
    let members = joining.len();
    let mesh = Mesh::start("cell", joining, NODES, plan.settings.gossip_interval_ms, weather, random).await?;
    let node = || Node { readings: vec![None; hosts], seen: vec![0; hosts], ..Node::default() };
    let host = || Host { heard_us: vec![[None; 2]; plan.rounds()], ..Host::default() };
    let hosts = (0..hosts).map(|_| host()).collect();
    let mut cell = Cell { authority, seat: authority.seat(), weather, mesh, nodes: [node(), node()], hosts }.with_timers(plan, cell, logs);
    let (mut ages_ms, mut strangers, mut cpu_us) = (Vec::new(), 0, 0);
    while let Some(event) = cell.mesh.next(plan.end_us()).await? {
        match event {
            Event::Timer(Timer::Measure) => {
                cell.mesh.forget_sent();
                for member in 0..members {
                    strangers += u64::from(cell.mesh.knows(member).await < members);
                }
                cpu_us = thread_cpu_us();
            }
            Event::Timer(Timer::Look) => {
                let (now_ms, seat) = (cell.mesh.now_ms(), &cell.seat);
                ages_ms.extend(cell.hosts.iter().map(|host| host.evidence.age_ms(seat, now_ms)));
            }
            Event::Timer(timer) => cell.fire(timer, plan).await?,
            Event::News(member) => match member.checked_sub(NODES) {
                None => cell.listen_at_node(member).await,
                Some(host) => cell.listen_at_host(host).await,
            },
        }
    }
    let cost = Cost::of(&cell.mesh, plan.end_us() - plan.warm_us(), thread_cpu_us() - cpu_us);
    let heard_us = cell.hosts.into_iter().map(|host| host.heard_us).collect();
    Ok(CellResult { heard_us, ages_ms, strangers, cost })
}

impl Cell<'_> {
    fn with_timers(mut self, plan: &Plan, cell: &CellPlan, logs: &[NodeLog]) -> Self {
        self.mesh.at(plan.warm_us(), Timer::Measure);
        for (node, number) in cell.nodes.into_iter().enumerate() {
            let log = &logs[number];
            log.beacons.iter().for_each(|(at_us, of_us)| self.mesh.at(*at_us, Timer::Beacon { node, of_us: *of_us }));
            for (round, made_us) in plan.revoked_us.iter().enumerate() {
                for case in Case::GOSSIPED {
                    if let Some(at_us) = log.knows_us(case, round, *made_us) {
                        self.mesh.at(at_us, Timer::Record { node, case, round });
                    }
                }
            }
        }
        plan.revoked_us.iter().for_each(|at_us| self.mesh.at(*at_us, Timer::Look));
        for host in 0..self.hosts.len() {
            let at_us = self.mesh.random().below(FIRST_ASK_US);
            self.mesh.at(at_us, Timer::Ask { host });
        }
        self
    }

    async fn fire(&mut self, timer: Timer, plan: &Plan) -> anyhow::Result<()> {
        match timer {
            Timer::Beacon { node, of_us } => self.say_beacon(node, of_us).await?,
            Timer::Record { node, case, round } => {
                let recent = &mut self.nodes[node].recent;
                let slot = recent.push(self.authority.record(case, round, plan.revoked_us[round]));
                let pair = (format!("{RECORDS}{slot}"), to_text(&recent.slot(slot).to_vec()));
                self.mesh.say(node, &[pair], usize::MAX).await?;
            }
            Timer::Ask { host } => {
                let (now_us, now_ms, nonce) = (self.mesh.now_us(), self.mesh.now_ms(), self.mesh.random().next());
                self.hosts[host].evidence.ask(nonce, now_ms);
                self.mesh.say(NODES + host, &[(ASK.to_owned(), to_text(&nonce))], 0).await?;
                self.mesh.at(now_us + ASK_US, Timer::Ask { host });
            }
            Timer::Answer { node, host, reading } => {
                self.nodes[node].readings[host] = Some(reading);
                self.nodes[node].has_readings = true;
            }
            Timer::Measure | Timer::Look => {}
        }
        Ok(())
    }

    /// A node passes a beacon on, and with it what the owner has answered.
    async fn say_beacon(&mut self, node: usize, of_us: u64) -> anyhow::Result<()> {
        let of = &mut self.nodes[node];
        if of.beacon_us.is_some_and(|known_us| known_us >= of_us) {
            return Ok(());
        }
        of.beacon_us = Some(of_us);
        let mut pairs = vec![(BEACON.to_owned(), to_text(&self.authority.beacon(of_us)))];
        if std::mem::take(&mut of.has_readings) {
            let readings = of.readings.iter().flatten().copied().collect();
            pairs.push((CLOCK.to_owned(), to_text(&self.authority.readings(readings))));
        }
        self.mesh.say(node, &pairs, SOME).await
    }

    /// A node hears questions. The owner answers them; the other node when it has asked for the owner's feed the next time.
    async fn listen_at_node(&mut self, node: usize) {
        let now_us = self.mesh.now_us();
        for host in 0..self.hosts.len() {
            for (_, value) in self.mesh.changed(node, NODES + host, &mut self.nodes[node].seen[host]).await {
                let Some(nonce) = from_text::<u64>(&value) else { continue };
                let [asked_us, answered_us] = if node == OWNER { [now_us; 2] } else { self.next_feed_us(now_us) };
                let reading = Reading { nonce, at_ms: Authority::clock_ms(asked_us) };
                self.mesh.at(answered_us, Timer::Answer { node, host, reading });
            }
        }
    }

    /// When the owner gets the next question of a node of its region, and when the node has the answer.
    fn next_feed_us(&mut self, now_us: u64) -> [u64; 2] {
        let (weather, random) = (self.weather, self.mesh.random());
        let seen_us = now_us + random.below(FOLLOW_US) + weather.stream_us(0, 0, random);
        [seen_us, seen_us + weather.stream_us(0, 0, random)]
    }

    async fn listen_at_host(&mut self, host: usize) {
        let (now_us, now_ms, authority) = (self.mesh.now_us(), self.mesh.now_ms(), self.authority);
        for node in 0..NODES {
            let of = &mut self.hosts[host];
            for (key, value) in self.mesh.changed(NODES + host, node, &mut of.seen[node]).await {
                match key.as_str() {
                    BEACON => {
                        if let Some(signed) = from_text::<SignedBeacon>(&value) {
                            of.evidence.take_beacon(&signed, &authority.keys, now_ms);
                        }
                    }
                    CLOCK => {
                        if let Some(signed) = from_text::<SignedReadings>(&value) {
                            of.evidence.take_readings(&signed, &authority.keys, now_ms);
                        }
                    }
                    key if key.starts_with(RECORDS) => of.take_records(&value, &self.seat, authority, now_us),
                    _ => {}
                }
            }
        }
    }
}

impl Host {
    fn take_records(&mut self, value: &str, seat: &Seat, authority: &Authority, now_us: u64) {
        for signed in from_text::<Vec<SignedRevocation>>(value).unwrap_or_default() {
            if self.evidence.take_record(seat, &signed, &authority.keys, &mut self.register) == Taken::News
                && let Some((case, round)) = authority::revoked(signed.record.target)
                && let Some(place) = case.gossiped()
            {
                self.heard_us[round][place] = Some(now_us);
            }
        }
    }
}
