use artifacts_core::namespace::{Errno, Piece, Source};
use bytes::Bytes;

use super::BlockId;

/// How a read is put together: zeros where no copy writes.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    len: usize,
    copies: Vec<Copy>,
}

#[derive(Debug)]
struct Copy {
    at: usize,
    len: usize,
    skip: usize,
    from: From,
}

#[derive(Debug)]
enum From {
    Inline(Bytes),
    Block(BlockId),
}

impl Plan {
    /// For the bytes of a file from `offset` on that are left before its end, at most `len`.
    pub(crate) fn new(offset: u64, len: u64, file_size: u64) -> Self {
        Self { len: len.min(file_size.saturating_sub(offset)) as usize, copies: Vec::new() }
    }

    /// Takes in what the node says about the range that begins at `offset`.
    ///
    /// # Errors
    /// EIO when what it says makes no sense or its bytes do not match their checksum.
    pub(crate) fn add(&mut self, offset: u64, pieces: Vec<Piece>) -> Result<(), Errno> {
        let range_end = offset.saturating_add(self.len as u64);
        for piece in pieces {
            let piece_end = piece.offset.checked_add(u64::from(piece.extent.len)).ok_or(Errno::EIO)?;
            let (start, end) = (piece.offset.max(offset), piece_end.min(range_end));
            if start >= end {
                continue;
            }
            let into_piece = (start - piece.offset) as usize;
            let (skip, from) = match piece.extent.source {
                Source::Inline { data, crc32c } => {
                    if data.len() != piece.extent.len as usize || crc32c::crc32c(&data) != crc32c {
                        tracing::error!(offset = piece.offset, "inline data does not match its checksum");
                        return Err(Errno::EIO);
                    }
                    (into_piece, From::Inline(data))
                }
                Source::Block { segment, block_offset, block_len, crc32c, skip } => {
                    let id = BlockId { segment, offset: block_offset, len: block_len, crc32c };
                    if !id.is_sound() || skip.checked_add(piece.extent.len).is_none_or(|end| end > block_len) {
                        tracing::error!(offset = piece.offset, %segment, "an extent does not lie in its block");
                        return Err(Errno::EIO);
                    }
                    (skip as usize + into_piece, From::Block(id))
                }
            };
            self.copies.push(Copy { at: (start - offset) as usize, len: (end - start) as usize, skip, from });
        }
        Ok(())
    }

    /// The blocks it takes, each once.
    pub(crate) fn blocks(&self) -> Vec<BlockId> {
        let mut blocks = Vec::new();
        for copy in &self.copies {
            if let From::Block(id) = copy.from
                && !blocks.contains(&id)
            {
                blocks.push(id);
            }
        }
        blocks
    }

    /// The bytes, given the blocks of [`Plan::blocks`], checked and in that order.
    ///
    /// # Errors
    /// EIO when a block is missing or too short, which a caller that keeps to the contract never sees.
    pub(crate) fn fill(&self, blocks: &[(BlockId, Bytes)]) -> Result<Bytes, Errno> {
        let source = |copy: &Copy| {
            let whole = match &copy.from {
                From::Inline(data) => data,
                From::Block(id) => &blocks.iter().find(|(known, _)| known == id).ok_or(Errno::EIO)?.1,
            };
            let end = copy.skip.checked_add(copy.len).filter(|&end| end <= whole.len()).ok_or(Errno::EIO)?;
            Ok(whole.slice(copy.skip..end))
        };
        if let [copy] = &self.copies[..]
            && copy.len == self.len
        {
            return source(copy);
        }
        let mut buffer = vec![0; self.len];
        for copy in &self.copies {
            buffer[copy.at..copy.at + copy.len].copy_from_slice(&source(copy)?);
        }
        Ok(Bytes::from(buffer))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use artifacts_core::SegmentId;
    use artifacts_core::namespace::Extent;

    fn inline(offset: u64, data: &'static [u8]) -> Piece {
        Piece { offset, extent: Extent::inline(Bytes::from_static(data)) }
    }

    fn block(offset: u64, len: u32, block_len: u32, skip: u32) -> Piece {
        let source = Source::Block { segment: SegmentId::from_bits(7), block_offset: 100, block_len, crc32c: 1, skip };
        Piece { offset, extent: Extent { len, source } }
    }

    fn read(offset: u64, len: u64, size: u64, pieces: Vec<Piece>, blocks: &[&'static [u8]]) -> Result<Vec<u8>, Errno> {
        let mut plan = Plan::new(offset, len, size);
        plan.add(offset, pieces)?;
        let ids = plan.blocks();
        assert_eq!(ids.len(), blocks.len());
        let blocks: Vec<_> = ids.into_iter().zip(blocks.iter().map(|&bytes| Bytes::from_static(bytes))).collect();
        Ok(plan.fill(&blocks)?.to_vec())
    }

    #[test]
    fn holes_are_zeros_and_the_end_of_the_file_ends_the_read() {
        assert_eq!(read(0, 10, 4, vec![], &[]).unwrap(), [0; 4]);
        assert!(read(4, 10, 4, vec![], &[]).unwrap().is_empty());
        assert_eq!(read(0, 9, 100, vec![inline(2, b"ab"), inline(6, b"cdefgh")], &[]).unwrap(), b"\0\0ab\0\0cde");
    }

    #[test]
    fn pieces_that_begin_before_and_end_behind_the_range_are_cut() {
        assert_eq!(read(3, 4, 100, vec![inline(0, b"0123456789")], &[]).unwrap(), b"3456");
        assert_eq!(read(3, 4, 5, vec![inline(0, b"01234")], &[]).unwrap(), b"34");
        assert_eq!(read(11, 3, 100, vec![block(10, 4, 8, 2)], &[b"01234567"]).unwrap(), b"345");
    }

    #[test]
    fn one_block_may_serve_several_pieces() {
        let pieces = vec![block(0, 2, 8, 0), inline(2, b"--"), block(4, 2, 8, 4)];
        assert_eq!(read(0, 6, 100, pieces, &[b"01234567"]).unwrap(), b"01--45");
    }

    #[test]
    fn what_makes_no_sense_is_an_error_and_never_a_panic() {
        let mut wrong_sum = inline(0, b"abcd");
        if let Source::Inline { crc32c, .. } = &mut wrong_sum.extent.source {
            *crc32c ^= 1;
        }
        let mut wrong_len = inline(0, b"abcd");
        wrong_len.extent.len = 9;
        for piece in [wrong_sum, wrong_len, block(0, 9, 8, 0), block(0, 4, 8, 5), block(0, 4, 2 << 20, 0), block(0, 4, 8, u32::MAX)] {
            assert_eq!(read(0, 8, 100, vec![piece], &[]), Err(Errno::EIO));
        }
        assert_eq!(read(0, 8, 100, vec![inline(u64::MAX, b"abcd")], &[]), Err(Errno::EIO));
        assert_eq!(read(0, 6, 100, vec![block(0, 4, 8, 0)], &[b"012"]), Err(Errno::EIO), "a block shorter than promised");
    }
}
