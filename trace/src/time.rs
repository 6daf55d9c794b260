//! The one place where spans read clocks: a collector wants the wall clock's time, and how long a span took must not follow its
//! steps.

use std::time::{Duration, Instant, SystemTime};

/// When something began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun {
    wall: SystemTime,
    steady: Instant,
}

impl Begun {
    /// Now.
    #[allow(clippy::disallowed_methods, reason = "this is the wrapper")]
    pub(crate) fn now() -> Self {
        Self { wall: SystemTime::now(), steady: Instant::now() }
    }

    /// The wall clock's time then.
    pub(crate) fn wall(&self) -> SystemTime {
        self.wall
    }

    /// How long ago that is.
    #[allow(clippy::disallowed_methods, reason = "this is the wrapper")]
    pub(crate) fn elapsed(&self) -> Duration {
        self.steady.elapsed()
    }
}
