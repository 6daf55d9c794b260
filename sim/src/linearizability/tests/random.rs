//! Histories made up by chance.

use proptest::prelude::*;

use super::brute_force::is_linearizable;
use super::*;
use crate::linearizability::Model as _;

/// What a client might ask for. Few names, few units, so that they meet.
fn call() -> impl Strategy<Value = Call> {
    let slot = || (0..3_u8).prop_map(|name| Slot::new(name / 2, name % 2));
    let unit = || 1..4_u32;
    prop_oneof![
        slot().prop_map(Call::Open),
        slot().prop_map(create),
        (0..2_u32, 0..3_u32).prop_map(|(at, len)| read(at, len)),
        (0..2_u32, prop::collection::vec(unit(), 1..3)).prop_map(|(at, units)| write(at, &units)),
        unit().prop_map(append),
        (0..3_u32).prop_map(|len| Call::Truncate { file: FILE, len }),
        Just(Call::Length(FILE)),
        slot().prop_map(Call::Lookup),
        slot().prop_map(Call::Unlink),
        (slot(), slot(), any::<bool>()).prop_filter("two names", |(from, to, _)| from != to).prop_map(|(from, to, replace)| Call::Rename {
            from,
            to,
            replace
        }),
        (0..2_u8).prop_map(Call::List),
        (0..3_u16, any::<bool>()).prop_map(|(owner, shared)| Call::TryLock { lock: 0, owner, shared }),
        (0..3_u16).prop_map(|owner| Call::Unlock { lock: 0, owner }),
    ]
}

/// What a call answers in a state, and the state behind it.
fn answered(state: &State, call: &Call, fresh: FileId) -> (Answer, State) {
    let named = state.names.values().copied();
    let looked_for = [Answer::Done, Answer::File(fresh)]
        .into_iter()
        .chain(named.map(Answer::File))
        .chain([libc::ENOENT, libc::EEXIST, libc::EWOULDBLOCK].map(Answer::Failed))
        .chain((0..20).map(Answer::Length))
        .chain((0..4_u8).map(|bits| Answer::Names((0..2).filter(|name| bits & (1 << name) != 0).collect())))
        .chain(state.files.get(&FILE).into_iter().flat_map(|file| {
            let len = file.units.len();
            (0..=len).flat_map(move |from| (from..=len).map(move |to| Answer::Units(file.units[from..to].to_vec())))
        }));
    for answer in looked_for {
        if let Some(next) = Files::Direct.step(state, call, Some(&answer)) {
            return (answer, next);
        }
    }
    panic!("no answer to {call:?} in {state:?}");
}

/// One step of a made-up history: what is called, how far its call lies before its effect and its return behind it, and
/// whether its answer gets lost.
type Step = (Call, u64, u64, bool);

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((call(), 0..35_u64, 0..35_u64, prop::bool::weighted(0.1)), 1..most)
}

/// Lets the calls take effect one after the other, and stretches each around its effect.
fn history(steps: &[Step]) -> Vec<Op> {
    let mut state = holding(&[1, 2]);
    let stretched = steps.iter().enumerate().map(|(index, (call, before, behind, is_lost))| {
        let (answer, next) = answered(&state, call, 100 + index as u64);
        state = next;
        let effect_ns = 100 + 10 * index as u64;
        let answer = (!is_lost || matches!(call, Call::Create { .. })).then_some(answer);
        Op { client: index as u16, call: call.clone(), called_ns: effect_ns - before, answer, returned_ns: Some(effect_ns + behind) }
    });
    stretched.collect()
}

/// An answer that was not given, most likely a wrong one.
fn mutated(answer: &Answer, by: u32) -> Answer {
    match answer {
        Answer::Done => Answer::Failed(libc::ENOENT),
        Answer::File(file) => Answer::File(file ^ u64::from(by % 3)),
        Answer::Units(units) if units.is_empty() => Answer::Units(vec![by]),
        Answer::Units(units) => Answer::Units(units.iter().map(|unit| (unit ^ by) % 4).collect()),
        Answer::Length(len) => Answer::Length(len ^ by),
        Answer::Names(names) => Answer::Names(names.iter().copied().filter(|name| u32::from(*name) != by % 2).collect()),
        Answer::Failed(_) => Answer::Done,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_had_an_order_is_accepted(steps in steps(60)) {
        let verdict = decide(&holding(&[1, 2]), &history(&steps));
        prop_assert!(verdict.is_linearizable(), "{:?}", verdict);
    }

    #[test]
    fn what_was_changed_is_judged_as_by_trying_out_every_order(
        steps in steps(7),
        which in any::<prop::sample::Index>(),
        by in 1..4_u32,
    ) {
        let mut history = history(&steps);
        let index = which.index(history.len());
        history[index].answer = history[index].answer.as_ref().map(|answer| mutated(answer, by));
        let verdict = decide(&holding(&[1, 2]), &history);
        prop_assert_eq!(verdict.is_linearizable(), is_linearizable(&holding(&[1, 2]), &history), "{:?}", history);
        if let Verdict::Violation(violation) = verdict {
            let is_one = violation.before.iter().all(|state| !is_linearizable(state, &violation.operations));
            prop_assert!(is_one, "what is shown is no contradiction: {}", violation);
        }
    }

    #[test]
    fn an_end_is_reached_in_every_state_it_may_be_in(steps in steps(6)) {
        let history = history(&steps);
        let Verdict::Linearizable { states } = decide(&holding(&[1, 2]), &history) else { return Err(TestCaseError::fail("not accepted")) };
        // Whoever looks at everything behind the end sees one of them, and nothing else.
        for contents in [vec![], vec![1], vec![2], vec![3], vec![1, 2], vec![1, 3], vec![2, 2], vec![3, 3]] {
            let look = op(99, (10_000, 10_001), Call::Read { file: FILE, at: 0, len: 50 }, units(&contents));
            let foreseen = states.iter().any(|state| state.files.get(&FILE).is_some_and(|file| *file.units == contents));
            let longer: Vec<_> = history.iter().cloned().chain([look]).collect();
            prop_assert_eq!(foreseen, is_linearizable(&holding(&[1, 2]), &longer));
        }
    }
}
