use artifacts_core::{SegmentId, SessionId, WorkspaceId};

use crate::blob::{BlobKey, InvalidBlobKey};

/// The first byte of every key of a workspace.
const TABLE: u8 = b'W';
/// Behind the workspace's id: what is not part of the namespace. The namespace's own keys begin with lower case.
const META: u8 = b'A';
const PROGRESS: u8 = b'B';

/// Where a workspace's records stand in the store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WorkspaceKeys(pub(crate) WorkspaceId);

impl WorkspaceKeys {
    /// What all keys of the workspace begin with.
    pub(crate) fn all(self) -> Vec<u8> {
        [&[TABLE][..], &self.0.bits().to_be_bytes()].concat()
    }

    /// A record of the namespace, by its own encoded key.
    pub(crate) fn namespace(self, key: &[u8]) -> Vec<u8> {
        [&self.all()[..], key].concat()
    }

    /// The workspace's counters.
    pub(crate) fn meta(self) -> Vec<u8> {
        self.namespace(&[META])
    }

    /// How far a session has come.
    pub(crate) fn progress(self, session: SessionId) -> Vec<u8> {
        self.namespace(&[&[PROGRESS][..], &session.bits().to_be_bytes()].concat())
    }
}

/// Where a segment's object is.
pub(crate) fn segment_key(workspace: WorkspaceId, segment: SegmentId) -> Result<BlobKey, InvalidBlobKey> {
    BlobKey::new(&format!("{workspace}/{segment}"))
}
