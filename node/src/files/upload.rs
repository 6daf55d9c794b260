use std::time::Duration;

use artifacts_core::namespace::{Checksums, EXTENT_MAX_BYTES, Extent, Source};
use artifacts_core::protocol::INLINE_MAX_BYTES;
use artifacts_core::{SegmentId, WorkspaceId};
use bytes::{Bytes, BytesMut};
use tokio::task::JoinHandle;

use super::FileError;
use crate::blob::BlobError;
use crate::context::SharedContext;
use crate::stream::SEGMENT_MAX_BYTES;
use crate::workspace::segment_key;

/// The longest file that can be put, in bytes: where its bytes lie is kept in memory until its end, some 50 MB of that.
pub(crate) const LONGEST_BYTES: u64 = 256 << 30;
/// How often a segment is put before the transfer fails.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);

/// The bytes of a file on their way into segments: one is filled while the one before is put.
pub(super) struct Upload {
    context: SharedContext,
    workspace: WorkspaceId,
    filling: BytesMut,
    putting: Option<JoinHandle<Result<(), BlobError>>>,
    pub(super) extents: Vec<Extent>,
    pub(super) segments: Vec<(SegmentId, u64)>,
    len: u64,
}

impl Upload {
    pub(super) fn new(context: SharedContext, workspace: WorkspaceId) -> Self {
        let (extents, segments) = (Vec::new(), Vec::new());
        Self { context, workspace, filling: BytesMut::new(), putting: None, extents, segments, len: 0 }
    }

    /// Takes in the next bytes.
    pub(super) async fn take(&mut self, mut bytes: Bytes) -> Result<(), FileError> {
        self.len += bytes.len() as u64;
        if self.len > LONGEST_BYTES {
            return Err(FileError::TooLong);
        }
        while !bytes.is_empty() {
            let now = bytes.split_to(bytes.len().min(SEGMENT_MAX_BYTES - self.filling.len()));
            self.filling.extend_from_slice(&now);
            if self.filling.len() == SEGMENT_MAX_BYTES {
                self.put().await?;
            }
        }
        Ok(())
    }

    /// All bytes are there: on return they are durable, or in the extents themselves.
    pub(super) async fn finish(&mut self) -> Result<(), FileError> {
        if self.filling.len() <= INLINE_MAX_BYTES {
            let rest = std::mem::take(&mut self.filling).freeze();
            if !rest.is_empty() {
                self.extents.push(Extent::inline(rest));
            }
        } else {
            self.put().await?;
        }
        self.settle().await
    }

    /// Waits for the segment that is being put.
    async fn settle(&mut self) -> Result<(), FileError> {
        match self.putting.take() {
            Some(putting) => Ok(putting.await.map_err(|error| BlobError::unavailable(error.to_string()))??),
            None => Ok(()),
        }
    }

    async fn put(&mut self) -> Result<(), FileError> {
        self.settle().await?;
        let bytes = std::mem::take(&mut self.filling).freeze();
        let segment: SegmentId = self.context.entropy.id();
        for (at, block) in bytes.chunks(EXTENT_MAX_BYTES as usize).enumerate() {
            let source = Source::Block {
                segment,
                block_offset: at as u32 * EXTENT_MAX_BYTES,
                block_len: block.len() as u32,
                checksums: Checksums::of(block),
                skip: 0,
            };
            self.extents.push(Extent { len: block.len() as u32, source });
        }
        self.segments.push((segment, bytes.len() as u64));
        metrics::counter!("artifacts_segment_bytes_written_total").increment(bytes.len() as u64);
        let (context, key) = (self.context.clone(), segment_key(self.workspace, segment));
        self.putting = Some(tokio::spawn(async move {
            let key = key.map_err(|error| BlobError::unavailable(error.to_string()))?;
            let mut pause = tokio::time::interval(PAUSE);
            let mut attempts = 0;
            loop {
                pause.tick().await;
                attempts += 1;
                match context.blobs.put(&key, bytes.clone()).await {
                    Err(BlobError::Unavailable { .. } | BlobError::Io(_)) if attempts < ATTEMPTS => {}
                    outcome => return outcome,
                }
            }
        }));
        Ok(())
    }

    /// Nothing names these bytes, nor ever will: removes them. What cannot be removed is found by the next listing.
    pub(super) async fn discard(mut self) {
        let _ = self.settle().await;
        for (segment, _) in &self.segments {
            if let Ok(key) = segment_key(self.workspace, *segment) {
                let _ = self.context.blobs.delete(&key).await;
            }
        }
    }
}
