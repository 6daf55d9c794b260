//! Fills one segment with stretches of files.

use artifacts_core::SegmentId;
use artifacts_core::namespace::{ChecksumsOf, Extent, Ino, Relocation, Source};
use bytes::{Bytes, BytesMut};

/// How much one segment holds at most, in bytes.
pub(super) const SEGMENT_MAX_BYTES: usize = 8 << 20;
/// Neighbours in a file become one block up to this size: fewer records and fewer reads, while a reader who
/// begins there, and so gets the whole block, does not fetch too much. In bytes.
const MERGED_MAX_BYTES: usize = 256 << 10;
/// How many extents become one at most, so that putting the block in their place is quickly done.
const MERGED_MAX: usize = 64;

/// A segment that is being filled.
#[derive(Debug, Default)]
pub(super) struct Packer {
    bytes: BytesMut,
    stretches: Vec<Stretch>,
}

/// Neighbours in a file that become one block.
#[derive(Debug)]
struct Stretch {
    ino: Ino,
    offset: u64,
    from: Vec<Extent>,
    begins: usize,
    len: usize,
    checksums: ChecksumsOf,
}

/// A segment to be put, and what lies in it from then on.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) segment: SegmentId,
    pub(super) bytes: Bytes,
    pub(super) relocations: Vec<Relocation>,
}

impl Packer {
    /// Whether so much more fits in.
    pub(super) fn has_room(&self, len: usize) -> bool {
        self.bytes.len() + len <= SEGMENT_MAX_BYTES
    }

    /// Takes in an extent, whose bytes have been checked, as it stands in the store.
    pub(super) fn add(&mut self, ino: Ino, offset: u64, mut extent: Extent, data: &[u8]) {
        if let Source::Inline { data, .. } = &mut extent.source {
            // They are in `bytes` from now on; one copy is enough.
            *data = Bytes::new();
        }
        let begins = self.bytes.len();
        self.bytes.extend_from_slice(data);
        let neighbour = self.stretches.last_mut().filter(|last| {
            last.ino == ino
                && last.offset + last.len as u64 == offset
                && last.len + data.len() <= MERGED_MAX_BYTES
                && last.from.len() < MERGED_MAX
        });
        match neighbour {
            Some(last) => {
                last.from.push(extent);
                last.len += data.len();
                last.checksums.append(data);
            }
            None => {
                let mut checksums = ChecksumsOf::default();
                checksums.append(data);
                self.stretches.push(Stretch { ino, offset, from: vec![extent], begins, len: data.len(), checksums });
            }
        }
    }

    /// The segment, under this id; nothing when nothing was taken in. The packer is empty again.
    pub(super) fn finish(&mut self, segment: SegmentId) -> Option<Packed> {
        let bytes = std::mem::take(&mut self.bytes).freeze();
        let stretches = std::mem::take(&mut self.stretches);
        if stretches.is_empty() {
            return None;
        }
        let relocations = stretches.into_iter().map(|stretch| stretch.relocation(segment, &bytes)).collect();
        Some(Packed { segment, bytes, relocations })
    }
}

impl Stretch {
    fn relocation(self, segment: SegmentId, bytes: &Bytes) -> Relocation {
        let Self { ino, offset, mut from, begins, len, checksums } = self;
        let mut at = begins;
        for extent in &mut from {
            let end = at + extent.len as usize;
            if let Source::Inline { data, .. } = &mut extent.source {
                *data = bytes.slice(at..end);
            }
            at = end;
        }
        let (block_offset, len) = (begins as u32, len as u32);
        Relocation {
            ino,
            offset,
            from,
            to: Extent { len, source: Source::Block { segment, block_offset, block_len: len, checksums: checksums.finish(), skip: 0 } },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inline(text: &'static str) -> Extent {
        Extent::inline(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn neighbours_become_one_block_and_others_stay_apart() {
        let mut packer = Packer::default();
        for (ino, offset, text) in [(1, 0, "ab"), (1, 2, "cd"), (1, 5, "ef"), (2, 7, "gh")] {
            packer.add(Ino(ino), offset, inline(text), text.as_bytes());
        }
        let packed = packer.finish(SegmentId::from_bits(9)).unwrap();
        assert_eq!(packed.bytes, "abcdefgh");
        let places: Vec<_> = packed.relocations.iter().map(|at| (at.ino.0, at.offset, at.from.len(), at.to.len)).collect();
        assert_eq!(places, [(1, 0, 2, 4), (1, 5, 1, 2), (2, 7, 1, 2)]);
        assert_eq!(packed.relocations[0].from, [inline("ab"), inline("cd")], "as they stand in the store");
        assert!(packer.finish(SegmentId::from_bits(10)).is_none());
    }

    #[test]
    fn blocks_and_segments_have_their_limits() {
        let mut packer = Packer::default();
        let data = vec![7; 64 << 10];
        let mut offset = 0;
        while packer.has_room(data.len()) {
            packer.add(Ino(1), offset, Extent::inline(Bytes::from(data.clone())), &data);
            offset += data.len() as u64;
        }
        let packed = packer.finish(SegmentId::from_bits(9)).unwrap();
        assert_eq!(packed.bytes.len(), SEGMENT_MAX_BYTES);
        assert!(packed.relocations.iter().all(|at| at.to.len as usize == MERGED_MAX_BYTES));
        let mut packer = Packer::default();
        for at in 0..65 {
            packer.add(Ino(1), at, inline("x"), b"x");
        }
        let packed = packer.finish(SegmentId::from_bits(9)).unwrap();
        assert_eq!(packed.relocations.iter().map(|at| at.from.len()).collect::<Vec<_>>(), [64, 1]);
    }
}
