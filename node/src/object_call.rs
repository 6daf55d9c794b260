use artifacts_trace::{Span, current};

use crate::time::{Clock as _, SystemClock};

/// One call of the object store, for the metric `artifacts_object_store_seconds` and for traces: which kind of object it was about, what it was, how
/// it ended, and how long it took until its answer began.
pub(crate) struct ObjectCall {
    of: &'static str,
    call: &'static str,
    outcome: &'static str,
    begun_ms: u64,
    span: Span,
}

impl ObjectCall {
    /// It begins. Unless it is said how it ended, nobody waited for its answer.
    pub(crate) fn begin(of: &'static str, call: &'static str) -> Self {
        let mut span = Span::client(current(), "object");
        span.rename(|| format!("object.{call}"));
        span.set("artifacts.object", of);
        Self { of, call, outcome: "abandoned", begun_ms: SystemClock.monotonic_ms(), span }
    }

    /// It ends: `done`, `absent` (there is no such object), `refused` (by a condition of the caller's) or `failed`.
    pub(crate) fn end(mut self, outcome: &'static str) {
        self.outcome = outcome;
    }
}

impl Drop for ObjectCall {
    fn drop(&mut self) {
        self.span.set("artifacts.outcome", self.outcome);
        if matches!(self.outcome, "failed" | "abandoned") {
            self.span.fail(self.outcome);
        }
        let took_ms = SystemClock.monotonic_ms().saturating_sub(self.begun_ms);
        metrics::histogram!("artifacts_object_store_seconds", "of" => self.of, "call" => self.call, "outcome" => self.outcome)
            .record(took_ms as f64 / 1000.0);
    }
}
