use std::fmt::{self, Debug, Display};

use super::Operation;

/// What a history comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict<S, C, A> {
    /// There is an order that explains it.
    Linearizable {
        /// Every state that the object may be in at its end.
        states: Vec<S>,
    },
    /// There is none.
    Violation(Box<Violation<S, C, A>>),
    /// More configurations are possible than may be kept.
    Undecided {
        /// How many operations had returned by then.
        returned: usize,
    },
}

/// A part of a history that no order explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation<S, C, A> {
    /// The states that the object may have been in before it, when no operation was open.
    pub before: Vec<S>,
    /// The operations, in the order of their calls. Those that only look and are not needed for the contradiction are left
    /// out.
    pub operations: Vec<Operation<C, A>>,
    /// Which of them cannot be placed, given that all that returned before it are.
    pub culprit: usize,
}

impl<S, C, A> Verdict<S, C, A> {
    /// Whether there is an order.
    pub const fn is_linearizable(&self) -> bool {
        matches!(self, Self::Linearizable { .. })
    }

    /// Whether there is none.
    pub const fn is_violation(&self) -> bool {
        matches!(self, Self::Violation(_))
    }
}

impl<S: Debug, C: Debug, A: Debug> Display for Violation<S, C, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.operations.first().map_or(0, |first| first.called_ns);
        let at = |ns: u64| (ns - start) as f64 / 1e3;
        writeln!(f, "no order of these {} operations explains them; before them the state was", self.operations.len())?;
        for state in &self.before {
            writeln!(f, "    {state:?}")?;
        }
        writeln!(f, "{:>9} {:>12} {:>12}  what", "client", "called (us)", "returned")?;
        for (index, operation) in self.operations.iter().enumerate() {
            let returned = operation.returned_ns.map_or_else(|| "later".to_owned(), |ns| format!("{:.1}", at(ns)));
            let answer = operation.answer.as_ref().map_or_else(|| "?".to_owned(), |answer| format!("{answer:?}"));
            let mark = if index == self.culprit { "   <-- cannot be placed" } else { "" };
            let (client, called) = (operation.client, at(operation.called_ns));
            writeln!(f, "{client:>9} {called:>12.1} {returned:>12}  {:?} -> {answer}{mark}", operation.call)?;
        }
        Ok(())
    }
}
