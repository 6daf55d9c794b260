use artifacts_core::ErrorCode;
use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::request_id::RequestId;
use crate::catalog::ListError;
use crate::control::ControlError;
use crate::store::StoreError;

/// When a client may come back after a 503, in milliseconds.
const UNAVAILABLE_RETRY_MS: u64 = 1_000;

/// Every code that the API answers with, for its description.
pub const ALL_CODES: [ErrorCode; 35] = [
    ErrorCode::Unauthorized,
    ErrorCode::Forbidden,
    ErrorCode::NotFound,
    ErrorCode::WorkspaceNotFound,
    ErrorCode::TenantNotFound,
    ErrorCode::GrantNotFound,
    ErrorCode::SessionNotFound,
    ErrorCode::KeyNotFound,
    ErrorCode::SnapshotNotFound,
    ErrorCode::FileNotFound,
    ErrorCode::WorkspaceExists,
    ErrorCode::TenantExists,
    ErrorCode::HandleExists,
    ErrorCode::SnapshotExists,
    ErrorCode::FileExists,
    ErrorCode::NotADirectory,
    ErrorCode::IsADirectory,
    ErrorCode::DirectoryNotEmpty,
    ErrorCode::WorkspaceNotActive,
    ErrorCode::TicketInUse,
    ErrorCode::LockHeld,
    ErrorCode::Deadlock,
    ErrorCode::IdempotencyConflict,
    ErrorCode::StaleToken,
    ErrorCode::PreconditionFailed,
    ErrorCode::RangeNotSatisfiable,
    ErrorCode::InvalidRequest,
    ErrorCode::PayloadTooLarge,
    ErrorCode::MethodNotAllowed,
    ErrorCode::UnsupportedMediaType,
    ErrorCode::UnsupportedVersion,
    ErrorCode::QuotaExceeded,
    ErrorCode::RateLimited,
    ErrorCode::Unavailable,
    ErrorCode::Internal,
];

/// The HTTP status of a code. The only place that knows.
pub const fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden => StatusCode::FORBIDDEN,
        ErrorCode::NotFound
        | ErrorCode::WorkspaceNotFound
        | ErrorCode::TenantNotFound
        | ErrorCode::GrantNotFound
        | ErrorCode::SessionNotFound
        | ErrorCode::KeyNotFound
        | ErrorCode::SnapshotNotFound
        | ErrorCode::FileNotFound => StatusCode::NOT_FOUND,
        ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::WorkspaceExists
        | ErrorCode::TenantExists
        | ErrorCode::HandleExists
        | ErrorCode::SnapshotExists
        | ErrorCode::FileExists
        | ErrorCode::NotADirectory
        | ErrorCode::IsADirectory
        | ErrorCode::DirectoryNotEmpty
        | ErrorCode::WorkspaceNotActive
        | ErrorCode::TicketInUse
        | ErrorCode::LockHeld
        | ErrorCode::Deadlock
        | ErrorCode::IdempotencyConflict => StatusCode::CONFLICT,
        ErrorCode::StaleToken | ErrorCode::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        ErrorCode::RangeNotSatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
        ErrorCode::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorCode::InvalidRequest => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorCode::UnsupportedVersion => StatusCode::UPGRADE_REQUIRED,
        ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::QuotaExceeded => StatusCode::INSUFFICIENT_STORAGE,
    }
}

/// An error as the API answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    code: ErrorCode,
    message: String,
    hint: Option<String>,
    retry_after_ms: Option<u64>,
}

/// The body of every answer that is not a success.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorBody {
    /// What went wrong, for programs.
    #[schema(value_type = super::schema::ErrorCodeSchema)]
    code: ErrorCode,
    /// What went wrong, for people.
    message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// Under which the node logged the request; also in the header `x-request-id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required)]
    request_id: Option<String>,
}

impl ApiError {
    /// An error of this code. The message says what to do next.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let retry_after_ms = matches!(code, ErrorCode::Unavailable).then_some(UNAVAILABLE_RETRY_MS);
        Self { code, message: message.into(), hint: None, retry_after_ms }
    }

    /// A field breaks its rule.
    pub(super) fn invalid(field: &str, problem: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::InvalidRequest, format!("`{field}` {problem}"))
    }

    /// The same error with a hint.
    #[must_use]
    pub(super) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same error with the time after which to try again.
    #[must_use]
    pub(crate) fn with_retry_after_ms(self, ms: u64) -> Self {
        Self { retry_after_ms: Some(ms), ..self }
    }

    /// The code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    fn render(self, request_id: Option<&RequestId>) -> Response {
        let body = ErrorBody {
            code: self.code,
            message: self.message.clone(),
            hint: self.hint.clone(),
            request_id: request_id.map(ToString::to_string),
        };
        let mut response = (status(self.code), Json(body)).into_response();
        if self.code == ErrorCode::Unauthorized {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(ms) = self.retry_after_ms {
            // Whole seconds (RFC 9110 section 10.2.3), rounded up, or a client would come too early.
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(ms.div_ceil(1000).max(1)));
        }
        if request_id.is_none() {
            response.extensions_mut().insert(self);
        }
        response
    }
}

/// Writes the request id into an answer that a handler made of an [`ApiError`]; leaves every other one alone.
pub(super) fn name_request(mut response: Response, request_id: &RequestId) -> Response {
    let Some(error) = response.extensions_mut().remove::<ApiError>() else { return response };
    let mut named = error.render(Some(request_id));
    std::mem::swap(named.extensions_mut(), response.extensions_mut());
    // Headers that others set, such as Allow, stay.
    for (name, value) in response.headers() {
        if !named.headers().contains_key(name) {
            named.headers_mut().append(name, value.clone());
        }
    }
    named
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.render(None)
    }
}

impl From<ControlError> for ApiError {
    fn from(error: ControlError) -> Self {
        let code = error.code();
        match code {
            ErrorCode::Internal => {
                tracing::error!(%error, "a request met damage");
                Self::internal()
            }
            ErrorCode::Unavailable if error.is_about_regions() => Self::new(code, error.to_string()),
            // What the store says is for the operator, not for callers.
            ErrorCode::Unavailable => {
                tracing::warn!(%error, "a request was not served");
                Self::new(
                    code,
                    "a disk, object store or node that this needs does not answer at the moment, and the request may have taken effect; try again",
                )
            }
            _ => Self::new(code, error.to_string()),
        }
    }
}

impl ApiError {
    /// Something is broken here; the log says what.
    pub(crate) fn internal() -> Self {
        Self::new(ErrorCode::Internal, "the node failed to answer; report the request id to its operator")
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        ControlError::from(error).into()
    }
}

impl From<ListError> for ApiError {
    fn from(error: ListError) -> Self {
        ControlError::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_gives_each_code_its_status() {
        for (code, expected) in [
            (ErrorCode::Unauthorized, 401),
            (ErrorCode::Forbidden, 403),
            (ErrorCode::WorkspaceNotFound, 404),
            (ErrorCode::TenantNotFound, 404),
            (ErrorCode::GrantNotFound, 404),
            (ErrorCode::SessionNotFound, 404),
            (ErrorCode::WorkspaceExists, 409),
            (ErrorCode::TenantExists, 409),
            (ErrorCode::HandleExists, 409),
            (ErrorCode::WorkspaceNotActive, 409),
            (ErrorCode::TicketInUse, 409),
            (ErrorCode::LockHeld, 409),
            (ErrorCode::Deadlock, 409),
            (ErrorCode::IdempotencyConflict, 409),
            (ErrorCode::StaleToken, 412),
            (ErrorCode::InvalidRequest, 422),
            (ErrorCode::QuotaExceeded, 507),
            (ErrorCode::RateLimited, 429),
            (ErrorCode::Unavailable, 503),
        ] {
            assert_eq!(status(code).as_u16(), expected, "{code}");
        }
    }

    #[test]
    fn what_the_store_says_stays_inside() {
        let error = ApiError::from(StoreError::Corrupt { reason: "secret detail".to_owned() });
        assert_eq!(error.code(), ErrorCode::Internal);
        assert!(!error.message.contains("secret detail"));
    }
}
