use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::BlockId;
use super::files::FileName;

/// More files than this are not kept, whatever room is left: each costs memory here.
const FILES_MAX: usize = 128 << 10;
/// So many files that begin before a block are looked at for one that it lies in.
const LOOK_BACK: usize = 8;

/// Which files there are, and which was used when, as far as this mount knows: others may share the directory. Decides
/// what has to go for the whole to stay within its bound.
#[derive(Debug)]
pub(super) struct DiskIndex {
    max_bytes: u64,
    max_files: usize,
    bytes: u64,
    clock: u64,
    files: HashMap<FileName, u64>,
    by_age: BTreeMap<u64, FileName>,
    by_place: BTreeSet<BlockId>,
}

impl DiskIndex {
    /// An empty index of a cache of this size.
    pub(super) fn new(max_bytes: u64) -> Self {
        Self {
            max_bytes,
            max_files: FILES_MAX,
            bytes: 0,
            clock: 0,
            files: HashMap::new(),
            by_age: BTreeMap::new(),
            by_place: BTreeSet::new(),
        }
    }

    /// Starts over with these files, the least recently used first.
    pub(super) fn replace(&mut self, files: Vec<FileName>) {
        (self.bytes, self.files, self.by_age, self.by_place) = (0, HashMap::new(), BTreeMap::new(), BTreeSet::new());
        files.into_iter().for_each(|file| self.used(file));
    }

    /// A file was written or read.
    pub(super) fn used(&mut self, file: FileName) {
        self.clock += 1;
        match self.files.insert(file.clone(), self.clock) {
            Some(before) => drop(self.by_age.remove(&before)),
            None => self.bytes += file.bytes(),
        }
        self.by_place.insert(file.id);
        self.by_age.insert(self.clock, file);
    }

    /// A file is gone.
    pub(super) fn removed(&mut self, file: &FileName) {
        if let Some(used) = self.files.remove(file) {
            self.by_age.remove(&used);
            self.by_place.remove(&file.id);
            self.bytes -= file.bytes();
        }
    }

    /// What a file holds in which a block lies, if one is known.
    pub(super) fn file_with(&self, block: &BlockId) -> Option<BlockId> {
        let last = BlockId { len: u32::MAX, digest: u32::MAX, ..*block };
        self.by_place.range(..=last).rev().take(LOOK_BACK).find(|file| file.covers(block)).copied()
    }

    /// The files that must go before another of this size may come; they count as gone.
    pub(super) fn make_room(&mut self, bytes: u64) -> Vec<FileName> {
        let mut going = Vec::new();
        while self.bytes + bytes > self.max_bytes || self.files.len() >= self.max_files {
            let Some((_, oldest)) = self.by_age.pop_first() else { break };
            self.files.remove(&oldest);
            self.by_place.remove(&oldest.id);
            self.bytes -= oldest.bytes();
            going.push(oldest);
        }
        going
    }

    /// Whether it could ever come.
    pub(super) fn could_hold(&self, file: &FileName) -> bool {
        file.bytes() <= self.max_bytes
    }

    /// Whether it is known to be there.
    pub(super) fn holds(&self, file: &FileName) -> bool {
        self.files.contains_key(file)
    }

    /// How much there is, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How much there may be, in bytes.
    pub(super) fn max_bytes(&self) -> u64 {
        self.max_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use artifacts_core::SegmentId;

    fn file(offset: u32) -> FileName {
        FileName { workspace: "acme/task".into(), id: BlockId { segment: SegmentId::from_bits(1), offset, len: 5000, digest: 0 } }
    }

    #[test]
    fn the_least_recently_used_goes_and_room_is_counted_in_pages() {
        let mut index = DiskIndex::new(3 * 8192);
        for at in [1, 2, 3] {
            assert!(index.make_room(8192).is_empty());
            index.used(file(at));
        }
        index.used(file(1));
        assert_eq!(index.bytes(), index.max_bytes());
        assert_eq!(index.make_room(8192), [file(2)]);
        assert!(!index.holds(&file(2)) && index.holds(&file(1)));
        index.removed(&file(3));
        index.removed(&file(3));
        assert_eq!(index.bytes(), 8192);
        assert_eq!(index.make_room(u64::MAX / 2), [file(1)]);
        assert_eq!(index.bytes(), 0);
        assert!(index.could_hold(&file(1)) && !DiskIndex::new(4096).could_hold(&file(1)));
    }

    #[test]
    fn a_block_is_found_in_a_stretch_around_it() {
        let (mut index, id) = (DiskIndex::new(1 << 20), BlockId::unchecked);
        for (segment, offset, len) in [(1, 0, 1000), (1, 100, 50), (1, 400, 5), (2, 0, 5000)] {
            index.used(FileName { workspace: "acme/task".into(), id: id(segment, offset, len) });
        }
        for (block, file) in [
            (id(1, 100, 50), Some(id(1, 100, 50))),
            (id(1, 120, 10), Some(id(1, 100, 50))),
            (id(1, 140, 20), Some(id(1, 0, 1000))),
            (id(1, 990, 10), Some(id(1, 0, 1000))),
            (id(1, 990, 11), None),
            (id(2, 990, 11), Some(id(2, 0, 5000))),
            (id(3, 0, 1), None),
        ] {
            assert_eq!(index.file_with(&block), file, "{block:?}");
        }
        index.removed(&FileName { workspace: "acme/task".into(), id: id(1, 0, 1000) });
        assert_eq!(index.file_with(&id(1, 140, 20)), None);
    }

    #[test]
    fn a_new_start_forgets_the_old_and_keeps_the_order() {
        let mut index = DiskIndex::new(1 << 20);
        index.used(file(1));
        index.replace(vec![file(2), file(3)]);
        assert!(!index.holds(&file(1)));
        assert_eq!(index.bytes(), 16384);
        assert_eq!(index.make_room((1 << 20) - 8192), [file(2)]);
    }

    #[test]
    fn files_are_bounded_in_number_too() {
        let mut index = DiskIndex::new(u64::MAX / 2);
        index.max_files = 2;
        index.used(file(1));
        index.used(file(2));
        assert_eq!(index.make_room(8192), [file(1)]);
    }
}
