//! The bytes of files: from the pieces that the node names to the buffer that the kernel wants, and from the
//! kernel's buffer to the extents of an op.
//!
//! Always true: bytes leave this module only after the CRC-32C over the whole part of their block has been checked,
//! wherever they came from; a mismatch is EIO and an error in the log, never wrong bytes. Nothing that the node says about lengths
//! is believed before it is checked. Blocks are immutable, so caches of them need no coherence: memory in front
//! ([`block_cache`]), then a directory on disk if there is one ([`disk`]), then the segments themselves
//! ([`segments`]). No cache is ever the reason that a read fails or waits for long, and none grows beyond its bound.

mod block;
mod block_cache;
mod blocks;
mod counters;
mod disk;
mod exchange;
mod flights;
mod neighbours;
mod plan;
mod reach;
mod read_ahead;
mod read_range;
mod run;
mod segments;
mod signed_urls;
mod uploader;
mod wanted;

pub(crate) use block::BlockId;
pub(crate) use blocks::Blocks;
pub(crate) use disk::DiskCache;
pub(crate) use exchange::Exchange;
pub(crate) use plan::Plan;
pub(crate) use read_ahead::{Ahead, ReadAhead};
pub(crate) use read_range::ReadRange;
pub(crate) use segments::BlockError;
pub(crate) use uploader::SegmentUploader;
pub(crate) use wanted::Wanted;
