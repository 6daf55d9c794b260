//! What a journal says after a crash: a pure function of its bytes.
//!
//! The records that are needed begin behind the last one freed, and must run on without a gap. Where they stop, the
//! journal ends: either nothing more was written, or a write was torn, and a write that was torn had been acknowledged
//! to nobody. Unless a later record is whole and says that the missing one was on the disk when it was written itself:
//! then the disk has lost what it had confirmed, and that is damage, never an end.
//!
//! Bytes of earlier uses of a segment are told apart by their sequence, which has been freed, or by the id of the
//! journal, which is another after each recovery.

use std::collections::BTreeMap;

use super::record::{ALIGNMENT_BYTES, Record};

/// The journal has lost a record that had been on the disk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record {missing} of the journal is damaged although everything up to {synced} had been written")]
pub(super) struct Damage {
    /// The first record that is missing.
    pub(super) missing: u64,
    /// The last record that had been on the disk for certain.
    pub(super) synced: u64,
}

/// The records behind `freed`, in their order, from the contents of all segments in any order.
pub(super) fn replay<'a>(journal: u64, freed: u64, segments: &[&'a [u8]]) -> Result<Vec<Record<'a>>, Damage> {
    let mut found = BTreeMap::new();
    for segment in segments {
        collect(journal, segment, freed, &mut found);
    }
    let synced = found.values().map(|record| record.synced).max().unwrap_or(freed);
    let mut records = Vec::with_capacity(found.len());
    for (expected, (sequence, record)) in (freed + 1..).zip(found) {
        if sequence != expected {
            break;
        }
        records.push(record);
    }
    let missing = freed + 1 + records.len() as u64;
    if missing <= synced { Err(Damage { missing, synced }) } else { Ok(records) }
}

/// Finds every record in a segment. Behind one that is damaged the next is found by trying each place where one may begin.
fn collect<'a>(journal: u64, segment: &'a [u8], freed: u64, found: &mut BTreeMap<u64, Record<'a>>) {
    let mut at = 0;
    while at < segment.len() {
        match Record::read(journal, &segment[at..]) {
            Some(record) => {
                at += record.len();
                if record.sequence > freed {
                    found.insert(record.sequence, record);
                }
            }
            None => at += ALIGNMENT_BYTES,
        }
    }
}
