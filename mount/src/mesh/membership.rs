use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use artifacts_core::hosts::{CellAnswer, CellPlace, JoinCell};
use artifacts_core::mesh::{HOST_ASKS_MS, MeshKey};
use artifacts_core::name::NodeName;
use artifacts_core::revocation::{Position, rumour};
use artifacts_gossip::{Cell, CellMember, Port, Rumours};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::Mesh;
use super::joining::{JoinError, Joiner};
use super::member::{Member, Part};
use crate::random::{fill, jittered};
use crate::time::{SharedClock, pause, timestamp};

/// How often to look.
const PERIOD: Duration = Duration::from_millis(100);
/// How often to ask nodes for the time of their clocks, and how many are asked at once.
const CLOCKS_MS: u64 = 5_000;
const FEW: usize = 4;
/// The node is asked no more often than this, whatever is missing; jittered.
const ASK_GAP_MS: u64 = 1_000;
/// Without a fresh proof for so long, the cell may be one that nobody speaks in any more. A guest only asks when it would anyway: there
/// may be thousands that no datagram reaches.
const DUMB_MS: u64 = 3_000;
/// How long to wait where asking leads nowhere: the credential is refused, or the node has no mesh.
const NOWHERE_MS: u64 = 30_000;
/// How long a guest waits that is not let in, if its stream does not move meanwhile.
const LATER_MS: u64 = 10 * 60_000;
/// A guest that has no proof from its cell for so long gives its place up, at first for as long again, then for twice as long each time,
/// and for [`LATER_MS`] at the most.
const DEAF_MS: u64 = 60_000;
/// Between the end of the task, which is a bug, and the next.
const AGAIN_MS: u64 = 1_000;

/// Takes part in the mesh for as long as the member is to. A task that ends by itself is followed by another.
pub(super) async fn keep(mesh: Arc<Mesh>, clock: SharedClock, part: Part) {
    mesh.set_part(true);
    while part.member.takes_part() {
        let task = tokio::spawn(take_part(mesh.clone(), clock.clone(), part.clone()));
        if let Err(error) = task.await {
            tracing::error!(%error, "the agent's part in the mesh has ended by itself, and begins anew");
        }
        mesh.set_cell(None, 0);
        pause(AGAIN_MS).await;
    }
    mesh.set_part(false);
}

async fn take_part(mesh: Arc<Mesh>, clock: SharedClock, part: Part) {
    let mut joiner = Joiner::new(part.member.clone(), part.http.clone());
    let mut pause_ms = 2 * ASK_GAP_MS;
    let (port, address) = loop {
        match open(&part, &mut joiner).await {
            Ok(opened) => break opened,
            Err(error) => tracing::warn!(%error, "the agent cannot receive datagrams of the mesh yet"),
        }
        pause(jittered(pause_ms)).await;
        pause_ms = (2 * pause_ms).min(NOWHERE_MS);
        if !part.member.takes_part() {
            return;
        }
    };
    let Some(host) = part.member.name() else { return };
    tracing::info!(%host, %address, "the agent takes part in the mesh");
    let relinks = match &part.member {
        Member::Guest(session) => Some(session.relinks()),
        Member::Host { .. } => None,
    };
    let asked = Asked::default();
    Membership { mesh, clock, part, port, address, host, relinks, in_vain: 0, cell: None, asked, clocks_asked_ms: None }.run(joiner).await
}

async fn open(part: &Part, joiner: &mut Joiner) -> std::io::Result<(Port, SocketAddr)> {
    let listen = match part.listen {
        Some(listen) => listen,
        None => SocketAddr::new(joiner.local_ip().await?, 0),
    };
    let port = Port::open(listen, |_| ())?;
    let mut address = part.advertise.unwrap_or_else(|| port.local_addr());
    if address.ip().is_unspecified() {
        address.set_ip(joiner.local_ip().await?);
    }
    if address.port() == 0 {
        address.set_port(port.local_addr().port());
    }
    Ok((port, address))
}

/// A cell that the agent is in.
struct Place {
    place: CellPlace,
    cell: Cell,
    rumours: watch::Receiver<Rumours>,
    /// What was heard and needs no second look.
    seen: BTreeMap<(NodeName, String), Arc<str>>,
    joined_ms: u64,
    is_closed: bool,
}

/// When the node was asked, and is to be asked again.
#[derive(Default)]
struct Asked {
    last_ms: Option<u64>,
    again_ms: u64,
    /// What the last attempt met, so that it is told once.
    error: Option<JoinError>,
}

type Asking = JoinHandle<(Joiner, Position, u64, Result<CellAnswer, JoinError>)>;

struct Membership {
    mesh: Arc<Mesh>,
    clock: SharedClock,
    part: Part,
    port: Port,
    address: SocketAddr,
    host: NodeName,
    /// A guest's stream was made anew.
    relinks: Option<watch::Receiver<u64>>,
    /// How often it was in a cell in vain, one time after the other.
    in_vain: u32,
    cell: Option<Place>,
    asked: Asked,
    clocks_asked_ms: Option<u64>,
}

impl Membership {
    async fn run(mut self, joiner: Joiner) {
        let mut joiner = Some(joiner);
        let mut asking: Option<Asking> = None;
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = changed(&mut self.cell) => {}
                outcome = answered(&mut asking) => {
                    asking = None;
                    match outcome {
                        Some((back, asked, asked_at_ms, outcome)) => {
                            joiner = Some(back);
                            self.take(outcome, asked, asked_at_ms);
                        }
                        // Its task ended by itself: so does this one.
                        None => return,
                    }
                }
            }
            if !self.part.member.takes_part() {
                return;
            }
            let now_ms = self.clock.boot_ms();
            self.listen();
            self.mesh.judge();
            self.speak(now_ms);
            self.reconsider(now_ms);
            if self.is_due(now_ms)
                && let Some(mut joiner) = joiner.take()
            {
                self.asked.last_ms = Some(now_ms);
                let known = self.mesh.position();
                let join = JoinCell { host: self.host.clone(), address: self.address, known };
                asking = Some(tokio::spawn(async move {
                    let answer = joiner.ask(&join).await;
                    (joiner, known, now_ms, answer)
                }));
            }
        }
    }

    /// Whether to ask the node.
    fn is_due(&self, now_ms: u64) -> bool {
        let since_ms = self.asked.last_ms.map_or(u64::MAX, |last_ms| now_ms.saturating_sub(last_ms));
        let is_dumb = |place: &Place| {
            let age_ms = self.mesh.age_ms().unwrap_or(u64::MAX);
            age_ms.min(now_ms.saturating_sub(place.joined_ms)) >= DUMB_MS
        };
        let is_closed = self.cell.as_ref().is_some_and(|place| place.is_closed);
        let is_wanted = (is_closed || self.mesh.lacks_records()) && since_ms >= ASK_GAP_MS;
        let is_silent = !self.part.member.is_guest() && self.cell.as_ref().is_some_and(is_dumb) && since_ms >= DUMB_MS;
        since_ms >= self.asked.again_ms || ((is_wanted || is_silent) && self.asked.error.is_none())
    }

    /// A guest whose stream leads to a node again may be let in, and reached. One that nothing reaches, behind a translation of addresses
    /// say, only costs the others of its cell something.
    fn reconsider(&mut self, now_ms: u64) {
        let is_relinked = self.relinks.as_mut().is_some_and(|relinks| {
            let has_changed = relinks.has_changed().unwrap_or(false);
            relinks.borrow_and_update();
            has_changed
        });
        if is_relinked {
            self.asked = Asked { again_ms: jittered(ASK_GAP_MS), error: None, ..self.asked };
        }
        let age_ms = self.mesh.age_ms().unwrap_or(u64::MAX);
        if age_ms < DUMB_MS {
            self.in_vain = 0;
        }
        let is_deaf = |place: &Place| age_ms.min(now_ms.saturating_sub(place.joined_ms)) >= DEAF_MS;
        if self.part.member.is_guest() && self.cell.as_ref().is_some_and(is_deaf) {
            let reason = format!("no proof gets through to {}", self.address);
            self.give_up(JoinError::Closed(reason), (DEAF_MS << self.in_vain).min(LATER_MS));
            self.in_vain = (self.in_vain + 1).min(8);
        }
    }

    /// Is in no cell for so long.
    fn give_up(&mut self, error: JoinError, wait_ms: u64) {
        tracing::warn!(%error, "the agent leaves its cell; its mounts live by their streams");
        self.asked.error = Some(error);
        self.asked.again_ms = jittered(wait_ms);
        self.settle(None);
    }

    fn take(&mut self, outcome: Result<CellAnswer, JoinError>, asked: Position, asked_at_ms: u64) {
        match outcome {
            Ok(answer) => {
                if self.mesh.take(&answer, asked, asked_at_ms)
                    && let Some(place) = &mut self.cell
                {
                    place.seen.clear();
                }
                self.asked.error = None;
                self.asked.again_ms = if answer.again_ms == 0 { 0 } else { jittered(answer.again_ms.min(HOST_ASKS_MS)) };
                self.settle(answer.place);
            }
            Err(error) => {
                let is_refused = matches!(error, JoinError::Unauthorized(_) | JoinError::Closed(_));
                let wait_ms = match &error {
                    JoinError::Failed(_) => 2 * ASK_GAP_MS,
                    JoinError::Closed(_) | JoinError::NoMesh if self.part.member.is_guest() => LATER_MS,
                    JoinError::Closed(_) | JoinError::NoMesh | JoinError::Unauthorized(_) => NOWHERE_MS,
                };
                self.asked.again_ms = jittered(wait_ms);
                if self.asked.error.as_ref() != Some(&error) {
                    tracing::warn!(%error, "the agent is not told its cell; its mounts live by their streams");
                }
                self.asked.error = Some(error);
                if is_refused {
                    self.settle(None);
                }
            }
        }
    }

    /// Is in this cell from now on, and in no other.
    fn settle(&mut self, wanted: Option<CellPlace>) {
        let is_same = |place: &Place| wanted.as_ref().is_some_and(|wanted| wanted.cell == place.place.cell);
        if self.cell.as_ref().is_some_and(is_same) {
            return;
        }
        // The old place is given up first: two would speak under one name.
        self.cell = None;
        let Some(place) = wanted else {
            self.mesh.set_cell(None, 0);
            return;
        };
        tracing::info!(cell = %place.cell, "the agent is in a cell");
        let member = CellMember {
            mesh: place.cell.to_string(),
            key: MeshKey::new(place.secret),
            name: self.host.clone(),
            advertise: self.address,
            seeds: place.seeds.clone(),
            generation: timestamp(self.clock.as_ref()).unix_ms(),
        };
        let clock = self.clock.clone();
        let cell = Cell::join(member, &self.port, Arc::new(move || clock.boot_ms()), Arc::new(fill));
        let (rumours, joined_ms) = (cell.rumours(), self.clock.boot_ms());
        self.cell = Some(Place { place, cell, rumours, seen: BTreeMap::new(), joined_ms, is_closed: false });
        self.clocks_asked_ms = None;
    }

    fn listen(&mut self) {
        let Some(place) = &mut self.cell else { return };
        self.mesh.set_cell(Some(place.place.cell.to_string()), place.cell.members());
        let heard = place.rumours.borrow_and_update().clone();
        for ((member, key), value) in heard.iter() {
            let at = (member.clone(), key.clone());
            if place.seen.get(&at).is_some_and(|seen| Arc::ptr_eq(seen, value)) {
                continue;
            }
            place.is_closed |= key == rumour::CLOSED;
            self.mesh.hear(key, value);
            // What was refused is looked at again when other keys count, or whoever says nonsense would keep the host busy.
            place.seen.insert(at, value.clone());
        }
        place.seen.retain(|at, _| heard.contains_key(at));
        if let Member::Host { credential, .. } = &self.part.member
            && self.mesh.is_revoked(*credential)
        {
            self.give_up(JoinError::Unauthorized("the mesh credential was revoked".to_owned()), NOWHERE_MS);
        }
    }

    fn speak(&mut self, now_ms: u64) {
        let is_due = self.clocks_asked_ms.is_none_or(|asked_ms| now_ms.saturating_sub(asked_ms) >= CLOCKS_MS);
        if let (true, Some(place)) = (is_due, &self.cell)
            && let Some(question) = self.mesh.ask()
        {
            place.cell.say(vec![question], FEW);
            self.clocks_asked_ms = Some(now_ms);
        }
    }
}

/// When others in the cell say something new; never without a cell.
async fn changed(cell: &mut Option<Place>) {
    if let Some(place) = cell
        && place.rumours.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// When the node has answered; never while it was not asked.
async fn answered(asking: &mut Option<Asking>) -> Option<(Joiner, Position, u64, Result<CellAnswer, JoinError>)> {
    match asking {
        Some(asking) => asking.await.ok(),
        None => std::future::pending().await,
    }
}
