use std::collections::{BTreeSet, HashSet};

use artifacts_tests::linearizability::files::{Answer, Call, FileId, Files, State};
use artifacts_tests::linearizability::programs::Op;
use artifacts_tests::linearizability::{CONFIGURATIONS_MAX, Verdict, check};

/// So many explanations of creations without an answer are tried.
const EXPLANATIONS_MAX: usize = 120;

/// Decides on what was done in one group, that was in one of the states `before`.
///
/// A creation without an answer has made a file of a number that nobody knows: one that was seen later and that no answered
/// creation has made, or one that was never seen. There is a violation if no such explanation has an order.
pub(crate) fn judge(before: &[State], history: &[Op]) -> Verdict<State, Call, Answer> {
    let mut first = None;
    for explained in explanations(before, history) {
        let verdict = check(&Files::BehindKernel, before, &explained, CONFIGURATIONS_MAX);
        if verdict.is_linearizable() {
            return verdict;
        }
        first.get_or_insert(verdict);
    }
    first.unwrap_or(Verdict::Undecided { returned: 0 })
}

/// A mount of which `client` was a program has failed for good. What it had answered and nobody had saved goes with it: that has
/// happened or not, and what its own programs saw of it says nothing. Everything from before the round was saved.
pub(crate) fn forgive(history: &mut Vec<Op>, client: u16) {
    let changes = |call: &Call| {
        matches!(
            call,
            Call::Create { .. } | Call::Write { .. } | Call::Append { .. } | Call::Truncate { .. } | Call::Unlink(_) | Call::Rename { .. }
        )
    };
    let is_lock = |call: &Call| matches!(call, Call::Lock { .. } | Call::TryLock { .. } | Call::Unlock { .. });
    let fails = |op: &Op| matches!(op.answer, Some(Answer::Failed(_)));
    history.retain(|op| op.client != client || is_lock(&op.call) || (changes(&op.call) && !fails(op)));
    for op in history.iter_mut().filter(|op| op.client == client && changes(&op.call)) {
        if let (Call::Create { id, .. }, Some(Answer::File(file))) = (&mut op.call, &op.answer) {
            *id = Some(*file);
        }
        (op.answer, op.returned_ns) = (None, None);
    }
}

/// What a group may hold when all programs have ended.
pub(crate) fn at_rest(states: Vec<State>) -> Vec<State> {
    let rested = states.into_iter().map(|state| {
        let mut state = state.at_rest();
        state.locks.clear();
        state
    });
    rested.collect::<HashSet<_>>().into_iter().collect()
}

fn explanations(before: &[State], history: &[Op]) -> Vec<Vec<Op>> {
    let is_nameless = |op: &&Op| matches!(op.call, Call::Create { id: None, .. }) && op.answer.is_none();
    let nameless = history.iter().filter(is_nameless).count();
    let file = |op: &Op| if let Some(Answer::File(file)) = op.answer { Some(file) } else { None };
    let created = history.iter().filter(|op| matches!(op.call, Call::Create { .. })).filter_map(file);
    let known: BTreeSet<FileId> = before.iter().flat_map(|state| state.files.keys().copied()).chain(created).collect();
    let strange: BTreeSet<FileId> = history.iter().filter_map(file).filter(|file| !known.contains(file)).collect();
    // Numbers that no file has stand for files that nobody saw.
    let unseen = (0..nameless as u64).map(|number| FileId::MAX - number);
    let candidates: Vec<FileId> = strange.into_iter().chain(unseen).take(nameless.max(1) * 2).collect();
    let mut orders = Vec::new();
    arrange(&candidates, nameless, &mut Vec::new(), &mut orders);
    orders.truncate(EXPLANATIONS_MAX);
    let explain = |order: Vec<FileId>| {
        let mut numbers = order.into_iter();
        let explained = history.iter().cloned().map(|mut op| {
            if let (Call::Create { id: id @ None, .. }, None) = (&mut op.call, &op.answer) {
                *id = numbers.next();
            }
            op
        });
        explained.collect()
    };
    orders.into_iter().map(explain).collect()
}

/// All ways to choose `count` of `from`, in every order.
fn arrange(from: &[FileId], count: usize, chosen: &mut Vec<FileId>, found: &mut Vec<Vec<FileId>>) {
    if chosen.len() == count {
        found.push(chosen.clone());
        return;
    }
    for &one in from {
        if found.len() > EXPLANATIONS_MAX {
            return;
        }
        if !chosen.contains(&one) {
            chosen.push(one);
            arrange(from, count, chosen, found);
            chosen.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use artifacts_tests::linearizability::files::Slot;

    use super::*;

    fn op(client: u16, (called_ns, returned_ns): (u64, u64), call: Call, answer: Option<Answer>) -> Op {
        Op { client, call, called_ns, answer, returned_ns: Some(returned_ns) }
    }

    fn create(client: u16, name: u8, at: (u64, u64)) -> Op {
        op(client, at, Call::Create { slot: Slot::new(0, name), id: None }, None)
    }

    fn lookup(name: u8, at: (u64, u64), answer: Answer) -> Op {
        op(9, at, Call::Lookup(Slot::new(0, name)), Some(answer))
    }

    #[test]
    fn a_creation_without_an_answer_explains_a_file_that_was_seen_later() {
        let (slot_0, slot_1) = (Answer::File(70), Answer::File(60));
        let history =
            [create(1, 0, (0, 90)), create(2, 1, (1, 90)), lookup(0, (10, 11), slot_0.clone()), lookup(1, (12, 13), slot_1.clone())];
        assert!(judge(&[State::default()], &history).is_linearizable());
        let gone = Answer::Failed(libc::ENOENT);
        let history = [create(1, 0, (0, 90)), lookup(0, (10, 11), slot_0.clone()), lookup(0, (12, 13), gone)];
        assert!(judge(&[State::default()], &history).is_violation(), "nobody has removed it");
        let history = [create(1, 0, (0, 5)), lookup(0, (10, 11), slot_0), lookup(1, (12, 13), slot_1)];
        assert!(judge(&[State::default()], &history).is_violation(), "nobody made the second");
    }

    /// Nobody has saved what it wrote; another mount sees it, or does not. What others were answered counts as ever.
    #[test]
    fn what_a_mount_that_failed_for_good_had_answered_may_be_gone() {
        let write = |client, at: (u64, u64), unit| op(client, at, Call::Append { file: 70, units: vec![unit] }, Some(Answer::Done));
        let length = |client, at: (u64, u64), len| op(client, at, Call::Length(70), Some(Answer::Length(len)));
        let slot = Slot::new(0, 0);
        let made = op(2, (0, 1), Call::Create { slot, id: None }, Some(Answer::File(70)));
        let history = |seen| {
            let mut history =
                vec![made.clone(), write(1, (2, 3), 5), length(1, (4, 5), 1), write(2, (20, 21), 6), length(2, (22, 23), seen)];
            forgive(&mut history, 1);
            for op in &mut history {
                op.returned_ns.get_or_insert(90);
            }
            history
        };
        assert!(judge(&[State::default()], &history(1)).is_linearizable(), "it is gone");
        assert!(judge(&[State::default()], &history(2)).is_linearizable(), "it is there");
        assert!(judge(&[State::default()], &history(0)).is_violation(), "what the other has written is there");
    }

    #[test]
    fn a_creation_that_nobody_saw_may_have_happened_or_not() {
        let listed = |names: &[u8]| op(9, (10, 11), Call::List(0), Some(Answer::Names(names.to_vec())));
        for names in [&[][..], &[4]] {
            assert!(judge(&[State::default()], &[create(1, 4, (0, 5)), listed(names)]).is_linearizable(), "{names:?}");
        }
        assert!(judge(&[State::default()], &[create(1, 4, (0, 5)), listed(&[3])]).is_violation());
    }
}
