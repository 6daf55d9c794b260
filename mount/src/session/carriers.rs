use std::collections::{BTreeMap, HashMap};

use artifacts_core::protocol::{ClientFrame, ServerFrame, Traced};
use artifacts_trace::Span;

/// The spans of frames that are on their way to the node or being answered, as far as they serve traced calls.
///
/// A batch with ops is a part of the first of its calls and linked to the others. It ends when the node has answered it, or with
/// its stream.
#[derive(Debug, Default)]
pub(super) struct Carriers {
    /// Whether the node of this stream wants to hear of traced calls.
    wanted: bool,
    /// By the last op in them.
    batches: BTreeMap<u64, Span>,
    questions: HashMap<u32, Span>,
}

impl Carriers {
    /// There is a new stream, and what was on its way over the last one is lost or comes again.
    pub(super) fn relink(&mut self, wanted: bool) {
        let lost = std::mem::take(self);
        for mut span in lost.batches.into_values().chain(lost.questions.into_values()) {
            span.fail("the stream broke");
        }
        self.wanted = wanted;
    }

    /// A frame leaves that serves traced calls. Answers what the node is to be told of it before.
    pub(super) fn leaves(&mut self, mut traced: Traced, frame: &ClientFrame) -> Option<ClientFrame> {
        let mut calls = traced.calls.iter().map(|(_, call)| *call);
        let first = calls.next();
        let begin = |name| {
            let mut span = Span::client(first, name);
            calls.for_each(|other| span.link(other));
            span
        };
        traced.carrier = match frame {
            ClientFrame::Commit { ops, .. } | ClientFrame::Decided { ops, .. } => {
                let mut span = begin("stream.batch");
                span.count("artifacts.ops", ops.len() as u64);
                let context = span.context();
                if let (Some(last), true) = (ops.last(), span.is_recorded()) {
                    self.batches.insert(last.seq, span);
                }
                context
            }
            ClientFrame::Request { id, request } => {
                let mut span = begin(if request.wants_leases() { "lease.wait" } else { "stream.question" });
                span.set("artifacts.question", request.name());
                let context = span.context();
                if span.is_recorded() {
                    self.questions.insert(*id, span);
                }
                context
            }
            _ => None,
        };
        self.wanted.then_some(ClientFrame::Traced(traced))
    }

    /// A frame has come.
    pub(super) fn answered(&mut self, frame: &ServerFrame) {
        match frame {
            ServerFrame::Applied(results) if !self.batches.is_empty() => {
                if let Some(last) = results.last() {
                    self.batches = self.batches.split_off(&(last.seq + 1));
                }
            }
            ServerFrame::Reply { id, .. } if !self.questions.is_empty() => drop(self.questions.remove(id)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU64, NonZeroU128};

    use artifacts_core::trace::TraceContext;

    use super::*;

    #[test]
    fn only_a_node_that_asks_for_it_is_told() {
        let call = TraceContext { trace: NonZeroU128::MIN, span: NonZeroU64::MIN, sampled: true };
        let traced = Traced { carrier: None, calls: vec![(7, call)] };
        let mut carriers = Carriers::default();
        assert_eq!(carriers.leaves(traced.clone(), &ClientFrame::Flush { seq: 7 }), None);
        carriers.relink(true);
        let told = carriers.leaves(traced.clone(), &ClientFrame::Flush { seq: 7 });
        assert_eq!(told, Some(ClientFrame::Traced(traced.clone())));
        carriers.relink(false);
        assert_eq!(carriers.leaves(traced, &ClientFrame::Flush { seq: 7 }), None);
    }
}
