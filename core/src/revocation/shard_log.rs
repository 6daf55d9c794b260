use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::RevocationRecord;
use crate::Timestamp;

/// What a shard's revocation log holds, in few bytes: two logs with the same head hold the same records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Records from before this are not counted: nothing that they took can be alive.
    pub floor_ms: u64,
    /// How many records there are.
    pub count: u64,
    /// The sum of their hashes, modulo 2¹²⁸.
    pub digest: u128,
}

/// Which revocations of a shard are known: at the owner those of its log, elsewhere those that have arrived.
///
/// A set: the order in which records come, and how often, makes no difference. The head can be summed up because only records
/// that a control node signed come in, and none can be made to fit: whoever leaves some out changes the count, and has nothing
/// to put in their place.
#[derive(Debug, Clone, Default)]
pub struct ShardLog {
    /// When each was made, by hash.
    records: BTreeMap<u128, Timestamp>,
    floor: Option<Timestamp>,
    digest: u128,
}

impl ShardLog {
    /// Takes in a record. Whether it was news.
    pub fn insert(&mut self, record: &RevocationRecord) -> bool {
        let hash = record.hash();
        if self.floor.is_some_and(|floor| record.revoked_at < floor) || self.records.contains_key(&hash) {
            return false;
        }
        self.records.insert(hash, record.revoked_at);
        self.digest = self.digest.wrapping_add(hash);
        true
    }

    /// Forgets what is from before `floor`. The floor never sinks.
    pub fn raise_floor(&mut self, floor: Timestamp) {
        if self.floor.is_some_and(|known| known >= floor) {
            return;
        }
        self.floor = Some(floor);
        let digest = &mut self.digest;
        self.records.retain(|hash, revoked_at| {
            let stays = *revoked_at >= floor;
            if !stays {
                *digest = digest.wrapping_sub(*hash);
            }
            stays
        });
    }

    /// Forgets all records.
    pub fn clear(&mut self) {
        self.records.clear();
        self.digest = 0;
    }

    /// What it holds.
    pub fn head(&self) -> Head {
        let floor_ms = self.floor.map_or(0, Timestamp::unix_ms);
        Head { floor_ms, count: self.records.len() as u64, digest: self.digest }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Target;
    use super::*;
    use crate::{AccountId, GrantId, RevocationId};
    use proptest::prelude::*;

    fn record(bits: u128, at_ms: u64) -> RevocationRecord {
        RevocationRecord {
            id: RevocationId::from_bits(bits),
            account: AccountId::from_bits(1),
            target: Target::Grant(GrantId::from_bits(bits)),
            revoked_at: Timestamp::from_unix_ms(at_ms),
        }
    }

    proptest! {
        /// Whatever was forgotten, and in whichever order it came: the head says what is held, and nothing else.
        #[test]
        fn the_head_depends_on_the_set_alone(
            arrivals in prop::collection::vec((0u128..30, 0u64..20), 0..60), floor in 0u64..20, early in any::<bool>(),
        ) {
            let build = |arrivals: &[(u128, u64)], early: bool| {
                let mut log = ShardLog::default();
                if early {
                    log.raise_floor(Timestamp::from_unix_ms(floor));
                }
                for (bits, at_ms) in arrivals {
                    log.insert(&record(*bits, *at_ms));
                }
                log.raise_floor(Timestamp::from_unix_ms(floor));
                log.raise_floor(Timestamp::from_unix_ms(floor.saturating_sub(1)));
                log.head()
            };
            let mut backwards = [arrivals.clone(), arrivals.clone()].concat();
            backwards.reverse();
            let head = build(&arrivals, early);
            prop_assert_eq!(head, build(&backwards, !early));
            let distinct: std::collections::BTreeSet<_> = arrivals.iter().filter(|(_, at_ms)| *at_ms >= floor).collect();
            prop_assert_eq!(head.count, distinct.len() as u64);
            if let Some((bits, at_ms)) = arrivals.first().filter(|(_, at_ms)| *at_ms >= floor) {
                let without: Vec<_> = arrivals.iter().copied().filter(|other| *other != (*bits, *at_ms)).collect();
                prop_assert_ne!(head, build(&without, early));
            }
        }
    }

    #[test]
    fn a_cleared_log_keeps_its_floor() {
        let mut log = ShardLog::default();
        log.raise_floor(Timestamp::from_unix_ms(5));
        assert!(log.insert(&record(1, 5)) && !log.insert(&record(1, 5)) && !log.insert(&record(2, 4)));
        log.clear();
        assert_eq!(log.head(), Head { floor_ms: 5, count: 0, digest: 0 });
        assert!(log.insert(&record(1, 5)));
    }
}
