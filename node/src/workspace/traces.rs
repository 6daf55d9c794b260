//! What a workspace says of traced calls: a span for each op and each question, and one for the commit that makes ops durable.

use artifacts_core::WorkspaceId;
use artifacts_core::namespace::{Errno, Op};
use artifacts_core::protocol::Traced;
use artifacts_core::trace::TraceContext;
use artifacts_trace::Span;

/// So many calls one commit is linked to.
const LINKED_MAX: usize = 128;

/// A part of the traced call for which this op or question of a frame was made; nothing if it is not traced.
///
/// It stands under the frame's way over the stream if that is in the same trace, else it is linked to it: one frame carries ops
/// of many calls.
pub(super) fn of_call(traced: Option<&Traced>, number: u64, name: &'static str) -> Span {
    let call = traced.and_then(|traced| traced.calls.iter().take(Traced::CALLS_MAX).find(|(of, _)| *of == number));
    let Some((_, call)) = call else { return Span::none() };
    match traced.and_then(|traced| traced.carrier) {
        Some(carrier) if carrier.trace == call.trace => Span::remote_child(Some(carrier), name),
        carrier => {
            let mut span = Span::remote_child(Some(*call), name);
            carrier.into_iter().for_each(|carrier| span.link(carrier));
            span
        }
    }
}

/// Says which op it is, and neither names nor data.
pub(super) fn describe(span: &mut Span, workspace: WorkspaceId, op: &Op) {
    span.set("artifacts.workspace", workspace.to_string());
    span.set("artifacts.op", op.mutation.name());
}

/// Says how it ended.
pub(super) fn conclude(span: &mut Span, errno: Option<Errno>) {
    if let Some(errno) = errno
        && span.is_recorded()
    {
        span.set("artifacts.errno", errno.name());
    }
}

/// Traced calls whose ops are applied and not durable, or that wait for that.
#[derive(Debug, Default)]
pub(super) struct UnflushedCalls(Vec<TraceContext>);

impl UnflushedCalls {
    /// A frame with ops has come.
    pub(super) fn add_batch(&mut self, traced: Option<&Traced>) {
        let Some(traced) = traced else { return };
        self.add(traced.carrier.or(traced.calls.first().map(|(_, call)| *call)));
    }

    /// Calls wait.
    pub(super) fn add_waiting(&mut self, traced: Option<&Traced>) {
        self.add(traced.into_iter().flat_map(|traced| &traced.calls).map(|(_, call)| *call));
    }

    fn add(&mut self, calls: impl IntoIterator<Item = TraceContext>) {
        let room = LINKED_MAX - self.0.len();
        self.0.extend(calls.into_iter().take(room));
    }

    /// The span of what makes all of them durable: a part of the first, linked to the others.
    pub(super) fn take(&mut self, name: &'static str) -> Span {
        let mut calls = self.0.drain(..);
        let mut span = Span::remote_child(calls.next(), name);
        calls.for_each(|call| span.link(call));
        span
    }
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU64, NonZeroU128};

    use super::*;

    #[test]
    fn what_a_hostile_mount_says_takes_a_bounded_amount() {
        let call = TraceContext { trace: NonZeroU128::MIN, span: NonZeroU64::MIN, sampled: true };
        let traced = Traced { carrier: None, calls: (0..100_000).map(|number| (number, call)).collect() };
        let mut calls = UnflushedCalls::default();
        for _ in 0..3 {
            calls.add_waiting(Some(&traced));
            calls.add_batch(Some(&traced));
        }
        assert_eq!(calls.0.len(), LINKED_MAX);
        calls.take("commit");
        assert!(calls.0.is_empty());
    }
}
