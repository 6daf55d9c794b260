use artifacts_core::locks::{Mode, NamedHolder};
use artifacts_core::name::LockName;
use artifacts_core::revocation::Target;
use artifacts_core::{GrantId, KeyId, LockId, TicketId, Timestamp};
use serde::{Deserialize, Serialize};

/// By what right a named lock was taken. It ends with the right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum LockRight {
    /// A mount ticket.
    Ticket {
        /// Which.
        ticket: TicketId,
        /// What it draws on.
        grant: GrantId,
    },
    /// An API key.
    Key {
        /// Which.
        key: KeyId,
    },
}

impl LockRight {
    /// What has to be revoked to take it.
    pub fn target(&self) -> Target {
        match self {
            Self::Ticket { grant, .. } => Target::Grant(*grant),
            Self::Key { key } => Target::Key(*key),
        }
    }
}

/// A named lock that is held, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LockRecord {
    pub(crate) lock_id: LockId,
    pub(crate) name: LockName,
    pub(crate) mode: Mode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    pub(crate) right: LockRight,
    pub(crate) ttl_ms: u64,
    /// When the right ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<Timestamp>,
    pub(crate) fencing_token: u64,
    pub(crate) acquired_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

impl LockRecord {
    /// Who holds it, to the table.
    pub(crate) fn holder(&self, until_ms: Option<u64>) -> NamedHolder {
        NamedHolder { lock_id: self.lock_id, owner: self.owner.clone(), note: self.note.clone(), ttl_ms: self.ttl_ms, until_ms }
    }
}
