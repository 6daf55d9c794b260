use super::fixture::*;
use crate::locks::Mode::{Exclusive, Shared};
use crate::locks::Resource;

#[test]
fn a_session_that_is_over_leaves_nothing_behind() {
    let mut locks = Fixture::default();
    locks.flock(10, Shared);
    locks.flock(11, Shared);
    locks.lock(12, OTHER, 0, 5, Exclusive);
    let writer = waiter(&locks.flock(20, Exclusive));
    waiter(&locks.flock(13, Shared));
    let other = waiter(&locks.lock(21, OTHER, 3, 9, Shared));
    let grants = locks.table.session_gone(owner(10).session, 0);
    assert_eq!(waiters(&grants), [writer, other], "a shared lock of a dead session goes, too");
    assert_eq!(locks.table.session_gone(owner(20).session, 0), []);
    assert!(locks.table.is_empty());
}

#[test]
fn it_is_known_who_is_in_the_way() {
    let mut locks = Fixture::default();
    let (a, b) = (owner(10).session, owner(20).session);
    locks.flock(10, Shared);
    assert!(!locks.table.is_in_the_way(a));
    locks.lock(20, OTHER, 0, 0, Exclusive);
    waiter(&locks.lock(10, OTHER, 0, 0, Shared));
    assert!(!locks.table.is_in_the_way(a), "it waits, but nobody waits for it");
    locks.unlock(20, OTHER, 0, 0);
    let waits = waiter(&locks.flock(20, Exclusive));
    assert!(locks.table.is_in_the_way(a) && !locks.table.is_in_the_way(b));
    let blockers: Vec<_> = locks.table.blockers_of(waits).map(|held| held.holder.session()).collect();
    assert_eq!(blockers, [Some(a)]);
    locks.table.cancel(waits, 0);
    assert!(!locks.table.is_in_the_way(a));
}

#[test]
fn what_was_held_before_the_node_forgot_is_claimed_back() {
    let mut locks = Fixture::default();
    let flock = Resource::Flock(INO);
    let whole = crate::locks::ByteRange::WHOLE;
    let first = locks.table.claim(flock.clone(), owner(10), whole, Shared, 0).unwrap();
    assert!(locks.table.claim(flock.clone(), owner(10), whole, Shared, 0).unwrap() >= first, "said twice");
    locks.table.claim(flock.clone(), owner(20), whole, Shared, 0).unwrap();
    let writer = waiter(&locks.flock(30, Exclusive));
    locks.table.claim(flock.clone(), owner(40), whole, Shared, 0).unwrap();
    let conflict = locks.table.claim(flock, owner(50), whole, Exclusive, 0).unwrap_err();
    assert_eq!(conflict.holder.session(), Some(owner(10).session));
    for n in [10, 20] {
        assert_eq!(locks.unflock(n), []);
    }
    assert_eq!(waiters(&locks.unflock(40)), [writer]);
}
