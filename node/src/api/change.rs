use artifacts_core::ErrorCode;
use artifacts_trace::{current, within};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::{ApiError, ApiState};

/// How many changes may be under way at once. It bounds the mailboxes of the actors, also when clients hang up.
pub(super) const MOST_CHANGES: usize = 1_024;

/// Runs a request that changes something in a task of its own: once begun it is carried through, with the fence that
/// follows a revocation and the record of its answer, even if the client hangs up.
///
/// # Errors
/// `unavailable` when too many changes are under way.
pub(super) async fn carry_through(State(state): State<ApiState>, request: Request, next: Next) -> Result<Response, ApiError> {
    if request.method().is_safe() {
        return Ok(next.run(request).await);
    }
    let permit = state
        .changes()
        .clone()
        .try_acquire_owned()
        .map_err(|_| ApiError::new(ErrorCode::Unavailable, "too many changes are under way; try again"))?;
    let work = async move {
        let response = next.run(request).await;
        drop(permit);
        response
    };
    match tokio::spawn(within(current(), work)).await {
        Ok(response) => Ok(response),
        // The shell around this catches it.
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(ApiError::new(ErrorCode::Unavailable, "the node is stopping; try again")),
    }
}
