use std::collections::VecDeque;
use std::sync::Arc;

use artifacts_core::cluster::Seat;
use artifacts_core::revocation::{SignedBeacon, SignedRevocation};

use super::CellsHere;

/// So many records of a shard are said in a cell; who misses more asks the owner.
const RECORDS_MAX: usize = 64;

/// What there is to say of one shard in its accounts' cells.
#[derive(Default)]
pub(super) struct SeatNews {
    /// The newest beacon, with its epoch and moment.
    beacon: Option<(u64, u64, Arc<str>)>,
    records: VecDeque<SignedRevocation>,
    /// How many records have gone at the front.
    gone: u64,
}

impl SeatNews {
    /// The newest beacon, as it was heard.
    pub(super) fn beacon(&self) -> Option<Arc<str>> {
        self.beacon.as_ref().map(|(_, _, text)| text.clone())
    }

    /// The records from the one of this number on, and the number of the next to come.
    pub(super) fn records_since(&self, number: u64) -> (Vec<SignedRevocation>, u64) {
        let skipped = usize::try_from(number.saturating_sub(self.gone)).unwrap_or(usize::MAX);
        (self.records.iter().skip(skipped).cloned().collect(), self.gone + self.records.len() as u64)
    }

    fn add(&mut self, signed: &SignedRevocation) -> bool {
        if self.records.iter().any(|known| known.record.id == signed.record.id) {
            return false;
        }
        if self.records.len() >= RECORDS_MAX {
            self.records.pop_front();
            self.gone += 1;
        }
        self.records.push_back(signed.clone());
        true
    }
}

impl CellsHere {
    /// A genuine beacon, as it is written in gossip.
    pub(in crate::fleet) fn offer_beacon(&self, signed: &SignedBeacon, text: &str) {
        let mut news = self.news.lock();
        let told = &signed.content;
        let of_seat = |seat: &Seat| told.shards.iter().find(|head| head.shard == seat.shard).filter(|_| told.region == seat.region);
        let mut shared: Option<Arc<str>> = None;
        for (seat, known) in news.iter_mut() {
            let Some(head) = of_seat(seat) else { continue };
            if known.beacon.as_ref().is_none_or(|(epoch, at_ms, _)| (*epoch, *at_ms) < (head.epoch, told.at_ms)) {
                let text = shared.get_or_insert_with(|| text.into()).clone();
                known.beacon = Some((head.epoch, told.at_ms, text));
            }
        }
        if shared.is_some() {
            self.say_now();
        }
    }

    /// A genuine record of this shard.
    pub(in crate::fleet) fn offer_record(&self, seat: &Seat, signed: &SignedRevocation) {
        let is_news = self.news.lock().get_mut(seat).is_some_and(|known| known.add(signed));
        if is_news {
            self.say_now();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use artifacts_core::cluster::{Region, Shard};
    use artifacts_core::revocation::{Beacon, ClockId, Head, RevocationRecord, ShardHead, Signed, Target};
    use artifacts_core::{AccountId, GrantId, RevocationId, Timestamp};

    use super::*;

    fn beacon(region: &str, shard: u16, epoch: u64, at_ms: u64) -> SignedBeacon {
        let shards = vec![ShardHead { shard: Shard(shard), epoch, head: Head::default() }];
        let content = Beacon { region: Region::from(region), clock: ClockId([1; 16]), at_ms, shards };
        Signed { content, kid: "k".to_owned(), signature: Vec::new() }
    }

    #[test]
    fn the_newest_beacon_of_the_shard_is_said() {
        let (cells, seat) = (CellsHere::default(), Seat { region: Region::from("eu"), shard: Shard(3) });
        cells.news.lock().insert(seat.clone(), SeatNews::default());
        for (region, shard, epoch, at_ms, said) in [
            ("eu", 4, 1, 10, None),
            ("us", 3, 1, 10, None),
            ("eu", 3, 1, 10, Some("eu-3-1-10")),
            ("eu", 3, 1, 9, Some("eu-3-1-10")),
            ("eu", 3, 2, 5, Some("eu-3-2-5")),
            ("eu", 3, 1, 99, Some("eu-3-2-5")),
        ] {
            cells.offer_beacon(&beacon(region, shard, epoch, at_ms), &format!("{region}-{shard}-{epoch}-{at_ms}"));
            assert_eq!(cells.news.lock().get(&seat).unwrap().beacon().as_deref(), said);
        }
    }

    #[test]
    fn the_newest_records_are_said_once_each() {
        let mut news = SeatNews::default();
        let record = |number: u64| SignedRevocation {
            record: RevocationRecord {
                id: RevocationId::from_bits(number.into()),
                account: AccountId::from_bits(1),
                target: Target::Grant(GrantId::from_bits(number.into())),
                revoked_at: Timestamp::from_unix_ms(number),
            },
            kid: "k".to_owned(),
            signature: Vec::new(),
        };
        assert!(news.add(&record(0)) && !news.add(&record(0)));
        let (first, next) = news.records_since(0);
        assert_eq!((first.len(), next), (1, 1));
        (1..100).for_each(|number| assert!(news.add(&record(number))));
        let (rest, next) = news.records_since(next);
        assert_eq!((rest.len(), rest[0].record.revoked_at.unix_ms(), next), (RECORDS_MAX, 36, 100));
        assert_eq!(news.records_since(next).0.len(), 0);
    }
}
