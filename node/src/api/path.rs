use artifacts_core::ErrorCode;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde::de::value::MapDeserializer;

use super::ApiError;
use super::body::describe;

/// The parameters in a path, checked: a struct whose fields bear their names.
pub(super) struct PathParams<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for PathParams<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let raw = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|error| ApiError::new(ErrorCode::InvalidRequest, format!("the path cannot be read: {error}")))?;
        let fields = MapDeserializer::<_, serde::de::value::Error>::new(raw.iter());
        serde_path_to_error::deserialize(fields).map(Self).map_err(|error| {
            let at = error.path().to_string();
            describe(&at, &error.into_inner().to_string())
        })
    }
}
