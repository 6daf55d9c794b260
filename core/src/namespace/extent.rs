use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::SegmentId;

/// The longest extent, which is also the largest block: 1 MiB.
pub const EXTENT_MAX_BYTES: u32 = 1 << 20;

/// A run of a file's bytes and where they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// How many bytes of the file it covers; 1 to [`EXTENT_MAX_BYTES`].
    pub len: u32,
    /// Where they are.
    pub source: Source,
}

/// Where an extent's bytes are. Each carries the CRC-32C (RFC 3720) that a reader checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// Here. A small write travels inside its op.
    Inline {
        /// The bytes, exactly as many as the extent covers.
        data: Bytes,
        /// Over `data`.
        crc32c: u32,
    },
    /// In a block of a segment. The checksum is over the whole block, so a reader fetches the whole block even
    /// when overwrites have left only a part of it alive.
    Block {
        /// The segment.
        segment: SegmentId,
        /// Where the block begins in it.
        block_offset: u32,
        /// The block's length.
        block_len: u32,
        /// Over the block.
        crc32c: u32,
        /// How far into the block the extent begins.
        skip: u32,
    },
}

impl Extent {
    /// An extent that carries its bytes.
    pub fn inline(data: Bytes) -> Self {
        let crc32c = crc32c::crc32c(&data);
        Self { len: data.len() as u32, source: Source::Inline { data, crc32c } }
    }

    /// The part that begins `from` bytes in and is `len` long.
    #[must_use]
    pub(super) fn slice(&self, from: u32, len: u32) -> Self {
        let source = match &self.source {
            Source::Inline { data, .. } => return Self::inline(data.slice(from as usize..(from + len) as usize)),
            Source::Block { segment, block_offset, block_len, crc32c, skip } => {
                Source::Block { segment: *segment, block_offset: *block_offset, block_len: *block_len, crc32c: *crc32c, skip: skip + from }
            }
        };
        Self { len, source }
    }

    /// Whether it hangs together: lengths within bounds and, where the bytes are at hand, the checksum.
    pub(super) fn is_sound(&self) -> bool {
        let in_bounds = self.len > 0 && self.len <= EXTENT_MAX_BYTES;
        in_bounds
            && match &self.source {
                Source::Inline { data, crc32c } => data.len() == self.len as usize && crc32c::crc32c(data) == *crc32c,
                Source::Block { block_offset, block_len, skip, .. } => {
                    *block_len <= EXTENT_MAX_BYTES
                        && block_offset.checked_add(*block_len).is_some()
                        && skip.checked_add(self.len).is_some_and(|end| end <= *block_len)
                }
            }
    }
}

/// What is known of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentRecord {
    /// The object's length.
    pub len: u64,
    /// How many bytes of files lie in it; at 0 the object may be deleted.
    pub live_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_keeps_the_block_and_its_checksum() {
        let block = Extent {
            len: 100,
            source: Source::Block { segment: SegmentId::from_bits(1), block_offset: 10, block_len: 110, crc32c: 7, skip: 10 },
        };
        assert!(block.is_sound());
        let part = block.slice(20, 30);
        assert!(part.is_sound());
        assert!(matches!(part, Extent { len: 30, source: Source::Block { block_len: 110, crc32c: 7, skip: 30, .. } }));
        let inline = Extent::inline(Bytes::from_static(b"hello world")).slice(6, 5);
        assert!(inline.is_sound());
        assert!(matches!(inline.source, Source::Inline { data, .. } if data == "world"));
    }

    #[test]
    fn unsound_extents_are_seen() {
        let block = |len, block_offset, block_len, skip| Extent {
            len,
            source: Source::Block { segment: SegmentId::from_bits(1), block_offset, block_len, crc32c: 0, skip },
        };
        for bad in [
            block(0, 0, 10, 0),
            block(11, 0, 10, 0),
            block(10, 0, 10, 1),
            block(1, u32::MAX, 10, 0),
            block(10, 0, 10, u32::MAX),
            block(EXTENT_MAX_BYTES + 1, 0, EXTENT_MAX_BYTES + 1, 0),
            Extent { len: 3, source: Source::Inline { data: Bytes::from_static(b"abc"), crc32c: 1 } },
            Extent { len: 4, source: Source::Inline { data: Bytes::from_static(b"abc"), crc32c: crc32c::crc32c(b"abc") } },
        ] {
            assert!(!bad.is_sound(), "{bad:?}");
        }
    }
}
