use artifacts_core::protocol::FenceReason;

use super::{Gate, Watch};

/// How a mount is doing, as `artifacts status` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Health {
    /// It serves.
    Ok,
    /// It serves, and the connection is being made anew.
    Reconnecting,
    /// Calls wait: no fresh proof that the session stands.
    Stalled,
    /// Calls fail because the lease is over; the session may come back.
    Lapsed,
    /// Calls fail for good.
    Failed(FenceReason),
}

impl std::fmt::Display for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ok => f.write_str("ok"),
            Self::Reconnecting => f.write_str("reconnecting"),
            Self::Stalled => f.write_str("stalled"),
            Self::Lapsed => f.write_str("failed: no control node has been reached for a lease"),
            Self::Failed(reason) => write!(f, "failed: {}", reason.text()),
        }
    }
}

impl Gate {
    /// How the mount is doing; `connected` tells of its stream.
    pub(crate) fn health(&self, connected: bool) -> Health {
        if let Some(reason) = self.fenced() {
            return Health::Failed(reason);
        }
        match self.watch() {
            Watch::Serving { .. } if connected => Health::Ok,
            Watch::Serving { .. } => Health::Reconnecting,
            Watch::Stalled { .. } => Health::Stalled,
            Watch::Lapsed => Health::Lapsed,
            Watch::Expired | Watch::Over => Health::Failed(FenceReason::Expired),
        }
    }
}
