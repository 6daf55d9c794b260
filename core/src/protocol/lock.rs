use serde::{Deserialize, Serialize};

use crate::SessionId;
use crate::locks::{ByteRange, Mode};

/// What became of a lock that was asked for. That it cannot be had is an errno.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LockAnswer {
    /// It is held.
    Granted,
    /// It waits; [`super::ServerFrame::LockSettled`] will come.
    Queued,
}

/// A lock that keeps another from being had, as `F_GETLK` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockConflict {
    /// The mount that holds it.
    pub session: SessionId,
    /// The process, as that mount sees it.
    pub pid: u32,
    /// Which bytes.
    pub range: ByteRange,
    /// How.
    pub mode: Mode,
}
