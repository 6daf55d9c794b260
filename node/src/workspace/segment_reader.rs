//! Reads blocks of segments and checks them.

use std::collections::{BTreeMap, VecDeque};

use artifacts_core::SegmentId;
use artifacts_core::namespace::{Extent, Source};
use bytes::Bytes;

use super::keys::WorkspaceKeys;
use super::packer::SEGMENT_MAX_BYTES;
use crate::blob::BlobError;
use crate::context::{Context, SharedContext};
use crate::store::StoreError;

/// How many whole segments are kept: those of the files that are read at the moment.
const KEPT: usize = 3;
/// Blocks up to this size are read with all of their segment, in bytes: of small ones the next is wanted soon.
const SMALL_BYTES: u32 = 64 << 10;
/// How often a segment is fetched whole; from then on its blocks are read one by one.
const WHOLE_MAX: u32 = 2;

/// Why there are no bytes.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// The segment is not there, or is too short.
    Missing,
    /// The bytes do not match the checksum.
    Rotten,
    /// Nothing can be said at the moment.
    Failed(StoreError),
}

/// Reads in the order of keys, in which neighbours mostly lie in one segment.
pub(super) struct SegmentReader {
    keys: WorkspaceKeys,
    context: SharedContext,
    whole: VecDeque<(SegmentId, Bytes)>,
    fetched: BTreeMap<SegmentId, u32>,
}

impl SegmentReader {
    pub(super) fn new(keys: WorkspaceKeys, context: SharedContext) -> Self {
        Self { keys, context, whole: VecDeque::new(), fetched: BTreeMap::new() }
    }

    /// The bytes that an extent stands for, of a block that was checked as a whole.
    pub(super) async fn read(&mut self, extent: &Extent) -> Result<Bytes, Unreadable> {
        match &extent.source {
            Source::Inline { data, checksums } => {
                if checksums.match_bytes(data) {
                    Ok(data.clone())
                } else {
                    Err(Unreadable::Rotten)
                }
            }
            Source::Block { segment, block_offset, block_len, checksums, skip } => {
                let range = u64::from(*block_offset)..u64::from(*block_offset) + u64::from(*block_len);
                let block = self.block(*segment, range, *block_len <= SMALL_BYTES).await?;
                if !checksums.match_bytes(&block) {
                    return Err(Unreadable::Rotten);
                }
                let end = (*skip as usize).saturating_add(extent.len as usize);
                if end > block.len() {
                    return Err(Unreadable::Missing);
                }
                Ok(block.slice(*skip as usize..end))
            }
        }
    }

    async fn block(&mut self, segment: SegmentId, range: std::ops::Range<u64>, is_small: bool) -> Result<Bytes, Unreadable> {
        let within = |bytes: &Bytes| {
            let range = range.start as usize..range.end as usize;
            if range.end <= bytes.len() { Ok(bytes.slice(range)) } else { Err(Unreadable::Missing) }
        };
        if let Some((_, bytes)) = self.whole.iter().find(|(id, _)| *id == segment) {
            return within(bytes);
        }
        let Context { homes, store, blobs, .. } = &*self.context;
        let key = homes.key(&**store, self.keys.0, segment).await.map_err(Unreadable::Failed)?;
        let fetched = self.fetched.entry(segment).or_default();
        if is_small && *fetched < WHOLE_MAX {
            *fetched += 1;
            let len = blobs.len(&key).await.map_err(unreadable)?.ok_or(Unreadable::Missing)?;
            if len <= SEGMENT_MAX_BYTES as u64 {
                let bytes = blobs.get(&key, 0..len).await.map_err(unreadable)?;
                let block = within(&bytes);
                self.whole.truncate(KEPT - 1);
                self.whole.push_front((segment, bytes));
                return block;
            }
        }
        blobs.get(&key, range).await.map_err(unreadable)
    }
}

fn unreadable(error: BlobError) -> Unreadable {
    match error {
        BlobError::NotFound { .. } | BlobError::OutOfRange { .. } => Unreadable::Missing,
        error => Unreadable::Failed(StoreError::Unavailable { reason: error.to_string() }),
    }
}
