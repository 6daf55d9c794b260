//! What a workspace takes in the store and in objects, from the records.

use artifacts_core::WorkspaceId;
use artifacts_core::namespace::{Key, Record, Usage};
use serde::{Deserialize, Serialize};

use super::errand::decode;
use super::keys::WorkspaceKeys;
use crate::store::{KeyRange, Store, StoreError};

const PAGE: usize = 512;

/// What a workspace takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    /// What it holds, as its quotas count it.
    pub usage: Usage,
    /// Bytes that lie in the store itself and not in segments, as far as is known.
    pub inline_bytes: u64,
    /// Segments in which something lives.
    pub segments: u64,
    /// Their bytes.
    pub stored_bytes: u64,
    /// Those of them that live.
    pub live_bytes: u64,
    /// Segments that are dead and wait to be deleted.
    pub dead_segments: u64,
}

/// Adds up what is on record. `usage` is what the workspace's actor knows, which may be a moment ahead.
///
/// # Errors
/// The store's.
pub(crate) async fn storage(store: &dyn Store, workspace: WorkspaceId, usage: Usage) -> Result<Storage, StoreError> {
    let keys = WorkspaceKeys(workspace);
    let mut storage = Storage { usage, ..Storage::default() };
    let mut next = Some(KeyRange::prefix(&keys.namespace(&Key::segments())));
    while let Some(range) = next {
        let page = store.scan(range.clone(), PAGE).await?;
        for (_, value) in &page {
            if let Record::Segment(segment) = decode(value)? {
                storage.segments += 1;
                storage.stored_bytes += segment.len;
                storage.live_bytes += segment.live_bytes;
            }
        }
        next = page.last().filter(|_| page.len() == PAGE).map(|(last, _)| range.after(last));
    }
    let mut next = Some(KeyRange::prefix(&keys.all_dead()));
    while let Some(range) = next {
        let page = store.scan(range.clone(), PAGE).await?;
        storage.dead_segments += page.len() as u64;
        next = page.last().filter(|_| page.len() == PAGE).map(|(last, _)| range.after(last));
    }
    storage.inline_bytes = usage.bytes.saturating_sub(storage.live_bytes);
    Ok(storage)
}
