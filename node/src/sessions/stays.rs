use std::collections::HashMap;
use std::sync::Arc;

use artifacts_core::WorkspaceId;
use parking_lot::Mutex;
use tokio::sync::{OwnedRwLockReadGuard, RwLock};

/// While somebody holds one, the workspace is not removed, and objects that nothing names are left alone in it.
#[derive(Debug)]
pub(crate) struct Stay(#[expect(dead_code, reason = "held, not read")] OwnedRwLockReadGuard<()>);

impl Stay {
    pub(super) fn new(guard: OwnedRwLockReadGuard<()>) -> Self {
        Self(guard)
    }
}

/// Who uses which workspace without a session, for as long as that takes.
#[derive(Debug, Default)]
pub(super) struct Stays(Mutex<HashMap<WorkspaceId, Arc<RwLock<()>>>>);

impl Stays {
    /// To be read for a stay, and written by whoever wants to be alone.
    pub(super) fn of(&self, workspace: WorkspaceId) -> Arc<RwLock<()>> {
        self.0.lock().entry(workspace).or_default().clone()
    }

    /// Whether anybody is there.
    pub(super) fn are_any(&self, workspace: WorkspaceId) -> bool {
        self.0.lock().get(&workspace).is_some_and(|stays| stays.try_write().is_err())
    }

    /// The workspace is gone.
    pub(super) fn forget(&self, workspace: WorkspaceId) {
        self.0.lock().remove(&workspace);
    }
}
