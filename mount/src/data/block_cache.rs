use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use super::BlockId;

/// Blocks in memory, the least recently used leaving first. Holds at most its bound, and never a block alone that
/// exceeds it.
#[derive(Debug)]
pub(crate) struct BlockCache {
    max_bytes: usize,
    bytes: usize,
    clock: u64,
    blocks: HashMap<BlockId, (u64, Bytes)>,
    by_age: BTreeMap<u64, BlockId>,
}

impl BlockCache {
    /// An empty cache of this size.
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, bytes: 0, clock: 0, blocks: HashMap::new(), by_age: BTreeMap::new() }
    }

    /// The block, which counts as used now.
    pub(crate) fn get(&mut self, id: &BlockId) -> Option<Bytes> {
        let (used, bytes) = self.blocks.get_mut(id)?;
        self.by_age.remove(used);
        self.clock += 1;
        *used = self.clock;
        self.by_age.insert(self.clock, *id);
        Some(bytes.clone())
    }

    /// Keeps a block.
    pub(crate) fn put(&mut self, id: BlockId, bytes: Bytes) {
        if bytes.len() > self.max_bytes || self.get(&id).is_some() {
            return;
        }
        self.bytes += bytes.len();
        self.clock += 1;
        self.by_age.insert(self.clock, id);
        self.blocks.insert(id, (self.clock, bytes));
        while self.bytes > self.max_bytes
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            if let Some((_, bytes)) = self.blocks.remove(&oldest) {
                self.bytes -= bytes.len();
            }
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.max_bytes);
    }

    /// How much it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use artifacts_core::SegmentId;

    fn id(offset: u32) -> BlockId {
        BlockId { segment: SegmentId::from_bits(1), offset, len: 4, crc32c: 0 }
    }

    #[test]
    fn the_least_recently_used_leaves_first_and_the_bound_holds() {
        let mut cache = BlockCache::new(10);
        let block = Bytes::from_static(b"abcd");
        cache.put(id(1), block.clone());
        cache.put(id(2), block.clone());
        cache.put(id(2), block.clone());
        assert_eq!(cache.bytes(), 8);
        assert!(cache.get(&id(1)).is_some());
        cache.put(id(3), block.clone());
        assert_eq!(cache.bytes(), 8);
        assert!(cache.get(&id(2)).is_none(), "1 was used later");
        assert!(cache.get(&id(1)).is_some() && cache.get(&id(3)).is_some());
        cache.put(id(4), Bytes::from_static(b"more than ten bytes"));
        assert!(cache.get(&id(4)).is_none());
        cache.clear();
        assert_eq!(cache.bytes(), 0);
        assert!(cache.get(&id(1)).is_none());
    }
}
