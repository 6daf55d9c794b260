//! Makes a contradiction short enough to be read.

use super::checker::{Found, search};
use super::{Model, Operation};

/// The operations without those that only look and are not needed for the contradiction.
///
/// An order of all operations is one of those that are left when whoever only looks is taken out. So what is left is a
/// contradiction of its own right; to take out one that changes something could make up one.
pub(super) fn shrunk<M: Model>(
    model: &M,
    before: &[M::State],
    mut operations: Vec<Operation<M::Call, M::Answer>>,
    most: usize,
) -> Vec<Operation<M::Call, M::Answer>> {
    let mut index = operations.len();
    while index > 0 {
        index -= 1;
        let operation = &operations[index];
        if !operation.answer.as_ref().is_some_and(|answer| model.observes(&operation.call, answer)) {
            continue;
        }
        let taken = operations.remove(index);
        if !matches!(search(model, before, &operations, most), Found::Contradiction { .. }) {
            operations.insert(index, taken);
        }
    }
    operations
}
