use serde::{Deserialize, Serialize};

use crate::{LockId, SessionId};

/// Who holds or wants a lock on a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileOwner {
    /// The mount's session.
    pub session: SessionId,
    /// FUSE's `lock_owner`: an open file description for flock, a process's table of files for fcntl.
    pub owner: u64,
    /// The process that asked, as its mount sees it. Says nothing of identity: a forked child shares the owner.
    pub pid: u32,
}

/// Who holds or wants a named lock.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NamedHolder {
    /// This holding, or the wish for it.
    pub lock_id: LockId,
    /// The client's own name for whoever waits and holds: deadlocks are found between these. Without one, each
    /// holding is an owner of its own.
    pub owner: Option<String>,
    /// For people.
    pub note: Option<String>,
    /// How long a grant or a renewal lasts.
    pub ttl_ms: u64,
    /// When it ends whatever is asked, because the right to it does.
    pub until_ms: Option<u64>,
}

impl NamedHolder {
    /// When what is granted or renewed at `now_ms` for `ttl_ms` runs out.
    pub(super) fn expiry_ms(&self, ttl_ms: u64, now_ms: u64) -> u64 {
        let expiry_ms = now_ms.saturating_add(ttl_ms);
        self.until_ms.map_or(expiry_ms, |until_ms| until_ms.min(expiry_ms))
    }
}

/// Who holds or waits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Holder {
    /// A process on a mount.
    File(FileOwner),
    /// A client of named locks.
    Named(NamedHolder),
}

/// Two requests of one identity never conflict: the later changes what the earlier got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    File(SessionId, u64),
    Named(LockId),
}

/// Something a holder belongs to, by which it is found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Party {
    Session(SessionId),
    Owner(SessionId, u64),
    Process(SessionId, u32),
    Client(String),
    Lock(LockId),
}

impl FileOwner {
    pub(super) fn identity(&self) -> Identity {
        Identity::File(self.session, self.owner)
    }
}

impl Holder {
    /// The session, of a lock on a file.
    pub fn session(&self) -> Option<SessionId> {
        match self {
            Self::File(owner) => Some(owner.session),
            Self::Named(_) => None,
        }
    }

    pub(super) fn identity(&self) -> Identity {
        match self {
            Self::File(owner) => owner.identity(),
            Self::Named(named) => Identity::Named(named.lock_id),
        }
    }

    /// Everything it belongs to.
    pub(super) fn parties(&self) -> Vec<Party> {
        match self {
            Self::File(FileOwner { session, owner, pid }) => {
                vec![Party::Session(*session), Party::Owner(*session, *owner), Party::Process(*session, *pid)]
            }
            Self::Named(named) => [Party::Lock(named.lock_id)].into_iter().chain(named.owner.clone().map(Party::Client)).collect(),
        }
    }

    /// Whether it belongs to a party.
    pub(super) fn belongs_to(&self, party: &Party) -> bool {
        match (self, party) {
            (Self::File(file), Party::Session(session)) => file.session == *session,
            (Self::File(file), Party::Owner(session, owner)) => (file.session, file.owner) == (*session, *owner),
            (Self::File(file), Party::Process(session, pid)) => (file.session, file.pid) == (*session, *pid),
            (Self::Named(named), Party::Client(client)) => named.owner.as_ref() == Some(client),
            (Self::Named(named), Party::Lock(lock)) => named.lock_id == *lock,
            _ => false,
        }
    }

    /// Who does not go on while one of its requests waits, for certain.
    pub(super) fn waits_as(&self) -> Option<Party> {
        match self {
            Self::File(FileOwner { session, owner, .. }) => Some(Party::Owner(*session, *owner)),
            Self::Named(named) => named.owner.clone().map(Party::Client),
        }
    }

    /// Who does not go on while one of its requests waits, in all likelihood: also the other files of a process.
    pub(super) fn may_wait_as(&self) -> Vec<Party> {
        let process = match self {
            Self::File(FileOwner { session, pid, .. }) => Some(Party::Process(*session, *pid)),
            Self::Named(_) => None,
        };
        self.waits_as().into_iter().chain(process).collect()
    }
}
