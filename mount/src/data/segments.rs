use std::fmt::Debug;
use std::ops::Range;

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
    /// A part of a segment. Fewer bytes than asked for when the segment ends before; they are not checked.
    fn get(&self, segment: SegmentId, range: Range<u32>, effort: Effort) -> BoxFuture<'_, Result<Bytes, BlockError>>;

    /// Stores a segment, durably.
    fn put(&self, segment: SegmentId, data: Bytes) -> BoxFuture<'_, Result<(), Errno>>;

    /// Access has ended: forgets by what right segments were reached.
    fn forget(&self);
}
