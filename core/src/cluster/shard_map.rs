use std::fmt;
use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};

use super::Region;
use crate::id::{Id, Kind};

/// The most shards a cluster may have.
pub const MAX_SHARDS: u16 = 1024;

/// One of a cluster's shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shard(pub u16);

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.0)
    }
}

/// A shard of one of several regions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Seat {
    /// Of which region.
    pub region: Region,
    /// Which of its shards.
    pub shard: Shard,
}

/// Which shard a thing lies in: a stable function of its id or name and of the number of shards.
///
/// Ids are random, so things spread evenly. What belongs together lies together where its id can be chosen for that:
/// see [`ShardMap::draw_beside`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShardMap {
    shards: NonZeroU16,
}

impl ShardMap {
    /// The map of a store that is all one shard.
    pub const SINGLE: Self = Self { shards: NonZeroU16::MIN };

    /// A map with as many shards as there may be. What lies together in it lies together in every map whose number of shards divides
    /// this one's, as all powers of two do.
    pub const FINEST: Self = Self {
        shards: match NonZeroU16::new(MAX_SHARDS) {
            Some(shards) => shards,
            None => NonZeroU16::MIN,
        },
    };

    /// A map with this many shards; `None` for none or more than [`MAX_SHARDS`].
    pub fn new(shards: u16) -> Option<Self> {
        NonZeroU16::new(shards).filter(|shards| shards.get() <= MAX_SHARDS).map(|shards| Self { shards })
    }

    /// How many shards there are.
    pub const fn len(self) -> u16 {
        self.shards.get()
    }

    /// Whether there are none, which cannot be.
    pub const fn is_empty(self) -> bool {
        false
    }

    /// All shards.
    pub fn all(self) -> impl Iterator<Item = Shard> {
        (0..self.len()).map(Shard)
    }

    /// Where what concerns the whole cluster lies.
    pub const fn of_cluster(self) -> Shard {
        Shard(0)
    }

    /// Where the thing with this id lies.
    pub fn of<K: Kind>(self, id: Id<K>) -> Shard {
        self.of_bytes(&id.bits().to_be_bytes())
    }

    /// Where the thing with this name lies, or with this id as 16 bytes, the greatest first.
    pub fn of_bytes(self, bytes: &[u8]) -> Shard {
        Shard((crc32c::crc32c(bytes) % u32::from(self.len())) as u16)
    }

    /// Draws until what was drawn lies in `shard`: as often as there are shards, on the average. So the record of a new thing
    /// and that of its owner are written in one batch, and whoever sees an id or a secret knows whom to ask about it.
    pub fn draw_beside<T>(self, shard: Shard, mut draw: impl FnMut() -> T, place: impl Fn(&T) -> Shard) -> T {
        loop {
            let drawn = draw();
            if place(&drawn) == shard {
                return drawn;
            }
        }
    }
}

impl Default for ShardMap {
    fn default() -> Self {
        Self::SINGLE
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{AccountId, WorkspaceId};

    fn map(shards: u16) -> ShardMap {
        ShardMap::new(shards).unwrap()
    }

    /// Data that is stored lies where these numbers say: they never change.
    #[test]
    fn the_map_is_what_it_has_always_been() {
        let places = [0, 1, 2, 3, 1 << 64, u128::MAX].map(|bits| map(16).of(WorkspaceId::from_bits(bits)).0);
        assert_eq!(places, [10, 9, 13, 14, 2, 0]);
        assert_eq!(map(16).of_bytes(b"acme"), Shard(6));
        assert_eq!(map(16).of(AccountId::from_bits(7)), map(16).of(WorkspaceId::from_bits(7)), "the kind of an id says nothing");
    }

    #[test]
    fn things_spread_evenly() {
        let mut counts = [0u32; 16];
        for i in 0..16_000u128 {
            let id = WorkspaceId::from_bits(i.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834));
            counts[usize::from(map(16).of(id).0)] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }

    #[test]
    fn what_is_drawn_beside_a_thing_lies_in_its_shard() {
        let map = ShardMap::FINEST;
        assert_eq!(map.len(), MAX_SHARDS);
        for i in 0..20u128 {
            let owner = AccountId::from_bits(i);
            let shard = map.of(owner);
            let mut next = 0;
            let draw = || {
                next += 1;
                WorkspaceId::from_bits(next)
            };
            let drawn = map.draw_beside(shard, draw, |id| map.of(*id));
            assert_eq!(map.of(drawn), shard);
            for fewer in (0..=10).map(|power| self::map(1 << power)) {
                assert_eq!(fewer.of(drawn), fewer.of(owner), "in {} shards", fewer.len());
            }
        }
    }

    #[test]
    fn there_is_at_least_one_shard_and_there_are_not_too_many() {
        assert_eq!(ShardMap::new(0), None);
        assert_eq!(ShardMap::new(MAX_SHARDS + 1), None);
        assert_eq!(ShardMap::SINGLE.of_bytes(b"anything"), Shard(0));
        assert_eq!(map(16).all().count(), 16);
    }
}
