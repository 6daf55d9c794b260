use super::fixture::*;
use crate::locks::Mode::{Exclusive, Semaphore, Shared};
use crate::locks::{Holder, Outcome, Refusal, Request, Resource};

/// The circle, as owners' pids or names.
fn cycle(outcome: &Outcome) -> Vec<String> {
    let Outcome::Refused(Refusal::Deadlock { cycle }) = outcome else { panic!("not refused: {outcome:?}") };
    let name = |holder: &Holder| match holder {
        Holder::File(owner) => owner.pid.to_string(),
        Holder::Named(named) => named.owner.clone().unwrap(),
    };
    cycle.iter().map(|waiting| name(&waiting.holder)).collect()
}

#[test]
fn a_circle_of_three_is_found_and_named() {
    let mut locks = Fixture::default();
    for (n, at) in [(1, 0), (2, 10), (3, 20)] {
        token(&locks.lock(n, INO, at, at, Exclusive));
    }
    waiter(&locks.lock(1, INO, 10, 10, Shared));
    waiter(&locks.lock(2, INO, 20, 20, Shared));
    let outcome = locks.lock(3, INO, 0, 0, Exclusive);
    assert_eq!(cycle(&outcome), ["3", "1", "2"]);
    locks.unlock(3, INO, 20, 20);
    waiter(&locks.lock(3, INO, 0, 0, Exclusive));
}

#[test]
fn contention_is_no_deadlock() {
    let mut locks = Fixture::default();
    token(&locks.lock(1, INO, 0, 9, Exclusive));
    for n in 2..40 {
        waiter(&locks.lock(n, INO, 0, 9, Exclusive));
    }
    token(&locks.lock(1, OTHER, 0, 0, Exclusive));
    for n in 1..40 {
        assert_eq!(locks.unlock(n, INO, 0, 9).len(), usize::from(n < 39));
        let again = locks.lock(n, INO, 0, 9, Exclusive);
        assert!(!matches!(again, Outcome::Refused(_)), "{again:?}");
        if let Outcome::Queued(id) = again {
            locks.table.cancel(id, 0);
        }
    }
}

#[test]
fn two_that_share_cannot_both_become_exclusive() {
    let mut locks = Fixture::default();
    locks.lock(1, INO, 0, 0, Shared);
    locks.lock(2, INO, 0, 0, Shared);
    let first = waiter(&locks.lock(1, INO, 0, 0, Exclusive));
    assert_eq!(cycle(&locks.lock(2, INO, 0, 0, Exclusive)), ["2", "1"]);
    assert_eq!(waiters(&locks.unlock(2, INO, 0, 0)), [first]);
}

#[test]
fn a_request_that_does_not_wait_is_no_deadlock() {
    let mut locks = Fixture::default();
    locks.lock(1, INO, 0, 0, Exclusive);
    locks.lock(2, OTHER, 0, 0, Exclusive);
    waiter(&locks.lock(1, OTHER, 0, 0, Exclusive));
    let (outcome, _) = locks.ask(Request::range(INO, owner(2), range(0, 0), Exclusive, false));
    assert_eq!(holder_in_the_way(&outcome), 1);
}

#[test]
fn named_locks_are_found_by_their_owners_only() {
    let mut locks = Fixture::default();
    locks.name("x", 1, "anna", Exclusive);
    locks.name("y", 2, "bert", Exclusive);
    waiter(&locks.name("y", 3, "anna", Exclusive));
    waiter(&locks.name("x", 4, "", Exclusive));
    let outcome = locks.name("x", 5, "bert", Shared);
    assert_eq!(cycle(&outcome), ["bert", "anna"]);
    let Outcome::Refused(Refusal::Deadlock { cycle }) = outcome else { unreachable!() };
    assert_eq!(
        cycle.iter().map(|waiting| waiting.resource.clone()).collect::<Vec<_>>(),
        [Resource::Named("x".parse().unwrap()), Resource::Named("y".parse().unwrap())]
    );
}

#[test]
fn an_owner_that_waits_for_itself_waits_for_ever() {
    let mut locks = Fixture::default();
    locks.name("x", 1, "anna", Exclusive);
    assert_eq!(cycle(&locks.name("x", 2, "anna", Exclusive)), ["anna"]);
}

#[test]
fn one_permit_of_many_is_enough() {
    let mut locks = Fixture::default();
    let two = Semaphore { permits: 2 };
    locks.name("s", 1, "anna", two);
    locks.name("s", 2, "bert", two);
    locks.name("x", 3, "carl", Exclusive);
    waiter(&locks.name("x", 4, "anna", Exclusive));
    let waits = waiter(&locks.name("s", 5, "carl", two));
    assert_eq!(waiters(&locks.release(2)), [waits], "bert did not wait");

    let mut locks = Fixture::default();
    locks.name("s", 1, "anna", two);
    locks.name("s", 2, "bert", two);
    locks.name("x", 3, "carl", Exclusive);
    waiter(&locks.name("x", 4, "anna", Exclusive));
    waiter(&locks.name("x", 5, "bert", Exclusive));
    assert_eq!(cycle(&locks.name("s", 6, "carl", two)), ["carl", "anna"]);
}

#[test]
fn the_order_of_a_queue_makes_no_deadlock() {
    let mut locks = Fixture::default();
    token(&locks.lock(1, INO, 0, 0, Shared));
    token(&locks.lock(3, OTHER, 0, 0, Exclusive));
    let writer = waiter(&locks.lock(2, INO, 0, 0, Exclusive));
    let reader = waiter(&locks.lock(3, INO, 0, 0, Shared));
    // The reader waits only because the writer came first, the writer for 1, and 1 would for the reader: so the reader passes.
    let (outcome, grants) = locks.ask(Request::range(OTHER, owner(1), range(0, 0), Exclusive, true));
    assert_eq!(waiters(&grants), [reader]);
    let first = waiter(&outcome);
    assert_eq!(waiters(&locks.unlock(3, OTHER, 0, 0)), [first]);
    locks.unlock(1, INO, 0, 0);
    assert_eq!(waiters(&locks.unlock(3, INO, 0, 0)), [writer]);
}
