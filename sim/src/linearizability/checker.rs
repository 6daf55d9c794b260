use std::collections::{HashSet, VecDeque};

use super::shrink::shrunk;
use super::{Model, Operation, Verdict, Violation};

/// How many configurations are kept before a history is called undecided, unless the caller says otherwise.
pub const CONFIGURATIONS_MAX: usize = 200_000;
/// A violation is shown from a moment at which nothing was open and at most so many states were possible.
const STATES_SHOWN: usize = 8;
/// It is the last but so many, so that what led to the contradiction is shown too.
const MOMENTS_BACK: usize = 3;

/// Decides whether `history` is linearizable, for an object that was in one of the states `before`. No more than
/// `configurations_max` configurations are kept.
pub fn check<M: Model>(
    model: &M,
    before: &[M::State],
    history: &[Operation<M::Call, M::Answer>],
    configurations_max: usize,
) -> Verdict<M::State, M::Call, M::Answer> {
    match search(model, before, history, configurations_max) {
        Found::Order(states) => Verdict::Linearizable { states },
        Found::TooMuch { returned } => Verdict::Undecided { returned },
        Found::Contradiction { quiet, from, culprit } => {
            Verdict::Violation(Box::new(violation(model, quiet, history, (from, culprit), configurations_max)))
        }
    }
}

/// What a search came to.
pub(super) enum Found<S> {
    /// There is an order; these are the states at its end.
    Order(Vec<S>),
    /// There is none. `from` is the call of the first operation after a quiet moment before it, in which `quiet` were the
    /// possible states; `culprit` is the operation whose return left no configuration.
    Contradiction { quiet: Vec<S>, from: u64, culprit: usize },
    /// The bound was reached.
    TooMuch { returned: usize },
}

/// Something that could be the truth: a state, and which of the open operations have taken effect in it, by slot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Configuration<S> {
    done: u64,
    state: S,
}

/// The operations that are open, each in a slot of its own.
struct Open<'h, M: Model> {
    model: &'h M,
    slots: [Option<&'h Operation<M::Call, M::Answer>>; 64],
    count: usize,
}

impl<'h, M: Model> Open<'h, M> {
    fn enter(&mut self, operation: &'h Operation<M::Call, M::Answer>) -> Option<usize> {
        let slot = self.slots.iter().position(Option::is_none)?;
        self.slots[slot] = Some(operation);
        self.count += 1;
        Some(slot)
    }

    fn leave(&mut self, slot: usize) {
        self.slots[slot] = None;
        self.count -= 1;
    }

    fn pending(&self, done: u64) -> impl Iterator<Item = (usize, &'h Operation<M::Call, M::Answer>)> + '_ {
        let open = self.slots.iter().enumerate().filter_map(|(slot, operation)| Some((slot, (*operation)?)));
        open.filter(move |(slot, _)| done & (1 << slot) == 0)
    }

    fn observes(&self, operation: &Operation<M::Call, M::Answer>) -> bool {
        operation.answer.as_ref().is_some_and(|answer| self.model.observes(&operation.call, answer))
    }

    /// Whoever only looks, and may see what it saw now, may as well do so now: whatever explains the rest without that
    /// explains it with it.
    fn look(&self, configuration: &mut Configuration<M::State>) {
        for (slot, operation) in self.pending(configuration.done) {
            if self.observes(operation) && self.model.step(&configuration.state, &operation.call, operation.answer.as_ref()).is_some() {
                configuration.done |= 1 << slot;
            }
        }
    }

    /// All configurations that follow when the operation in `wanted` has to have taken effect, or, if nobody knows whether
    /// it has, may have. `None` if they are too many.
    fn settle(
        &self,
        configurations: HashSet<Configuration<M::State>>,
        wanted: usize,
        most: usize,
    ) -> Option<HashSet<Configuration<M::State>>> {
        let bit = 1 << wanted;
        let may_be_missing = self.slots[wanted].is_some_and(|operation| operation.answer.is_none());
        let mut settled = HashSet::new();
        let mut seen = HashSet::new();
        let mut stack = Vec::new();
        for mut configuration in configurations {
            self.look(&mut configuration);
            if configuration.done & bit != 0 {
                configuration.done &= !bit;
                settled.insert(configuration);
                continue;
            }
            if may_be_missing {
                settled.insert(configuration.clone());
            }
            if seen.insert(configuration.clone()) {
                stack.push(configuration);
            }
        }
        while let Some(configuration) = stack.pop() {
            if settled.len() + seen.len() > most {
                return None;
            }
            for (slot, operation) in self.pending(configuration.done).filter(|(_, operation)| !self.observes(operation)) {
                let Some(state) = self.model.step(&configuration.state, &operation.call, operation.answer.as_ref()) else { continue };
                let mut next = Configuration { done: configuration.done | 1 << slot, state };
                self.look(&mut next);
                if next.done & bit != 0 {
                    next.done &= !bit;
                    settled.insert(next);
                } else if seen.insert(next.clone()) {
                    stack.push(next);
                }
            }
        }
        Some(settled)
    }
}

/// Looks for an order.
pub(super) fn search<M: Model>(model: &M, before: &[M::State], history: &[Operation<M::Call, M::Answer>], most: usize) -> Found<M::State> {
    // At the same instant calls come before returns: what may have been concurrent counts as concurrent.
    let calls = history.iter().enumerate().map(|(index, operation)| (operation.called_ns, false, index));
    let returns = history.iter().enumerate().filter_map(|(index, operation)| Some((operation.returned_ns?, true, index)));
    let mut events: Vec<_> = calls.chain(returns).collect();
    events.sort_unstable();

    let mut open = Open { model, slots: [None; 64], count: 0 };
    let mut slot_of = vec![usize::MAX; history.len()];
    let mut configurations: HashSet<_> = before.iter().map(|state| Configuration { done: 0, state: state.clone() }).collect();
    let mut quiet = VecDeque::from([(events.first().map_or(0, |event| event.0), before.to_vec())]);
    let mut returned = 0;
    for (at_ns, returns, index) in events {
        if !returns {
            if open.count == 0 && configurations.len() <= STATES_SHOWN {
                quiet.push_back((at_ns, configurations.iter().map(|configuration| configuration.state.clone()).collect()));
                if quiet.len() > MOMENTS_BACK + 1 {
                    quiet.pop_front();
                }
            }
            let Some(slot) = open.enter(&history[index]) else { return Found::TooMuch { returned } };
            slot_of[index] = slot;
            continue;
        }
        let Some(settled) = open.settle(configurations, slot_of[index], most) else { return Found::TooMuch { returned } };
        if settled.is_empty() {
            let (from, quiet) = quiet.pop_front().unwrap_or_default();
            return Found::Contradiction { quiet, from, culprit: index };
        }
        configurations = settled;
        open.leave(slot_of[index]);
        returned += 1;
    }
    let states: HashSet<_> = configurations.into_iter().map(|configuration| configuration.state).collect();
    Found::Order(states.into_iter().collect())
}

/// The part of a history that shows the contradiction.
fn violation<M: Model>(
    model: &M,
    quiet: Vec<M::State>,
    history: &[Operation<M::Call, M::Answer>],
    (from, culprit): (u64, usize),
    most: usize,
) -> Violation<M::State, M::Call, M::Answer> {
    let until = history[culprit].returned_ns.unwrap_or(u64::MAX);
    let of_interest = |operation: &&Operation<M::Call, M::Answer>| (from..=until).contains(&operation.called_ns);
    let mut operations: Vec<_> = history.iter().filter(of_interest).cloned().collect();
    // What was still open needs no explanation yet; what might explain it may come later.
    for operation in operations.iter_mut().filter(|operation| operation.returned_ns.is_some_and(|returned| returned > until)) {
        operation.returned_ns = None;
    }
    operations.sort_by_key(|operation| operation.called_ns);
    let operations = shrunk(model, &quiet, operations, most);
    let culprit = match search(model, &quiet, &operations, most) {
        Found::Contradiction { culprit, .. } => culprit,
        Found::Order(_) | Found::TooMuch { .. } => operations.len().saturating_sub(1),
    };
    Violation { before: quiet, operations, culprit }
}
