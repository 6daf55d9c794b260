use std::ops::Range;

use bytes::Bytes;

use super::BlockId;

/// A block that a read takes, or a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// What is taken.
    pub(crate) id: BlockId,
    /// The block that it is a part of; `None` if it is a block.
    pub(crate) part_of: Option<BlockId>,
}

impl Wanted {
    /// All of a block.
    pub(crate) fn whole(id: BlockId) -> Self {
        Self { id, part_of: None }
    }

    /// The block.
    pub(crate) fn block(&self) -> BlockId {
        self.part_of.unwrap_or(self.id)
    }

    /// Where in its block it lies.
    pub(super) fn range(&self) -> Range<u32> {
        let begins = self.id.offset - self.block().offset;
        begins..begins + self.id.len
    }

    /// What is taken, out of its block.
    pub(super) fn cut(&self, block: &Bytes) -> Bytes {
        let Range { start, end } = self.range();
        block.slice(start as usize..end as usize)
    }
}
