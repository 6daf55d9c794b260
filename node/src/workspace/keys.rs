use artifacts_core::namespace::Key;
use artifacts_core::{LockId, SegmentId, SessionId, WorkspaceId};

use crate::blob::{BlobKey, InvalidBlobKey};
use crate::store::KeyRange;

/// The first byte of every key of a workspace.
const TABLE: u8 = b'W';
/// Behind the workspace's id: what is not part of the namespace. The namespace's own keys begin with lower case.
const META: u8 = b'A';
const PROGRESS: u8 = b'B';
const DEAD: u8 = b'C';
const UNPACKED: u8 = b'D';
const NAMED_LOCK: u8 = b'E';
const LOCK_TOKENS: u8 = b'F';
const OUTLIVED: u8 = b'G';
const HOME: u8 = b'H';
const SHARE: u8 = b'I';
const REMOVED: u8 = b'J';
/// Behind [`REMOVED`]: what outlives a workspace in whose segments others have shares lies together.
const DATA_KEY: u8 = b'K';
const QUOTAS: u8 = b'L';
const UNSAVED: u8 = b'N';
/// The table's byte and the workspace's id.
const PREFIX_BYTES: usize = 1 + 16;

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

    /// All records of the namespace.
    pub(crate) fn whole_namespace(self) -> KeyRange {
        KeyRange::between(&self.namespace(b"a"), &self.namespace(b"{"))
    }

    /// That a segment is dead and its object to be deleted.
    pub(crate) fn dead(self, segment: SegmentId) -> Vec<u8> {
        [&self.all_dead()[..], &segment.bits().to_be_bytes()].concat()
    }

    /// What the keys of dead segments begin with.
    pub(crate) fn all_dead(self) -> Vec<u8> {
        self.namespace(&[DEAD])
    }

    /// The segment of a key that begins with `all`.
    pub(crate) fn segment_of(all: &[u8], key: &[u8]) -> Option<SegmentId> {
        let bits = key.strip_prefix(all)?.try_into().ok()?;
        Some(SegmentId::from_bits(u128::from_be_bytes(bits)))
    }

    /// That small data may wait to be packed.
    pub(crate) fn unpacked(self) -> Vec<u8> {
        self.namespace(&[UNPACKED])
    }

    /// A named lock that is held. Written by the actor of the workspace's locks.
    pub(crate) fn named_lock(self, lock: LockId) -> Vec<u8> {
        [&self.all_named_locks()[..], &lock.bits().to_be_bytes()].concat()
    }

    /// What the keys of named locks begin with.
    pub(crate) fn all_named_locks(self) -> Vec<u8> {
        self.namespace(&[NAMED_LOCK])
    }

    /// Fencing tokens up to which one may have been given. Written by the actor of the workspace's locks.
    pub(crate) fn lock_tokens(self) -> Vec<u8> {
        self.namespace(&[LOCK_TOKENS])
    }

    /// That others were served while a session was away; see [`artifacts_core::session::Absent`].
    pub(crate) fn outlived(self, session: SessionId) -> Vec<u8> {
        self.namespace(&[&[OUTLIVED][..], &session.bits().to_be_bytes()].concat())
    }

    /// The quotas by which mounts go; the workspace's record may have others for a moment.
    pub(crate) fn quotas(self) -> Vec<u8> {
        self.namespace(&[QUOTAS])
    }

    /// The workspace's key, wrapped, if it is encrypted.
    pub(crate) fn data_key(self) -> Vec<u8> {
        self.namespace(&[DATA_KEY])
    }

    /// Whether that is what stands in this row.
    pub(crate) fn is_data_key(row: &[u8]) -> bool {
        row.first() == Some(&TABLE) && row.get(PREFIX_BYTES..) == Some(&[DATA_KEY])
    }

    /// That a session ended while something that it had done was not durable: if it never is, nobody may go on believing it.
    pub(crate) fn unsaved(self, session: SessionId) -> Vec<u8> {
        [&self.all_unsaved()[..], &session.bits().to_be_bytes()].concat()
    }

    /// What the keys of such sessions begin with.
    pub(crate) fn all_unsaved(self) -> Vec<u8> {
        self.namespace(&[UNSAVED])
    }

    /// In whose place a segment lies that is not the workspace's own; see [`super::sharing`].
    pub(crate) fn home(self, segment: SegmentId) -> Vec<u8> {
        [&self.all_homes()[..], &segment.bits().to_be_bytes()].concat()
    }

    /// What the keys of such segments begin with.
    pub(crate) fn all_homes(self) -> Vec<u8> {
        self.namespace(&[HOME])
    }

    /// That another workspace has a share in a segment of this one.
    pub(crate) fn share(self, segment: SegmentId, of: WorkspaceId) -> Vec<u8> {
        [&self.shares_of(segment)[..], &of.bits().to_be_bytes()].concat()
    }

    /// What the keys of all shares in a segment begin with.
    pub(crate) fn shares_of(self, segment: SegmentId) -> Vec<u8> {
        [&self.all_shares()[..], &segment.bits().to_be_bytes()].concat()
    }

    /// What the keys of all shares begin with.
    pub(crate) fn all_shares(self) -> Vec<u8> {
        self.namespace(&[SHARE])
    }

    /// That the workspace is gone, and others have shares in its segments.
    pub(crate) fn removed(self) -> Vec<u8> {
        self.namespace(&[REMOVED])
    }

    /// Everything but the shares of others, that the workspace is gone, and its key.
    pub(crate) fn all_but_shares(self) -> [KeyRange; 2] {
        let rest = KeyRange::prefix(&self.all()).after(&self.data_key());
        [KeyRange::between(&self.all(), &self.all_shares()), rest]
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

/// The workspace that a row belongs to, if it belongs to one.
pub(crate) fn workspace_of(row: &[u8]) -> Option<WorkspaceId> {
    let home = row.get(..PREFIX_BYTES).filter(|home| home[0] == TABLE)?;
    Some(WorkspaceId::from_bits(u128::from_be_bytes(home[1..].try_into().ok()?)))
}

/// Whether a row of a workspace holds what a program has written.
pub(crate) fn holds_data(row: &[u8]) -> bool {
    row.get(PREFIX_BYTES..).is_some_and(Key::holds_data)
}

/// Where a segment's object is.
pub(crate) fn segment_key(workspace: WorkspaceId, segment: SegmentId) -> Result<BlobKey, InvalidBlobKey> {
    BlobKey::new(&format!("{workspace}/{segment}"))
}
