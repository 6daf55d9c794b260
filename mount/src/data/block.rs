use artifacts_core::SegmentId;
use artifacts_core::namespace::{Checksums, EXTENT_MAX_BYTES, PART_BYTES};

/// A block of a segment, or one part of a block: what is fetched, checked and cached as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BlockId {
    /// The segment.
    pub(crate) segment: SegmentId,
    /// Where it begins there.
    pub(crate) offset: u32,
    /// How long it is.
    pub(crate) len: u32,
    /// The digest of its checksums.
    pub(crate) digest: u32,
}

impl BlockId {
    /// A whole block.
    pub(crate) fn new(segment: SegmentId, offset: u32, len: u32, checksums: &Checksums) -> Self {
        Self { segment, offset, len, digest: checksums.digest() }
    }

    /// A stretch of a segment, in which blocks lie. Nothing checks it as a whole.
    pub(super) fn stretch(segment: SegmentId, offset: u32, len: u32) -> Self {
        Self { segment, offset, len, digest: 0 }
    }

    /// Whether another lies in it.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.segment == other.segment && self.offset <= other.offset && other.offset + other.len <= self.offset + self.len
    }

    /// One that nothing checks.
    #[cfg(test)]
    pub(super) fn unchecked(segment: u128, offset: u32, len: u32) -> Self {
        Self::stretch(SegmentId::from_bits(segment), offset, len)
    }

    /// The part that this byte of the block lies in, given the block's checksums, and where in the block it begins.
    pub(super) fn part_at(&self, byte: u32, checksums: &Checksums) -> Option<(Self, u32)> {
        let begins = byte / PART_BYTES * PART_BYTES;
        let digest = checksums.of_part((byte / PART_BYTES) as usize)?;
        let len = self.len.checked_sub(begins).filter(|&left| left > 0)?.min(PART_BYTES);
        Some((Self { offset: self.offset + begins, len, digest, ..*self }, begins))
    }

    /// Whether its lengths are such as an honest node names.
    pub(crate) fn is_sound(&self) -> bool {
        self.len > 0 && self.len <= EXTENT_MAX_BYTES && self.offset.checked_add(self.len).is_some()
    }

    /// Whether these are its bytes.
    pub(super) fn matches(&self, bytes: &[u8]) -> bool {
        bytes.len() == self.len as usize && Checksums::of(bytes).digest() == self.digest
    }
}
