use artifacts_core::SegmentId;
use artifacts_core::namespace::{EXTENT_MAX_BYTES, Extent, Source};
use bytes::Bytes;

use super::BlockId;

/// The extents of a large write whose bytes are one segment, and the blocks in it.
pub(super) fn cut(segment: SegmentId, data: &Bytes) -> Vec<(Extent, BlockId, Bytes)> {
    let cut_at = |at: usize| {
        let bytes = data.slice(at..data.len().min(at + EXTENT_MAX_BYTES as usize));
        let id = BlockId { segment, offset: at as u32, len: bytes.len() as u32, crc32c: crc32c::crc32c(&bytes) };
        let source = Source::Block { segment, block_offset: id.offset, block_len: id.len, crc32c: id.crc32c, skip: 0 };
        (Extent { len: id.len, source }, id, bytes)
    };
    (0..data.len()).step_by(EXTENT_MAX_BYTES as usize).map(cut_at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_block_is_longer_than_an_extent_may_be() {
        let data = Bytes::from(vec![9; (2 << 20) + 5]);
        let blocks = cut(SegmentId::from_bits(1), &data);
        let lens: Vec<_> = blocks.iter().map(|(extent, id, bytes)| (extent.len, id.offset, bytes.len())).collect();
        assert_eq!(lens, [(1 << 20, 0, 1 << 20), (1 << 20, 1 << 20, 1 << 20), (5, 2 << 20, 5)]);
    }
}
