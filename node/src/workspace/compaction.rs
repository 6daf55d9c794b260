//! Segments in which little lives are read, and what lives in them is packed anew; the old ones then die by themselves.
//!
//! Which extents lie in a segment is not on record. It is found by reading all extents, which for a million of them takes a
//! few seconds of one core. A record for each (segment, extent) would make every write, on the node and on each
//! mount that replays its ops, a quarter dearer for the sake of something that is done every ten minutes at most, and only when
//! it gives back enough.

use std::collections::BTreeSet;

use artifacts_core::SegmentId;
use artifacts_core::namespace::{Key, Record, SegmentRecord, Source};
use ractor::ActorRef;

use super::actor::WorkspaceState;
use super::errand::ErrandContext;
use super::message::WorkspaceMessage;
use super::packer::{Packer, SEGMENT_MAX_BYTES};
use super::upkeep::{Errand, UpkeepMessage, millis};
use crate::store::{KeyRange, StoreError};

/// A segment shorter than this is small, in bytes,
const SMALL_BYTES: u64 = SEGMENT_MAX_BYTES as u64 / 8;
/// and so many small ones are worth to be made one.
const SMALL_MANY: usize = 64;
/// How many segments one run rewrites at most.
const SEGMENTS_MAX: usize = 4096;

impl WorkspaceState {
    pub(super) fn begin_compaction(&mut self, myself: &ActorRef<WorkspaceMessage>) {
        self.upkeep.compact_due_ms = self.now_ms() + millis(self.rules().compact_every);
        self.upkeep.changed = false;
        let reclaim_bytes = self.rules().reclaim_bytes;
        let rotten = self.upkeep.rotten.clone();
        let errand = self.errand_context(myself);
        self.begin(myself, Errand::Compact, async move {
            let mut choice = Choice::default();
            let mut next = Some(KeyRange::prefix(&errand.keys.namespace(&Key::segments())));
            while let Some(range) = next {
                let (records, rest) = errand.page(range).await?;
                next = rest;
                for (key, record) in records {
                    if let (Key::Segment(id), Record::Segment(segment)) = (key, record)
                        && !rotten.contains(&id)
                    {
                        choice.offer(id, segment);
                    }
                }
            }
            let chosen = choice.chosen(reclaim_bytes);
            if chosen.is_empty() { Ok(()) } else { rewrite(&errand, &chosen).await }
        });
    }
}

async fn rewrite(errand: &ErrandContext, chosen: &BTreeSet<SegmentId>) -> Result<(), StoreError> {
    tracing::info!(workspace = %errand.keys.0, segments = chosen.len(), "rewriting segments");
    let (mut packer, mut reader) = (Packer::default(), errand.reader());
    let mut rotten = BTreeSet::new();
    let mut next = Some(KeyRange::prefix(&errand.keys.namespace(&Key::extents())));
    while let Some(range) = next {
        let (records, rest) = errand.page(range).await?;
        next = rest;
        for (key, record) in records {
            let (Key::Extent(ino, offset), Record::Extent(extent)) = (key, record) else { continue };
            let Source::Block { segment, .. } = extent.source else { continue };
            if chosen.contains(&segment) && !errand.take_in(&mut packer, &mut reader, ino, offset, extent).await? {
                rotten.insert(segment);
            }
        }
    }
    errand.put(&mut packer).await?;
    metrics::counter!("artifacts_compactions_total").increment(1);
    if !rotten.is_empty() {
        errand.tell(UpkeepMessage::Rotten(rotten.into_iter().collect()));
    }
    Ok(())
}

/// Which segments are worth to be rewritten.
#[derive(Debug, Default)]
struct Choice {
    sparse: Vec<SegmentId>,
    dead_bytes: u64,
    small: Vec<SegmentId>,
}

impl Choice {
    fn offer(&mut self, id: SegmentId, SegmentRecord { len, live_bytes }: SegmentRecord) {
        if live_bytes < len.div_ceil(2) {
            self.sparse.push(id);
            self.dead_bytes += len - live_bytes;
        } else if len < SMALL_BYTES {
            self.small.push(id);
        }
    }

    fn chosen(mut self, reclaim_bytes: u64) -> BTreeSet<SegmentId> {
        if self.dead_bytes < reclaim_bytes {
            self.sparse.clear();
        }
        if self.small.len() < SMALL_MANY {
            self.small.clear();
        }
        self.sparse.into_iter().chain(self.small).take(SEGMENTS_MAX).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(segments: impl IntoIterator<Item = (u64, u64)>, reclaim_bytes: u64) -> Vec<u128> {
        let mut choice = Choice::default();
        for (at, (len, live_bytes)) in segments.into_iter().enumerate() {
            choice.offer(SegmentId::from_bits(at as u128), SegmentRecord { len, live_bytes });
        }
        choice.chosen(reclaim_bytes).into_iter().map(SegmentId::bits).collect()
    }

    #[test]
    fn what_is_mostly_dead_is_rewritten_when_that_is_worth_it() {
        let whole = SEGMENT_MAX_BYTES as u64;
        let segments = [(whole, whole), (whole, whole / 2), (whole, whole / 2 - 1), (whole, 1)];
        assert_eq!(chosen(segments, 1), [2, 3]);
        assert_eq!(chosen(segments, 2 * whole), [] as [u128; 0]);
    }

    #[test]
    fn many_small_ones_become_one() {
        assert_eq!(chosen(vec![(100, 100); SMALL_MANY - 1], 1).len(), 0);
        assert_eq!(chosen(vec![(100, 100); SMALL_MANY], 1).len(), SMALL_MANY);
        assert_eq!(chosen(vec![(SMALL_BYTES, SMALL_BYTES); SMALL_MANY], 1).len(), 0);
    }
}
