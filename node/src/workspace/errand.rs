//! What errands have in common: they read the store, which has what is durable, and hand segments to the actor.

use std::collections::VecDeque;
use std::time::Duration;

use artifacts_core::SegmentId;
use artifacts_core::namespace::{Extent, Ino, Key, Record, Relocation};
use bytes::Bytes;
use ractor::ActorRef;

use super::keys::{WorkspaceKeys, segment_key};
use super::message::WorkspaceMessage;
use super::packer::{Packed, Packer};
use super::segment_reader::{SegmentReader, Unreadable};
use super::upkeep::UpkeepMessage;
use crate::blob::BlobError;
use crate::context::SharedContext;
use crate::store::{KeyRange, StoreError};

/// How many records one scan brings. Small, because an extent may carry 64 KiB and writes wait while a page is read.
const PAGE: usize = 64;
/// How often a put is tried before the errand gives up until later.
const PUT_ATTEMPTS: u32 = 5;
const PUT_PAUSE: Duration = Duration::from_millis(500);

/// What an errand works with.
pub(super) struct ErrandContext {
    pub(super) context: SharedContext,
    pub(super) keys: WorkspaceKeys,
    pub(super) actor: ActorRef<WorkspaceMessage>,
}

impl ErrandContext {
    pub(super) fn reader(&self) -> SegmentReader {
        SegmentReader::new(self.keys, self.context.clone())
    }

    pub(super) fn tell(&self, message: UpkeepMessage) {
        // One that has stopped needs nothing any more.
        let _ = self.actor.cast(WorkspaceMessage::Upkeep(message));
    }

    /// The extent that is stored at this place.
    pub(super) async fn extent(&self, ino: Ino, offset: u64) -> Result<Option<Extent>, StoreError> {
        let key = self.keys.namespace(&Key::Extent(ino, offset).encode());
        match self.context.store.get(&key).await?.map(|bytes| decode(&bytes)).transpose()? {
            Some(Record::Extent(extent)) => Ok(Some(extent)),
            _ => Ok(None),
        }
    }

    /// The next records of a part of the namespace, and what is left of it.
    pub(super) async fn page(&self, range: KeyRange) -> Result<(Vec<(Key, Record)>, Option<KeyRange>), StoreError> {
        let before = self.keys.all().len();
        let found = self.context.store.scan(range.clone(), PAGE).await?;
        let rest = found.last().filter(|_| found.len() == PAGE).map(|(last, _)| range.after(last));
        let mut records = Vec::with_capacity(found.len());
        for (key, value) in found {
            let key =
                Key::decode(&key[before..]).ok_or_else(|| StoreError::Corrupt { reason: format!("{key:?} is no key of a workspace") })?;
            records.push((key, decode(&value)?));
        }
        Ok((records, rest))
    }

    /// Reads the bytes of an extent and takes them in; puts the segment first if it is full. A block that cannot be read
    /// or does not match its checksum is left where it is: its segment is answered.
    pub(super) async fn take_in(
        &self,
        packer: &mut Packer,
        reader: &mut SegmentReader,
        ino: Ino,
        offset: u64,
        extent: Extent,
    ) -> Result<bool, StoreError> {
        let data: Bytes = match reader.read(&extent).await {
            Ok(data) => data,
            Err(Unreadable::Failed(error)) => return Err(error),
            Err(problem) => {
                tracing::error!(workspace = %self.keys.0, inode = ino.0, offset, ?problem, "data is damaged; it is left where it is");
                metrics::counter!("artifacts_damaged_blocks_total").increment(1);
                return Ok(false);
            }
        };
        if !packer.has_room(data.len()) {
            self.put(packer).await?;
        }
        packer.add(ino, offset, extent, &data);
        Ok(true)
    }

    /// Puts what was taken in, and lets the stretches lie there that have not changed meanwhile.
    pub(super) async fn put(&self, packer: &mut Packer) -> Result<(), StoreError> {
        let segment: SegmentId = self.context.entropy.id();
        let Some(Packed { segment, bytes, relocations }) = packer.finish(segment) else { return Ok(()) };
        let key = segment_key(self.keys.0, segment).map_err(|error| StoreError::Corrupt { reason: error.to_string() })?;
        metrics::counter!("artifacts_packed_bytes_total").increment(bytes.len() as u64);
        metrics::counter!("artifacts_packed_segments_total").increment(1);
        let mut pause = tokio::time::interval(PUT_PAUSE);
        let mut attempts = 0;
        loop {
            pause.tick().await;
            attempts += 1;
            match self.context.blobs.put(&key, bytes.clone()).await {
                Ok(()) => break,
                Err(BlobError::Unavailable { .. } | BlobError::Io(_)) if attempts < PUT_ATTEMPTS => {}
                Err(error) => return Err(StoreError::Unavailable { reason: error.to_string() }),
            }
        }
        drop(bytes);
        self.hand_over(segment, relocations.into()).await
    }

    async fn hand_over(&self, segment: SegmentId, left: VecDeque<Relocation>) -> Result<(), StoreError> {
        let all = left.len() as u64;
        let message = |reply| WorkspaceMessage::Upkeep(UpkeepMessage::Relocate { segment, left, moved: 0, reply });
        match self.actor.call(message, None).await {
            Ok(ractor::rpc::CallResult::Success(moved)) => {
                let moved = moved?;
                metrics::counter!("artifacts_relocations_total").increment(moved);
                tracing::debug!(workspace = %self.keys.0, %segment, moved, all, "data lies in a new segment");
                Ok(())
            }
            _ => Err(StoreError::Unavailable { reason: "the workspace's actor has stopped".to_owned() }),
        }
    }
}

pub(super) fn decode(bytes: &[u8]) -> Result<Record, StoreError> {
    postcard::from_bytes(bytes).map_err(|error| StoreError::Corrupt { reason: format!("a record does not decode: {error}") })
}
