use std::ops::Range;

use artifacts_core::SegmentId;
use bytes::Bytes;
use tokio::sync::OnceCell;

use super::BlockId;

/// How much is fetched with one request ahead of its reader, in bytes.
const RUN_MAX_BYTES: u32 = 4 << 20;

/// Blocks that lie one behind the other in a segment, fetched with one request.
#[derive(Debug)]
pub(super) struct Run {
    blocks: Vec<BlockId>,
    fetched: OnceCell<Vec<Bytes>>,
}

impl Run {
    /// As few runs as these blocks can be had by, in their order.
    pub(super) fn gather(blocks: impl IntoIterator<Item = BlockId>) -> Vec<Self> {
        let mut runs: Vec<Self> = Vec::new();
        for block in blocks {
            match runs.last_mut().filter(|run| run.goes_on_with(&block)) {
                Some(run) => run.blocks.push(block),
                None => runs.push(Self { blocks: vec![block], fetched: OnceCell::new() }),
            }
        }
        runs
    }

    fn goes_on_with(&self, block: &BlockId) -> bool {
        let Range { start, end } = self.range();
        self.segment() == Some(block.segment) && end == block.offset && block.len <= RUN_MAX_BYTES - (end - start).min(RUN_MAX_BYTES)
    }

    /// Its blocks.
    pub(super) fn blocks(&self) -> &[BlockId] {
        &self.blocks
    }

    fn segment(&self) -> Option<SegmentId> {
        self.blocks.first().map(|block| block.segment)
    }

    fn range(&self) -> Range<u32> {
        let start = self.blocks.first().map_or(0, |block| block.offset);
        start..self.blocks.last().map_or(start, |block| block.offset + block.len)
    }

    /// The bytes of one of its blocks, unchecked: whoever is first fetches the whole run by `get`, which is given where it
    /// begins and how long each block is. `None` if they do not come; the next who asks tries again.
    pub(super) async fn bytes_of<E>(
        &self,
        block: &BlockId,
        get: impl AsyncFnOnce(u32, Vec<u32>) -> Result<Vec<Bytes>, E>,
    ) -> Option<Bytes> {
        let index = self.blocks.iter().position(|known| known == block)?;
        let lens = self.blocks.iter().map(|block| block.len).collect();
        let fetched = self.fetched.get_or_try_init(|| get(self.range().start, lens)).await.ok()?;
        fetched.get(index).cloned()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn id(segment: u128, offset: u32, len: u32) -> BlockId {
        BlockId::unchecked(segment, offset, len)
    }

    #[test]
    fn neighbours_form_runs_up_to_a_bound() {
        const MIB: u32 = 1 << 20;
        let blocks = (0..9).map(|at| id(1, at * MIB, MIB)).chain([id(1, 10 * MIB, 5), id(2, 10 * MIB + 5, 5), id(2, 10 * MIB + 10, 5)]);
        let runs = Run::gather(blocks);
        assert_eq!(runs.iter().map(|run| run.blocks().len()).collect::<Vec<_>>(), [4, 4, 1, 1, 2]);
        assert_eq!(runs[1].range(), 4 * MIB..8 * MIB);
        assert!(Run::gather([]).is_empty());
    }

    #[tokio::test]
    async fn one_request_serves_all_and_a_failure_none() {
        let run = &Run::gather([id(1, 10, 2), id(1, 12, 3)])[0];
        let fails = async |_, _| Err::<Vec<Bytes>, _>(());
        assert_eq!(run.bytes_of(&id(1, 10, 2), fails).await, None);
        let mut asked = Vec::new();
        let gets = async |start, lens: Vec<u32>| {
            asked.push((start, lens));
            Ok::<_, ()>(vec![Bytes::from_static(b"ab"), Bytes::from_static(b"cde")])
        };
        assert_eq!(run.bytes_of(&id(1, 12, 3), gets).await.unwrap(), "cde");
        assert_eq!(run.bytes_of(&id(1, 10, 2), fails).await.unwrap(), "ab");
        assert_eq!(run.bytes_of(&id(1, 15, 2), fails).await, None);
        assert_eq!(asked, [(10, vec![2, 3])]);
    }
}
