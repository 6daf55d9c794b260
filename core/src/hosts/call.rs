use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::cluster::{Seat, ShardMap};
use crate::mesh::CellId;
use crate::name::NodeName;
use crate::revocation::{Position, SignedNews};
use crate::ticket::Jwks;
use crate::{AccountId, KeyId};

/// Where hosts ask for their cell, with their mesh credential, and guests with a [`GuestBearer`](super::GuestBearer): `POST`, JSON both
/// ways.
pub const JOIN_PATH: &str = "/v1/mesh/cell";

/// A host asks for its cell, and for what was revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinCell {
    /// The agent's name in the mesh: drawn when it started, or a guest's [`guest_name`](super::guest_name).
    pub host: NodeName,
    /// Where it receives datagrams.
    pub address: SocketAddr,
    /// What it knows of the account's revocations.
    #[serde(default)]
    pub known: Position,
}

/// The answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CellAnswer {
    /// The account.
    pub account: AccountId,
    /// The credential; none for a guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<KeyId>,
    /// Of which generation of the account's rights that is, or what the guest's session stands on.
    pub generation: u64,
    /// The shard in which the account's revocations are.
    pub seat: Seat,
    /// The shards of its region: a record of an account in another does not belong here.
    pub shards: ShardMap,
    /// The place in the mesh; absent while the nodes take no hosts in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<CellPlace>,
    /// What was revoked since what is known.
    pub news: SignedNews,
    /// The public keys that count in the region.
    pub keys: Jwks,
    /// When to ask again at the latest, in milliseconds.
    pub again_ms: u64,
}

/// A place in a cell.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellPlace {
    /// Which cell.
    pub cell: CellId,
    /// The secret of its datagrams' key.
    pub secret: [u8; 32],
    /// Through whom to find the others: the cell's nodes, and some of its hosts. A guest is told nodes alone.
    pub seeds: Vec<SocketAddr>,
}

impl fmt::Debug for CellPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CellPlace").field("cell", &self.cell).field("seeds", &self.seeds).finish_non_exhaustive()
    }
}
