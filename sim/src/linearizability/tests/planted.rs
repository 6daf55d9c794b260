//! Violations that must be found.

use super::*;
use crate::linearizability::files::{HOLE, TORN};

fn caught(before: &State, history: &[Op]) {
    let verdict = decide(before, history);
    assert!(verdict.is_violation(), "not caught: {verdict:?}");
}

#[test]
fn a_stale_read() {
    let history = [op(0, (0, 10), write(0, &[2]), Answer::Done), op(1, (11, 20), read(0, 1), units(&[1]))];
    caught(&holding(&[1]), &history);
}

#[test]
fn a_read_that_falls_back_behind_one_before() {
    // The write is still open, so each of them alone would be right.
    let history =
        [op(0, (0, 100), write(0, &[2]), Answer::Done), op(1, (10, 20), read(0, 1), units(&[2])), op(2, (21, 30), read(0, 1), units(&[1]))];
    caught(&holding(&[1]), &history);
}

#[test]
fn a_lost_append() {
    let history =
        [op(0, (0, 10), append(1), Answer::Done), op(1, (0, 10), append(2), Answer::Done), op(0, (11, 20), read(0, 9), units(&[2]))];
    caught(&holding(&[]), &history);
}

#[test]
fn appends_that_one_reader_saw_in_one_order_and_another_in_the_other() {
    let history = [
        op(0, (0, 10), append(1), Answer::Done),
        op(1, (0, 10), append(2), Answer::Done),
        op(2, (11, 20), read(0, 9), units(&[1, 2])),
        op(3, (11, 20), read(0, 9), units(&[2, 1])),
    ];
    caught(&holding(&[]), &history);
}

#[test]
fn a_torn_write() {
    let write = op(0, (0, 10), write(0, &[5, 5]), Answer::Done);
    caught(&holding(&[1, 1]), &[write.clone(), op(1, (5, 15), read(0, 2), units(&[5, 1]))]);
    caught(&holding(&[1, 1]), &[write, op(1, (5, 15), read(0, 2), units(&[5, TORN]))]);
}

#[test]
fn writes_of_one_client_out_of_order() {
    let history = [
        op(0, (0, 10), write(0, &[5]), Answer::Done),
        op(0, (11, 20), write(1, &[6]), Answer::Done),
        op(1, (5, 30), read(0, 2), units(&[HOLE, 6])),
    ];
    caught(&holding(&[HOLE, HOLE]), &history);
}

#[test]
fn a_name_that_two_have_created() {
    let history = [op(0, (0, 10), create(B), Answer::File(OTHER)), op(1, (5, 15), create(B), Answer::File(OTHER + 1))];
    caught(&State::default(), &history);
}

#[test]
fn a_name_that_nobody_could_create() {
    let taken = Answer::Failed(libc::EEXIST);
    caught(&State::default(), &[op(0, (0, 10), create(B), taken.clone()), op(1, (5, 15), create(B), taken)]);
}

#[test]
fn a_rename_seen_half() {
    let rename = op(0, (0, 10), rename(A, B), Answer::Done);
    let neither = [
        rename.clone(),
        op(1, (2, 4), Call::Lookup(A), Answer::Failed(libc::ENOENT)),
        op(1, (5, 8), Call::Lookup(B), Answer::Failed(libc::ENOENT)),
    ];
    caught(&holding(&[]), &neither);
    let both = [rename, op(1, (2, 4), Call::Lookup(B), Answer::File(FILE)), op(1, (5, 8), Call::Lookup(A), Answer::File(FILE))];
    caught(&holding(&[]), &both);
    let listed = [op(0, (0, 10), super::rename(A, B), Answer::Done), op(1, (2, 4), Call::List(0), Answer::Names(vec![0, 1]))];
    caught(&holding(&[]), &listed);
}

#[test]
fn a_read_from_the_future() {
    let history = [op(0, (0, 10), read(0, 1), units(&[2])), op(1, (11, 20), write(0, &[2]), Answer::Done)];
    caught(&holding(&[1]), &history);
}

/// What a kernel in between may say by itself is no violation; what it may not is one.
#[test]
fn a_rename_that_two_have_done() {
    let twice = [op(0, (0, 10), rename(A, B), Answer::Done), op(1, (2, 14), rename(A, B), Answer::Done)];
    caught(&holding(&[]), &twice);
    let verdict = |history: &[Op]| check(&Files::BehindKernel, &[holding(&[])], history, CONFIGURATIONS_MAX);
    assert!(verdict(&twice).is_linearizable());
    let elsewhere = [op(0, (0, 10), rename(A, B), Answer::Done), op(1, (2, 14), rename(A, Slot::new(1, 0)), Answer::Done)];
    assert!(verdict(&elsewhere).is_violation());
}

#[test]
fn a_lock_that_two_hold() {
    let lock = |owner, shared| Call::Lock { lock: 0, owner, shared };
    let history = [
        op(0, (0, 10), lock(0, false), Answer::Done),
        op(1, (5, 15), lock(1, false), Answer::Done),
        op(0, (20, 25), Call::Unlock { lock: 0, owner: 0 }, Answer::Done),
    ];
    caught(&State::default(), &history);
    let history = [
        op(0, (0, 10), lock(0, true), Answer::Done),
        op(1, (5, 15), lock(1, true), Answer::Done),
        op(2, (12, 20), Call::TryLock { lock: 0, owner: 2, shared: false }, Answer::Done),
    ];
    caught(&State::default(), &history);
    let held = Answer::Failed(libc::EWOULDBLOCK);
    caught(&State::default(), &[op(0, (0, 10), Call::TryLock { lock: 0, owner: 0, shared: false }, held)]);
}

#[test]
fn a_file_that_was_lost_with_the_name_of_another() {
    // What is open lives on after its name is gone.
    let history = [op(0, (0, 10), Call::Unlink(A), Answer::Done), op(1, (11, 20), read(0, 1), Answer::Failed(libc::ENOENT))];
    caught(&holding(&[1]), &history);
}

#[test]
fn an_operation_that_took_effect_after_its_mount_was_fenced() {
    let history =
        [lost(0, 0, Some(50), write(0, &[2])), op(1, (60, 70), read(0, 1), units(&[1])), op(1, (71, 80), read(0, 1), units(&[2]))];
    caught(&holding(&[1]), &history);
}

#[test]
fn an_operation_without_an_answer_that_took_effect_twice() {
    let history = [lost(0, 0, None, append(7)), op(1, (10, 20), read(0, 9), units(&[7, 7]))];
    caught(&holding(&[]), &history);
}

/// What is shown is what is needed: everybody who changed something lately, and who could not have seen what it saw.
#[test]
fn a_violation_is_shown_without_what_does_not_matter() {
    let mut history: Vec<Op> = (0..50).map(|n| op(0, (n * 10, n * 10 + 5), write(0, &[n as u32]), Answer::Done)).collect();
    history.push(op(0, (1000, 1100), write(0, &[77]), Answer::Done));
    history.extend((0..9).map(|n| op(2, (1010 + n * 10, 1015 + n * 10), Call::Length(FILE), Answer::Length(1))));
    history.push(op(1, (1200, 1300), read(0, 1), units(&[49])));
    let Verdict::Violation(violation) = decide(&holding(&[0]), &history) else { panic!("not caught") };
    let shown: Vec<_> = violation.operations.iter().map(|op| &op.call).collect();
    assert_eq!(shown, [&write(0, &[48]), &write(0, &[49]), &write(0, &[77]), &read(0, 1)], "{violation}");
    assert_eq!((violation.culprit, violation.before.len()), (3, 1));
    assert_eq!(violation.before[0].files[&FILE].units[..], [47]);
}
