use std::ops::Range;
use std::sync::Arc;

use artifacts_core::WorkspaceId;
use artifacts_core::namespace::{Attr, Extent, Source};
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use ractor::ActorRef;

use super::FileError;
use super::chunk::{Chunk, chunks};
use crate::blob::{BlobError, whole};
use crate::context::SharedContext;
use crate::sessions::ask;
use crate::workspace::{Version, Visit, Visited, WorkspaceMessage};

/// So much of a file is looked up at a time, in bytes.
const PLANNED_BYTES: u64 = 32 << 20;
/// So many blocks are fetched at once.
const FETCHED_AT_ONCE: usize = 4;

/// A file that is open to be sent. It stays what it is, also if it loses its name.
pub(crate) struct Download {
    context: SharedContext,
    workspace: WorkspaceId,
    host: ActorRef<WorkspaceMessage>,
    attr: Attr,
}

/// Whether a file still holds what it held. Its ctime says so, unless it has changed with a link: a file that is replaced loses
/// one, and goes on to be sent.
fn has_same_content(before: &Attr, now: &Attr) -> bool {
    Version::of(before) == Version::of(now) || (before.nlink != now.nlink && (before.mtime, before.size) == (now.mtime, now.size))
}

impl Drop for Download {
    fn drop(&mut self) {
        // One that has stopped has nothing open any more.
        let _ = self.host.cast(WorkspaceMessage::Leave(self.attr.ino));
    }
}

impl Download {
    pub(super) fn new(context: SharedContext, workspace: WorkspaceId, host: ActorRef<WorkspaceMessage>, attr: Attr) -> Self {
        Self { context, workspace, host, attr }
    }

    /// What is open.
    pub(crate) fn attr(&self) -> &Attr {
        &self.attr
    }

    /// Its bytes in this range, as they are fetched. Breaks off with an error if the file changes meanwhile.
    pub(crate) fn body(self, range: Range<u64>) -> Body {
        let file = Arc::new(self);
        let of_plan = file.clone();
        let plans = stream::try_unfold(range, move |rest| {
            let file = of_plan.clone();
            async move {
                if rest.is_empty() {
                    return Ok::<_, FileError>(None);
                }
                let planned = file.plan(rest.start..rest.end.min(rest.start + PLANNED_BYTES)).await?;
                let reached = planned.last().map_or(rest.end, |chunk| chunk.range.end);
                Ok(Some((stream::iter(planned.into_iter().map(Ok::<_, FileError>)), reached..rest.end)))
            }
        });
        let fetched = plans.try_flatten().map(move |chunk| {
            let file = file.clone();
            async move { file.bytes(chunk?).await }
        });
        let body = fetched.buffered(FETCHED_AT_ONCE).inspect_err(|error| tracing::info!(%error, "a file is not sent to its end"));
        Body::from_stream(body)
    }

    /// Where the bytes of this range are, or of a first part of it.
    async fn plan(&self, range: Range<u64>) -> Result<Vec<Chunk>, FileError> {
        let visit = Visit::Pieces { ino: self.attr.ino, offset: range.start, len: range.end - range.start };
        let visited = ask(&self.host, |reply| WorkspaceMessage::Visit(visit, reply)).await??;
        let Visited::Pieces { attr, pieces, more } = visited else { return Err(FileError::Changed) };
        if !has_same_content(&self.attr, &attr) {
            return Err(FileError::Changed);
        }
        let reached = pieces.last().map(|last| last.offset + u64::from(last.extent.len));
        let end = reached.filter(|_| more).map_or(range.end, |reached| reached.min(range.end));
        Ok(chunks(pieces, range.start..end))
    }

    async fn bytes(&self, chunk: Chunk) -> Result<Bytes, FileError> {
        match self.fetch(&chunk).await {
            // It lies elsewhere by now, and what was there has been deleted.
            Err(FileError::Blob(BlobError::NotFound { .. })) => {
                let mut bytes = BytesMut::with_capacity((chunk.range.end - chunk.range.start) as usize);
                for chunk in self.plan(chunk.range).await? {
                    bytes.extend(self.fetch(&chunk).await?);
                }
                Ok(bytes.freeze())
            }
            fetched => fetched,
        }
    }

    async fn fetch(&self, chunk: &Chunk) -> Result<Bytes, FileError> {
        let fetched = match (chunk.at_hand(), chunk.parts(), &chunk.source) {
            (Some(bytes), ..) => bytes,
            (None, Some(parts), Some((Extent { source: Source::Block { segment, block_offset, .. }, .. }, _))) => {
                let key = self.context.homes.key(&*self.context.store, self.workspace, *segment).await?;
                let range = u64::from(*block_offset) + u64::from(parts.start)..u64::from(*block_offset) + u64::from(parts.end);
                let read = whole(self.context.blobs.get(&key, range.clone()).await?, &range)?;
                chunk.within(&parts, &read)
            }
            _ => Err(FileError::Damaged),
        };
        if matches!(fetched, Err(FileError::Damaged)) {
            tracing::error!(workspace = %self.workspace, inode = self.attr.ino.0, offset = chunk.range.start, "data is damaged");
            metrics::counter!("artifacts_damaged_blocks_total").increment(1);
        }
        fetched
    }
}
