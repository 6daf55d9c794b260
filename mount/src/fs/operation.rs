use artifacts_core::namespace::Errno;
use artifacts_core::trace::TraceContext;
use artifacts_trace::Span;

use super::system_call::SystemCall;
use crate::agent::Agent;

/// A system call from its beginning, before the gate has let it in, to its answer: it is counted and timed, and it may be traced.
#[derive(Debug)]
pub(super) struct Operation {
    call: SystemCall,
    begun_ns: u64,
    /// Bytes that it has read or written.
    moved_bytes: u64,
    span: Span,
}

impl Operation {
    /// It begins.
    pub(super) fn begin(agent: &Agent, call: SystemCall) -> Self {
        let mut span = if call.family().is_some() { Span::root(call.span()) } else { Span::none() };
        if span.is_recorded() {
            span.set("artifacts.workspace", agent.session.welcome.workspace.clone());
            span.set("artifacts.session", agent.session.id().to_string());
        }
        Self { call, begun_ns: agent.session.clock.steady_ns(), moved_bytes: 0, span }
    }

    /// Its span, if it is traced.
    pub(super) fn context(&self) -> Option<TraceContext> {
        self.span.context()
    }

    /// It has read or written so many bytes.
    pub(super) fn moved(&mut self, bytes: u64) {
        self.moved_bytes = bytes;
    }

    /// It is answered.
    pub(super) fn end(mut self, agent: &Agent, errno: Option<Errno>) {
        let Some(family) = self.call.family() else { return };
        let took_ns = agent.session.clock.steady_ns().saturating_sub(self.begun_ns);
        let moved_bytes = if errno.is_none() { self.moved_bytes } else { 0 };
        agent.calls.answered(family, errno, took_ns, moved_bytes);
        if self.span.is_recorded() {
            if moved_bytes > 0 {
                self.span.count("artifacts.bytes", moved_bytes);
            }
            if let Some(errno) = errno {
                self.span.set("artifacts.errno", errno.name());
            }
            if errno == Some(Errno::EIO) {
                self.span.fail(Errno::EIO.text());
            }
        }
    }
}
