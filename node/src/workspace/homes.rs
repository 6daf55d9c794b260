use std::collections::HashMap;
use std::sync::Arc;

use artifacts_core::{SegmentId, WorkspaceId};
use parking_lot::RwLock;

use super::keys::{WorkspaceKeys, segment_key};
use crate::blob::BlobKey;
use crate::store::{KeyRange, Store, StoreError};

const PAGE: usize = 4096;

/// The segments of one workspace that lie in the place of another.
pub(super) type Foreign = Arc<HashMap<SegmentId, WorkspaceId>>;

/// Where the object of a segment is: in the place of the workspace whose mounts have put it. A fork has segments of others, each
/// on its record.
///
/// What is remembered may be too much: a record goes when nothing of the workspace lies in the segment any more, and then nobody asks.
#[derive(Debug, Default)]
pub struct SegmentHomes {
    known: RwLock<HashMap<WorkspaceId, Foreign>>,
    /// Held by whoever decides whether an object is still needed by anybody, or makes it needed.
    pub(super) deciding: tokio::sync::Mutex<()>,
}

impl SegmentHomes {
    /// The key of the object.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn key(&self, store: &dyn Store, workspace: WorkspaceId, segment: SegmentId) -> Result<BlobKey, StoreError> {
        let home = self.of(store, workspace).await?.get(&segment).copied().unwrap_or(workspace);
        segment_key(home, segment).map_err(|error| StoreError::Corrupt { reason: error.to_string() })
    }

    /// The segments of a workspace that lie elsewhere, and where.
    pub(super) async fn of(&self, store: &dyn Store, workspace: WorkspaceId) -> Result<Foreign, StoreError> {
        if let Some(known) = self.known.read().get(&workspace) {
            return Ok(known.clone());
        }
        let all = WorkspaceKeys(workspace).all_homes();
        let mut foreign = HashMap::new();
        let mut range = KeyRange::prefix(&all);
        loop {
            let page = store.scan(range.clone(), PAGE).await?;
            for (key, value) in &page {
                let home = value.as_ref().try_into().map(|bits| WorkspaceId::from_bits(u128::from_be_bytes(bits)));
                let (Some(segment), Ok(home)) = (WorkspaceKeys::segment_of(&all, key), home) else {
                    return Err(StoreError::Corrupt { reason: "a segment's home cannot be read".to_owned() });
                };
                foreign.insert(segment, home);
            }
            match page.last().filter(|_| page.len() == PAGE) {
                Some((last, _)) => range = range.after(last),
                None => break,
            }
        }
        let foreign = Arc::new(foreign);
        self.known.write().insert(workspace, foreign.clone());
        Ok(foreign)
    }

    /// The record of a workspace has changed, or the workspace is gone.
    pub(super) fn forget(&self, workspace: WorkspaceId) {
        self.known.write().remove(&workspace);
    }
}
