use artifacts_core::locks::{ByteRange, Held, Holder, LockTable, Mode, Resource, Waiter};
use artifacts_core::{LockId, SessionId};

use super::record::LockRight;

/// A lock with everybody who holds it or waits for it.
#[derive(Debug, Clone)]
pub struct LockView {
    /// What is locked.
    pub resource: Resource,
    /// Who has it.
    pub holders: Vec<HolderView>,
    /// Who wants it, in the order in which they came.
    pub waiters: Vec<WaiterView>,
}

/// Who has a lock.
#[derive(Debug, Clone)]
pub struct HolderView {
    /// Who.
    pub party: Party,
    /// How.
    pub mode: Mode,
    /// Which bytes of a file.
    pub range: ByteRange,
    /// Given with it.
    pub fencing_token: u64,
    /// For how long it has been held.
    pub age_ms: u64,
    /// In how long it runs out, of a named lock.
    pub expires_in_ms: Option<u64>,
}

/// Who waits for a lock.
#[derive(Debug, Clone)]
pub struct WaiterView {
    /// Who.
    pub party: Party,
    /// How it is wanted.
    pub mode: Mode,
    /// Which bytes of a file.
    pub range: ByteRange,
    /// For how long it has waited.
    pub age_ms: u64,
}

/// Who holds or waits.
#[derive(Debug, Clone)]
pub enum Party {
    /// A process on a mount.
    Process {
        /// The mount.
        session: SessionId,
        /// The process, as the mount sees it.
        pid: u32,
    },
    /// A client of named locks.
    Client {
        /// What gives power over the lock.
        lock_id: LockId,
        /// By what right; absent of one that is about to be told.
        right: Option<LockRight>,
        /// As it called itself.
        owner: Option<String>,
        /// For people.
        note: Option<String>,
    },
}

/// Everything in a table. `right_of` knows by what right a named lock is held or wanted.
pub(super) fn list(table: &LockTable, right_of: impl Fn(LockId) -> Option<LockRight>, now_ms: u64) -> Vec<LockView> {
    let party = |holder: &Holder| match holder {
        Holder::File(owner) => Party::Process { session: owner.session, pid: owner.pid },
        Holder::Named(named) => {
            Party::Client { lock_id: named.lock_id, right: right_of(named.lock_id), owner: named.owner.clone(), note: named.note.clone() }
        }
    };
    let holder = |held: &Held| HolderView {
        party: party(&held.holder),
        mode: held.mode,
        range: held.range,
        fencing_token: held.fencing_token,
        age_ms: now_ms.saturating_sub(held.since_ms),
        expires_in_ms: held.expires_ms.map(|at_ms| at_ms.saturating_sub(now_ms)),
    };
    let waiter = |waiter: &Waiter| WaiterView {
        party: party(&waiter.holder),
        mode: waiter.mode,
        range: waiter.range,
        age_ms: now_ms.saturating_sub(waiter.since_ms),
    };
    table
        .list()
        .map(|(resource, held, waiters)| LockView {
            resource: resource.clone(),
            holders: held.iter().map(holder).collect(),
            waiters: waiters.map(waiter).collect(),
        })
        .collect()
}
