//! What the control plane is asked to make or to change.

use artifacts_core::cluster::Region;
use artifacts_core::name::{SnapshotName, TenantSlug, WorkspaceName};
use artifacts_core::{Timestamp, WorkspaceId};

use crate::records::{KeyScope, Quotas, WorkspaceRecord};

/// Quotas that are to be changed; absent ones stay, and an inner `None` lifts one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QuotaChange {
    /// On bytes of data.
    pub bytes: Option<Option<u64>>,
    /// On inodes.
    pub inodes: Option<Option<u64>>,
}

impl QuotaChange {
    /// The quotas that come of it.
    pub(super) fn of(self, quotas: Quotas) -> Quotas {
        Quotas { bytes: self.bytes.unwrap_or(quotas.bytes), inodes: self.inodes.unwrap_or(quotas.inodes) }
    }
}

/// An API key that is asked for.
#[derive(Debug, Clone, Default)]
pub struct KeyWish {
    /// For people.
    pub name: Option<String>,
    /// What it is confined to.
    pub scope: KeyScope,
    /// From when it opens nothing.
    pub expires_at: Option<Timestamp>,
}

/// A tenant that is asked for.
#[derive(Debug, Clone)]
pub struct TenantWish {
    /// Unique in the account.
    pub slug: TenantSlug,
    /// The platform's own id for it.
    pub external_id: Option<String>,
    /// Free.
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
    /// What its workspaces may be given together.
    pub quotas: Quotas,
}

/// A workspace that is asked for.
#[derive(Debug, Clone)]
pub struct WorkspaceWish {
    /// Unique in the account.
    pub name: WorkspaceName,
    /// The tenant whose quotas it is given a part of.
    pub tenant: Option<TenantSlug>,
    /// Hard limit on bytes of data.
    pub quota_bytes: Option<u64>,
    /// Hard limit on inodes.
    pub quota_inodes: Option<u64>,
    /// Where its data lives: one of the cluster's regions.
    pub region: Region,
}

/// A copy of a workspace that is asked for: a fork, or a snapshot if it has such a name.
#[derive(Debug, Clone)]
pub struct CopyWish {
    /// Of what: a workspace or a snapshot.
    pub source: WorkspaceRecord,
    /// Its own name; of a snapshot that of the workspace.
    pub name: WorkspaceName,
    /// As which snapshot of it.
    pub snapshot: Option<SnapshotName>,
    /// Hard limit on bytes of data.
    pub quota_bytes: Option<u64>,
    /// Hard limit on inodes.
    pub quota_inodes: Option<u64>,
    /// Its id: it lies where its source does.
    pub(super) id: WorkspaceId,
}

impl CopyWish {
    /// A copy with the quotas of its source.
    pub fn new(source: WorkspaceRecord, name: WorkspaceName, snapshot: Option<SnapshotName>) -> Self {
        let (quota_bytes, quota_inodes) = (source.quota_bytes, source.quota_inodes);
        Self { id: source.id, source, name, snapshot, quota_bytes, quota_inodes }
    }
}
