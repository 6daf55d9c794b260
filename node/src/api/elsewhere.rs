//! The locks and files of a workspace are with its owner, who need not be the owner of the account that calls.
//!
//! The owner of the account looks at the credential and finds the workspace; then the call goes on to the owner of the
//! workspace, with what was found. Where both are one, nothing of this happens.

use artifacts_core::ticket::Mode;
use axum::extract::{FromRequestParts as _, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::future::BoxFuture;

use super::file_path::workspace_of;
use super::lock_caller::{Attested, LockCaller};
use super::{ApiError, ApiState};
use crate::records::WorkspaceRecord;

/// The way to workspaces that are not in this process' store.
pub(crate) trait Elsewhere: Send + Sync + 'static {
    /// Whether the workspace is here.
    fn is_here(&self, workspace: &WorkspaceRecord) -> bool;

    /// Lets the owner of the workspace answer a call about its locks or files.
    fn pass_on(&self, attested: Attested, request: Request) -> BoxFuture<'static, Response>;
}

/// Passes a call on if its workspace is elsewhere. Stands behind the gate.
///
/// # Errors
/// As the call itself.
pub(super) async fn seek(State(state): State<ApiState>, request: Request, next: Next) -> Result<Response, ApiError> {
    let Some(elsewhere) = state.elsewhere() else { return Ok(next.run(request).await) };
    let (mut parts, body) = request.into_parts();
    let path = workspace_of(parts.uri.path())?;
    let caller = LockCaller::from_request_parts(&mut parts, &state).await?;
    let workspace = caller.workspace(&state, &path, Mode::Ro).await?;
    let request = Request::from_parts(parts, body);
    if elsewhere.is_here(&workspace) {
        return Ok(next.run(request).await);
    }
    Ok(elsewhere.pass_on(caller.attest(workspace), request).await)
}

/// Lets in a call that was passed on: the owner of the account has looked at its credential.
pub(super) async fn with_attested(mut request: Request, next: Next) -> Result<Response, ApiError> {
    let attested = request.extensions_mut().remove::<Attested>().ok_or_else(ApiError::internal)?;
    request.extensions_mut().insert(LockCaller::of_attested(attested));
    Ok(next.run(request).await)
}
