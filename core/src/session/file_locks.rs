use std::collections::{BTreeMap, BTreeSet};

use crate::SessionId;
use crate::locks::{ByteRange, FileLock, Grant, Holder, LockSpace, LockTable, Mode, Outcome, Refusal, Request, Resource, WaiterId};
use crate::namespace::{Errno, Ino};
use crate::protocol::{LockAnswer, LockConflict};

/// So many locks may one session wait for.
const WAITS_MAX: usize = 1024;
/// So many locks may one session hold; ranges that touch count once.
const LOCKS_MAX: usize = 8192;
/// So many resources are remembered as given while sessions are absent.
const GIVEN_MAX: usize = 64 * 1024;

/// What a session claims was given to somebody else: the session is to be fenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a lock that the session held was given to somebody else")]
pub struct GivenAway;

/// All that a session says of its locks over a new stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockClaims {
    /// What it holds.
    pub held: Vec<FileLock>,
    /// What it asked for under these numbers, and will ask for again.
    pub asked: Vec<(u64, FileLock)>,
    /// What it waits for, under these numbers.
    pub waiting: Vec<(u64, FileLock)>,
}

/// The locks of mounts in a workspace's [`LockTable`]: which of its waiters a mount knows under which number, and what a
/// mount may claim.
///
/// Always true:
/// - a wish that comes again under its number is the same wish; one for what is held already is granted;
/// - after [`FileLocks::claim`] a session holds and waits for what it says, and nothing else;
/// - after a restart a session gets back what it held unless somebody else has had it since, whether or not it is free
///   again.
#[derive(Debug, Default)]
pub struct FileLocks {
    waiters: BTreeMap<(SessionId, u64), WaiterId>,
    numbers: BTreeMap<WaiterId, (SessionId, u64)>,
    /// Sessions that may hold locks of the node's earlier life and have not said so yet.
    absent: BTreeSet<SessionId>,
    /// While there are any: who has been given what, and whether alone.
    given: BTreeMap<Resource, BTreeMap<SessionId, bool>>,
}

impl FileLocks {
    /// For a table that has just been made. These sessions may hold something that it does not know.
    pub fn new(absent: impl IntoIterator<Item = SessionId>) -> Self {
        Self { absent: absent.into_iter().collect(), ..Self::default() }
    }

    /// Whether nobody waits, and nobody is missing.
    pub fn is_idle(&self) -> bool {
        self.waiters.is_empty() && self.absent.is_empty()
    }

    /// A session asks for a lock. The grants are those of others.
    ///
    /// # Errors
    /// EAGAIN if it would have to wait and would not, EDEADLK, ENOLCK, EINVAL.
    pub fn lock(
        &mut self,
        table: &mut LockTable,
        session: SessionId,
        id: u64,
        lock: FileLock,
        wait: bool,
        now_ms: u64,
    ) -> (Result<LockAnswer, Errno>, Vec<Grant>) {
        if self.waiters.contains_key(&(session, id)) {
            return (Ok(LockAnswer::Queued), Vec::new());
        }
        if !lock.is_valid() {
            return (Err(Errno::EINVAL), Vec::new());
        }
        if self.waits_of(session).count() >= WAITS_MAX || table.held_by(session).take(LOCKS_MAX).count() == LOCKS_MAX {
            return (Err(Errno::ENOLCK), Vec::new());
        }
        let owner = lock.file_owner(session);
        let request = match lock.space {
            LockSpace::Flock => Request::flock(lock.ino, owner, lock.mode, wait),
            LockSpace::Range(range) => Request::range(lock.ino, owner, range, lock.mode, wait),
        };
        let (outcome, grants) = table.request(request, now_ms);
        let answer = match outcome {
            Outcome::Granted { .. } => {
                self.note(lock.space.resource(lock.ino), session, lock.mode == Mode::Exclusive);
                Ok(LockAnswer::Granted)
            }
            Outcome::Queued(waiter) => {
                self.waiters.insert((session, id), waiter);
                self.numbers.insert(waiter, (session, id));
                Ok(LockAnswer::Queued)
            }
            Outcome::Refused(Refusal::WouldBlock { .. }) => Err(Errno::EAGAIN),
            Outcome::Refused(Refusal::Deadlock { .. }) => Err(Errno::EDEADLK),
            Outcome::Refused(Refusal::Mismatch { .. }) => Err(Errno::EINVAL),
            Outcome::Refused(Refusal::Full) => Err(Errno::ENOLCK),
        };
        (answer, grants)
    }

    /// A session lets go of what an owner holds of this.
    pub fn unlock(&self, table: &mut LockTable, session: SessionId, ino: Ino, owner: u64, space: LockSpace, now_ms: u64) -> Vec<Grant> {
        match space {
            LockSpace::Flock => table.unlock_flock(ino, session, owner, now_ms),
            LockSpace::Range(range) => table.unlock_range(ino, session, owner, range, now_ms),
        }
    }

    /// Who is in the way of a lock.
    pub fn test(&self, table: &LockTable, session: SessionId, lock: &FileLock) -> Option<LockConflict> {
        let held = table.query(&lock.space.resource(lock.ino), session, lock.owner, lock.space.range(), lock.mode)?;
        let Holder::File(owner) = &held.holder else { return None };
        Some(LockConflict { session: owner.session, pid: owner.pid, range: held.range, mode: held.mode })
    }

    /// A wish is not wanted any more. Whether it waited.
    pub fn cancel(&mut self, table: &mut LockTable, session: SessionId, id: u64, now_ms: u64) -> (bool, Vec<Grant>) {
        let Some(waiter) = self.forget(session, id) else { return (false, Vec::new()) };
        table.cancel(waiter, now_ms)
    }

    /// A waiter has been granted its lock: whom to tell, and under which number. `None` if it is no mount's.
    pub fn granted(&mut self, table: &LockTable, grant: &Grant) -> Option<(SessionId, u64)> {
        let (session, id) = self.numbers.remove(&grant.waiter)?;
        self.waiters.remove(&(session, id));
        if !self.absent.is_empty() {
            let mut held = table.held_by(session).filter(|(resource, _)| **resource == grant.resource);
            let alone = held.any(|(_, held)| held.mode == Mode::Exclusive);
            self.note(grant.resource.clone(), session, alone);
        }
        Some((session, id))
    }

    /// A session is over.
    pub fn gone(&mut self, table: &mut LockTable, session: SessionId, now_ms: u64) -> Vec<Grant> {
        let waits: Vec<u64> = self.waits_of(session).collect();
        for id in waits {
            self.forget(session, id);
        }
        self.arrived(session);
        table.session_gone(session, now_ms)
    }

    /// A session says what it holds, before anybody is given anything.
    ///
    /// # Errors
    /// [`GivenAway`].
    pub fn reclaim(&mut self, table: &mut LockTable, session: SessionId, held: &[FileLock], now_ms: u64) -> Result<(), GivenAway> {
        if held.len() > LOCKS_MAX {
            return Err(GivenAway);
        }
        let was_absent = self.absent.contains(&session);
        let known = held_places(table, session);
        for lock in held {
            let resource = lock.space.resource(lock.ino);
            if !lock.is_valid() || (was_absent && self.was_given(&resource, session, lock.mode)) {
                return Err(GivenAway);
            }
            let range = lock.space.range();
            let is_same = |&(held, mode): &(ByteRange, Mode)| mode == lock.mode && held.start <= range.start && range.end <= held.end;
            if !known.get(&(resource.clone(), lock.owner)).is_some_and(|known| known.iter().any(is_same)) {
                let owner = lock.file_owner(session);
                table.claim(resource, owner, range, lock.mode, now_ms).map_err(|_| GivenAway)?;
            }
        }
        self.arrived(session);
        Ok(())
    }

    /// A session says over a new stream what it holds and what it waits for. Answers the grants of others, and which of
    /// its own waits have ended.
    ///
    /// # Errors
    /// [`GivenAway`].
    #[allow(clippy::type_complexity, reason = "grants of others, and own waits by number")]
    pub fn claim(
        &mut self,
        table: &mut LockTable,
        session: SessionId,
        claims: &LockClaims,
        now_ms: u64,
    ) -> Result<(Vec<Grant>, Vec<(u64, Result<(), Errno>)>), GivenAway> {
        self.reclaim(table, session, &claims.held, now_ms)?;
        let mut grants = Vec::new();
        let wanted: BTreeSet<u64> = claims.asked.iter().chain(&claims.waiting).map(|&(id, _)| id).collect();
        let unwanted: Vec<u64> = self.waits_of(session).filter(|id| !wanted.contains(id)).collect();
        for id in unwanted {
            grants.extend(self.cancel(table, session, id, now_ms).1);
        }
        let claimed = claims.held.iter().chain(claims.asked.iter().chain(&claims.waiting).map(|(_, lock)| lock));
        for (ino, owner, space) in surplus(table, session, claimed) {
            grants.extend(self.unlock(table, session, ino, owner, space, now_ms));
        }
        let mut ended = Vec::new();
        for &(id, lock) in &claims.waiting {
            let (answer, others) = self.lock(table, session, id, lock, true, now_ms);
            grants.extend(others);
            match answer {
                Ok(LockAnswer::Granted) => ended.push((id, Ok(()))),
                Ok(LockAnswer::Queued) => {}
                Err(errno) => ended.push((id, Err(errno))),
            }
        }
        Ok((grants, ended))
    }

    fn waits_of(&self, session: SessionId) -> impl Iterator<Item = u64> {
        self.waiters.range((session, 0)..=(session, u64::MAX)).map(|(&(_, id), _)| id)
    }

    fn forget(&mut self, session: SessionId, id: u64) -> Option<WaiterId> {
        let waiter = self.waiters.remove(&(session, id))?;
        self.numbers.remove(&waiter);
        Some(waiter)
    }

    /// A session has said what it holds, or holds nothing.
    pub fn arrived(&mut self, session: SessionId) {
        self.absent.remove(&session);
        if self.absent.is_empty() {
            self.given.clear();
        }
    }

    fn note(&mut self, resource: Resource, session: SessionId, alone: bool) {
        if !self.absent.is_empty() && self.given.len() < GIVEN_MAX {
            *self.given.entry(resource).or_default().entry(session).or_default() |= alone;
        }
    }

    fn was_given(&self, resource: &Resource, but: SessionId, mode: Mode) -> bool {
        let to_others =
            |given: &BTreeMap<SessionId, bool>| given.iter().any(|(&session, &alone)| session != but && (alone || mode == Mode::Exclusive));
        self.given.len() >= GIVEN_MAX || self.given.get(resource).is_some_and(to_others)
    }
}

/// What a session holds, by file and owner.
fn held_places(table: &LockTable, session: SessionId) -> BTreeMap<(Resource, u64), Vec<(ByteRange, Mode)>> {
    let mut places: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (resource, held) in table.held_by(session) {
        let Holder::File(owner) = &held.holder else { continue };
        places.entry((resource.clone(), owner.owner)).or_default().push((held.range, held.mode));
    }
    places
}

/// What a session holds and does not claim.
fn surplus<'a>(table: &LockTable, session: SessionId, claimed: impl Iterator<Item = &'a FileLock>) -> Vec<(Ino, u64, LockSpace)> {
    let mut claims: BTreeMap<(Resource, u64), Vec<ByteRange>> = BTreeMap::new();
    for lock in claimed {
        claims.entry((lock.space.resource(lock.ino), lock.owner)).or_default().push(lock.space.range());
    }
    let mut surplus = Vec::new();
    for ((resource, owner), held) in held_places(table, session) {
        let space = |range| if matches!(resource, Resource::Flock(_)) { LockSpace::Flock } else { LockSpace::Range(range) };
        let (Resource::Flock(ino) | Resource::Range(ino)) = resource else { continue };
        let claimed = claims.remove(&(resource.clone(), owner)).unwrap_or_default();
        for (range, _) in held {
            let mut rest = vec![range];
            for &claimed in &claimed {
                rest = rest.into_iter().flat_map(|part| part.minus(claimed)).collect();
            }
            surplus.extend(rest.into_iter().map(|range| (ino, owner, space(range))));
        }
    }
    surplus
}

#[cfg(test)]
#[path = "file_locks_tests.rs"]
mod tests;
