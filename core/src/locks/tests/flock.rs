use super::fixture::*;
use crate::locks::Mode::{Exclusive, Shared};
use crate::locks::{Outcome, Refusal};

#[test]
fn many_share_and_one_excludes() {
    let mut locks = Fixture::default();
    let first = token(&locks.flock(1, Shared));
    let second = token(&locks.flock(2, Shared));
    assert!(second > first);
    assert_eq!(holder_in_the_way(&locks.try_flock(3, Exclusive)), 1);
    let waits = waiter(&locks.flock(3, Exclusive));
    assert_eq!(locks.unflock(1), []);
    let grants = locks.unflock(2);
    assert_eq!(waiters(&grants), [waits]);
    assert!(grants[0].fencing_token > second);
    assert_eq!(holder_in_the_way(&locks.try_flock(1, Shared)), 3);
}

#[test]
fn asking_again_for_what_is_held_changes_nothing() {
    let mut locks = Fixture::default();
    let first = token(&locks.flock(1, Exclusive));
    assert_eq!(token(&locks.flock(1, Exclusive)), first);
    locks.unflock(1);
    assert!(locks.table.is_empty());
    assert_eq!(locks.unflock(1), [], "twice");
}

#[test]
fn a_conversion_to_exclusive_gives_up_the_shared_lock_first() {
    let mut locks = Fixture::default();
    locks.flock(1, Shared);
    locks.flock(2, Shared);
    let one = waiter(&locks.flock(1, Exclusive));
    let (outcome, grants) = locks.ask(crate::locks::Request::flock(INO, owner(2), Exclusive, true));
    assert_eq!(waiters(&grants), [one], "each gives way to the other: no deadlock");
    let two = waiter(&outcome);
    assert_eq!(waiters(&locks.unflock(1)), [two]);
}

#[test]
fn a_conversion_that_would_not_wait_loses_the_shared_lock() {
    let mut locks = Fixture::default();
    locks.flock(1, Shared);
    locks.flock(2, Shared);
    assert_eq!(holder_in_the_way(&locks.try_flock(1, Exclusive)), 2);
    token(&locks.flock(2, Exclusive));
}

#[test]
fn the_only_holder_converts_at_once_unless_somebody_waits() {
    let mut locks = Fixture::default();
    locks.flock(1, Shared);
    token(&locks.flock(1, Exclusive));
    let reader = waiter(&locks.flock(2, Shared));
    let (outcome, grants) = locks.ask(crate::locks::Request::flock(INO, owner(1), Shared, true));
    token(&outcome);
    assert_eq!(waiters(&grants), [reader], "both share it now");
    let writer = waiter(&locks.flock(3, Exclusive));
    locks.unflock(2);
    let (outcome, grants) = locks.ask(crate::locks::Request::flock(INO, owner(1), Exclusive, true));
    assert_eq!((waiters(&grants), matches!(outcome, Outcome::Queued(_))), (vec![writer], true));
}

#[test]
fn a_process_does_not_wait_behind_a_writer_that_waits_for_it() {
    let mut locks = Fixture::default();
    locks.flock(1, Shared);
    let writer = waiter(&locks.flock(2, Exclusive));
    let again = crate::locks::FileOwner { owner: 100, ..owner(1) };
    let request = |wait| crate::locks::Request::flock(INO, again, Shared, wait);
    token(&locks.ask(request(false)).0);
    locks.table.unlock_flock(INO, again.session, again.owner, 0);
    token(&locks.ask(request(true)).0);
    locks.unflock(1);
    assert_eq!(waiters(&locks.table.unlock_flock(INO, again.session, again.owner, 0)), [writer]);
}

#[test]
fn flock_and_fcntl_do_not_see_each_other() {
    let mut locks = Fixture::default();
    token(&locks.flock(1, Exclusive));
    token(&locks.lock(2, INO, 0, u64::MAX, Exclusive));
}

#[test]
fn flock_finds_no_deadlock() {
    let mut locks = Fixture::default();
    let on_other = |n| crate::locks::Request::flock(OTHER, owner(n), Exclusive, true);
    locks.flock(1, Exclusive);
    token(&locks.ask(on_other(2)).0);
    waiter(&locks.ask(on_other(1)).0);
    let outcome = locks.flock(2, Exclusive);
    assert!(!matches!(outcome, Outcome::Refused(Refusal::Deadlock { .. })), "as on Linux: {outcome:?}");
}
