//! How much of a suite is done.

use artifacts_tests::time::Duration;

/// Bounded, or all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    Bounded,
    Full,
}

impl Scale {
    /// As `ARTIFACTS_SUITES` says.
    pub(crate) fn chosen() -> Self {
        if std::env::var_os("ARTIFACTS_SUITES").is_some_and(|value| value == "full") { Self::Full } else { Self::Bounded }
    }

    /// The one or the other.
    pub(crate) fn pick<T>(self, bounded: T, full: T) -> T {
        match self {
            Self::Bounded => bounded,
            Self::Full => full,
        }
    }

    /// When a suite is taken for hung.
    pub(crate) fn limit(self) -> Duration {
        self.pick(Duration::from_secs(30 * 60), Duration::from_secs(6 * 60 * 60))
    }
}
