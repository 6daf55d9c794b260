use serde::{Deserialize, Serialize};

/// How much of a thing its holder wants for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Together with others who share it.
    Shared,
    /// Alone.
    Exclusive,
    /// One of so many permits; of named locks only. All who want one name the same number.
    Semaphore {
        /// How many may hold one at a time.
        permits: u32,
    },
}

impl Mode {
    /// Whether two holders of the same bytes exclude each other. Permits are counted, see `Space`.
    pub(super) fn excludes(self, other: Self) -> bool {
        self == Self::Exclusive || other == Self::Exclusive
    }

    /// Whether both can be asked of one thing at a time.
    pub(super) fn fits(self, other: Self) -> bool {
        match (self, other) {
            (Self::Semaphore { .. }, _) | (_, Self::Semaphore { .. }) => self == other,
            _ => true,
        }
    }
}
