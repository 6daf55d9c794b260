use std::fmt::Debug;
use std::hash::Hash;

/// A shared object, as it is when one operation comes after the other.
pub trait Model {
    /// What the object holds.
    type State: Clone + Eq + Hash + Debug;
    /// What can be asked of it.
    type Call: Clone + Debug;
    /// What it answers.
    type Answer: Clone + Debug;

    /// The state after `call` has taken effect in `state` and answered `answer`; `None` if it cannot have. Without an
    /// answer, whatever it may have answered.
    fn step(&self, state: &Self::State, call: &Self::Call, answer: Option<&Self::Answer>) -> Option<Self::State>;

    /// Whether this call changes nothing when it answers this, in whatever state.
    fn observes(&self, call: &Self::Call, answer: &Self::Answer) -> bool;
}
