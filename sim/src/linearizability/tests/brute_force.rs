//! The definition, word for word: is there an order?

use super::*;
use crate::linearizability::Model as _;

/// Tries out every order of a short history that respects time, with every choice of what is left out of those that
/// nobody had an answer of.
pub(super) fn is_linearizable(before: &State, history: &[Op]) -> bool {
    let left: Vec<&Op> = history.iter().collect();
    place_rest(before, &left)
}

fn place_rest(state: &State, left: &[&Op]) -> bool {
    if left.iter().all(|op| op.answer.is_none()) {
        return true;
    }
    (0..left.len()).any(|index| {
        let op = left[index];
        // Nobody that has returned by the time this was called may come behind it.
        let comes_too_early = left.iter().any(|other| other.returned_ns.is_some_and(|returned| returned < op.called_ns));
        let rest: Vec<&Op> = left.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, op)| *op).collect();
        let is_left_out = op.answer.is_none() && place_rest(state, &rest);
        is_left_out
            || (!comes_too_early && Files::Direct.step(state, &op.call, op.answer.as_ref()).is_some_and(|next| place_rest(&next, &rest)))
    })
}
