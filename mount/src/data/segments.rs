use std::fmt::Debug;

use artifacts_core::SegmentId;
use artifacts_core::namespace::Errno;
use bytes::Bytes;
use futures_util::future::BoxFuture;

/// Why a block cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockError {
    /// Its segment is gone: the file has been overwritten since the pieces were named.
    Gone,
    /// The read fails.
    Failed(Errno),
}

/// How hard to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// A program waits: until it succeeds, is refused, or may wait no longer.
    Persistent,
    /// Nobody waits, or there is another way: one attempt.
    Once,
}

/// Where segments are kept, as the mount sees it.
pub(crate) trait Segments: Debug + Send + Sync + 'static {
    /// Stretches of a segment that follow each other, by the place of the first and the length of each; every one in a
    /// buffer of its own. Fewer bytes than asked for when the segment ends before; they are not checked.
    fn get(&self, segment: SegmentId, start: u32, lens: Vec<u32>, effort: Effort) -> BoxFuture<'_, Result<Vec<Bytes>, BlockError>>;

    /// Stores a segment, durably.
    fn put(&self, segment: SegmentId, data: Bytes) -> BoxFuture<'_, Result<(), Errno>>;

    /// Access has ended: forgets by what right segments were reached.
    fn forget(&self);
}
