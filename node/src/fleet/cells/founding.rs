use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use artifacts_core::hosts::{CellAnswer, CellPlace, JoinCell};
use artifacts_core::mesh::{
    Admission, CellId, Cells, CellsError, Founding, HOST_ASKS_MS, HostEntry, NodePhase, cell_nodes, is_usable_address,
};
use artifacts_core::name::NodeName;
use artifacts_core::protocol::Refusal;
use artifacts_core::revocation::{Issue, Target};
use artifacts_core::{AccountId, ErrorCode};
use futures_util::future::join_all;
use tokio::time::MissedTickBehavior;

use super::CellOrder;
use crate::catalog::KeyPosition;
use crate::fleet::handle::Inner;
use crate::fleet::peer::{PeerCall, PeerError};
use crate::fleet::place::Home;
use crate::fleet::{Fleet, Unit};

/// How often other nodes are told what to take part in, and hosts that have gone are taken out.
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
        if !is_usable_address(&join.address) {
            return Ok(Err(Refusal::new(
                ErrorCode::InvalidRequest,
                "nothing can be sent to the address of the host; see `--mesh-advertise`",
            )));
        }
        let seen_ms = self.clock().monotonic_ms();
        let admission = Admission { credential: key.id, expires_at: key.expires_at, generation: key.generation };
        let host = HostEntry { admission, address: join.address, seen_ms };
        let place = match self.place(unit, key.account, &join.host, host) {
            Ok(place) => place,
            Err(error @ CellsError::NameTaken) => return Ok(Err(Refusal::new(ErrorCode::InvalidRequest, error.to_string()))),
            Err(error @ CellsError::Full) => return Ok(Err(Refusal::new(ErrorCode::QuotaExceeded, error.to_string()))),
        };
        let clock = (self.0.clock_id, self.clock().monotonic_ms());
        let mut news = unit.context.log.lock().signed_news(join.known);
        news.clock = Some(clock);
        let again_ms = if news.is_all { HOST_ASKS_MS } else { 0 };
        Ok(Ok(CellAnswer {
            account: key.account,
            credential: key.id,
            generation: key.generation,
            seat: artifacts_core::cluster::Seat { region: self.regions().here().clone(), shard: unit.shard },
            shards: self.map(),
            place,
            news,
            keys: self.common().key_ring.read().jwks(),
            again_ms,
        }))
    }

    /// The place of a host; nothing where this node cannot take part in cells.
    fn place(&self, unit: &Unit, account: AccountId, name: &NodeName, host: HostEntry) -> Result<Option<CellPlace>, CellsError> {
        let (id, order) = {
            let mut accounts = unit.cells.lock();
            let cells = accounts.entry(account).or_default();
            let id = cells.join(name, host, || self.founding())?;
            (id, cells.get(id).map(|cell| (cell.secret(), self.seeds(id, cell.hosts().filter(|(other, _)| *other != name)))))
        };
        let Some((secret, others)) = order else { return Ok(None) };
        // Most hosts ask again for a cell that all take part in already.
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
                tracing::error!(%error, "a host agent is left without a cell; see `mesh.listen`");
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

    /// Through whom to find a cell: its other nodes, and some of its hosts, those first that have asked last.
    fn seeds<'a>(&self, id: CellId, hosts: impl Iterator<Item = (&'a NodeName, &'a HostEntry)>) -> Vec<SocketAddr> {
        let mut hosts: Vec<_> = hosts.map(|(_, host)| (host.seen_ms, host.address)).collect();
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
        for unit in self.units() {
            for (id, cell) in unit.cells.lock().values().flat_map(Cells::iter) {
                let order = CellOrder { id, secret: cell.secret(), shard: unit.shard, seeds: self.seeds(id, cell.hosts()) };
                orders.push((order, self.nodes_of(id)));
            }
        }
        orders
    }

    /// Takes out hosts that have gone and credentials that have ended.
    fn tidy_cells(&self) {
        let (now_ms, now) = (self.clock().monotonic_ms(), self.clock().wall());
        let common = self.common();
        for unit in self.units() {
            let mut accounts = unit.cells.lock();
            for (account, cells) in accounts.iter_mut() {
                let register = common.revocations.read();
                let has_ended = |admission: &Admission| {
                    let issue = Issue { account: *account, generation: admission.generation };
                    admission.expires_at.is_some_and(|at| at <= now)
                        || register.revoked(Target::Key(admission.credential)).is_some()
                        || register.is_void(issue)
                };
                for closed in cells.end(has_ended, || self.founding()) {
                    tracing::info!(cell = %closed, "a cell is closed, since a mesh credential that it knew has ended");
                }
                cells.tidy(now_ms);
            }
            accounts.retain(|_, cells| !cells.is_empty());
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
