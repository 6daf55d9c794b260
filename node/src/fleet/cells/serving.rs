use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use artifacts_core::cluster::Seat;
use artifacts_core::mesh::CellId;
use artifacts_core::name::NodeName;
use artifacts_core::revocation::{ClockId, READINGS_MAX, Reading, Readings, Recent, Signed, from_text, rumour, to_text};
use artifacts_gossip::{Cell, CellMember, Port, Rumours};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::news::SeatNews;
use super::{CellOrder, CellsHere};
use crate::fleet::Fleet;
use crate::fleet::beacons::PUBLISHED_MS;
use crate::fleet::handle::Inner;

/// How often to look what there is to say and to answer, at least.
const PERIOD: Duration = Duration::from_millis(100);
/// A cell of which the owner has not spoken for so long is left: it may be another node by now, which founds cells of its own.
const TOLD_MS: u64 = 15_000;
/// How long its members are told that a cell is closed, and all else as before: what it is closed for is what one of them has lost, who
/// may have no other way to hear of it.
const CLOSING_MS: u64 = 1_500;
/// To how many hosts beacons and answers go at once, and to how many records do.
const FEW: usize = 8;
const MANY: usize = 48;

/// A cell in which this node takes part.
pub(super) struct Served {
    /// By whose word.
    by: NodeName,
    told_ms: u64,
    seat: Seat,
    cell: Cell,
    rumours: watch::Receiver<Rumours>,
    /// The last question of each member, and when it came by this node's clock.
    questions: BTreeMap<NodeName, (u64, u64)>,
    /// How many of them were not answered, with which the clock was not known yet.
    readings: BTreeMap<NodeName, Reading>,
    /// The owner's clock, by which they were answered.
    clock: Option<ClockId>,
    said_beacon: Option<Arc<str>>,
    said_records: u64,
    recent: Recent,
    /// Since when it is closed.
    closed_ms: Option<u64>,
}

impl CellsHere {
    /// Whether any cell hears of a shard.
    fn forget_seats(&self, served: &BTreeMap<CellId, Served>) {
        self.news.lock().retain(|seat, _| served.values().any(|cell| cell.seat == *seat));
    }

    /// The socket of all cells, and where others reach it.
    pub(super) fn open_port(&self, fleet: &Fleet) -> Result<(Port, SocketAddr), String> {
        let config = fleet.config();
        let listen = config.mesh.listen.unwrap_or(config.listen);
        let mut port = self.port.lock();
        let opened = match &*port {
            Some(port) => port.clone(),
            None => {
                let opened =
                    Port::open(listen, count).map_err(|error| format!("cannot receive datagrams of agents at {listen}: {error}"))?;
                tracing::info!(address = %opened.local_addr(), "the node takes part in cells of agents");
                port.insert(opened).clone()
            }
        };
        let mut address = config.mesh.advertise.unwrap_or_else(|| opened.local_addr());
        if address.ip().is_unspecified() {
            address.set_ip(fleet.0.parts.gossip_ip);
        }
        if address.port() == 0 {
            address.set_port(opened.local_addr().port());
        }
        Ok((opened, address))
    }

    /// Where others reach the socket, if it is open.
    pub(super) fn port_address(&self, fleet: &Fleet) -> Option<SocketAddr> {
        let is_open = self.port.lock().is_some();
        is_open.then(|| self.open_port(fleet).ok())?.map(|(_, address)| address)
    }
}

impl Fleet {
    /// Takes part in these cells, by the word of a node that owns their accounts' shards, and in no others of its. Answers where
    /// their members reach this node.
    pub(in crate::fleet) fn serve_cells(&self, by: &NodeName, orders: &[CellOrder]) -> Result<SocketAddr, String> {
        let cells = &self.0.cells;
        let now_ms = self.clock().monotonic_ms();
        let wanted: BTreeSet<CellId> = orders.iter().map(|order| order.id).collect();
        let mut served = cells.served.lock();
        for (_, cell) in served.iter_mut().filter(|(id, cell)| cell.by == *by && !wanted.contains(id)) {
            cell.close(now_ms);
        }
        let (port, address) = cells.open_port(self)?;
        for order in orders {
            if let Some(known) = served.get_mut(&order.id) {
                (known.told_ms, known.by) = (now_ms, by.clone());
                continue;
            }
            let seat = Seat { region: self.regions().here().clone(), shard: order.shard };
            cells.news.lock().entry(seat.clone()).or_default();
            served.insert(order.id, Served::join(self, by, order, seat, &port, address, now_ms));
        }
        drop(served);
        self.0.follow_now.notify_one();
        Ok(address)
    }
}

impl Served {
    fn join(fleet: &Fleet, by: &NodeName, order: &CellOrder, seat: Seat, port: &Port, advertise: SocketAddr, now_ms: u64) -> Self {
        let member = CellMember {
            mesh: order.id.to_string(),
            key: order.key(),
            name: fleet.ring().me().clone(),
            advertise,
            seeds: order.seeds.clone(),
            generation: fleet.clock().wall().unix_ms(),
        };
        let (clock, entropy) = (fleet.clock().clone(), fleet.entropy().clone());
        let cell = Cell::join(member, port, Arc::new(move || clock.monotonic_ms()), Arc::new(move |bytes| entropy.fill(bytes)));
        Self {
            by: by.clone(),
            told_ms: now_ms,
            seat,
            rumours: cell.rumours(),
            cell,
            questions: BTreeMap::new(),
            readings: BTreeMap::new(),
            clock: None,
            said_beacon: None,
            said_records: 0,
            recent: Recent::default(),
            closed_ms: None,
        }
    }

    fn close(&mut self, now_ms: u64) {
        if self.closed_ms.is_none() {
            self.closed_ms = Some(now_ms);
            self.cell.say(vec![(rumour::CLOSED.to_owned(), to_text(&1u64))], MANY);
        }
    }

    /// Takes note of what members ask. The time is taken before.
    fn listen(&mut self, now_ms: u64) {
        if !self.rumours.has_changed().unwrap_or(false) {
            return;
        }
        let heard = self.rumours.borrow_and_update().clone();
        for ((member, _), value) in heard.iter().filter(|((_, key), _)| key == rumour::ASK) {
            if let Some(nonce) = from_text::<u64>(value)
                && self.questions.get(member).is_none_or(|(known, _)| *known != nonce)
            {
                self.questions.insert(member.clone(), (nonce, now_ms));
            }
        }
        let is_member = |name: &NodeName| heard.keys().any(|(member, _)| member == name);
        self.questions.retain(|member, _| is_member(member));
        self.readings.retain(|member, _| is_member(member));
    }

    /// Answers what was asked before `asked_ms`, when the owner was asked what its clock says. Whether anybody is answered for the
    /// first time.
    fn answer(&mut self, (asked_ms, clock, at_ms): OwnerClock) -> bool {
        if self.clock != Some(clock) {
            self.readings.clear();
            self.clock = Some(clock);
        }
        let mut is_new = false;
        for (member, (nonce, came_ms)) in &self.questions {
            if *came_ms <= asked_ms && self.readings.get(member).is_none_or(|reading| reading.nonce != *nonce) {
                self.readings.insert(member.clone(), Reading { nonce: *nonce, at_ms });
                is_new = true;
            }
        }
        is_new
    }

    /// What is new of the shard.
    fn speak(&mut self, news: &SeatNews) {
        if let Some(beacon) = news.beacon().filter(|beacon| self.said_beacon.as_ref().is_none_or(|said| !Arc::ptr_eq(said, beacon))) {
            self.cell.say(vec![(format!("{}0", rumour::BEACON), beacon.to_string())], FEW);
            self.said_beacon = Some(beacon);
        }
        let (records, next) = news.records_since(self.said_records);
        self.said_records = next;
        let changed: BTreeSet<usize> = records.into_iter().map(|signed| self.recent.push(signed)).collect();
        if !changed.is_empty() {
            let pair = |slot| (format!("{}{slot}", rumour::RECORDS), to_text(&self.recent.slot(slot).to_vec()));
            self.cell.say(changed.into_iter().map(pair).collect(), MANY);
        }
    }
}

/// When the owner of a shard was asked, and what its clock said after that.
type OwnerClock = (u64, ClockId, u64);

/// Speaks and listens in cells for as long as there is a fleet.
pub(in crate::fleet) async fn run(fleet: Weak<Inner>) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let Some(inner) = fleet.upgrade() else { return };
        tokio::select! {
            _ = ticks.tick() => {}
            () = inner.cells.say_now.notified() => {}
        }
        let fleet = Fleet(inner);
        if !fleet.0.cells.is_idle() {
            fleet.speak_in_cells();
        }
    }
}

impl Fleet {
    fn speak_in_cells(&self) {
        let cells = &self.0.cells;
        let now_ms = self.clock().monotonic_ms();
        let signing = self.common().key_ring.read().settled(self.clock().wall(), PUBLISHED_MS).map(|(kid, key)| (kid.to_owned(), key));
        let mut served = cells.served.lock();
        for cell in served.values_mut().filter(|cell| now_ms.saturating_sub(cell.told_ms) >= TOLD_MS) {
            cell.close(now_ms);
        }
        served.retain(|_, cell| cell.closed_ms.is_none_or(|closed_ms| now_ms.saturating_sub(closed_ms) < CLOSING_MS));
        cells.forget_seats(&served);
        let news = cells.news.lock();
        for cell in served.values_mut() {
            cell.listen(now_ms);
            if let (Some(clock), Some((kid, key))) = (self.owner_clock(&cell.seat), &signing)
                && cell.answer(clock)
            {
                let readings = cell.readings.values().take(READINGS_MAX).copied().collect();
                let readings = Readings { region: cell.seat.region.clone(), clock: clock.1, readings };
                cell.cell.say(vec![(rumour::CLOCK.to_owned(), to_text(&Signed::sign(readings, kid, key)))], FEW);
            }
            if let Some(news) = news.get(&cell.seat) {
                cell.speak(news);
            }
        }
        metrics::gauge!("artifacts_cells").set(served.len() as f64);
        metrics::gauge!("artifacts_cell_members").set(served.values().map(|cell| cell.cell.members()).sum::<usize>() as f64);
    }

    /// What the clock of a shard's owner said last, and when it was asked for that.
    fn owner_clock(&self, seat: &Seat) -> Option<OwnerClock> {
        if self.unit(seat.shard).is_some_and(|unit| unit.is_proven()) {
            let now_ms = self.clock().monotonic_ms();
            return Some((now_ms, self.0.clock_id, now_ms));
        }
        self.0.owner_clocks.lock().get(seat).copied()
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("artifacts_cell_datagrams_total", "outcome" => outcome).increment(1);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use artifacts_core::cluster::{Region, Shard};
    use artifacts_core::mesh::MeshKey;

    use super::*;

    fn served(port: &Port) -> Served {
        let member = CellMember {
            mesh: "cell".to_owned(),
            key: MeshKey::new([1; 32]),
            name: "n".parse().unwrap(),
            advertise: port.local_addr(),
            seeds: Vec::new(),
            generation: 1,
        };
        let cell = Cell::join(member, port, Arc::new(|| 0), Arc::new(|_| ()));
        Served {
            by: "n".parse().unwrap(),
            told_ms: 0,
            seat: Seat { region: Region::from("eu"), shard: Shard(1) },
            rumours: cell.rumours(),
            cell,
            questions: BTreeMap::new(),
            readings: BTreeMap::new(),
            clock: None,
            said_beacon: None,
            said_records: 0,
            recent: Recent::default(),
            closed_ms: None,
        }
    }

    /// A reading from before the question came would make what is said then seem younger than it is.
    #[tokio::test]
    async fn a_question_is_answered_once_and_with_what_the_clock_said_after_it() {
        let port = Port::open("127.0.0.1:0".parse().unwrap(), |_| ()).unwrap();
        let (mut served, host, clock) = (served(&port), "h".parse::<NodeName>().unwrap(), ClockId([1; 16]));
        served.questions.insert(host.clone(), (7, 100));
        assert!(!served.answer((99, clock, 5_000)), "the owner was asked before");
        assert!(served.answer((100, clock, 5_001)));
        assert!(!served.answer((300, clock, 5_201)), "a later answer says less");
        assert_eq!(served.readings[&host], Reading { nonce: 7, at_ms: 5_001 });
        let next = ClockId([2; 16]);
        assert!(served.answer((400, next, 10)), "another owner has another clock");
        assert_eq!((served.clock, served.readings[&host]), (Some(next), Reading { nonce: 7, at_ms: 10 }));
        served.questions.insert(host.clone(), (8, 500));
        assert!(!served.answer((400, next, 10)) && served.answer((600, next, 210)));
    }
}
