//! The cells of agents: this node forms those of the accounts whose shards it owns, and takes part in those that it is told of.
//!
//! - **The owner of an account's shard forms its cells** ([`founding`]), since every host comes to it with its credential anyway, and
//!   nobody has to agree with anybody. Guests are brought to it by the node that they ask, once the owner of their workspace has said
//!   whose they are ([`guests`]). It tells the other nodes of each cell every few seconds what to take part in; who is not told
//!   any more leaves ([`serving`]). Nothing of it is kept: a new owner founds new cells.
//! - **A cell hears of its account's shard alone**: the newest beacon, the newest records, answers to its members' questions. All of it
//!   is signed, so it makes no difference that hosts pass it on.
//! - **An account sees its own cells** ([`sight`]), with no addresses and no names of hosts, and of others not even that they are there.
//! - **Nothing goes the other way.** What members of a cell say reaches neither the ring nor another cell; of their questions a node
//!   keeps the number and when it came.
//! - Without agents there is no socket and no task at work.
//!
//! `docs/design/0021-cells.md` tells why.

mod founding;
mod guests;
mod news;
mod serving;
mod sight;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use artifacts_core::cluster::{Seat, Shard};
use artifacts_core::mesh::{CellId, MeshKey};
use artifacts_core::name::NodeName;
use artifacts_gossip::Port;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use self::news::SeatNews;
use self::serving::Served;

pub(super) use founding::run as tend;
pub(super) use guests::Guest;
pub(super) use serving::run as serve;
pub(super) use sight::CellsOfShard;

/// What a node is to take part in.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct CellOrder {
    /// Which cell.
    id: CellId,
    /// The secret of its key.
    secret: [u8; 32],
    /// The account's shard.
    shard: Shard,
    /// Through whom to find the others.
    seeds: Vec<SocketAddr>,
}

impl CellOrder {
    fn key(&self) -> MeshKey {
        MeshKey::new(self.secret)
    }
}

impl std::fmt::Debug for CellOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CellOrder({}, {})", self.id, self.shard)
    }
}

/// This node's part in cells.
#[derive(Default)]
pub(super) struct CellsHere {
    /// The socket of all of them, once there is one.
    port: Mutex<Option<Port>>,
    served: Mutex<BTreeMap<CellId, Served>>,
    /// What there is to say in cells, by whose shard it is.
    news: Mutex<BTreeMap<Seat, SeatNews>>,
    /// There is something to say.
    say_now: Notify,
    /// Hosts have come, or are to go.
    tend_now: Notify,
    /// Where other nodes receive the datagrams of cells.
    addresses: Mutex<BTreeMap<NodeName, SocketAddr>>,
}

impl CellsHere {
    /// Whether this node takes part in none.
    pub(super) fn is_idle(&self) -> bool {
        self.served.lock().is_empty()
    }

    /// Whether it takes part in this one.
    pub(super) fn serves(&self, id: CellId) -> bool {
        self.served.lock().contains_key(&id)
    }

    /// The shards of which its cells are to hear.
    pub(super) fn seats(&self) -> Vec<Seat> {
        self.news.lock().keys().cloned().collect()
    }

    /// Wakes who speaks in cells.
    pub(super) fn say_now(&self) {
        self.say_now.notify_one();
    }
}
