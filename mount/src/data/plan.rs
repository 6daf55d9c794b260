use artifacts_core::namespace::{Checksums, Errno, PART_BYTES, Piece, Source};
use bytes::Bytes;

use super::{BlockId, Wanted};

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
    Block(Wanted),
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
            match piece.extent.source {
                Source::Inline { data, checksums } => {
                    if data.len() != piece.extent.len as usize || !checksums.match_bytes(&data) {
                        tracing::error!(offset = piece.offset, "inline data does not match its checksum");
                        return Err(Errno::EIO);
                    }
                    self.copies.push(Copy {
                        at: (start - offset) as usize,
                        len: (end - start) as usize,
                        skip: into_piece,
                        from: From::Inline(data),
                    });
                }
                Source::Block { segment, block_offset, block_len, checksums, skip } => {
                    let id = BlockId::new(segment, block_offset, block_len, &checksums);
                    let is_sound = id.is_sound() && checksums.suit(block_len as usize);
                    if !is_sound || skip.checked_add(piece.extent.len).is_none_or(|end| end > block_len) {
                        tracing::error!(offset = piece.offset, %segment, "an extent does not lie in its block");
                        return Err(Errno::EIO);
                    }
                    self.take((start - offset) as usize, (end - start) as usize, skip as usize + into_piece, id, &checksums)?;
                }
            }
        }
        Ok(())
    }

    /// So much of a block, from `skip` on. A short read in the middle of a long block takes the parts it needs. One at its
    /// beginning takes all of it: that is how somebody begins who reads it from end to end.
    fn take(&mut self, mut at: usize, mut len: usize, mut skip: usize, block: BlockId, checksums: &Checksums) -> Result<(), Errno> {
        if len <= PART_BYTES as usize && skip >= PART_BYTES as usize {
            while len > 0 {
                let (id, begins) = block.part_at(skip as u32, checksums).ok_or(Errno::EIO)?;
                let into_part = skip - begins as usize;
                let now = len.min(id.len as usize - into_part);
                let from = From::Block(Wanted { id, part_of: Some(block) });
                self.copies.push(Copy { at, len: now, skip: into_part, from });
                (at, len, skip) = (at + now, len - now, skip + now);
            }
        } else {
            self.copies.push(Copy { at, len, skip, from: From::Block(Wanted::whole(block)) });
        }
        Ok(())
    }

    /// What it takes of blocks, each once.
    pub(crate) fn blocks(&self) -> Vec<Wanted> {
        let mut blocks = Vec::new();
        for copy in &self.copies {
            if let From::Block(wanted) = copy.from
                && !blocks.contains(&wanted)
            {
                blocks.push(wanted);
            }
        }
        blocks
    }

    /// The bytes, given what [`Plan::blocks`] names, checked.
    ///
    /// # Errors
    /// EIO when a block is missing or too short, which a caller that keeps to the contract never sees.
    pub(crate) fn fill(&self, blocks: &[(Wanted, Bytes)]) -> Result<Bytes, Errno> {
        let source = |copy: &Copy| {
            let whole = match &copy.from {
                From::Inline(data) => data,
                From::Block(wanted) => &blocks.iter().find(|(known, _)| known == wanted).ok_or(Errno::EIO)?.1,
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
        let source = Source::Block {
            segment: SegmentId::from_bits(7),
            block_offset: 100,
            block_len,
            checksums: Checksums::of(&vec![0; block_len as usize]),
            skip,
        };
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
    fn a_short_read_in_a_long_block_takes_parts_of_it() {
        let plan = |skip, len| {
            let mut plan = Plan::new(0, len, 10 << 20);
            plan.add(0, vec![block(0, len as u32, 1_000_000, skip)]).unwrap();
            plan.blocks().iter().map(|wanted| (wanted.id.offset, wanted.id.len, wanted.part_of.is_some())).collect::<Vec<_>>()
        };
        let part = |index: u32| (100 + index * PART_BYTES, PART_BYTES, true);
        assert_eq!(plan(3 * PART_BYTES + 5, 4096), [part(3)]);
        assert_eq!(plan(4 * PART_BYTES - 10, 20), [part(3), part(4)]);
        assert_eq!(plan(999_990, 10), [(100 + 15 * PART_BYTES, 1_000_000 - 15 * PART_BYTES, true)]);
        assert_eq!(plan(5, 4096), [(100, 1_000_000, false)], "at the beginning");
        assert_eq!(plan(3 * PART_BYTES, 1 + u64::from(PART_BYTES)), [(100, 1_000_000, false)], "long");
    }

    #[test]
    fn parts_give_the_bytes_that_their_block_gives() {
        let bytes = Bytes::from_iter((0..1_000_000u32).map(|at| (at / 3) as u8));
        let whole = Extent {
            len: 1_000_000,
            source: Source::Block {
                segment: SegmentId::from_bits(7),
                block_offset: 0,
                block_len: 1_000_000,
                checksums: Checksums::of(&bytes),
                skip: 0,
            },
        };
        for (offset, len) in [(70_000, 10), (131_000, 500), (131_071, 2), (999_000, 5_000), (0, 10), (65_536, 65_536), (100_000, 65_536)] {
            let mut plan = Plan::new(offset, len, 1_000_000);
            plan.add(offset, vec![Piece { offset: 0, extent: whole.clone() }]).unwrap();
            let blocks: Vec<_> = plan.blocks().into_iter().map(|wanted| (wanted, wanted.cut(&bytes))).collect();
            assert!(blocks.iter().all(|(wanted, bytes)| wanted.id.matches(bytes)));
            assert_eq!(plan.fill(&blocks).unwrap(), bytes.slice(offset as usize..bytes.len().min((offset + len) as usize)));
        }
    }

    #[test]
    fn one_block_may_serve_several_pieces() {
        let pieces = vec![block(0, 2, 8, 0), inline(2, b"--"), block(4, 2, 8, 4)];
        assert_eq!(read(0, 6, 100, pieces, &[b"01234567"]).unwrap(), b"01--45");
    }

    #[test]
    fn what_makes_no_sense_is_an_error_and_never_a_panic() {
        let mut wrong_sum = inline(0, b"abcd");
        if let Source::Inline { checksums, .. } = &mut wrong_sum.extent.source {
            *checksums = Checksums::of(b"abce");
        }
        let mut few_sums = block(0, 4, 70_000, 0);
        if let Source::Block { checksums, .. } = &mut few_sums.extent.source {
            *checksums = Checksums::of(b"abcd");
        }
        let mut wrong_len = inline(0, b"abcd");
        wrong_len.extent.len = 9;
        for piece in
            [wrong_sum, wrong_len, few_sums, block(0, 9, 8, 0), block(0, 4, 8, 5), block(0, 4, 2 << 20, 0), block(0, 4, 8, u32::MAX)]
        {
            assert_eq!(read(0, 8, 100, vec![piece], &[]), Err(Errno::EIO));
        }
        assert_eq!(read(0, 8, 100, vec![inline(u64::MAX, b"abcd")], &[]), Err(Errno::EIO));
        assert_eq!(read(0, 6, 100, vec![block(0, 4, 8, 0)], &[b"012"]), Err(Errno::EIO), "a block shorter than promised");
    }
}
