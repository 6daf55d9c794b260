use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Checksums;
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

/// Where an extent's bytes are. Each carries the checksums that a reader checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// Here. A small write travels inside its op.
    Inline {
        /// The bytes, exactly as many as the extent covers.
        data: Bytes,
        /// Over `data`.
        checksums: Checksums,
    },
    /// In a block of a segment. The checksums are over the whole block, part by part, so a reader fetches whole parts
    /// even when overwrites have left only some bytes of one alive.
    Block {
        /// The segment.
        segment: SegmentId,
        /// Where the block begins in it.
        block_offset: u32,
        /// The block's length.
        block_len: u32,
        /// Over the block.
        checksums: Checksums,
        /// How far into the block the extent begins.
        skip: u32,
    },
}

impl Extent {
    /// An extent that carries its bytes.
    pub fn inline(data: Bytes) -> Self {
        let checksums = Checksums::of(&data);
        Self { len: data.len() as u32, source: Source::Inline { data, checksums } }
    }

    /// The part that begins `from` bytes in and is `len` long.
    #[must_use]
    pub(super) fn slice(&self, from: u32, len: u32) -> Self {
        let source = match &self.source {
            Source::Inline { data, .. } => return Self::inline(data.slice(from as usize..(from + len) as usize)),
            Source::Block { segment, block_offset, block_len, checksums, skip } => Source::Block {
                segment: *segment,
                block_offset: *block_offset,
                block_len: *block_len,
                checksums: checksums.clone(),
                skip: skip + from,
            },
        };
        Self { len, source }
    }

    /// Whether it hangs together: lengths within bounds, as many checksums as it takes and, where the bytes are at hand,
    /// the right ones.
    pub(super) fn is_sound(&self) -> bool {
        let in_bounds = self.len > 0 && self.len <= EXTENT_MAX_BYTES;
        in_bounds
            && match &self.source {
                Source::Inline { data, checksums } => data.len() == self.len as usize && checksums.match_bytes(data),
                Source::Block { block_offset, block_len, checksums, skip, .. } => {
                    checksums.suit(*block_len as usize)
                        && *block_len <= EXTENT_MAX_BYTES
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
    use super::super::PART_BYTES;
    use super::*;

    #[test]
    fn a_slice_keeps_the_block_and_its_checksum() {
        let block = Extent {
            len: 100,
            source: Source::Block {
                segment: SegmentId::from_bits(1),
                block_offset: 10,
                block_len: 110,
                checksums: Checksums::of(b"7"),
                skip: 10,
            },
        };
        assert!(block.is_sound());
        let part = block.slice(20, 30);
        assert!(part.is_sound());
        let Source::Block { block_len: 110, checksums, skip: 30, .. } = part.source else { panic!("{part:?}") };
        assert_eq!((part.len, checksums), (30, Checksums::of(b"7")));
        let inline = Extent::inline(Bytes::from_static(b"hello world")).slice(6, 5);
        assert!(inline.is_sound());
        assert!(matches!(inline.source, Source::Inline { data, .. } if data == "world"));
    }

    #[test]
    fn unsound_extents_are_seen() {
        let block = |len, block_offset, block_len, skip| Extent {
            len,
            source: Source::Block { segment: SegmentId::from_bits(1), block_offset, block_len, checksums: Checksums::of(&[]), skip },
        };
        for bad in [
            block(0, 0, 10, 0),
            block(11, 0, 10, 0),
            block(10, 0, 10, 1),
            block(1, u32::MAX, 10, 0),
            block(10, 0, 10, u32::MAX),
            block(EXTENT_MAX_BYTES + 1, 0, EXTENT_MAX_BYTES + 1, 0),
            block(PART_BYTES + 1, 0, PART_BYTES + 1, 0),
            Extent { len: 3, source: Source::Inline { data: Bytes::from_static(b"abc"), checksums: Checksums::of(b"abd") } },
            Extent { len: 4, source: Source::Inline { data: Bytes::from_static(b"abc"), checksums: Checksums::of(b"abc") } },
        ] {
            assert!(!bad.is_sound(), "{bad:?}");
        }
    }
}
