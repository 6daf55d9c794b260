use std::path::PathBuf;

use artifacts_core::SessionId;
use artifacts_core::protocol::FenceReason;
use artifacts_core::ticket::Mode;
use serde::{Deserialize, Serialize};

/// A mount that serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountInfo {
    /// Where.
    pub mountpoint: PathBuf,
    /// `handle/name`.
    pub workspace: String,
    /// The session.
    pub session: SessionId,
    /// What the session may do.
    pub mode: Mode,
    /// The control node it talks to.
    pub endpoint: String,
    /// The process that serves it.
    pub pid: u32,
    /// Where that process logs; absent if it is the caller's.
    pub log: Option<PathBuf>,
}

/// How a mount ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitReport {
    /// What could not be saved, relative to the mount point.
    pub unsaved: Vec<PathBuf>,
    /// Why the session was over before, if it was.
    pub fenced: Option<FenceReason>,
}
