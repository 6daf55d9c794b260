use super::fixture::*;
use crate::locks::Mode::{Exclusive, Shared};
use crate::locks::{Mode, Request, Resource};

/// What owner 1 holds of `INO`.
fn held(locks: &Fixture) -> Vec<(u64, u64, Mode)> {
    locks.table.held_by(owner(1).session).map(|(_, held)| (held.range.start, held.range.end, held.mode)).collect()
}

#[test]
fn ranges_split_grow_together_and_change_their_mode() {
    let mut locks = Fixture::default();
    locks.lock(1, INO, 0, 9, Exclusive);
    locks.lock(1, INO, 10, 19, Exclusive);
    assert_eq!(held(&locks), [(0, 19, Exclusive)]);
    locks.lock(1, INO, 5, 14, Shared);
    assert_eq!(held(&locks), [(0, 4, Exclusive), (5, 14, Shared), (15, 19, Exclusive)]);
    locks.unlock(1, INO, 7, 8);
    assert_eq!(held(&locks), [(0, 4, Exclusive), (5, 6, Shared), (9, 14, Shared), (15, 19, Exclusive)]);
    locks.lock(1, INO, 2, u64::MAX, Exclusive);
    assert_eq!(held(&locks), [(0, u64::MAX, Exclusive)]);
    locks.unlock(1, INO, 0, u64::MAX);
    assert!(locks.table.is_empty());
}

#[test]
fn waiters_for_other_bytes_do_not_wait() {
    let mut locks = Fixture::default();
    locks.lock(1, INO, 0, 9, Exclusive);
    let first = waiter(&locks.lock(2, INO, 5, 14, Exclusive));
    token(&locks.lock(3, INO, 15, 20, Exclusive));
    let behind = waiter(&locks.lock(4, INO, 10, 14, Shared));
    assert_eq!(waiters(&locks.unlock(1, INO, 5, 9)), [first]);
    assert_eq!(waiters(&locks.unlock(2, INO, 0, u64::MAX)), [behind]);
}

#[test]
fn a_holder_changes_what_it_holds_past_those_who_wait_for_it() {
    let mut locks = Fixture::default();
    locks.lock(1, INO, 0, 9, Shared);
    let writer = waiter(&locks.lock(2, INO, 0, 9, Exclusive));
    let other = waiter(&locks.lock(3, INO, 5, 30, Exclusive));
    token(&locks.lock(1, INO, 0, 19, Exclusive));
    let request = Request::range(INO, owner(1), range(20, 29), Shared, false);
    token(&locks.ask(request).0);
    assert_eq!(locks.unlock(1, INO, 0, 4), [], "both want what is left");
    assert_eq!(waiters(&locks.unlock(1, INO, 5, 19)), [writer]);
    assert_eq!(locks.unlock(2, INO, 0, u64::MAX), [], "it waits for the rest of what 1 has");
    assert_eq!(waiters(&locks.unlock(1, INO, 0, u64::MAX)), [other]);
}

#[test]
fn a_grant_that_frees_something_serves_those_who_were_earlier() {
    let mut locks = Fixture::default();
    locks.lock(1, INO, 0, 4, Exclusive);
    locks.lock(2, INO, 5, 9, Exclusive);
    let reader = waiter(&locks.lock(3, INO, 0, 4, Shared));
    let converting = waiter(&locks.lock(1, INO, 0, 9, Shared));
    assert_eq!(waiters(&locks.unlock(2, INO, 5, 9)), [converting, reader]);
}

#[test]
fn a_test_names_the_first_that_is_in_the_way() {
    let mut locks = Fixture::default();
    locks.lock(2, INO, 50, 59, Exclusive);
    locks.lock(1, INO, 10, 19, Shared);
    let ask = |n: u64, start, mode| {
        let found = locks.table.query(&Resource::Range(INO), owner(n).session, n, range(start, 100), mode);
        found.map(|held| (held.holder.clone(), held.range, held.mode))
    };
    assert_eq!(ask(3, 0, Exclusive), Some((crate::locks::Holder::File(owner(1)), range(10, 19), Shared)));
    assert_eq!(ask(3, 0, Shared), Some((crate::locks::Holder::File(owner(2)), range(50, 59), Exclusive)));
    assert_eq!(ask(2, 20, Exclusive), None, "one's own is not");
    assert_eq!(ask(3, 60, Exclusive), None);
}
