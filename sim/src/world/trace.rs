use super::event::Event;

/// What happens, one line an event, for who has to understand a violation. What happens all the time is left out.
#[derive(Debug, Default)]
pub(super) struct Trace {
    from_ops: Option<u64>,
    keeps_all: bool,
    lines: Vec<String>,
}

impl Trace {
    /// Remembers from so many operations on, the last segment alone.
    pub(super) const fn from(ops: u64) -> Self {
        Self { from_ops: Some(ops), keeps_all: false, lines: Vec::new() }
    }

    /// Remembers everything.
    pub(super) const fn all() -> Self {
        Self { from_ops: Some(0), keeps_all: true, lines: Vec::new() }
    }

    pub(super) fn happens(&mut self, now_us: u64, ops: u64, event: &Event) {
        if self.from_ops.is_some_and(|from| ops >= from)
            && let Some(what) = event.tell()
        {
            self.lines.push(line(now_us, &what));
        }
    }

    /// Something is said of what happens inside of an event.
    pub(super) fn says(&mut self, now_us: u64, ops: u64, what: impl FnOnce() -> String) {
        if self.from_ops.is_some_and(|from| ops >= from) {
            self.lines.push(line(now_us, &format!("  {}", what())));
        }
    }

    pub(super) fn segment_over(&mut self) {
        if !self.keeps_all {
            self.lines.clear();
        }
    }

    pub(super) fn lines(&self) -> &[String] {
        &self.lines
    }
}

fn line(now_us: u64, what: &str) -> String {
    format!("{:>6}.{:06} {what}", now_us / 1_000_000, now_us % 1_000_000)
}
