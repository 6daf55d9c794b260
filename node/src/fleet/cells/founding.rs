use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use artifacts_core::cluster::Seat;
use artifacts_core::hosts::{CellAnswer, CellPlace, JoinCell};
use artifacts_core::mesh::{
    Admission, CellEntry, CellId, CellsError, Circle, Circles, Founding, HOST_ASKS_MS, HostEntry, NodePhase, Pass, cell_nodes,
    is_usable_address,
};
use artifacts_core::name::NodeName;
use artifacts_core::protocol::Refusal;
use artifacts_core::revocation::Issue;
use artifacts_core::{AccountId, ErrorCode};
use futures_util::future::join_all;
use tokio::time::MissedTickBehavior;

use super::CellOrder;
use crate::catalog::KeyPosition;
use crate::fleet::handle::Inner;
use crate::fleet::peer::{PeerCall, PeerError};
use crate::fleet::place::Home;
use crate::fleet::{Fleet, Unit};

/// How often other nodes are told what to take part in, and members that have gone are taken out.
const PERIOD: Duration = Duration::from_secs(2);
/// How long a node may take to answer.
const LIMIT: Duration = Duration::from_secs(2);
/// Through so many hosts besides its nodes a member finds a cell.
const SEED_HOSTS: usize = 4;

impl Fleet {
    /// A host asks for its cell, by the word of the unit of its account or of the one that has the record of its credential.
    pub(in crate::fleet) async fn join_cell(
        &self,
        unit: &Arc<Unit>,
        secret: &str,
        join: &JoinCell,
        position: Option<&KeyPosition>,
    ) -> Result<Result<CellAnswer, Refusal>, PeerError> {
        let catalog = &unit.context.catalog;
        let found = match position {
            Some(position) => catalog.key_at(position, secret).await?,
            None => catalog.key_by_secret(secret).await?,
        };
        if let (None, None) = (&found, position)
            && let Some(position) = catalog.key_elsewhere(secret).await?
        {
            let home = Home::shard(self.regions().here(), position.shard(self.map()));
            let call = PeerCall::JoinCell { secret: secret.to_owned(), join: join.clone(), position: Some(position) };
            return Box::pin(self.ask(&home, &call, LIMIT)).await;
        }
        let now = self.clock().wall();
        let unauthorized = || Refusal::new(ErrorCode::Unauthorized, "the mesh credential is unknown, expired or revoked; make another");
        let Some(key) = found.filter(|key| key.scope.mesh) else { return Ok(Err(unauthorized())) };
        let account = catalog.account(key.account).await?;
        if !account.is_some_and(|account| key.stands(&account, now)) {
            return Ok(Err(unauthorized()));
        }
        let issue = Issue { account: key.account, generation: key.generation };
        let admission = Admission { pass: Pass::Credential { id: key.id, issue }, expires_at: key.expires_at };
        Ok(self.seat_member(unit, key.account, &Circle::Hosts, join, admission))
    }

    /// Gives whoever was let in its place, and what is new.
    pub(super) fn seat_member(
        &self,
        unit: &Unit,
        account: AccountId,
        circle: &Circle,
        join: &JoinCell,
        admission: Admission,
    ) -> Result<CellAnswer, Refusal> {
        if !is_usable_address(&join.address) {
            let message = "nothing can be sent to the address of the agent; see `--mesh-advertise`";
            return Err(Refusal::new(ErrorCode::InvalidRequest, message));
        }
        let host = HostEntry { admission, address: join.address, seen_ms: self.clock().monotonic_ms() };
        let place = self.place(unit, account, circle, &join.host, host).map_err(|error| {
            let code = match error {
                CellsError::NameTaken => ErrorCode::InvalidRequest,
                CellsError::Full | CellsError::GuestsFull => ErrorCode::QuotaExceeded,
            };
            Refusal::new(code, error.to_string())
        })?;
        let clock = (self.0.clock_id, self.clock().monotonic_ms());
        let mut news = unit.context.log.lock().signed_news(join.known);
        news.clock = Some(clock);
        let again_ms = if news.is_all { HOST_ASKS_MS } else { 0 };
        let (credential, generation) = match admission.pass {
            Pass::Credential { id, issue } => (Some(id), issue.generation),
            Pass::Session(standing) => (None, standing.issue.map_or(0, |issue| issue.generation)),
        };
        Ok(CellAnswer {
            account,
            credential,
            generation,
            seat: Seat { region: self.regions().here().clone(), shard: unit.shard },
            shards: self.map(),
            place,
            news,
            keys: self.common().key_ring.read().jwks(),
            again_ms,
        })
    }

    /// The place of a member; nothing where this node cannot take part in cells.
    fn place(
        &self,
        unit: &Unit,
        account: AccountId,
        circle: &Circle,
        name: &NodeName,
        host: HostEntry,
    ) -> Result<Option<CellPlace>, CellsError> {
        let (id, order) = {
            let mut accounts = unit.cells.lock();
            let circles = accounts.entry(account).or_default();
            let id = circles.join(circle, name, host, || self.founding())?;
            (id, circles.get(circle, id).map(|cell| (cell.secret(), self.seeds(circle, id, cell, Some(name)))))
        };
        let Some((secret, others)) = order else { return Ok(None) };
        // Most ask again for a cell that all take part in already.
        let cells = &self.0.cells;
        let own = if cells.serves(id) {
            cells.open_port(self).map(|(_, address)| address)
        } else {
            cells.tend_now.notify_one();
            self.serve_own()
        };
        let own = match own {
            Ok(address) => address,
            Err(error) => {
                tracing::error!(%error, "an agent is left without a cell; see `mesh.listen`");
                return Ok(None);
            }
        };
        Ok(Some(CellPlace { cell: id, secret, seeds: std::iter::once(own).chain(others).collect() }))
    }

    fn founding(&self) -> Founding {
        let (mut id, mut secret) = ([0; 16], [0; 32]);
        self.entropy().fill(&mut id);
        self.entropy().fill(&mut secret);
        Founding { id: CellId(id), secret }
    }

    /// Through whom besides this node to find a cell: its other nodes, and some of its hosts, those first that have asked last. A guest's
    /// address is what the guest says, so nobody is sent there before the guest has spoken in the cell.
    fn seeds(&self, circle: &Circle, id: CellId, cell: &CellEntry, for_whom: Option<&NodeName>) -> Vec<SocketAddr> {
        let others = cell.hosts().filter(|(name, _)| !circle.is_of_guests() && Some(*name) != for_whom);
        let mut hosts: Vec<_> = others.map(|(_, host)| (host.seen_ms, host.address)).collect();
        hosts.sort_unstable_by_key(|(seen_ms, _)| std::cmp::Reverse(*seen_ms));
        let addresses = self.0.cells.addresses.lock();
        let nodes = self.nodes_of(id).into_iter().filter_map(|node| addresses.get(&node).copied());
        nodes.chain(hosts.into_iter().take(SEED_HOSTS).map(|(_, address)| address)).collect()
    }

    /// The nodes of a cell that this one owns, itself first.
    pub(super) fn nodes_of(&self, id: CellId) -> Vec<NodeName> {
        let view = self.ring().view();
        let serving: BTreeSet<NodeName> =
            view.others_in(self.regions().here().as_str(), NodePhase::Serving).map(|member| member.id.name.clone()).collect();
        cell_nodes(id, self.ring().me(), &serving)
    }

    /// Takes part in all cells of the accounts that this node owns.
    fn serve_own(&self) -> Result<SocketAddr, String> {
        let orders: Vec<_> = self.orders().into_iter().map(|(order, _)| order).collect();
        self.serve_cells(self.ring().me(), &orders)
    }

    /// All cells of the accounts that this node owns, with the nodes of each.
    fn orders(&self) -> Vec<(CellOrder, Vec<NodeName>)> {
        let mut orders = Vec::new();
        let own = self.0.cells.port_address(self);
        for unit in self.units() {
            for (circle, id, cell) in unit.cells.lock().values().flat_map(Circles::iter) {
                let seeds = own.into_iter().chain(self.seeds(circle, id, cell, None)).collect();
                orders.push((CellOrder { id, secret: cell.secret(), shard: unit.shard, seeds }, self.nodes_of(id)));
            }
        }
        orders
    }

    /// Takes out members that have gone, and what they came with that has ended.
    fn tidy_cells(&self) {
        let (now_ms, now) = (self.clock().monotonic_ms(), self.clock().wall());
        let common = self.common();
        for unit in self.units() {
            let mut accounts = unit.cells.lock();
            for circles in accounts.values_mut() {
                let register = common.revocations.read();
                let has_ended = |admission: &Admission| admission.has_ended(&register, now);
                for closed in circles.end(now_ms, has_ended, || self.founding()) {
                    tracing::info!(cell = %closed, "a cell is closed, since a right that somebody came with has ended");
                }
                for closed in circles.tidy(now_ms, || self.founding()) {
                    tracing::debug!(cell = %closed, "a cell of guests is closed, since somebody has gone who knew its key");
                }
            }
            accounts.retain(|_, circles| !circles.is_empty());
        }
    }

    /// Tells every node, this one included, which cells of this one's accounts to take part in. `told` are the others that were told
    /// of any before.
    async fn tell_nodes(&self, told: &mut BTreeSet<NodeName>) {
        let mut by_node: BTreeMap<NodeName, Vec<CellOrder>> = BTreeMap::new();
        for (order, nodes) in self.orders() {
            for node in nodes {
                by_node.entry(node).or_default().push(order.clone());
            }
        }
        let me = self.ring().me().clone();
        let own = by_node.remove(&me).unwrap_or_default();
        if (!own.is_empty() || !self.0.cells.is_idle())
            && let Err(error) = self.serve_cells(&me, &own)
        {
            tracing::error!(%error, "this node takes no part in cells; see `mesh.listen`");
        }
        for node in told.iter() {
            by_node.entry(node.clone()).or_default();
        }
        let view = self.ring().view();
        let telling = by_node.into_iter().filter_map(|(name, orders)| {
            let member = view.member(&name).filter(|member| member.live)?.clone();
            Some(async move {
                let answer = self.ask_member(&member, &PeerCall::ServeCells(orders.clone()), LIMIT).await;
                let address = answer.ok().and_then(|value| serde_json::from_value::<Option<SocketAddr>>(value).ok()).flatten();
                (name, orders.is_empty(), address)
            })
        });
        told.clear();
        for (name, is_none, address) in join_all(telling.collect::<Vec<_>>()).await {
            let mut addresses = self.0.cells.addresses.lock();
            match address.filter(|_| !is_none) {
                Some(address) => addresses.insert(name.clone(), address),
                None => addresses.remove(&name),
            };
            if !is_none {
                told.insert(name);
            }
        }
    }
}

/// Forms cells for as long as there is a fleet.
pub(in crate::fleet) async fn run(fleet: Weak<Inner>) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = BTreeSet::new();
    let Some(mut revoked) = fleet.upgrade().map(|inner| inner.revoked.subscribe()) else { return };
    loop {
        let Some(inner) = fleet.upgrade() else { return };
        tokio::select! {
            _ = ticks.tick() => {}
            () = inner.cells.tend_now.notified() => {}
            changed = revoked.changed() => if changed.is_err() { return },
        }
        let fleet = Fleet(inner);
        fleet.tidy_cells();
        fleet.tell_nodes(&mut told).await;
    }
}
