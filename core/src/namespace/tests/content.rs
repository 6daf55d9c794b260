//! What the bytes of test segments are, so that a block extent can be read and compared like any other.

use std::cell::RefCell;
use std::collections::BTreeMap;

use bytes::Bytes;

use super::super::{Checksums, Extent, Ino, Source, View, pieces};
use crate::SegmentId;

thread_local! {
    /// Segments whose bytes are not made up but copied from elsewhere.
    static COPIES: RefCell<BTreeMap<SegmentId, Bytes>> = const { RefCell::new(BTreeMap::new()) };
}

/// From now on, on this thread, a segment holds these bytes; `None`: those that are made up for it.
pub(in super::super) fn deposit(segment: SegmentId, bytes: Option<Bytes>) {
    COPIES.with_borrow_mut(|copies| match bytes {
        Some(bytes) => copies.insert(segment, bytes),
        None => copies.remove(&segment),
    });
}

/// The bytes of a segment from `offset` on; past the end of a copy they are made up.
pub(in super::super) fn segment_bytes(segment: SegmentId, offset: u32, len: u32) -> Bytes {
    let range = offset as usize..(offset + len) as usize;
    if let Some(copied) =
        COPIES.with_borrow(|copies| copies.get(&segment).and_then(|copy| (range.end <= copy.len()).then(|| copy.slice(range))))
    {
        return copied;
    }
    let first = segment.bits() as u32;
    (offset..offset + len).map(|at| (first.wrapping_mul(41) ^ at.wrapping_mul(7) ^ (at >> 8)) as u8 | 1).collect()
}

/// An extent over a whole block of a segment.
pub(in super::super) fn block(segment: SegmentId, block_offset: u32, len: u32) -> Extent {
    let checksums = Checksums::of(&segment_bytes(segment, block_offset, len));
    Extent { len, source: Source::Block { segment, block_offset, block_len: len, checksums, skip: 0 } }
}

/// The bytes an extent stands for; its checksum must be right.
pub(in super::super) fn extent_bytes(extent: &Extent) -> Bytes {
    match &extent.source {
        Source::Inline { data, checksums } => {
            assert!(checksums.match_bytes(data));
            data.clone()
        }
        Source::Block { segment, block_offset, block_len, checksums, skip } => {
            let block = segment_bytes(*segment, *block_offset, *block_len);
            assert!(checksums.match_bytes(&block), "a part of a block keeps the checksum of the whole");
            block.slice(*skip as usize..(*skip + extent.len) as usize)
        }
    }
}

/// The bytes of a file that are not holes, read a few pieces at a time.
pub(in super::super) fn bytes_of(view: &impl View, ino: Ino) -> BTreeMap<u64, u8> {
    let mut found = BTreeMap::new();
    let mut from = 0;
    loop {
        let (_, some) = pieces(view, ino, from, u64::MAX, 3).unwrap();
        for piece in &some {
            let bytes = extent_bytes(&piece.extent);
            found.extend((piece.offset..).zip(bytes));
            from = piece.offset + u64::from(piece.extent.len);
        }
        if some.len() < 3 {
            return found;
        }
    }
}
