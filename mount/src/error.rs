use std::io;
use std::path::{Path, PathBuf};

use artifacts_core::ErrorCode;
use artifacts_core::protocol::{FenceReason, Refusal};
use serde::{Deserialize, Serialize};

/// Why something with a mount did not work, and what to do about it. Travels from the agent's process to whoever
/// started it, so it holds texts, not sources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum MountError {
    /// The control node says no.
    #[error("{message} ({code})")]
    Refused {
        /// For programs.
        code: ErrorCode,
        /// For people.
        message: String,
        /// Set when the session was ended by decision.
        fenced: Option<FenceReason>,
    },
    /// No control node could be reached.
    #[error("no control node answers at {endpoints}: {reason}; check the address and the network, then try again")]
    Unreachable {
        /// Where it was looked for.
        endpoints: String,
        /// What the last attempt met.
        reason: String,
    },
    /// The directory cannot be mounted on.
    #[error("cannot mount on {}: {reason}", path.display())]
    MountPoint {
        /// The directory.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Something of ours is mounted there already.
    #[error("{} is a mount point of Artifacts already; unmount it first (artifacts unmount {})", path.display(), path.display())]
    AlreadyMounted {
        /// The directory.
        path: PathBuf,
        /// The agent that serves it, if it could be asked.
        pid: Option<u32>,
    },
    /// Nothing of ours is mounted there.
    #[error("{} is not a mount point of Artifacts", path.display())]
    NotMounted {
        /// The directory.
        path: PathBuf,
    },
    /// Programs still use the mount.
    #[error("{} is in use: close what is open there and leave the directory, or unmount with --force", path.display())]
    Busy {
        /// The directory.
        path: PathBuf,
    },
    /// Changes could not be saved, so the mount was left as it is.
    #[error(
        "not everything could be saved, so {} stays mounted: wait until the control node answers and try again, or give the changes up with --force",
        path.display()
    )]
    Unsaved {
        /// The directory.
        path: PathBuf,
        /// What would be lost, relative to the mount point.
        files: Vec<PathBuf>,
    },
    /// The agent's process did not do its part.
    #[error("the mount agent {reason}")]
    Agent {
        /// What happened, and where its log is.
        reason: String,
    },
    /// This machine lacks something, or forbids it.
    #[error("{what}: {reason}")]
    System {
        /// What was attempted.
        what: String,
        /// What the system answered.
        reason: String,
    },
}

impl MountError {
    /// The control node's code, if it was the node that refused; `unavailable` if none could be reached.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::Unreachable { .. } => Some(ErrorCode::Unavailable),
            _ => None,
        }
    }

    pub(crate) fn system(what: impl Into<String>, reason: impl ToString) -> Self {
        Self::System { what: what.into(), reason: reason.to_string() }
    }

    pub(crate) fn agent(reason: impl Into<String>) -> Self {
        Self::Agent { reason: reason.into() }
    }

    pub(crate) fn mount_point(path: &Path, reason: impl ToString) -> Self {
        Self::MountPoint { path: path.to_owned(), reason: reason.to_string() }
    }

    /// Turns an I/O error into one that says what was attempted.
    pub(crate) fn io(what: &str) -> impl FnOnce(io::Error) -> Self {
        let what = what.to_owned();
        move |error| Self::System { what, reason: error.to_string() }
    }
}

impl From<Refusal> for MountError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused { code: refusal.code, message: refusal.message, fenced: refusal.fenced }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_error_survives_the_pipe_between_processes() {
        let error = MountError::Refused { code: ErrorCode::TicketInUse, message: "in use".to_owned(), fenced: None };
        let json = serde_json::to_string(&error).unwrap();
        assert_eq!(serde_json::from_str::<MountError>(&json).unwrap(), error);
        assert_eq!(error.code(), Some(ErrorCode::TicketInUse));
    }
}
