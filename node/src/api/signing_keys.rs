use artifacts_core::Timestamp;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{ApiError, ApiState};

/// A key that is going to sign tickets.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RotatedSigningKey {
    /// Its name in the published key set and in the header of what it signs.
    kid: String,
    /// From when it signs. It is published at once, so that whoever checks tickets offline knows it by then.
    #[schema(value_type = String, format = DateTime)]
    signs_from: Timestamp,
}

/// Replaces the key that signs tickets. Takes the admin token.
///
/// The one before stays published until the last ticket that it signed has run out; no ticket becomes invalid by this.
#[utoipa::path(post, path = "/v1/signing-keys/rotate", tag = "signing-keys", operation_id = "rotate_signing_key", responses(
    (status = 200, description = "The new key", body = RotatedSigningKey),
))]
pub(super) async fn rotate(State(state): State<ApiState>) -> Result<Json<RotatedSigningKey>, ApiError> {
    let (kid, signs_from) = state.control().rotate_signing_key().await?;
    Ok(Json(RotatedSigningKey { kid, signs_from }))
}
