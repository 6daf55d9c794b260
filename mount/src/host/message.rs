use serde::{Deserialize, Serialize};

use super::namespaces::Namespaces;
use crate::daemon::MountInfo;
use crate::error::MountError;
use crate::options::MountOptions;

/// The longest question, in bytes: options and a ticket.
pub(super) const QUESTION_MAX: u64 = 128 << 10;

/// What is asked of a host agent, as one line of JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub(super) enum Question {
    /// Mount this.
    Mount {
        /// What and how.
        options: Box<MountOptions>,
        /// Where whoever asks lives.
        from: Namespaces,
    },
    /// Are you there?
    Hello,
}

/// Its answer, as one line of JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// It serves.
    Mounted(MountInfo),
    /// It does not.
    Failed(MountError),
    /// Whoever asks lives elsewhere, and has to serve its mount itself.
    Elsewhere,
    /// To `Hello`: its process.
    Here { pid: u32 },
}
