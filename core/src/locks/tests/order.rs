use super::fixture::*;
use crate::locks::Mode::{Exclusive, Shared};

#[test]
fn first_come_first_served() {
    let mut locks = Fixture::default();
    locks.flock(1, Exclusive);
    let queue: Vec<_> = (2..10).map(|n| waiter(&locks.flock(n, Exclusive))).collect();
    for (n, waits) in (1..).zip(queue) {
        assert_eq!(waiters(&locks.unflock(n)), [waits]);
    }
}

#[test]
fn readers_do_not_starve_a_writer_and_go_together() {
    let mut locks = Fixture::default();
    locks.flock(1, Shared);
    let writer = waiter(&locks.flock(2, Exclusive));
    let third = waiter(&locks.flock(3, Shared));
    let fourth = waiter(&locks.flock(4, Shared));
    let (outcome, _) = locks.ask(crate::locks::Request::flock(INO, owner(5), Shared, false));
    assert!(matches!(outcome, crate::locks::Outcome::Refused(crate::locks::Refusal::WouldBlock { held: None })), "{outcome:?}");
    assert_eq!(waiters(&locks.unflock(1)), [writer]);
    assert_eq!(waiters(&locks.unflock(2)), [third, fourth]);
}

#[test]
fn who_waited_for_a_waiter_goes_on_when_that_one_gives_up() {
    let mut locks = Fixture::default();
    locks.flock(1, Shared);
    let writer = waiter(&locks.flock(2, Exclusive));
    let reader = waiter(&locks.flock(3, Shared));
    let (waited, grants) = locks.table.cancel(writer, 0);
    assert_eq!((waited, waiters(&grants)), (true, vec![reader]));
    assert_eq!(locks.table.cancel(reader, 0), (false, vec![]), "it holds");
}

#[test]
fn a_wait_has_no_end_but_a_grant() {
    let mut locks = Fixture::default();
    locks.flock(1, Exclusive);
    let waits = waiter(&locks.flock(2, Exclusive));
    let week_ms = 7 * 24 * 3600 * 1000;
    assert_eq!(locks.table.expire(week_ms), (vec![], vec![]));
    assert_eq!(waiters(&locks.table.unlock_flock(INO, owner(1).session, 1, week_ms)), [waits]);
}
