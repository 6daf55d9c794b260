use std::error::Error as _;

use artifacts_core::ErrorCode;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::ApiError;

/// The parameters behind the question mark. Unknown ones are refused: a filter with a typo must not list everything.
pub(super) struct QueryParams<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for QueryParams<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Query::<T>::try_from_uri(&parts.uri).map(|Query(params)| Self(params)).map_err(|rejection| {
            let problem = rejection.source().map_or_else(|| rejection.body_text(), ToString::to_string);
            ApiError::new(ErrorCode::InvalidRequest, format!("in the query: {problem}"))
        })
    }
}
