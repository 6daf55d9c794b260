use crate::locks::{ByteRange, FileOwner, Grant, Holder, LockTable, Mode, NamedHolder, Outcome, Refusal, Request, WaiterId};
use crate::namespace::Ino;
use crate::{LockId, SessionId};

pub(super) const INO: Ino = Ino(20);
pub(super) const OTHER: Ino = Ino(21);

/// Owner `n` of session `n / 10`, in process `n`.
pub(super) fn owner(n: u64) -> FileOwner {
    FileOwner { session: SessionId::from_bits(u128::from(n / 10)), owner: n, pid: n as u32 }
}

pub(super) fn range(start: u64, end: u64) -> ByteRange {
    ByteRange::new(start, end).unwrap()
}

pub(super) fn named(id: u128, owner: &str) -> NamedHolder {
    let owner = Some(owner.to_owned()).filter(|owner| !owner.is_empty());
    NamedHolder { lock_id: LockId::from_bits(id), owner, note: None, ttl_ms: 1_000, until_ms: None }
}

/// A table with short ways to ask it.
#[derive(Default)]
pub(super) struct Fixture {
    pub(super) table: LockTable,
}

impl Fixture {
    pub(super) fn ask(&mut self, request: Request) -> (Outcome, Vec<Grant>) {
        self.table.request(request, 0)
    }

    pub(super) fn flock(&mut self, n: u64, mode: Mode) -> Outcome {
        self.ask(Request::flock(INO, owner(n), mode, true)).0
    }

    pub(super) fn try_flock(&mut self, n: u64, mode: Mode) -> Outcome {
        self.ask(Request::flock(INO, owner(n), mode, false)).0
    }

    pub(super) fn unflock(&mut self, n: u64) -> Vec<Grant> {
        self.table.unlock_flock(INO, owner(n).session, n, 0)
    }

    pub(super) fn lock(&mut self, n: u64, ino: Ino, start: u64, end: u64, mode: Mode) -> Outcome {
        self.ask(Request::range(ino, owner(n), range(start, end), mode, true)).0
    }

    pub(super) fn unlock(&mut self, n: u64, ino: Ino, start: u64, end: u64) -> Vec<Grant> {
        self.table.unlock_range(ino, owner(n).session, n, range(start, end), 0)
    }

    pub(super) fn name(&mut self, name: &str, id: u128, owner: &str, mode: Mode) -> Outcome {
        self.ask(Request::named(name.parse().unwrap(), named(id, owner), mode, true)).0
    }

    pub(super) fn release(&mut self, id: u128) -> Vec<Grant> {
        self.table.release(LockId::from_bits(id), 0).unwrap()
    }
}

pub(super) fn token(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::Granted { fencing_token } => *fencing_token,
        other => panic!("not granted: {other:?}"),
    }
}

pub(super) fn waiter(outcome: &Outcome) -> WaiterId {
    match outcome {
        Outcome::Queued(waiter) => *waiter,
        other => panic!("not queued: {other:?}"),
    }
}

/// Whom a refusal names.
pub(super) fn holder_in_the_way(outcome: &Outcome) -> u32 {
    match outcome {
        Outcome::Refused(Refusal::WouldBlock { held: Some(held) }) => match &held.holder {
            Holder::File(owner) => owner.pid,
            Holder::Named(_) => panic!("a named lock: {held:?}"),
        },
        other => panic!("not refused: {other:?}"),
    }
}

pub(super) fn waiters(grants: &[Grant]) -> Vec<WaiterId> {
    grants.iter().map(|grant| grant.waiter).collect()
}
