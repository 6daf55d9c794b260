use bytes::Bytes;

use super::table::Table;
use crate::namespace::{Extent, FileKind, Ino, Inode, Source};

/// What an inode costs here besides its rows, in bytes; and what a row costs besides its data.
const INODE_BYTES: usize = 640;
const ROW_BYTES: usize = 128;

/// What is known of one inode and what belongs to it.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// `None`: not known; `Some(None)`: it does not exist.
    pub(super) inode: Option<Option<Inode>>,
    pub(super) entries: Table<Bytes, (Ino, FileKind)>,
    pub(super) extents: Table<u64, Extent>,
    pub(super) xattrs: Table<Bytes, Bytes>,
    pub(super) parents: Table<u64, u32>,
    /// The last op that changed any of it.
    pub(super) changed_by: u64,
    /// When it was last used, by a count of uses.
    pub(super) used: u64,
    /// How often an entry was missing that could have been had with another.
    pub(super) misses: u32,
    /// Of a directory: how often the extents of a file in it were missing.
    pub(super) file_misses: u32,
    /// What data in it takes, in bytes.
    pub(super) data_bytes: usize,
}

impl Known {
    /// Nothing belongs to it but what is known.
    pub(super) fn know_all(&mut self) {
        self.entries.know(Bytes::new(), None);
        self.extents.know(0, None);
        self.xattrs.know(Bytes::new(), None);
        self.parents.know(0, None);
    }

    /// About how much memory it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let rows = self.entries.len() + self.extents.len() + self.xattrs.len() + self.parents.len();
        INODE_BYTES + rows * ROW_BYTES + self.data_bytes
    }

    pub(super) fn put_extent(&mut self, at: u64, extent: Option<Extent>) {
        if let Some(Some(before)) = self.extents.get(&at) {
            self.data_bytes = self.data_bytes.saturating_sub(inline_bytes(before));
        }
        self.data_bytes += extent.as_ref().map_or(0, inline_bytes);
        self.extents.put(at, extent);
    }

    pub(super) fn learn_extent(&mut self, at: u64, extent: Option<Extent>) {
        if self.extents.get(&at).is_none() {
            self.put_extent(at, extent);
        }
    }
}

pub(super) fn inline_bytes(extent: &Extent) -> usize {
    match &extent.source {
        Source::Inline { data, .. } => data.len(),
        Source::Block { .. } => 0,
    }
}
