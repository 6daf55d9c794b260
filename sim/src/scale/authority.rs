use artifacts_core::cluster::{Region, Seat, Shard};
use artifacts_core::revocation::{
    Beacon, ClockId, Reading, Readings, RevocationRecord, ShardHead, ShardLog, Signed, SignedBeacon, SignedReadings, SignedRevocation,
    Target,
};
use artifacts_core::ticket::VerifyingKeys;
use artifacts_core::{AccountId, GrantId, RevocationId, Timestamp};
use ed25519_dalek::SigningKey;

use super::case::Case;

/// How many shards are in a beacon: all those of a region, by default.
const SHARDS: u16 = 16;
/// What the owner's clock shows at the beginning.
const CLOCK_MS: u64 = 86_400_000;
/// When the simulation begins, for records.
const BEGINS_MS: u64 = 1_760_000_000_000;
const KID: &str = "region-0-key-1";

/// The owner of the shard in which the account lies: what it signs. Everybody trusts its key.
pub(super) struct Authority {
    key: SigningKey,
    pub(super) keys: VerifyingKeys,
    region: Region,
    clock: ClockId,
    /// The records that are said in gossip, with when they were made.
    said: Vec<(u64, RevocationRecord)>,
}

impl Authority {
    /// One that revokes at these moments.
    pub(super) fn new(revoked_us: &[u64]) -> Self {
        let key = SigningKey::from_bytes(&[1; 32]);
        let keys = VerifyingKeys::from_iter([(KID.to_owned(), key.verifying_key())]);
        let mut made = Self { key, keys, region: Region::from("region-0"), clock: ClockId([9; 16]), said: Vec::new() };
        for (round, at_us) in revoked_us.iter().enumerate() {
            made.said.extend(Case::GOSSIPED.map(|case| (*at_us, made.record(case, round, *at_us).record)));
        }
        made
    }

    /// Where the account lies.
    pub(super) fn seat(&self) -> Seat {
        Seat { region: self.region.clone(), shard: Shard(0) }
    }

    /// The record of a round's revocation.
    pub(super) fn record(&self, case: Case, round: usize, at_us: u64) -> SignedRevocation {
        let bits = grant(case, round).bits();
        let record = RevocationRecord {
            id: RevocationId::from_bits(bits),
            account: AccountId::from_bits(1),
            target: Target::Grant(grant(case, round)),
            revoked_at: Timestamp::from_unix_ms(BEGINS_MS + at_us / 1_000),
        };
        SignedRevocation::sign(record, KID, &self.key)
    }

    /// What the owner's clock shows.
    pub(super) fn clock_ms(at_us: u64) -> u64 {
        CLOCK_MS + at_us / 1_000
    }

    /// When that was.
    pub(super) fn at_us(clock_ms: u64) -> u64 {
        clock_ms.saturating_sub(CLOCK_MS) * 1_000
    }

    /// The beacon of a moment.
    pub(super) fn beacon(&self, at_us: u64) -> SignedBeacon {
        let mut log = ShardLog::default();
        for (_, record) in self.said.iter().filter(|(made_us, _)| *made_us <= at_us) {
            log.insert(record);
        }
        let head = |shard| if shard == 0 { log.head() } else { ShardLog::default().head() };
        let shards = (0..SHARDS).map(|shard| ShardHead { shard: Shard(shard), epoch: 7, head: head(shard) }).collect();
        let beacon = Beacon { region: self.region.clone(), clock: self.clock, at_ms: Self::clock_ms(at_us), shards };
        Signed::sign(beacon, KID, &self.key)
    }

    /// Answers to who has asked for the time.
    pub(super) fn readings(&self, readings: Vec<Reading>) -> SignedReadings {
        Signed::sign(Readings { region: self.region.clone(), clock: self.clock, readings }, KID, &self.key)
    }
}

/// The grant of a round on which all agents stand, in this case.
pub(super) fn grant(case: Case, round: usize) -> GrantId {
    GrantId::from_bits(1 << 127 | (round as u128) << 8 | case as u128)
}

/// Which case and round a record is about; nothing if it is about something else.
pub(super) fn revoked(target: Target) -> Option<(Case, usize)> {
    let Target::Grant(grant) = target else { return None };
    let case = Case::ALL.into_iter().find(|case| *case as u128 == grant.bits() & 0xff)?;
    Some((case, (grant.bits() << 1 >> 9) as usize))
}
