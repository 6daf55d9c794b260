use std::sync::Weak;

use artifacts_core::AccountId;
use artifacts_core::cluster::Shard;
use artifacts_core::mesh::{CellId, Circle, Circles, Facts};
use artifacts_core::name::NodeName;

use crate::api::{AccountCell, AccountCells, CellPart, CellSight, RegionNode};
use crate::fleet::Fleet;
use crate::fleet::handle::Inner;
use crate::ring::state_of;

/// What accounts of one shard may see of their cells, as its owner has formed them.
pub(in crate::fleet) struct CellsOfShard {
    fleet: Weak<Inner>,
    shard: Shard,
}

impl CellsOfShard {
    pub(in crate::fleet) fn new(fleet: &Fleet, shard: Shard) -> Self {
        Self { fleet: fleet.weak(), shard }
    }
}

impl CellSight for CellsOfShard {
    fn of(&self, account: AccountId) -> AccountCells {
        self.fleet.upgrade().map(|inner| Fleet(inner).cells_of(self.shard, account)).unwrap_or_default()
    }
}

impl Fleet {
    fn cells_of(&self, shard: Shard, account: AccountId) -> AccountCells {
        let (view, here, now_ms) = (self.ring().view(), self.regions().here(), self.clock().monotonic_ms());
        let is_here = |facts: &Facts| facts.region == here.as_str();
        let members = view.members.iter().filter(|member| member.facts.as_ref().is_some_and(is_here));
        let nodes = members.map(|member| RegionNode { name: member.id.name.clone(), state: state_of(member) }).collect();
        let sizes: Vec<(CellId, usize, u64, u64)> = self.unit(shard).map_or_else(Vec::new, |unit| {
            let accounts = unit.cells.lock();
            let own = accounts.get(&account).into_iter().flat_map(Circles::iter).filter(|(circle, ..)| **circle == Circle::Hosts);
            own.map(|(_, id, cell)| {
                let silences = || cell.hosts().map(move |(_, host)| now_ms.saturating_sub(host.seen_ms));
                (id, cell.hosts().count(), silences().min().unwrap_or_default(), silences().max().unwrap_or_default())
            })
            .collect()
        });
        let of_size = |(id, hosts, latest_ms, longest_ms)| AccountCell { id, hosts, nodes: self.parts_of(id), latest_ms, longest_ms };
        AccountCells { nodes, cells: sizes.into_iter().map(of_size).collect(), ..AccountCells::default() }
    }

    /// The nodes of a cell, and which of them have said that they take part.
    fn parts_of(&self, id: CellId) -> Vec<CellPart> {
        let cells = &self.0.cells;
        let takes_part =
            |name: &NodeName| if name == self.ring().me() { cells.serves(id) } else { cells.addresses.lock().contains_key(name) };
        let nodes = self.nodes_of(id);
        nodes.into_iter().map(|name| CellPart { takes_part: takes_part(&name), name }).collect()
    }
}
