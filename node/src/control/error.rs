use artifacts_core::ErrorCode;
use artifacts_core::name::{Handle, TenantSlug};
use artifacts_core::{GrantId, KeyId, SessionId};

use super::quota_rules::QuotaProblem;

use crate::catalog::ListError;
use crate::store::StoreError;

/// Why the control plane did not do what it was asked. An object of another account is reported with exactly the
/// same error as one that does not exist.
#[derive(Debug, Clone, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum ControlError {
    #[error("the handle `{0}` is taken; choose another one")]
    HandleExists(Handle),
    #[error("the nodes of the cluster do not agree which regions there are; make `ring.regions` the same on all, then try again")]
    RegionsDisagree,
    #[error("there is already a tenant `{0}`; use it, or choose another slug")]
    TenantExists(TenantSlug),
    #[error("there is no tenant `{0}`; create it first, or check the slug")]
    TenantNotFound(TenantSlug),
    #[error("there is already a workspace `{0}`; use it, or choose another name")]
    WorkspaceExists(String),
    #[error("there is no workspace `{0}`; create it first, or check its name")]
    WorkspaceNotFound(String),
    #[error("the workspace `{0}` is being made or deleted; wait until that is done, or use another one")]
    WorkspaceNotActive(String),
    #[error("there is already a snapshot `{0}`; use it, or choose another name")]
    SnapshotExists(String),
    #[error("there is no snapshot `{0}`; list the snapshots of the workspace to see which there are")]
    SnapshotNotFound(String),
    #[error("there is no grant `{0}` that stands; list the grants to see which do")]
    GrantNotFound(GrantId),
    #[error("there is no API key or mesh credential `{0}` in use; list them to see which are")]
    KeyNotFound(KeyId),
    #[error("there is no session `{0}`; list the sessions to see who has what mounted")]
    SessionNotFound(SessionId),
    #[error("`{field}` of the tenant allows {free} more; ask for no more, or give the tenant more")]
    QuotaExceeded { field: &'static str, free: u64 },
    #[error("`{field}` is less than what the tenant's workspaces have been given{}; give them less first", .given.map_or(String::new(), |given| format!(", {given}")))]
    QuotaGiven { field: &'static str, given: Option<u64> },
    #[error("`{field}` {problem}")]
    Invalid { field: &'static str, problem: String },
    #[error(transparent)]
    List(#[from] ListError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the request was interrupted and may have taken effect; try again")]
    Interrupted,
}

impl ControlError {
    /// The code of the public API.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::HandleExists(_) => ErrorCode::HandleExists,
            Self::TenantExists(_) => ErrorCode::TenantExists,
            Self::TenantNotFound(_) => ErrorCode::TenantNotFound,
            Self::WorkspaceExists(_) => ErrorCode::WorkspaceExists,
            Self::WorkspaceNotFound(_) => ErrorCode::WorkspaceNotFound,
            Self::WorkspaceNotActive(_) => ErrorCode::WorkspaceNotActive,
            Self::SnapshotExists(_) => ErrorCode::SnapshotExists,
            Self::SnapshotNotFound(_) => ErrorCode::SnapshotNotFound,
            Self::GrantNotFound(_) => ErrorCode::GrantNotFound,
            Self::KeyNotFound(_) => ErrorCode::KeyNotFound,
            Self::SessionNotFound(_) => ErrorCode::SessionNotFound,
            Self::QuotaExceeded { .. } | Self::QuotaGiven { .. } => ErrorCode::QuotaExceeded,
            Self::Invalid { .. } | Self::List(ListError::Cursor(_)) => ErrorCode::InvalidRequest,
            Self::List(ListError::Store(error)) | Self::Store(error) => store_code(error),
            Self::Interrupted | Self::RegionsDisagree => ErrorCode::Unavailable,
        }
    }

    /// Whether it says how the regions are, which is for callers to know.
    pub(crate) fn is_about_regions(&self) -> bool {
        matches!(
            self,
            Self::RegionsDisagree
                | Self::Store(StoreError::OutOfReach { .. })
                | Self::List(ListError::Store(StoreError::OutOfReach { .. }))
        )
    }

    /// The store's own error, if that is what it was: then a write may or may not have taken effect.
    pub(super) fn store(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl From<QuotaProblem> for ControlError {
    fn from(problem: QuotaProblem) -> Self {
        match problem {
            QuotaProblem::Needed { field, free } => {
                Self::Invalid { field, problem: format!("is needed: the tenant has a quota, of which {free} can still be given") }
            }
            QuotaProblem::Exceeded { field, free } => Self::QuotaExceeded { field, free },
            QuotaProblem::Given { field, given } => Self::QuotaGiven { field, given: (given < u64::MAX).then_some(given) },
        }
    }
}

fn store_code(error: &StoreError) -> ErrorCode {
    match error {
        StoreError::TooLarge { .. } | StoreError::Scattered | StoreError::Corrupt { .. } => ErrorCode::Internal,
        StoreError::Unavailable { .. }
        | StoreError::Full { .. }
        | StoreError::Locked { .. }
        | StoreError::OutOfReach { .. }
        | StoreError::Io(_)
        | StoreError::Fenced
        | StoreError::Closed => ErrorCode::Unavailable,
    }
}
