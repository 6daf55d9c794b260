#![allow(clippy::unwrap_used)]
use super::*;
use crate::locks::ByteRange;

const A: SessionId = SessionId::from_bits(1);
const B: SessionId = SessionId::from_bits(2);
const C: SessionId = SessionId::from_bits(3);
const INO: Ino = Ino(7);

fn flock(mode: Mode) -> FileLock {
    FileLock { ino: INO, space: LockSpace::Flock, mode, owner: 1, pid: 10 }
}

fn bytes(start: u64, end: u64) -> FileLock {
    FileLock { space: LockSpace::Range(ByteRange { start, end }), ..flock(Mode::Exclusive) }
}

/// A table and the machine around it.
struct Bench {
    table: LockTable,
    locks: FileLocks,
}

impl Bench {
    fn new(absent: &[SessionId]) -> Self {
        Self { table: LockTable::new(0), locks: FileLocks::new(absent.iter().copied()) }
    }

    fn lock(&mut self, session: SessionId, id: u64, lock: FileLock) -> Result<LockAnswer, Errno> {
        let (answer, grants) = self.locks.lock(&mut self.table, session, id, lock, true, 0);
        assert_eq!(grants, []);
        answer
    }

    fn told(&mut self, grants: &[Grant]) -> Vec<(SessionId, u64)> {
        grants.iter().filter_map(|grant| self.locks.granted(&self.table, grant)).collect()
    }

    fn unlock(&mut self, session: SessionId, lock: FileLock) -> Vec<(SessionId, u64)> {
        let grants = self.locks.unlock(&mut self.table, session, lock.ino, lock.owner, lock.space, 0);
        self.told(&grants)
    }

    #[allow(clippy::type_complexity, reason = "as the machine answers")]
    fn claim(
        &mut self,
        session: SessionId,
        claims: &LockClaims,
    ) -> Result<(Vec<(SessionId, u64)>, Vec<(u64, Result<(), Errno>)>), GivenAway> {
        let (grants, ended) = self.locks.claim(&mut self.table, session, claims, 0)?;
        Ok((self.told(&grants), ended))
    }

    fn held(&self, session: SessionId) -> Vec<ByteRange> {
        self.table.held_by(session).map(|(_, held)| held.range).collect()
    }
}

fn holding(held: &[FileLock]) -> LockClaims {
    LockClaims { held: held.to_vec(), ..LockClaims::default() }
}

#[test]
fn a_grant_reaches_its_waiter_under_its_number() {
    let mut bench = Bench::new(&[]);
    assert_eq!(bench.lock(A, 5, flock(Mode::Exclusive)), Ok(LockAnswer::Granted));
    assert_eq!(bench.lock(B, 5, flock(Mode::Exclusive)), Ok(LockAnswer::Queued));
    assert_eq!(bench.lock(B, 5, flock(Mode::Exclusive)), Ok(LockAnswer::Queued), "asked again, the same wish");
    assert_eq!(bench.lock(C, 1, flock(Mode::Exclusive)), Ok(LockAnswer::Queued));
    assert_eq!(bench.unlock(A, flock(Mode::Exclusive)), [(B, 5)]);
    assert_eq!(bench.lock(B, 5, flock(Mode::Exclusive)), Ok(LockAnswer::Granted), "the grant was lost and is said again");
    let grants = bench.locks.gone(&mut bench.table, B, 0);
    assert_eq!(bench.told(&grants), [(C, 1)]);
}

#[test]
fn a_cancelled_wish_waits_no_longer_and_one_that_was_granted_is_not_cancelled() {
    let mut bench = Bench::new(&[]);
    bench.lock(A, 1, flock(Mode::Exclusive)).unwrap();
    bench.lock(B, 1, flock(Mode::Exclusive)).unwrap();
    assert!(bench.locks.cancel(&mut bench.table, B, 1, 0).0);
    assert!(!bench.locks.cancel(&mut bench.table, B, 1, 0).0);
    assert_eq!(bench.unlock(A, flock(Mode::Exclusive)), []);
    assert!(!bench.locks.cancel(&mut bench.table, A, 1, 0).0);
}

#[test]
fn nonsense_is_refused_and_waits_are_bounded() {
    let mut bench = Bench::new(&[]);
    assert_eq!(bench.lock(A, 1, flock(Mode::Semaphore { permits: 2 })), Err(Errno::EINVAL));
    assert_eq!(bench.lock(A, 1, bytes(9, 3)), Err(Errno::EINVAL));
    bench.lock(A, 1, flock(Mode::Exclusive)).unwrap();
    for id in 0..WAITS_MAX as u64 {
        assert_eq!(bench.lock(B, id, FileLock { owner: id, ..flock(Mode::Exclusive) }), Ok(LockAnswer::Queued));
    }
    assert_eq!(bench.lock(B, u64::MAX, flock(Mode::Exclusive)), Err(Errno::ENOLCK));
}

#[test]
fn locks_of_a_session_are_bounded_however_they_come() {
    let mut bench = Bench::new(&[]);
    let every_other = |number: u64| bytes(number * 2, number * 2);
    let many: Vec<FileLock> = (0..LOCKS_MAX as u64).map(|number| FileLock { ino: Ino(number % 64), ..every_other(number) }).collect();
    assert_eq!(bench.claim(A, &holding(&many)), Ok((vec![], vec![])));
    assert_eq!(bench.lock(A, 1, every_other(LOCKS_MAX as u64)), Err(Errno::ENOLCK));
    let more = [&many[..], &[every_other(1 << 40)]].concat();
    assert_eq!(bench.claim(A, &holding(&more)), Err(GivenAway));
    bench.unlock(A, FileLock { ino: Ino(3), ..bytes(0, 10_000) });
    assert_eq!(bench.lock(A, 1, every_other(LOCKS_MAX as u64)), Ok(LockAnswer::Granted));
}

#[test]
fn a_wait_has_no_end_in_time() {
    let mut bench = Bench::new(&[]);
    bench.lock(A, 1, flock(Mode::Exclusive)).unwrap();
    bench.lock(B, 1, flock(Mode::Exclusive)).unwrap();
    let a_year_ms = 365 * 24 * 3600 * 1000;
    let (expired, grants) = bench.table.expire(a_year_ms);
    assert!(expired.is_empty() && grants.is_empty());
    let grants = bench.locks.unlock(&mut bench.table, A, INO, 1, LockSpace::Flock, a_year_ms);
    assert_eq!(bench.told(&grants), [(B, 1)]);
}

#[test]
fn the_holder_is_named_to_who_asks() {
    let mut bench = Bench::new(&[]);
    bench.lock(A, 1, bytes(10, 19)).unwrap();
    let conflict = LockConflict { session: A, pid: 10, range: ByteRange { start: 10, end: 19 }, mode: Mode::Exclusive };
    assert_eq!(bench.locks.test(&bench.table, B, &bytes(0, 30)), Some(conflict));
    assert_eq!(bench.locks.test(&bench.table, B, &bytes(20, 30)), None);
    assert_eq!(bench.locks.test(&bench.table, A, &bytes(0, 30)), None, "its own");
}

#[test]
fn a_claim_lets_go_of_what_it_does_not_name_and_keeps_places_in_queues() {
    let mut bench = Bench::new(&[]);
    bench.lock(A, 1, bytes(0, 99)).unwrap();
    bench.lock(B, 1, bytes(0, 9)).unwrap();
    bench.lock(C, 1, bytes(0, 9)).unwrap();
    bench.lock(C, 2, bytes(50, 59)).unwrap();
    let waiting = LockClaims { waiting: vec![(1, bytes(0, 9))], ..LockClaims::default() };
    assert_eq!(bench.claim(B, &waiting), Ok((vec![], vec![])), "it waits on");
    // C has given up its second wish while it was away, and has not heard of the first.
    let asked = LockClaims { asked: vec![(1, bytes(0, 9))], ..LockClaims::default() };
    assert_eq!(bench.claim(C, &asked), Ok((vec![], vec![])));
    assert_eq!(bench.claim(A, &holding(&[bytes(20, 99)])), Ok((vec![(B, 1)], vec![])));
    assert_eq!(bench.held(A), [ByteRange { start: 20, end: 99 }]);
    assert_eq!(bench.unlock(A, bytes(20, 99)), [], "nobody waits for that any more");
    assert_eq!(bench.unlock(B, bytes(0, 9)), [(C, 1)]);
}

#[test]
fn what_was_granted_while_nobody_heard_is_said_again() {
    let mut bench = Bench::new(&[]);
    bench.lock(A, 1, flock(Mode::Exclusive)).unwrap();
    bench.lock(B, 1, flock(Mode::Exclusive)).unwrap();
    bench.unlock(A, flock(Mode::Exclusive));
    let waiting = LockClaims { waiting: vec![(1, flock(Mode::Exclusive))], ..LockClaims::default() };
    assert_eq!(bench.claim(B, &waiting), Ok((vec![], vec![(1, Ok(()))])));
}

#[test]
fn an_upgrade_that_came_to_nothing_at_the_mount_is_taken_back() {
    let mut bench = Bench::new(&[]);
    bench.lock(A, 1, FileLock { mode: Mode::Shared, ..bytes(0, 9) }).unwrap();
    bench.lock(A, 2, bytes(0, 9)).unwrap();
    bench.claim(A, &holding(&[FileLock { mode: Mode::Shared, ..bytes(0, 9) }])).unwrap();
    assert_eq!(bench.lock(B, 1, FileLock { mode: Mode::Shared, ..bytes(0, 9) }), Ok(LockAnswer::Granted));
}

#[test]
fn after_a_restart_holders_get_back_what_they_held_and_waiters_wait_on() {
    let mut bench = Bench::new(&[A, B]);
    bench.locks.reclaim(&mut bench.table, A, &[flock(Mode::Exclusive)], 0).unwrap();
    let waiting = LockClaims { waiting: vec![(3, flock(Mode::Exclusive))], ..LockClaims::default() };
    assert_eq!(bench.claim(B, &waiting), Ok((vec![], vec![])));
    assert_eq!(bench.claim(A, &holding(&[flock(Mode::Exclusive)])), Ok((vec![], vec![])));
    assert_eq!(bench.unlock(A, flock(Mode::Exclusive)), [(B, 3)]);
}

#[test]
fn who_comes_late_after_a_restart_gets_nothing_back_that_others_had_meanwhile() {
    for (theirs, mine, refused) in [
        (Mode::Exclusive, Mode::Exclusive, true),
        (Mode::Shared, Mode::Exclusive, true),
        (Mode::Exclusive, Mode::Shared, true),
        (Mode::Shared, Mode::Shared, false),
    ] {
        let mut bench = Bench::new(&[A, B]);
        bench.claim(B, &LockClaims::default()).unwrap();
        bench.lock(B, 1, flock(theirs)).unwrap();
        bench.unlock(B, flock(theirs));
        let claim = bench.claim(A, &holding(&[flock(mine), FileLock { ino: Ino(8), ..flock(Mode::Exclusive) }]));
        assert_eq!(claim.is_err(), refused, "{theirs:?} was given, {mine:?} is claimed");
        bench.locks.gone(&mut bench.table, A, 0);
        assert!(bench.locks.given.is_empty(), "nobody is missing any more");
    }
}

#[test]
fn a_live_session_that_comes_back_late_keeps_what_nobody_was_given() {
    let mut bench = Bench::new(&[]);
    bench.lock(A, 1, flock(Mode::Exclusive)).unwrap();
    bench.lock(B, 1, FileLock { ino: Ino(8), ..flock(Mode::Exclusive) }).unwrap();
    assert_eq!(bench.claim(A, &holding(&[flock(Mode::Exclusive)])), Ok((vec![], vec![])));
    assert_eq!(bench.claim(A, &holding(&[FileLock { ino: Ino(8), ..flock(Mode::Exclusive) }])), Err(GivenAway));
}
