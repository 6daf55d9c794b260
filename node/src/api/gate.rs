//! Who gets in: API keys everywhere but for making accounts, the admin token only there, and mount tickets at the locks of
//! their workspace.

use artifacts_core::ErrorCode;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;

use super::caller::Caller;
use super::credential::{Bearer, Credential};
use super::lock_caller::LockCaller;
use super::{ApiError, ApiState};
use crate::catalog::KeyPosition;
use crate::sessions::{TicketRefusal, standing_ticket};
use crate::store::StoreError;

/// Longer ones are not ours.
const LONGEST_SECRET: usize = 256;
const LONGEST_TICKET: usize = 8 * 1024;

/// Lets in whoever bears an API key in use.
///
/// # Errors
/// `unauthorized`, the same for a key that is missing, malformed, unknown, expired or revoked.
pub(super) async fn with_key(State(state): State<ApiState>, mut request: Request, next: Next) -> Result<Response, ApiError> {
    let secret = bearer(request.headers(), LONGEST_SECRET).ok_or_else(unauthorized)?;
    let caller = caller(&state, secret, request.extensions().get()).await?.ok_or_else(unauthorized)?;
    if caller.key().scope.mesh {
        return Err(ApiError::new(
            ErrorCode::Forbidden,
            "this is a mesh credential, which lets agents of hosts into the mesh and does nothing else",
        )
        .with_hint("send an API key"));
    }
    let credential = Credential::new(Bearer::Key(caller.key().id), caller.account().id, secret);
    request.extensions_mut().insert(credential);
    request.extensions_mut().insert(caller.clone());
    let mut response = next.run(request).await;
    // For the log.
    response.extensions_mut().insert(caller);
    Ok(response)
}

/// Lets in whoever bears an API key in use, or a mount ticket that opens something.
///
/// # Errors
/// `unauthorized`, as for [`with_key`].
pub(super) async fn with_key_or_ticket(State(state): State<ApiState>, mut request: Request, next: Next) -> Result<Response, ApiError> {
    let secret = bearer(request.headers(), LONGEST_TICKET).ok_or_else(unauthorized)?;
    // A ticket is a compact JWS, of three parts; a key has no dot in it.
    if !secret.contains('.') {
        return with_key(State(state), request, next).await;
    }
    let ticket = match standing_ticket(state.context(), secret).await {
        Ok(ticket) => ticket,
        Err(TicketRefusal::Store(error)) => return Err(error.into()),
        Err(error) => return Err(ApiError::new(ErrorCode::Unauthorized, error.to_string())),
    };
    let credential = Credential::new(Bearer::Ticket(ticket.claims.jti), ticket.claims.account, secret);
    let caller = LockCaller::of_ticket(ticket);
    if !caller.stands(&state) {
        return Err(ApiError::new(ErrorCode::Unauthorized, TicketRefusal::Gone.to_string()));
    }
    request.extensions_mut().insert(credential);
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// Lets in whoever bears the admin token.
///
/// # Errors
/// `forbidden` for an API key in use, `unauthorized` for everything else.
pub(super) async fn with_admin_token(State(state): State<ApiState>, mut request: Request, next: Next) -> Result<Response, ApiError> {
    let secret = bearer(request.headers(), LONGEST_SECRET).ok_or_else(unauthorized)?;
    if !state.control().is_admin_token(secret) {
        return Err(match caller(&state, secret, request.extensions().get()).await? {
            Some(_) => ApiError::new(ErrorCode::Forbidden, "this takes the admin token, not an API key")
                .with_hint("the node's operator finds it in the file `admin-token` in the data directory"),
            None => unauthorized(),
        });
    }
    let credential = Credential::new(Bearer::Admin, state.operator(), secret);
    request.extensions_mut().insert(credential);
    Ok(next.run(request).await)
}

fn unauthorized() -> ApiError {
    ApiError::new(ErrorCode::Unauthorized, "the API key is missing, unknown, expired or revoked; send `authorization: Bearer <key>`")
}

/// The account of a key that is in use. Where the key's secret lies elsewhere, whoever found it there has said where the key is.
async fn caller(state: &ApiState, secret: &str, position: Option<&KeyPosition>) -> Result<Option<Caller>, StoreError> {
    let context = state.context();
    let now = context.clock.wall();
    // No key has a dot in it, so this is none, and need not have been sent to where a key of this hash would lie.
    if secret.contains('.') {
        return Ok(None);
    }
    let found = match position {
        Some(position) => context.catalog.key_at(position, secret).await?,
        None => context.catalog.key_by_secret(secret).await?,
    };
    let Some(key) = found else { return Ok(None) };
    let account = context.catalog.account(key.account).await?;
    Ok(account.filter(|account| key.stands(account, now)).map(|account| Caller::new(account, key)))
}

/// The token of `Authorization: Bearer …` (RFC 6750 section 2.1). Two such headers are one too many.
fn bearer(headers: &HeaderMap, longest: usize) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    let good = scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.len() <= longest;
    good.then_some(token)
}
