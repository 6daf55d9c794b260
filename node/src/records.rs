//! What the control plane keeps, one record an object. Stored as JSON, so a newer node may add fields that have
//! a default. Secrets stand here only as hashes.

use std::collections::BTreeSet;

use artifacts_core::cluster::Region;
use artifacts_core::name::{Handle, RuntimeId, SnapshotName, Subpath, TenantSlug, WorkspaceAddress, WorkspaceName};
use artifacts_core::namespace::Ino;
use artifacts_core::revocation::Issue;
use artifacts_core::session::{InodeRanges, Phase};
use artifacts_core::ticket::Mode;
use artifacts_core::{AccountId, GrantId, KeyId, SessionId, TenantId, TicketId, Timestamp, WorkspaceId};
use serde::{Deserialize, Serialize};

/// A root user: owns everything below.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRecord {
    /// Id.
    pub id: AccountId,
    /// Unique in the cluster.
    pub handle: Handle,
    /// The regions besides its own in which it has had workspaces.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub abroad: BTreeSet<Region>,
    /// The generation of its rights: grants and keys of an earlier one are revoked. See [`Issue`].
    #[serde(default)]
    pub generation: u64,
    /// When that began, if it is not the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub everything_revoked_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl AccountRecord {
    /// What it issues now.
    pub fn issue(&self) -> Issue {
        Issue { account: self.id, generation: self.generation }
    }

    /// When something that it had issued in this generation was revoked, with everything else or, as given, alone.
    fn revoked_at(&self, generation: u64, alone: Option<Timestamp>) -> Option<Timestamp> {
        alone.or(self.everything_revoked_at.filter(|_| generation < self.generation))
    }
}

/// What a scoped API key is confined to. Absent fields confine nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyScope {
    /// This workspace only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<WorkspaceAddress>,
    /// This tenant only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantSlug>,
    /// `ro`: hands out and does nothing beyond reading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Lets agents of hosts into the mesh, and does nothing else: a mesh credential.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mesh: bool,
}

/// An API key, or a mesh credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Id.
    pub id: KeyId,
    /// Whose.
    pub account: AccountId,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// See [`crate::random::secret_hash`].
    pub secret_hash: [u8; 32],
    /// What it is confined to.
    pub scope: KeyScope,
    /// See [`AccountRecord::generation`].
    #[serde(default)]
    pub generation: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when it opens nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

impl KeyRecord {
    /// Who has issued it.
    pub fn issue(&self) -> Issue {
        Issue { account: self.account, generation: self.generation }
    }

    /// The record as it is by what its account says of all its keys.
    #[must_use]
    pub fn under(self, account: &AccountRecord) -> Self {
        Self { revoked_at: account.revoked_at(self.generation, self.revoked_at), ..self }
    }

    /// Whether it opens anything at `now`.
    pub fn stands(&self, account: &AccountRecord, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.generation >= account.generation && self.expires_at.is_none_or(|end| now < end)
    }
}

/// One of the platform's customers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TenantRecord {
    /// Id.
    pub id: TenantId,
    /// Whose.
    pub account: AccountId,
    /// Unique in the account.
    pub slug: TenantSlug,
    /// The platform's own id for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Free, at most 16 KiB as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
    /// What its workspaces may be given together.
    #[serde(default, skip_serializing_if = "Quotas::is_none")]
    pub quotas: Quotas,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Where a workspace is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkspaceStatus {
    /// Being copied from another; not in use yet.
    Creating,
    /// In use.
    Active,
    /// No mount is admitted; its data is being removed.
    Deleting,
    /// Gone; the name is free again.
    Deleted,
}

/// Hard limits; absent ones limit nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quotas {
    /// On bytes of data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// On inodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inodes: Option<u64>,
}

impl Quotas {
    /// Whether nothing is limited.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// A file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceRecord {
    /// Id.
    pub id: WorkspaceId,
    /// Whose.
    pub account: AccountId,
    /// The owner's handle.
    pub handle: Handle,
    /// Unique in the account among those not deleted.
    pub name: WorkspaceName,
    /// Where it is in its life.
    pub status: WorkspaceStatus,
    /// The tenant whose quotas it is given a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantSlug>,
    /// Where its data lives.
    pub region: String,
    /// Whether that is another region than its account's; if not, the region is the account's, whatever it is called now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub abroad: bool,
    /// Hard limit on bytes of data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_bytes: Option<u64>,
    /// Hard limit on inodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_inodes: Option<u64>,
    /// What it is a copy of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a workspace was copied from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Which workspace, or the copy that a snapshot is.
    pub workspace: WorkspaceId,
    /// `handle/name`, perhaps with `@snapshot`, as it was called then; for people.
    pub address: String,
    /// Set: the copy is a snapshot of that workspace, under this name. It has that one's name, can only be read, and goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotName>,
}

impl WorkspaceRecord {
    /// `handle/name`, and `handle/name@snapshot` of a snapshot.
    pub fn address(&self) -> String {
        format!("{}/{}", self.handle, self.label())
    }

    /// What it is found by in its account.
    pub fn label(&self) -> String {
        label(&self.name, self.snapshot())
    }

    /// The snapshot that it is.
    pub fn snapshot(&self) -> Option<&SnapshotName> {
        self.origin.as_ref()?.snapshot.as_ref()
    }

    /// Its hard limits.
    pub fn quotas(&self) -> Quotas {
        Quotas { bytes: self.quota_bytes, inodes: self.quota_inodes }
    }

    /// The region it lives in, if that is not its account's.
    pub fn elsewhere(&self) -> Option<Region> {
        self.abroad.then(|| self.region.as_str().into())
    }
}

/// What a workspace, or a snapshot of it, is found by in its account. No name has an `@` in it.
pub fn label(name: &WorkspaceName, snapshot: Option<&SnapshotName>) -> String {
    snapshot.map_or_else(|| name.to_string(), |snapshot| format!("{name}@{snapshot}"))
}

/// The right of a tenant, or of one of its runtimes, to mount a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantRecord {
    /// Id.
    pub id: GrantId,
    /// Whose.
    pub account: AccountId,
    /// To what.
    pub workspace: WorkspaceId,
    /// `handle/name` when it was made, for people.
    pub workspace_name: String,
    /// For whom.
    pub tenant: TenantSlug,
    /// Absent: for every runtime of the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<RuntimeId>,
    /// How.
    pub mode: Mode,
    /// Below which directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subpath: Option<Subpath>,
    /// See [`AccountRecord::generation`].
    #[serde(default)]
    pub generation: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when it stands no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

impl GrantRecord {
    /// Whether it stands at `now`, in this generation of its account's rights.
    pub fn stands(&self, now: Timestamp, generation: u64) -> bool {
        self.revoked_at.is_none() && self.generation >= generation && self.expires_at.is_none_or(|at| now < at)
    }

    /// Who has issued it.
    pub fn issue(&self) -> Issue {
        Issue { account: self.account, generation: self.generation }
    }

    /// The record as it is by what its account says of all its grants.
    #[must_use]
    pub fn under(self, account: &AccountRecord) -> Self {
        Self { revoked_at: account.revoked_at(self.generation, self.revoked_at), ..self }
    }
}

/// By what right a session was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum SessionRight {
    /// A mount ticket.
    Ticket {
        /// Which.
        ticket: TicketId,
        /// What it drew on.
        grant: GrantId,
        /// For whom.
        tenant: TenantSlug,
        /// For which of its runtimes.
        runtime: RuntimeId,
    },
    /// An API key of the account itself.
    Key {
        /// Which.
        key: KeyId,
    },
}

/// A mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// Id.
    pub id: SessionId,
    /// Whose.
    pub account: AccountId,
    /// The region of the account, if it is not that of the workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_region: Option<Region>,
    /// Of what.
    pub workspace: WorkspaceId,
    /// `handle/name`, for people.
    pub workspace_name: String,
    /// By what right.
    pub right: SessionRight,
    /// Of which generation that is; see [`AccountRecord::generation`].
    #[serde(default)]
    pub generation: u64,
    /// What it may do.
    pub mode: Mode,
    /// The directory it sees as its root.
    pub root: Ino,
    /// See [`crate::random::secret_hash`].
    pub secret_hash: [u8; 32],
    /// The agent's name and version.
    pub agent: String,
    /// The machine, as it calls itself.
    pub host: String,
    /// Where it connected from when it opened.
    pub remote_addr: String,
    /// When it opened.
    pub opened_at: Timestamp,
    /// When it ends whatever happens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Where it stood when it was last written. After a restart the node waits for those that were live.
    pub phase: Phase,
    /// When it was fenced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// It was fenced, and its mount is not known to be out yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_going: bool,
    /// The inode numbers it was leased.
    pub inodes: InodeRanges,
}

impl SessionRecord {
    /// Who has issued its right.
    pub fn issue(&self) -> Issue {
        Issue { account: self.account, generation: self.generation }
    }

    /// The ticket with which it was opened, and of which workspace that is.
    pub fn ticket(&self) -> Option<(WorkspaceId, TicketId)> {
        match self.right {
            SessionRight::Ticket { ticket, .. } => Some((self.workspace, ticket)),
            SessionRight::Key { .. } => None,
        }
    }
}
