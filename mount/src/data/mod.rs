//! The bytes of files: from the pieces that the node names to the buffer that the kernel wants, and from the
//! kernel's buffer to the extents of an op.
//!
//! Always true: bytes leave this module only after the CRC-32C over their whole block has been checked; a mismatch is
//! EIO and an error in the log, never wrong bytes. Nothing that the node says about lengths is believed before it is
//! checked. Blocks are immutable, so a cache of them needs no coherence.

mod block;
mod block_cache;
mod blocks;
mod exchange;
mod plan;
mod reach;
mod signed_urls;
mod uploader;

pub(crate) use block::BlockId;
pub(crate) use blocks::{BlockError, Blocks};
pub(crate) use plan::Plan;
pub(crate) use uploader::SegmentUploader;
