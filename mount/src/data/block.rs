use artifacts_core::SegmentId;
use artifacts_core::namespace::EXTENT_MAX_BYTES;

/// A block of a segment: the unit that is fetched, checked and cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct BlockId {
    /// The segment.
    pub(crate) segment: SegmentId,
    /// Where the block begins in it.
    pub(crate) offset: u32,
    /// How long it is.
    pub(crate) len: u32,
    /// Over all of it.
    pub(crate) crc32c: u32,
}

impl BlockId {
    /// Whether its lengths are such as an honest node names.
    pub(crate) fn is_sound(&self) -> bool {
        self.len > 0 && self.len <= EXTENT_MAX_BYTES && self.offset.checked_add(self.len).is_some()
    }

    /// Whether these are its bytes.
    pub(super) fn matches(&self, bytes: &[u8]) -> bool {
        bytes.len() == self.len as usize && crc32c::crc32c(bytes) == self.crc32c
    }
}
