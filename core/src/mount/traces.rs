use std::collections::BTreeMap;

use crate::protocol::{ClientFrame, Traced};
use crate::trace::TraceContext;

/// Which traced calls are behind what this mount has still to send.
///
/// Always true: while no call is traced it is empty, and says nothing of any frame. What it knows of an op is told with the frame
/// that first carries the op, or would have if there were a stream; ops that are sent again are not traced again.
#[derive(Debug, Default)]
pub(super) struct Traces {
    /// The call whose steps run now.
    running: Option<TraceContext>,
    /// By number, ops that wait to be sent.
    ops: BTreeMap<u64, TraceContext>,
    /// Waits for ops to be durable that the node is about to be asked for, and the last of those ops.
    flushes: Vec<(u64, TraceContext)>,
}

impl Traces {
    /// The steps of this call run from now on. Answers whose ran until now, for the next such change.
    pub(super) fn run(&mut self, call: Option<TraceContext>) -> Option<TraceContext> {
        std::mem::replace(&mut self.running, call)
    }

    /// The call that runs has made this op.
    pub(super) fn numbered(&mut self, seq: u64) {
        if let Some(call) = self.running {
            self.ops.insert(seq, call);
        }
    }

    /// The call that runs waits until this op is durable, and the node is to be asked for that.
    pub(super) fn waits(&mut self, seq: u64) {
        if let Some(call) = self.running {
            self.flushes.push((seq, call));
        }
    }

    /// The traced call behind an op that has not been sent.
    pub(super) fn call(&self, seq: u64) -> Option<TraceContext> {
        self.ops.get(&seq).copied()
    }

    /// A new stream says by itself what is waited for.
    pub(super) fn relinked(&mut self) {
        self.flushes.clear();
    }

    /// What is to be said of a frame that is about to be sent.
    pub(super) fn of(&mut self, frame: &ClientFrame) -> Option<Traced> {
        let calls: Vec<(u64, TraceContext)> = match frame {
            ClientFrame::Request { id, .. } => self.running.map(|call| (u64::from(*id), call)).into_iter().collect(),
            ClientFrame::Commit { ops, .. } | ClientFrame::Decided { ops, .. } if !self.ops.is_empty() => {
                ops.iter().filter_map(|op| Some((op.seq, self.ops.remove(&op.seq)?))).collect()
            }
            ClientFrame::Flush { seq } if !self.flushes.is_empty() => self.flushes.extract_if(.., |(until, _)| *until <= *seq).collect(),
            _ => return None,
        };
        (!calls.is_empty()).then_some(Traced { carrier: None, calls })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::num::{NonZeroU64, NonZeroU128};

    use super::*;
    use crate::namespace::{Ino, Mutation, Op};
    use crate::protocol::{NumberedOp, Request};

    fn call(number: u8) -> TraceContext {
        TraceContext { trace: NonZeroU128::from(NonZeroU64::new(number.into()).unwrap()), span: NonZeroU64::MIN, sampled: true }
    }

    fn commit(seqs: &[u64]) -> ClientFrame {
        let op = Op { mutation: Mutation::Punch { ino: Ino(5), offset: 0, len: 1, extend: false }, time: 0 };
        ClientFrame::Commit { acked: 0, ops: seqs.iter().map(|&seq| NumberedOp { seq, order: None, op: op.clone() }).collect() }
    }

    #[test]
    fn a_batch_tells_of_the_traced_ops_in_it_once() {
        let mut traces = Traces::default();
        let outer = traces.run(Some(call(1)));
        traces.numbered(1);
        traces.run(outer);
        traces.numbered(2);
        traces.run(Some(call(3)));
        traces.numbered(3);
        traces.numbered(4);
        assert_eq!(traces.of(&commit(&[1, 2, 3])).unwrap().calls, [(1, call(1)), (3, call(3))]);
        assert_eq!(traces.of(&commit(&[1, 2, 3])), None, "sent again");
        assert_eq!(traces.of(&commit(&[4])).unwrap().calls, [(4, call(3))]);
    }

    #[test]
    fn a_question_is_of_the_call_that_runs() {
        let mut traces = Traces::default();
        let question = ClientFrame::Request { id: 7, request: Request::Usage };
        assert_eq!(traces.of(&question), None);
        traces.run(Some(call(1)));
        assert_eq!(traces.of(&question), Some(Traced { carrier: None, calls: vec![(7, call(1))] }));
        assert_eq!(traces.of(&ClientFrame::Goodbye), None);
    }

    #[test]
    fn a_flush_is_of_those_who_wait_for_no_more() {
        let mut traces = Traces::default();
        traces.run(Some(call(1)));
        traces.waits(5);
        traces.waits(9);
        assert_eq!(traces.of(&ClientFrame::Flush { seq: 7 }).unwrap().calls, [(5, call(1))]);
        traces.relinked();
        assert_eq!(traces.of(&ClientFrame::Flush { seq: 9 }), None);
    }
}
