use std::fmt::Debug;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::super::BlockId;

/// A file of the cache, of whichever workspace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct FileName {
    /// `handle/name`.
    pub(super) workspace: Arc<str>,
    /// What it holds: a block, or a stretch of a segment.
    pub(super) id: BlockId,
}

impl FileName {
    /// The room it takes on a disk that gives out room in pages, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        u64::from(self.id.len).next_multiple_of(4096)
    }
}

/// The files of a cache. Calls may block for as long as the disk likes.
pub(super) trait CacheFiles: Debug + Send + Sync + 'static {
    /// Makes the cache usable, and lists the files of all workspaces, the least recently used first.
    fn open(&self) -> io::Result<Vec<FileName>>;

    /// The workspace whose blocks are read and written.
    fn workspace(&self) -> &Arc<str>;

    /// A part of what a file holds, unchecked; nothing if the file is not as long as its name says, `None` if there is none.
    /// It counts as used.
    fn read(&self, id: &BlockId, range: Range<u32>) -> io::Result<Option<Bytes>>;

    /// Makes a file.
    fn write(&self, id: &BlockId, data: &[Bytes]) -> io::Result<()>;

    /// Removes a file, which may be gone already.
    fn remove(&self, file: &FileName) -> io::Result<()>;

    /// Removes all files of this workspace.
    fn remove_all(&self) -> io::Result<()>;
}
