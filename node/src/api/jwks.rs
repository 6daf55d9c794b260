use artifacts_core::ticket::Jwks;
use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};

use super::ApiState;
use super::schema::JwksSchema;

/// The public keys that check mount tickets offline. A key stays here until nothing that it signed is alive.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "tickets", operation_id = "jwks", security(()), responses(
    (status = 200, description = "The keys", body = JwksSchema),
))]
pub(super) async fn show(State(state): State<ApiState>) -> Response {
    let keys: Jwks = state.context().key_ring.read().jwks();
    // A new key signs as soon as it is published, so copies must not live long.
    ([(CACHE_CONTROL, "public, max-age=60")], Json(keys)).into_response()
}
