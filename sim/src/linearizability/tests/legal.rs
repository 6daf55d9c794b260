//! Histories that look odd and are right.

use super::*;

fn accepted(before: &State, history: &[Op]) -> Vec<State> {
    match decide(before, history) {
        Verdict::Linearizable { states } => states,
        verdict => panic!("not accepted: {verdict:?}"),
    }
}

#[test]
fn readers_of_an_open_write_may_see_it_or_not() {
    let history = [
        op(0, (0, 100), write(0, &[2]), Answer::Done),
        op(1, (10, 20), read(0, 1), units(&[1])),
        op(2, (15, 30), read(0, 1), units(&[2])),
        op(1, (31, 40), read(0, 1), units(&[2])),
    ];
    assert_eq!(accepted(&holding(&[1]), &history), [holding(&[2])]);
}

#[test]
fn an_operation_may_take_effect_long_before_it_returns() {
    // The rename is over before the create that needs its name to be free, though it returns last.
    let history = [
        op(0, (0, 100), rename(A, B), Answer::Done),
        op(1, (10, 20), create(A), Answer::File(OTHER)),
        op(2, (30, 40), Call::Lookup(B), Answer::File(FILE)),
    ];
    accepted(&holding(&[]), &history);
}

#[test]
fn who_appended_first_is_open_until_somebody_looks() {
    let history = [op(0, (0, 10), append(1), Answer::Done), op(1, (0, 10), append(2), Answer::Done)];
    let mut states = accepted(&holding(&[]), &history);
    states.sort_by_key(|state| state.files[&FILE].units.clone());
    assert_eq!(states, [holding(&[1, 2]), holding(&[2, 1])]);
    let later = [op(2, (20, 30), read(0, 1), units(&[2]))];
    let Verdict::Linearizable { states } = check(&Files::Direct, &states, &later, CONFIGURATIONS_MAX) else { panic!() };
    assert_eq!(states, [holding(&[2, 1])]);
}

#[test]
fn an_operation_without_an_answer_may_have_taken_effect_or_not_and_late() {
    let lost_write = lost(0, 0, None, write(0, &[2]));
    for seen in [vec![1, 1, 1], vec![2, 2, 2], vec![1, 1, 2], vec![1, 2, 2]] {
        let reads = seen.iter().enumerate().map(|(n, &unit)| {
            let at = 10 + 10 * n as u64;
            op(1, (at, at + 5), read(0, 1), units(&[unit]))
        });
        let history: Vec<_> = std::iter::once(lost_write.clone()).chain(reads).collect();
        accepted(&holding(&[1]), &history);
    }
}

#[test]
fn an_operation_of_a_fenced_mount_may_be_seen_only_after_the_fence() {
    let history = [lost(0, 0, Some(50), write(0, &[2])), op(1, (60, 70), read(0, 1), units(&[2]))];
    assert_eq!(accepted(&holding(&[1]), &history), [holding(&[2])]);
    let states = accepted(&holding(&[1]), &history[..1]);
    assert_eq!(states.len(), 2, "nobody has looked");
}

#[test]
fn a_file_that_was_replaced_is_still_read_through_its_descriptor() {
    let other = Call::Write { file: OTHER, at: 0, units: vec![9] };
    let history = [
        op(0, (0, 1), create(B), Answer::File(OTHER)),
        op(0, (2, 3), other, Answer::Done),
        op(0, (4, 5), rename(B, A), Answer::Done),
        op(1, (6, 7), read(0, 1), units(&[1])),
        op(1, (8, 9), Call::Open(A), Answer::File(OTHER)),
        op(1, (10, 11), Call::Read { file: OTHER, at: 0, len: 1 }, units(&[9])),
    ];
    accepted(&holding(&[1]), &history);
}

#[test]
fn what_happens_at_the_same_instant_is_concurrent() {
    accepted(&holding(&[1]), &[op(0, (0, 10), write(0, &[2]), Answer::Done), op(1, (10, 20), read(0, 1), units(&[1]))]);
}

#[test]
fn a_waiter_gets_the_lock_when_it_is_let_go() {
    let lock = |owner| Call::Lock { lock: 0, owner, shared: false };
    let unlock = |owner| Call::Unlock { lock: 0, owner };
    let history = [
        op(0, (0, 10), lock(0), Answer::Done),
        op(1, (5, 30), lock(1), Answer::Done),
        op(2, (6, 50), lock(2), Answer::Done),
        op(0, (20, 40), unlock(0), Answer::Done),
        op(1, (32, 45), unlock(1), Answer::Done),
    ];
    let states = accepted(&State::default(), &history);
    assert_eq!(states[0].locks[&0].keys().collect::<Vec<_>>(), [&2]);
}

/// What matters is how many are open at once and how soon somebody looks, not how long it goes on.
#[test]
fn a_long_history_takes_no_longer_than_its_length() {
    let mut history = Vec::new();
    let mut content = Vec::new();
    for round in 0..4_000_u64 {
        let start = round * 100;
        if content.len() > 20 {
            content.clear();
            history.push(op(0, (start, start + 5), Call::Truncate { file: FILE, len: 0 }, Answer::Done));
        }
        for client in 0..3 {
            let unit = (round * 8 + client) as u32 + 1;
            history.push(op(client as u16, (start + 10 + client, start + 50 + client), append(unit), Answer::Done));
            content.push(unit);
        }
        // Two that read while the others append.
        history.push(op(3, (start + 12, start + 48), Call::Lookup(A), Answer::File(FILE)));
        history.push(op(4, (start + 60, start + 70), read(0, 99), units(&content)));
    }
    assert_eq!(accepted(&holding(&[]), &history), [holding(&content)]);
}

#[test]
fn too_many_possibilities_are_undecided() {
    let history: Vec<_> = (0..12).map(|client| op(client, (0, 10), append(u32::from(client) + 1), Answer::Done)).collect();
    let verdict = check(&Files::Direct, &[holding(&[])], &history, 5_000);
    assert!(matches!(verdict, Verdict::Undecided { .. }), "{verdict:?}");
    let more_than_fit: Vec<_> = (0..70).map(|client| lost(client, 0, None, Call::Unlink(B))).collect();
    assert_eq!(decide(&holding(&[]), &more_than_fit), Verdict::Undecided { returned: 0 });
}
