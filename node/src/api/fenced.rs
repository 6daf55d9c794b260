use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ApiError;
use crate::sessions::FenceReport;

/// How long a call waits for mounts when nobody says.
const USUAL_WAIT_MS: u64 = 1_000;
const LONGEST_WAIT_MS: u64 = 10_000;

/// What became of the sessions that a call ended.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FencedSessions {
    /// Those that stood on what was revoked.
    matched: u64,
    /// Those of which the control nodes accept nothing any more.
    fenced: u64,
    /// Those whose mount confirmed within `wait_ms` that every call fails.
    confirmed: u64,
}

impl From<FenceReport> for FencedSessions {
    fn from(report: FenceReport) -> Self {
        Self { matched: report.matched, fenced: report.fenced, confirmed: report.confirmed }
    }
}

/// How long to wait for mounts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WaitQuery {
    /// How long to wait for mounts to confirm, in milliseconds; 1000 unless given, at most 10000.
    #[param(maximum = 10_000)]
    wait_ms: Option<u64>,
}

impl WaitQuery {
    /// Checks it.
    ///
    /// # Errors
    /// `invalid_request`.
    pub(super) fn wait(&self) -> Result<Duration, ApiError> {
        wait(self.wait_ms)
    }
}

/// Checks how long a call is to wait.
///
/// # Errors
/// `invalid_request`.
pub(super) fn wait(wait_ms: Option<u64>) -> Result<Duration, ApiError> {
    match wait_ms.unwrap_or(USUAL_WAIT_MS) {
        ms @ 0..=LONGEST_WAIT_MS => Ok(Duration::from_millis(ms)),
        _ => Err(ApiError::invalid("wait_ms", format!("must be a number from 0 to {LONGEST_WAIT_MS}"))),
    }
}
