use artifacts_core::locks::{Mode, NamedHolder};
use artifacts_core::name::LockName;
use artifacts_core::revocation::{Issue, RevocationRegister, Target};
use artifacts_core::{GrantId, KeyId, LockId, TicketId, Timestamp};
use serde::{Deserialize, Serialize};

/// By what right a named lock was taken. It ends with the right. The same ticket or key is the same right, whatever is known of
/// its issue.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum LockRight {
    /// A mount ticket.
    Ticket {
        /// Which.
        ticket: TicketId,
        /// What it draws on.
        grant: GrantId,
        /// Who has issued that; not on record of locks taken before issues were.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        issue: Option<Issue>,
    },
    /// An API key.
    Key {
        /// Which.
        key: KeyId,
        /// Who has issued it; as for tickets.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        issue: Option<Issue>,
    },
}

impl PartialEq for LockRight {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ticket { ticket, grant, .. }, Self::Ticket { ticket: other, grant: of, .. }) => (ticket, grant) == (other, of),
            (Self::Key { key, .. }, Self::Key { key: other, .. }) => key == other,
            _ => false,
        }
    }
}

impl Eq for LockRight {}

impl LockRight {
    fn target(&self) -> Target {
        match self {
            Self::Ticket { grant, .. } => Target::Grant(*grant),
            Self::Key { key, .. } => Target::Key(*key),
        }
    }

    fn issue(&self) -> Option<Issue> {
        match self {
            Self::Ticket { issue, .. } | Self::Key { issue, .. } => *issue,
        }
    }

    /// Whether one of these takes it.
    pub(crate) fn is_taken_by(&self, targets: &[Target]) -> bool {
        let issue = self.issue().map(Issue::taken_by);
        targets.iter().any(|target| *target == self.target() || issue.as_ref().is_some_and(|taken| taken.contains(target)))
    }

    /// Whether it stands, as far as the register knows.
    pub(crate) fn stands(&self, register: &RevocationRegister) -> bool {
        register.revoked(self.target()).is_none() && !self.issue().is_some_and(|issue| register.is_void(issue))
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
