use std::fmt;

use serde::{Deserialize, Serialize};

use super::shard_log::Head;
use super::signed::{Signed, Statement};
use crate::cluster::{Region, Shard};

/// The most shards in one beacon: so it fits into a value of gossip. Who owns more signs several.
pub const BEACON_SHARDS_MAX: usize = 128;
/// The most answers in one [`Readings`], for the same reason.
pub const READINGS_MAX: usize = 256;

/// The clock of one process of a control node: a monotonic clock, and 16 random bytes that no other process shares.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClockId(pub [u8; 16]);

impl fmt::Debug for ClockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "clock-{:08x}", u128::from_be_bytes(self.0) >> 96)
    }
}

/// What an owner says of one of its shards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardHead {
    /// Which.
    pub shard: Shard,
    /// Which opening of the shard speaks; each has one process, so one clock.
    pub epoch: u64,
    /// What its revocation log holds.
    pub head: Head,
}

/// The word of an owner that at this moment these were all revocations of its shards.
///
/// It proves nothing by its arrival: how long ago the moment is follows from what is known of the clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beacon {
    /// Of which region the shards are. Only a key of that region counts.
    pub region: Region,
    /// Whose clock.
    pub clock: ClockId,
    /// The moment, in milliseconds of that clock. Grows strictly from beacon to beacon of a shard's epoch: it is the sequence number.
    pub at_ms: u64,
    /// The shards.
    pub shards: Vec<ShardHead>,
}

impl Statement for Beacon {
    const DOMAIN: &'static [u8] = b"artifacts-beacon-v1\0";
}

/// A beacon and the proof that a control node made it.
pub type SignedBeacon = Signed<Beacon>;

/// What a clock said after somebody asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// What was asked with: random, and known to nobody before.
    pub nonce: u64,
    /// What the clock said when the question had arrived, in milliseconds.
    pub at_ms: u64,
}

/// Answers to whoever asked a control node for the time of its clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readings {
    /// The node's region. Only a key of that region counts.
    pub region: Region,
    /// Its clock.
    pub clock: ClockId,
    /// The answers.
    pub readings: Vec<Reading>,
}

impl Statement for Readings {
    const DOMAIN: &'static [u8] = b"artifacts-readings-v1\0";
}

/// Answers and the proof that a control node gave them.
pub type SignedReadings = Signed<Readings>;
