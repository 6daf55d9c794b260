use super::fixture::*;
use crate::LockId;
use crate::locks::Mode::{Exclusive, Semaphore, Shared};
use crate::locks::{LockTable, NotHeld, Outcome, Refusal, Request};

#[test]
fn permits_are_counted_and_their_number_is_agreed() {
    let mut locks = Fixture::default();
    let two = Semaphore { permits: 2 };
    for id in [1, 2] {
        token(&locks.name("s", id, "", two));
    }
    let third = waiter(&locks.name("s", 3, "", two));
    let fourth = waiter(&locks.name("s", 4, "", two));
    for wrong in [Semaphore { permits: 3 }, Shared, Exclusive] {
        assert_eq!(locks.name("s", 5, "", wrong), Outcome::Refused(Refusal::Mismatch { mode: two }));
    }
    assert_eq!(waiters(&locks.release(2)), [third]);
    assert_eq!(waiters(&locks.release(1)), [fourth]);
    locks.release(3);
    locks.release(4);
    token(&locks.name("s", 6, "", Semaphore { permits: 3 }));
    token(&locks.name("t", 7, "", Shared));
    assert_eq!(locks.name("t", 8, "", two), Outcome::Refused(Refusal::Mismatch { mode: Shared }));
}

#[test]
fn a_lock_runs_out_unless_it_is_renewed() {
    let mut locks = Fixture::default();
    let id = LockId::from_bits(1);
    token(&locks.name("a", 1, "", Exclusive));
    let waits = waiter(&locks.name("a", 2, "", Exclusive));
    assert_eq!(locks.table.next_expiry_ms(), Some(1_000));
    assert_eq!(locks.table.renew(id, 500, 900), Ok(1_400));
    assert_eq!(locks.table.expire(1_399), (vec![], vec![]));
    let (expired, grants) = locks.table.expire(1_400);
    assert_eq!((expired[0].holder.lock_id, waiters(&grants)), (id, vec![waits]));
    assert_eq!(locks.table.next_expiry_ms(), Some(2_400), "counted from the grant");
    assert_eq!(locks.table.renew(id, 500, 1_401), Err(NotHeld));
    assert_eq!(locks.table.release(id, 1_401), Err(NotHeld));
    assert_eq!(locks.table.renew(LockId::from_bits(2), 500, 1_500), Ok(2_000), "shorter");
    assert_eq!(locks.table.expire(2_000).0.len(), 1);
    assert!(locks.table.is_empty() && locks.table.next_expiry_ms().is_none());
}

#[test]
fn a_lock_does_not_outlive_the_right_to_it() {
    let mut locks = Fixture::default();
    let holder = crate::locks::NamedHolder { until_ms: Some(700), ..named(1, "") };
    token(&locks.ask(Request::named("a".parse().unwrap(), holder, Exclusive, true)).0);
    assert_eq!(locks.table.next_expiry_ms(), Some(700));
    assert_eq!(locks.table.renew(LockId::from_bits(1), 1_000, 600), Ok(700));
    assert_eq!(locks.table.renew(LockId::from_bits(1), 50, 600), Ok(650));
}

#[test]
fn a_wish_that_waits_can_be_neither_renewed_nor_released() {
    let mut locks = Fixture::default();
    locks.name("a", 1, "", Exclusive);
    waiter(&locks.name("a", 2, "", Exclusive));
    let id = LockId::from_bits(2);
    assert_eq!((locks.table.renew(id, 1, 0), locks.table.release(id, 0)), (Err(NotHeld), Err(NotHeld)));
    assert!(locks.table.named(id).is_none());
}

#[test]
fn what_was_held_is_held_after_a_restart_and_tokens_go_on() {
    let mut table = LockTable::new(100);
    table.restore("a".parse().unwrap(), named(1, ""), Exclusive, 120, 0, 5_000);
    let ask = |table: &mut LockTable, wait| table.request(Request::named("a".parse().unwrap(), named(2, ""), Exclusive, wait), 10).0;
    assert!(matches!(ask(&mut table, false), Outcome::Refused(Refusal::WouldBlock { held: Some(held) }) if held.fencing_token == 120));
    let waits = waiter(&ask(&mut table, true));
    let (expired, grants) = table.expire(5_000);
    assert_eq!((expired.len(), grants[0].waiter, grants[0].fencing_token), (1, waits, 121));
}
