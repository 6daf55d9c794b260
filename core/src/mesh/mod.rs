//! Gossip that may cross a hostile network: what members of a mesh say to each other, and how each datagram is sealed
//! and judged before anybody acts on it.
//!
//! A mesh is the ring of control nodes, or a cell of agents; each has keys and a name of its own. The gossip
//! protocol itself (chitchat) authenticates nothing and stops for good at some malformed input, so it never sees a
//! datagram that did not pass here. What always holds:
//!
//! - **No datagram without the mesh's key has any effect**, and costs its receiver one decryption and no memory.
//! - **A datagram counts once, and only for whom it was sent to.** It names the receiver's [`Incarnation`], so one that
//!   was recorded before the receiver started is worthless; within an incarnation a [`ReplayWindow`] remembers.
//! - **Nonces never repeat.** The key of a datagram belongs to one sender's incarnation, which holds random bits, and
//!   its nonce is a counter.
//! - **What comes out is within bounds**: member and key counts, sizes, characters, version numbers. A sender speaks of
//!   itself as who its seal says it is, and nobody speaks for the receiver.
//! - Memory is bounded by the constants of [`limits`], whatever arrives.
//!
//! Who holds the key is believed in what it says of third parties; what must not be forged by a member is signed on
//! its own (see `docs/design/0003-revocation.md`). `docs/design/0012-ring.md` tells the whole protocol.

mod admission;
mod call;
mod cells;
mod circles;
mod credential_file;
mod endpoint;
mod envelope;
mod facts;
mod gossip;
mod incarnation;
mod inspection;
mod keys;
pub mod limits;
mod membership;
mod reception;
mod replay_window;
mod roster;
mod routes;
mod senders;

#[cfg(test)]
mod tests;

pub use admission::{Admission, Pass};
pub use call::{Answer, CallError, CallSeat, IncomingCall, OpenedCall, SealedCall};
pub use cells::{
    CELL_HOSTS_MAX, CELL_NODES, CellEntry, CellId, Cells, CellsError, Founding, HOST_ASKS_MS, HOST_GONE_MS, HOSTS_MAX, HostEntry,
    InvalidCellId, RENEWED_MS, cell_nodes,
};
pub use circles::{Circle, Circles, GUEST_CELLS_MAX, TENANT_GUESTS_MAX};
pub use credential_file::CredentialFile;
pub use endpoint::{Endpoint, Identity, Opened, Refusal};
pub use envelope::{EnvelopeError, key_of_datagram};
pub use facts::{Facts, FactsError, NodePhase};
pub use gossip::{DeltaEntry, DigestEntry, Gossip, GossipError, KeyValue, MemberId, Status};
pub use incarnation::Incarnation;
pub use inspection::{Violation, is_usable_address};
pub use keys::{KeyId, MeshKey, MeshKeyError, MeshKeys};
pub use membership::{Heard, Member, Membership};
pub use replay_window::ReplayWindow;
pub use senders::{Senders, SendersError};
