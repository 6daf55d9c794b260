//! The objects of the API as this program shows them.
//!
//! Each keeps the fields it does not know in `rest`, so `--format json` prints all that the node said.

use artifacts_core::Timestamp;
use artifacts_core::ticket::{Mode, TicketFile};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Fields of a later version.
type Rest = Map<String, Value>;

/// Declares objects: `Serialize`, `Deserialize`, absent fields left out, unknown ones kept.
macro_rules! objects {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Serialize, Deserialize)]
        pub(crate) struct $name {
            $($(#[$field_doc])* pub(crate) $field: $type,)*
            /// Fields that this version does not know.
            #[serde(flatten)]
            pub(crate) rest: Rest,
        }
    )*};
}

objects! {
    /// A root user.
    Account {
        /// `acc_…`
        id: String,
        /// Its public name.
        handle: String,
        /// Its home.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        region: Option<String>,
    }

    /// The caller, as the node sees it.
    Whoami {
        /// Whose key it is.
        account: Account,
        /// `key_…`
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_id: Option<String>,
        /// What the key is confined to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<Scope>,
    }

    /// What an API key is confined to; absent fields confine nothing.
    Scope {
        /// This workspace only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workspace: Option<String>,
        /// This tenant only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tenant: Option<String>,
        /// `ro`: reading only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<Mode>,
    }

    /// An account that was just made.
    AccountCreated {
        /// The account.
        account: Account,
        /// Its first key.
        api_key: Key,
    }

    /// An API key.
    Key {
        /// `key_…`
        id: String,
        /// The secret; only in the answer that creates the key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// For people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// What it is confined to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<Scope>,
        /// When it was made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        created_at: Option<Timestamp>,
        /// From when it opens nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
        /// When it was revoked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revoked_at: Option<Timestamp>,
    }

    /// What lets agents of hosts into the mesh.
    MeshCredential {
        /// `key_…`
        id: String,
        /// The secret; only in the answer that creates it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secret: Option<String>,
        /// Where agents connect to; only in the answer that creates it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        endpoints: Vec<String>,
        /// For people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// When it was made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        created_at: Option<Timestamp>,
        /// From when it lets nobody in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
        /// When it was revoked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revoked_at: Option<Timestamp>,
    }

    /// One of the platform's customers.
    Tenant {
        /// `ten_…`
        id: String,
        /// Its name.
        slug: String,
        /// The platform's own id for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        external_id: Option<String>,
        /// Free.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        metadata: Option<Map<String, Value>>,
        /// What its workspaces may be given together.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        quota_bytes: Option<u64>,
        /// Likewise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        quota_inodes: Option<u64>,
        /// When it was made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        created_at: Option<Timestamp>,
    }

    /// What a tenant has been given, and what of it is used.
    TenantUsage {
        /// Its name.
        tenant_slug: String,
        /// How many workspaces belong to it.
        workspaces: u64,
        /// Bytes of data that they hold.
        bytes: u64,
        /// Inodes that they hold.
        inodes: u64,
        /// Bytes that they have been given by their quotas.
        given_bytes: u64,
        /// Inodes that they have been given by their quotas.
        given_inodes: u64,
        /// What they may be given together.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        quota_bytes: Option<u64>,
        /// Likewise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        quota_inodes: Option<u64>,
    }

    /// An entry of the audit trail.
    AuditEvent {
        /// `aud_…`
        id: String,
        /// When.
        at: Timestamp,
        /// What has happened.
        kind: String,
        /// Who did it.
        by: Map<String, Value>,
    }

    /// What a call that revokes everything has done.
    EverythingRevoked {
        /// The API key that still opens something.
        kept_key_id: String,
        /// What became of the sessions.
        sessions: Map<String, Value>,
    }

    /// A file system.
    Workspace {
        /// `ws_…`
        id: String,
        /// The owner's handle.
        handle: String,
        /// Its name.
        name: String,
        /// `active`, `deleting` or `deleted`.
        status: String,
        /// The tenant that it belongs to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tenant_slug: Option<String>,
        /// Where its data lives.
        region: String,
        /// Hard limit on bytes of data.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        quota_bytes: Option<u64>,
        /// Hard limit on inodes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        quota_inodes: Option<u64>,
        /// What is in it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usage: Option<Usage>,
        /// What it is a fork of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        forked_from: Option<String>,
        /// When it was made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        created_at: Option<Timestamp>,
    }

    /// What a workspace held at one moment.
    Snapshot {
        /// `snp_…`
        id: String,
        /// Its name.
        name: String,
        /// `handle/name@snapshot`.
        address: String,
        /// `creating`, `active` or `deleting`.
        status: String,
        /// When it was made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        created_at: Option<Timestamp>,
    }

    /// What a workspace holds.
    Usage {
        /// Bytes of data.
        #[serde(default)]
        bytes: u64,
        /// Files, directories and the like.
        #[serde(default)]
        inodes: u64,
    }

    /// What several workspaces hold together.
    UsageTotal {
        /// How many they are.
        workspaces: u64,
        /// Bytes of data.
        bytes: u64,
        /// Files, directories and the like.
        inodes: u64,
    }

    /// What one of several workspaces holds.
    UsageItem {
        /// `handle/name`
        workspace: String,
        /// Bytes of data.
        bytes: u64,
        /// Files, directories and the like.
        inodes: u64,
    }

    /// What a workspace holds, and what it takes.
    Storage {
        /// `handle/name`
        workspace: String,
        /// Bytes of data.
        bytes: u64,
        /// Files, directories and the like.
        inodes: u64,
        /// Hard limit on bytes of data.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        quota_bytes: Option<u64>,
        /// Hard limit on inodes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        quota_inodes: Option<u64>,
        /// Bytes of data that lie in the metadata store.
        inline_bytes: u64,
        /// Segments in which something lives.
        segments: u64,
        /// Their bytes.
        stored_bytes: u64,
        /// Those of them that live.
        live_bytes: u64,
        /// Segments that wait to be deleted.
        dead_segments: u64,
    }

    /// What a check has seen.
    Check {
        /// What is wrong.
        findings: Vec<Finding>,
        /// How many more there are.
        untold: u64,
        /// Files, directories and the like, counted.
        inodes: u64,
        /// Bytes of data, counted.
        bytes: u64,
        /// Segments on record.
        segments: u64,
        /// Objects that nothing names.
        unnamed_objects: u64,
        /// Bytes of data that were read and compared.
        verified_bytes: u64,
    }

    /// One thing that is wrong.
    Finding {
        /// What, for people.
        message: String,
        /// Whether it can be put right.
        repairable: bool,
        /// Whether it was.
        repaired: bool,
    }

    /// The right of a tenant, or of one of its runtimes, to mount a workspace.
    Grant {
        /// `grt_…`
        id: String,
        /// `handle/name`
        workspace: String,
        /// For whom.
        tenant_slug: String,
        /// Absent: for every runtime of the tenant.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        runtime_id: Option<String>,
        /// How.
        mode: Mode,
        /// Below which directory.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subpath: Option<String>,
        /// From when it stands no more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
        /// When it was revoked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revoked_at: Option<Timestamp>,
    }

    /// What a revoke call did.
    Revoked {
        /// The grants that stand no more because of it.
        grants: Vec<Value>,
        /// The mounts that drew on them.
        sessions: SessionCounts,
    }

    /// The mounts that a revoke call met.
    SessionCounts {
        /// That drew on a revoked grant.
        matched: u64,
        /// Of which the control nodes accept nothing any more.
        fenced: u64,
        /// That said within the wait that they fail every call.
        confirmed: u64,
    }

    /// A mount.
    Session {
        /// `ses_…`
        id: String,
        /// `handle/name`
        workspace: String,
        /// What it may do.
        mode: Mode,
        /// `live`, or `lapsed` when its agent has not been heard for a lease.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        state: Option<String>,
        /// For whom; absent when an API key opened it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tenant_slug: Option<String>,
        /// For which of its runtimes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        runtime_id: Option<String>,
        /// The machine, as it calls itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<String>,
        /// Where it connected from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remote_addr: Option<String>,
        /// Since when.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        opened_at: Option<Timestamp>,
        /// When its agent was heard last.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_heard_at: Option<Timestamp>,
    }

    /// A named lock that is held.
    HeldLock {
        /// `lck_…`: renews and releases it.
        lock_id: String,
        /// Greater than every one given in the workspace before.
        fencing_token: u64,
        /// When it runs out.
        expires_at: Timestamp,
    }

    /// Something that is locked.
    Lock {
        /// `named`, `flock` or `fcntl`.
        kind: String,
        /// Of a named lock.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Of a lock on a file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        inode: Option<u64>,
        /// Who has it.
        holders: Vec<LockParty>,
        /// Who wants it, in order.
        waiters: Vec<LockParty>,
    }

    /// Who holds a lock or waits for one.
    LockParty {
        /// `exclusive`, `shared` or `semaphore`.
        mode: String,
        /// Of a semaphore.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        permits: Option<u32>,
        /// Which key or ticket.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        taken_by: Option<String>,
        /// As it called itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<String>,
        /// For people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
        /// The mount, of a lock on a file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<String>,
        /// The process there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pid: Option<u32>,
        /// Of a range.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        first_byte: Option<u64>,
        /// Of a range that ends.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_byte: Option<u64>,
        /// Of one that is held.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fencing_token: Option<u64>,
        /// Since when.
        since: Timestamp,
        /// When it runs out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
    }

    /// A mount ticket that was just signed.
    TicketCreated {
        /// The ticket file.
        mount_ticket: TicketFile,
    }
}

/// A part of a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Page<T> {
    /// The objects, in the node's order.
    pub(crate) items: Vec<T>,
    /// Where the next part begins; absent in the last one.
    #[serde(default)]
    pub(crate) next_cursor: Option<String>,
}

/// A part of the list of what workspaces hold.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct UsagePage {
    /// All of them together; in the first part.
    #[serde(default)]
    pub(crate) total: Option<UsageTotal>,
    /// One by one.
    pub(crate) items: Vec<UsageItem>,
    /// Where the next part begins; absent in the last one.
    #[serde(default)]
    pub(crate) next_cursor: Option<String>,
}

/// What a key may do, in words.
impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [
            self.workspace.as_ref().map(|workspace| format!("workspace {workspace}")),
            self.tenant.as_ref().map(|tenant| format!("tenant {tenant}")),
            self.mode.map(|mode| format!("mode {mode}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(if parts.is_empty() { "everything".to_owned() } else { parts.join(", ") }.as_str())
    }
}

impl Scope {
    /// What a key with this scope, or with none, may do.
    pub(crate) fn words(scope: Option<&Self>) -> String {
        scope.map_or_else(|| "everything".to_owned(), ToString::to_string)
    }
}

impl Workspace {
    /// `handle/name`
    pub(crate) fn address(&self) -> String {
        format!("{}/{}", self.handle, self.name)
    }
}
