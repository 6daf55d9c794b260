//! Revocation: signed records that only ever take rights away, the register that merges them, and the evidence that no others
//! exist.
//!
//! A record names its target by opaque ids. Records may arrive from any source, in any order, any number of times;
//! the register's answer depends only on the set of records it has verified. A record whose signature does not
//! verify changes nothing. There is no record that restores a right: granting anew makes a new grant.
//!
//! That a right stands is never said by silence. [`Evidence`] says how long ago it stood, from the signed beacons of the
//! owner of its shard; `docs/design/0015-revocation-mesh.md` tells why nobody in between can stretch that.

mod beacon;
mod calibration;
mod evidence;
mod feed;
mod recent;
mod record;
mod register;
pub mod rumour;
mod shard_log;
mod signed;

#[cfg(test)]
mod tests;

pub use beacon::{BEACON_SHARDS_MAX, Beacon, ClockId, READINGS_MAX, Reading, Readings, ShardHead, SignedBeacon, SignedReadings};
pub use evidence::{Evidence, Proof, Taken};
pub use feed::{Feed, Following, News, Position, SignedNews};
pub use recent::{Recent, SLOTS};
pub use record::{Issue, RevocationRecord, SignedRevocation, Target};
pub use register::{RevocationRegister, Standing};
pub use shard_log::{Head, ShardLog};
pub use signed::{Signed, Statement, from_text, to_text};
