use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Admission, MeshKey};
use crate::name::NodeName;

/// The most hosts in a cell: every message of gossip lists all members, so what each costs grows with all of them.
pub const CELL_HOSTS_MAX: usize = 48;
/// How many nodes are in each cell, if there are as many.
pub const CELL_NODES: usize = 2;
/// A host that has not asked for its cell for so long has gone, in milliseconds.
pub const HOST_GONE_MS: u64 = 60_000;
/// How often a host asks for its cell, in milliseconds.
pub const HOST_ASKS_MS: u64 = 10_000;
/// A cell of guests is that old at least when it is given a new key because somebody who knew the old one has gone, in milliseconds:
/// where guests come and go all the time, the others are not to do nothing but move.
pub const RENEWED_MS: u64 = 60_000;
/// The most hosts of one account.
pub const HOSTS_MAX: usize = 16_384;
/// Two cells that have no more hosts than this together become one. Half of a full one: it takes as many hosts to come before
/// another is founded, and as many to go before there is one too many.
const MERGE_MAX: usize = CELL_HOSTS_MAX / 2;

/// The name of a cell: 128 random bits. A cell has one key for as long as it is called that; another key is another cell.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellId(pub [u8; 16]);

impl fmt::Display for CellId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cell-{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for CellId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for CellId {
    type Err = InvalidCellId;
    fn from_str(text: &str) -> Result<Self, InvalidCellId> {
        let digits = text.strip_prefix("cell-").filter(|digits| digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let bits = digits.and_then(|digits| u128::from_str_radix(digits, 16).ok()).ok_or(InvalidCellId)?;
        Ok(Self(bits.to_be_bytes()))
    }
}

impl Serialize for CellId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CellId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Not the name of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not the name of a cell")]
pub struct InvalidCellId;

/// A name and a key for a cell to come; both random, and never used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Founding {
    /// Its name.
    pub id: CellId,
    /// The secret of its datagrams' key.
    pub secret: [u8; 32],
}

/// A host, or a guest, as its agent shows itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostEntry {
    /// What it has come with.
    pub admission: Admission,
    /// Where it receives datagrams.
    pub address: SocketAddr,
    /// When it has asked last, in milliseconds of a monotonic clock.
    pub seen_ms: u64,
}

/// One cell.
#[derive(Clone, PartialEq, Eq)]
pub struct CellEntry {
    secret: [u8; 32],
    founded_ms: u64,
    /// With what hosts have come that were told its key; also hosts that have gone.
    known_to: BTreeSet<Admission>,
    hosts: BTreeMap<NodeName, HostEntry>,
}

impl fmt::Debug for CellEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CellEntry").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

impl CellEntry {
    /// The secret of its datagrams' key.
    pub fn secret(&self) -> [u8; 32] {
        self.secret
    }

    /// The key of its datagrams.
    pub fn key(&self) -> MeshKey {
        MeshKey::new(self.secret)
    }

    /// Its hosts.
    pub fn hosts(&self) -> impl Iterator<Item = (&NodeName, &HostEntry)> {
        self.hosts.iter()
    }
}

/// Why a host has no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CellsError {
    /// A host that came with something else has this name.
    #[error("another host has this name")]
    NameTaken,
    /// There are [`HOSTS_MAX`].
    #[error("the account has {HOSTS_MAX} hosts in the mesh already")]
    Full,
    /// There are as many guests, or cells of them, as may be; see [`Circles`](super::Circles).
    #[error("no more guests are let into the mesh; this one lives by its streams")]
    GuestsFull,
}

/// Cells of hosts that may know each other, or of guests: one [`Circle`](super::Circle) of an account.
///
/// What always holds:
/// - each host is in exactly one cell, and no cell has more than [`CELL_HOSTS_MAX`];
/// - nobody is moved because another host comes, or goes while others fill its place;
/// - a host comes into the fullest cell that has room. If all are full, another is founded for it;
/// - no two cells could be one that is half full: then the smaller goes into the other;
/// - whoever has come with an admission that has ended is in no cell, and **no cell goes on with a key that it knew**, also if it
///   had gone before: its neighbours are in one that was founded for them.
///
/// Nothing of this is kept: a new owner founds cells anew, and hosts that ask find theirs unknown. So a key never outlives the
/// process that has drawn it, and is on no disk. Founding takes names and keys from the caller.
#[derive(Debug, Clone, Default)]
pub struct Cells {
    cells: BTreeMap<CellId, CellEntry>,
    of: BTreeMap<NodeName, CellId>,
}

impl Cells {
    /// A host asks for its cell. One that is in a cell stays there.
    ///
    /// # Errors
    /// [`CellsError`].
    pub fn join(&mut self, name: &NodeName, host: HostEntry, found: impl FnOnce() -> Founding) -> Result<CellId, CellsError> {
        if let Some(id) = self.of.get(name).copied() {
            let known = self.cells.get(&id).and_then(|cell| cell.hosts.get(name));
            if known.is_some_and(|known| known.admission.pass != host.admission.pass) {
                return Err(CellsError::NameTaken);
            }
            self.put(id, name.clone(), host);
            return Ok(id);
        }
        if self.of.len() >= HOSTS_MAX {
            return Err(CellsError::Full);
        }
        let with_room = self.cells.iter().filter(|(_, cell)| cell.hosts.len() < CELL_HOSTS_MAX);
        let id = match with_room.max_by_key(|(_, cell)| cell.hosts.len()).map(|(id, _)| *id) {
            Some(id) => id,
            None => self.found(found(), host.seen_ms),
        };
        self.put(id, name.clone(), host);
        Ok(id)
    }

    /// Whether one more finds a place without another cell.
    pub(super) fn has_room(&self) -> bool {
        self.cells.values().any(|cell| cell.hosts.len() < CELL_HOSTS_MAX)
    }

    /// Whether somebody of this name is in a cell.
    pub(super) fn knows(&self, name: &NodeName) -> bool {
        self.of.contains_key(name)
    }

    /// Takes out hosts that have gone, and makes one of cells that are nearly empty.
    pub fn tidy(&mut self, now_ms: u64) {
        let is_gone = |host: &HostEntry| now_ms.saturating_sub(host.seen_ms) >= HOST_GONE_MS;
        for cell in self.cells.values_mut() {
            cell.hosts.retain(|name, host| {
                let stays = !is_gone(host);
                if !stays {
                    self.of.remove(name);
                }
                stays
            });
        }
        self.cells.retain(|_, cell| !cell.hosts.is_empty());
        self.merge();
    }

    /// What some came with has ended: they are out, and each cell that they knew is closed; the others in it are in one that is founded
    /// for them. Answers which cells were closed.
    pub fn end(&mut self, now_ms: u64, has_ended: impl Fn(&Admission) -> bool, found: impl FnMut() -> Founding) -> Vec<CellId> {
        let is_known = |cell: &CellEntry| cell.known_to.iter().any(&has_ended);
        self.close(now_ms, is_known, |host| !has_ended(&host.admission), found)
    }

    /// Closes cells in the same way that somebody knew who is not in them any more, unless they were founded just now.
    pub(super) fn renew(&mut self, now_ms: u64, found: impl FnMut() -> Founding) -> Vec<CellId> {
        let is_due = |cell: &CellEntry| {
            let stay: BTreeSet<&Admission> = cell.hosts.values().map(|host| &host.admission).collect();
            now_ms.saturating_sub(cell.founded_ms) >= RENEWED_MS && cell.known_to.iter().any(|admission| !stay.contains(admission))
        };
        self.close(now_ms, is_due, |_| true, found)
    }

    fn close(
        &mut self,
        now_ms: u64,
        is_closed: impl Fn(&CellEntry) -> bool,
        stays: impl Fn(&HostEntry) -> bool,
        mut found: impl FnMut() -> Founding,
    ) -> Vec<CellId> {
        let closed: Vec<CellId> = self.cells.iter().filter(|(_, cell)| is_closed(cell)).map(|(id, _)| *id).collect();
        for id in &closed {
            let Some(cell) = self.cells.remove(id) else { continue };
            self.of.retain(|name, _| !cell.hosts.contains_key(name));
            let stay: Vec<_> = cell.hosts.into_iter().filter(|(_, host)| stays(host)).collect();
            if !stay.is_empty() {
                let next = self.found(found(), now_ms);
                stay.into_iter().for_each(|(name, host)| self.put(next, name, host));
            }
        }
        if !closed.is_empty() {
            self.merge();
        }
        closed
    }

    /// All cells.
    pub fn iter(&self) -> impl Iterator<Item = (CellId, &CellEntry)> {
        self.cells.iter().map(|(id, cell)| (*id, cell))
    }

    /// One cell.
    pub fn get(&self, id: CellId) -> Option<&CellEntry> {
        self.cells.get(&id)
    }

    /// How many hosts there are.
    pub fn hosts(&self) -> usize {
        self.of.len()
    }

    /// Whether there is no host.
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    fn found(&mut self, Founding { id, secret }: Founding, founded_ms: u64) -> CellId {
        self.cells.insert(id, CellEntry { secret, founded_ms, known_to: BTreeSet::new(), hosts: BTreeMap::new() });
        id
    }

    fn put(&mut self, id: CellId, name: NodeName, host: HostEntry) {
        if let Some(cell) = self.cells.get_mut(&id) {
            cell.known_to.insert(host.admission);
            cell.hosts.insert(name.clone(), host);
            self.of.insert(name, id);
        }
    }

    /// The smallest two, again and again, for as long as they are few together.
    fn merge(&mut self) {
        loop {
            let mut by_size: Vec<(usize, CellId)> = self.cells.iter().map(|(id, cell)| (cell.hosts.len(), *id)).collect();
            by_size.sort_unstable();
            let [(few, from), (more, into), ..] = by_size.as_slice() else { return };
            if few + more > MERGE_MAX {
                return;
            }
            let Some(cell) = self.cells.remove(from) else { return };
            cell.hosts.into_iter().for_each(|(name, host)| self.put(*into, name, host));
        }
    }
}

/// Which nodes take part in a cell: the owner of the account's shard, from which everything comes, and as many others of the nodes
/// that serve as make up [`CELL_NODES`], by rendezvous hashing: so when a node comes or goes, only its own cells have another. All of
/// them where there are fewer.
pub fn cell_nodes(cell: CellId, owner: &NodeName, serving: &BTreeSet<NodeName>) -> Vec<NodeName> {
    let mut others: Vec<_> = serving.iter().filter(|node| *node != owner).map(|node| (draw(node, cell), node)).collect();
    others.sort_unstable_by(|a, b| b.cmp(a));
    let others = others.into_iter().take(CELL_NODES - 1).map(|(_, node)| node.clone());
    std::iter::once(owner.clone()).chain(others).collect()
}

fn draw(node: &NodeName, cell: CellId) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key("artifacts cell placement v1");
    hasher.update(&cell.0).update(node.as_str().as_bytes());
    hasher.finalize().as_bytes().first_chunk().copied().map_or(0, u64::from_le_bytes)
}
