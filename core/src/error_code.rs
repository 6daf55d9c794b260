//! The error codes of the public API. Their HTTP statuses live with the HTTP shell.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What went wrong, as a stable name that programs may match on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are the documentation; docs/ explains each")]
pub enum ErrorCode {
    Unauthorized,
    Forbidden,
    NotFound,
    WorkspaceNotFound,
    TenantNotFound,
    GrantNotFound,
    SessionNotFound,
    KeyNotFound,
    SnapshotNotFound,
    FileNotFound,
    WorkspaceExists,
    TenantExists,
    HandleExists,
    SnapshotExists,
    FileExists,
    NotADirectory,
    IsADirectory,
    DirectoryNotEmpty,
    WorkspaceNotActive,
    TicketInUse,
    LockHeld,
    Deadlock,
    IdempotencyConflict,
    StaleToken,
    PreconditionFailed,
    RangeNotSatisfiable,
    InvalidRequest,
    PayloadTooLarge,
    MethodNotAllowed,
    UnsupportedMediaType,
    UnsupportedVersion,
    QuotaExceeded,
    RateLimited,
    Unavailable,
    Internal,
}

impl ErrorCode {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::WorkspaceNotFound => "workspace_not_found",
            Self::TenantNotFound => "tenant_not_found",
            Self::GrantNotFound => "grant_not_found",
            Self::SessionNotFound => "session_not_found",
            Self::KeyNotFound => "key_not_found",
            Self::SnapshotNotFound => "snapshot_not_found",
            Self::FileNotFound => "file_not_found",
            Self::WorkspaceExists => "workspace_exists",
            Self::TenantExists => "tenant_exists",
            Self::HandleExists => "handle_exists",
            Self::SnapshotExists => "snapshot_exists",
            Self::FileExists => "file_exists",
            Self::NotADirectory => "not_a_directory",
            Self::IsADirectory => "is_a_directory",
            Self::DirectoryNotEmpty => "directory_not_empty",
            Self::WorkspaceNotActive => "workspace_not_active",
            Self::TicketInUse => "ticket_in_use",
            Self::LockHeld => "lock_held",
            Self::Deadlock => "deadlock",
            Self::IdempotencyConflict => "idempotency_conflict",
            Self::StaleToken => "stale_token",
            Self::PreconditionFailed => "precondition_failed",
            Self::RangeNotSatisfiable => "range_not_satisfiable",
            Self::InvalidRequest => "invalid_request",
            Self::PayloadTooLarge => "payload_too_large",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::UnsupportedVersion => "unsupported_version",
            Self::QuotaExceeded => "quota_exceeded",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_wire_name_is_the_serde_name() {
        for code in
            [ErrorCode::Unauthorized, ErrorCode::IdempotencyConflict, ErrorCode::TicketInUse, ErrorCode::NotADirectory, ErrorCode::Internal]
        {
            assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{code}\""));
        }
    }
}
