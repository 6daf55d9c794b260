use std::ops::Range;

use artifacts_core::namespace::{Extent, PART_BYTES, Piece, Source};
use bytes::Bytes;

use super::FileError;

/// The longest chunk, in bytes: that of a block.
const LONGEST: u64 = 1 << 20;
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// A run of a file that is sent as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Of the file, in bytes.
    pub(super) range: Range<u64>,
    /// Where its bytes are, and how far into them it begins; none in a hole.
    pub(super) source: Option<(Extent, u64)>,
}

/// A range of a file, cut where its bytes lie elsewhere. Pieces are in order and cover whatever of it is no hole.
pub(super) fn chunks(pieces: Vec<Piece>, range: Range<u64>) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut at = range.start;
    let hole = |chunks: &mut Vec<Chunk>, mut at: u64, end: u64| {
        while at < end {
            let next = end.min(at + ZEROS.len() as u64);
            chunks.push(Chunk { range: at..next, source: None });
            at = next;
        }
    };
    for Piece { offset, extent } in pieces {
        let (start, end) = (offset.max(at), (offset + u64::from(extent.len)).min(range.end));
        if start < end {
            hole(&mut chunks, at, start);
            debug_assert!(end - start <= LONGEST);
            chunks.push(Chunk { range: start..end, source: Some((extent, start - offset)) });
            at = end;
        }
    }
    hole(&mut chunks, at, range.end);
    chunks
}

impl Chunk {
    fn len(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// The bytes, if they are at hand.
    ///
    /// # Errors
    /// [`FileError::Damaged`].
    pub(super) fn at_hand(&self) -> Option<Result<Bytes, FileError>> {
        match &self.source {
            None => Some(Ok(Bytes::from_static(&ZEROS[..self.len() as usize]))),
            Some((Extent { source: Source::Inline { data, checksums }, .. }, skip)) => {
                let part = data.slice(*skip as usize..(*skip + self.len()) as usize);
                Some(if checksums.match_bytes(data) { Ok(part) } else { Err(FileError::Damaged) })
            }
            Some(_) => None,
        }
    }

    /// Which part of its block has to be read: whole parts, each of which has a checksum.
    pub(super) fn parts(&self) -> Option<Range<u32>> {
        let Some((Extent { source: Source::Block { block_len, skip: before, .. }, .. }, skip)) = &self.source else { return None };
        let start = u64::from(*before) + skip;
        let (first, last) = ((start as u32) / PART_BYTES * PART_BYTES, (start + self.len()) as u32);
        Some(first..last.div_ceil(PART_BYTES).saturating_mul(PART_BYTES).min(*block_len))
    }

    /// The bytes, out of the parts that were read.
    ///
    /// # Errors
    /// [`FileError::Damaged`].
    pub(super) fn within(&self, parts: &Range<u32>, read: &Bytes) -> Result<Bytes, FileError> {
        let Some((Extent { source: Source::Block { checksums, skip: before, .. }, .. }, skip)) = &self.source else {
            return Err(FileError::Damaged);
        };
        let first = (parts.start / PART_BYTES) as usize;
        let is_sound = read.len() == (parts.end - parts.start) as usize
            && read.chunks(PART_BYTES as usize).enumerate().all(|(at, part)| checksums.of_part(first + at) == Some(crc32c::crc32c(part)));
        if !is_sound {
            return Err(FileError::Damaged);
        }
        let start = (u64::from(*before) + skip - u64::from(parts.start)) as usize;
        Ok(read.slice(start..start + self.len() as usize))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use artifacts_core::SegmentId;
    use artifacts_core::namespace::Checksums;

    use super::*;

    const PART: usize = PART_BYTES as usize;

    fn block(bytes: &[u8], skip: usize, len: usize) -> Extent {
        let source = Source::Block {
            segment: SegmentId::from_bits(1),
            block_offset: 7,
            block_len: bytes.len() as u32,
            checksums: Checksums::of(bytes),
            skip: skip as u32,
        };
        Extent { len: len as u32, source }
    }

    #[test]
    fn every_range_of_a_file_with_holes_is_read_byte_by_byte() {
        let bytes: Vec<u8> = (0..3 * PART + 100).map(|at| (at % 251) as u8 + 1).collect();
        let whole = block(&bytes, 0, bytes.len());
        let (skip, len) = (PART + 5, PART + 10);
        let pieces = vec![
            Piece { offset: 10, extent: Extent::inline(Bytes::from_static(b"inline")) },
            Piece { offset: 100, extent: whole },
            Piece { offset: 300_000, extent: block(&bytes, skip, len) },
        ];
        let mut file = vec![0; 400_000];
        file[10..16].copy_from_slice(b"inline");
        file[100..100 + bytes.len()].copy_from_slice(&bytes);
        file[300_000..300_000 + len].copy_from_slice(&bytes[skip..skip + len]);
        for range in [0..400_000, 0..1, 12..14, 15..101, 100..100 + PART as u64, 70_000..200_000, 300_000..300_001, 365_000..399_999, 9..9]
        {
            let mut read = Vec::new();
            for chunk in chunks(pieces.clone(), range.clone()) {
                assert_eq!(chunk.range.start - range.start, read.len() as u64);
                read.extend(match chunk.at_hand() {
                    Some(bytes) => bytes.unwrap(),
                    None => {
                        let parts = chunk.parts().unwrap();
                        let of_block = Bytes::copy_from_slice(&bytes[parts.start as usize..parts.end as usize]);
                        chunk.within(&parts, &of_block).unwrap()
                    }
                });
            }
            assert!(read == file[range.start as usize..range.end as usize], "{range:?}");
        }
    }

    #[test]
    fn a_flipped_bit_is_seen_in_whatever_part_it_is() {
        let bytes = vec![3; 2 * PART];
        let chunk = Chunk { range: 5..70_000, source: Some((block(&bytes, 0, bytes.len()), 5)) };
        let parts = chunk.parts().unwrap();
        for at in [0, PART, 2 * PART - 1] {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(matches!(chunk.within(&parts, &flipped.into()), Err(FileError::Damaged)), "{at}");
        }
        assert!(matches!(chunk.within(&parts, &Bytes::from(vec![3; PART])), Err(FileError::Damaged)), "too short");
        assert!(chunk.within(&parts, &bytes.into()).is_ok());
    }
}
