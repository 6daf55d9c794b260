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

/// By how much the wall clocks of two nodes may differ without a lock being taken from its holder too soon. Clocks that are kept
/// by NTP differ by less than a tenth of that.
const CLOCKS_DIFFER_MS: u64 = 2_000;

impl LockRecord {
    /// How long it is held from `now` on if it is not renewed, in milliseconds, to a node that finds it on record. Another node's
    /// clock may have said when it ends, so it is held for longer by as much as the clocks may differ, though never for more than it
    /// can last from now: no lock ends before its time, and one whose holder is gone ends a moment late.
    pub(crate) fn left_ms(&self, now: Timestamp) -> u64 {
        self.expires_at.plus_ms(CLOCKS_DIFFER_MS).since_ms(now).min(self.ttl_ms)
    }

    /// Who holds it, to the table.
    pub(crate) fn holder(&self, until_ms: Option<u64>) -> NamedHolder {
        NamedHolder { lock_id: self.lock_id, owner: self.owner.clone(), note: self.note.clone(), ttl_ms: self.ttl_ms, until_ms }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn record(ttl_ms: u64, acquired_ms: u64) -> LockRecord {
        let at = Timestamp::from_unix_ms;
        LockRecord {
            lock_id: LockId::from_bits(1),
            name: "turns".parse().unwrap(),
            mode: Mode::Exclusive,
            owner: None,
            note: None,
            right: LockRight::Key { key: KeyId::from_bits(2), issue: None },
            ttl_ms,
            until: None,
            fencing_token: 7,
            acquired_at: at(acquired_ms),
            expires_at: at(acquired_ms + ttl_ms),
        }
    }

    #[test]
    fn a_lock_on_record_does_not_end_before_its_time_though_the_next_owners_clock_is_ahead() {
        let record = record(5_000, 100_000);
        let left_ms = |clock_ms| record.left_ms(Timestamp::from_unix_ms(clock_ms));
        // Three of its five seconds have passed.
        for ahead_ms in [0, 1_000, 2_000] {
            assert!(left_ms(103_000 + ahead_ms) >= 2_000, "{ahead_ms}");
        }
        assert_eq!(left_ms(103_000), 4_000);
        assert_eq!(left_ms(100_500), 5_000, "never more than a whole time to live");
        assert_eq!(left_ms(60_000), 5_000, "a clock far behind makes it last no longer than that either");
        assert_eq!((left_ms(106_999), left_ms(107_000)), (1, 0));
    }
}
