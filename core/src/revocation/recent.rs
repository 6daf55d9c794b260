use super::SignedRevocation;

/// How many values of gossip the newest records fill.
pub const SLOTS: usize = 8;
/// How many records are in one; each takes some 250 bytes as text.
const SLOT_RECORDS: usize = 8;

/// The newest records that a node has issued, as it says them in gossip: a bounded number, of which each new one changes one part.
///
/// Whoever misses more than that asks the owner.
#[derive(Debug, Default)]
pub struct Recent {
    slots: [Vec<SignedRevocation>; SLOTS],
    count: usize,
}

impl Recent {
    /// Adds a record; the oldest make room. Which slot has changed.
    pub fn push(&mut self, signed: SignedRevocation) -> usize {
        let slot = (self.count / SLOT_RECORDS) % SLOTS;
        if self.count.is_multiple_of(SLOT_RECORDS) {
            self.slots[slot].clear();
        }
        self.slots[slot].push(signed);
        self.count += 1;
        slot
    }

    /// What is in a slot.
    pub fn slot(&self, slot: usize) -> &[SignedRevocation] {
        self.slots.get(slot).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Issue, RevocationRecord, Target, to_text};
    use super::*;
    use crate::mesh::limits::VALUE_MAX_BYTES;
    use crate::{AccountId, RevocationId, Timestamp};

    #[test]
    fn the_newest_are_kept_and_each_part_fits_into_a_value() {
        let mut recent = Recent::default();
        let all = SLOTS * SLOT_RECORDS;
        for number in 0..all as u64 + 3 {
            let record = RevocationRecord {
                id: RevocationId::from_bits(u128::MAX - u128::from(number)),
                account: AccountId::from_bits(u128::MAX),
                target: Target::Account(Issue { account: AccountId::from_bits(u128::MAX), generation: u64::MAX }),
                revoked_at: Timestamp::from_unix_ms(number),
            };
            let slot = recent.push(SignedRevocation { record, kid: "k".repeat(64), signature: vec![255; 64] });
            assert!(to_text(&recent.slot(slot).to_vec()).len() < VALUE_MAX_BYTES);
        }
        let mut kept: Vec<_> = (0..SLOTS).flat_map(|slot| recent.slot(slot)).map(|signed| signed.record.revoked_at.unix_ms()).collect();
        kept.sort_unstable();
        let oldest = SLOT_RECORDS as u64;
        assert_eq!(kept, (oldest..all as u64 + 3).collect::<Vec<_>>());
        assert_eq!(recent.slot(SLOTS).len(), 0);
    }
}
