use std::ops::Range;

/// When a call was made and when it came back, by CLOCK_MONOTONIC in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) called_ns: u64,
    pub(crate) returned_ns: u64,
}

/// The calls of one mount's programs that have something to say about pauses: none that may wait for another program.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls(Vec<Span>);

impl Calls {
    pub(crate) fn note(&mut self, called_ns: u64, returned_ns: u64) {
        self.0.push(Span { called_ns, returned_ns });
    }

    pub(crate) fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    /// The longest that a call took which was under way within `window`, in seconds.
    pub(crate) fn longest_s(&self, window: &Range<u64>) -> f64 {
        let within = self.0.iter().filter(|span| span.called_ns < window.end && span.returned_ns > window.start);
        within.map(|span| span.returned_ns.saturating_sub(span.called_ns)).max().unwrap_or(0) as f64 / 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_the_longest_call_that_touches_the_event() {
        let mut calls = Calls::default();
        for (called, returned) in [(0, 10_000_000_000), (11_000_000_000, 12_000_000_000), (12_500_000_000, 15_500_000_000)] {
            calls.note(called, returned);
        }
        assert_eq!(calls.longest_s(&(10_500_000_000..13_000_000_000)), 3.0);
        assert_eq!(calls.longest_s(&(9_000_000_000..13_000_000_000)), 10.0);
        assert_eq!(calls.longest_s(&(16_000_000_000..17_000_000_000)), 0.0);
    }
}
