use artifacts_core::protocol::{ClientFrame, ServerFrame};

use super::event::Event;

/// What happens in a segment, for who has to understand a violation. Heartbeats are left out.
#[derive(Debug, Default)]
pub(super) struct Trace {
    from_ops: Option<u64>,
    lines: Vec<String>,
}

impl Trace {
    /// Remembers from so many operations on.
    pub(super) fn from(ops: u64) -> Self {
        Self { from_ops: Some(ops), lines: Vec::new() }
    }

    pub(super) fn happens(&mut self, now_us: u64, ops: u64, event: &Event) {
        if self.from_ops.is_none_or(|from| ops < from) {
            return;
        }
        match event {
            Event::NodeTick
            | Event::Beat(_)
            | Event::ToNode { frame: ClientFrame::Heartbeat { .. }, .. }
            | Event::ToMount { frame: ServerFrame::Proof { .. }, .. } => {}
            Event::Flushed { .. } => self.lines.push(format!("{now_us} Flushed")),
            event => self.lines.push(format!("{now_us} {event:?}")),
        }
    }

    /// Something is said of what happens inside of an event.
    pub(super) fn says(&mut self, now_us: u64, ops: u64, what: impl FnOnce() -> String) {
        if self.from_ops.is_some_and(|from| ops >= from) {
            self.lines.push(format!("{now_us}   {}", what()));
        }
    }

    pub(super) fn clear(&mut self) {
        self.lines.clear();
    }

    pub(super) fn lines(&self) -> &[String] {
        &self.lines
    }
}
