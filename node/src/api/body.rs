use artifacts_core::ErrorCode;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::ApiError;

/// The longest body of an API call.
const LONGEST_BODY_BYTES: usize = 64 * 1024;

/// Reads a whole body, up to the limit.
///
/// # Errors
/// `payload_too_large`, or `invalid_request` when the client stops in the middle.
pub(super) async fn read(body: Body) -> Result<Bytes, ApiError> {
    match Limited::new(body, LONGEST_BODY_BYTES).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(ApiError::new(ErrorCode::PayloadTooLarge, format!("a request body holds at most {LONGEST_BODY_BYTES} bytes; send less")))
        }
        Err(_) => Err(ApiError::new(ErrorCode::InvalidRequest, "the request body ended early; send it again")),
    }
}

/// A JSON body. An empty one counts as `{}`.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = read(body).await?;
        if bytes.is_empty() {
            return parse(b"{}").map(Self);
        }
        if !is_json(&parts.headers) {
            return Err(ApiError::new(ErrorCode::UnsupportedMediaType, "the body must be JSON; send `content-type: application/json`"));
        }
        parse(&bytes).map(Self)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let essence = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| {
        let essence = essence.trim().to_ascii_lowercase();
        essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
    })
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let at = error.path().to_string();
        let inner = error.into_inner();
        match inner.classify() {
            serde_json::error::Category::Data => describe(&at, &inner.to_string()),
            _ => ApiError::new(ErrorCode::InvalidRequest, format!("the body is not valid JSON: {inner}")),
        }
    })?;
    json.end().map_err(|error| ApiError::new(ErrorCode::InvalidRequest, format!("the body is not valid JSON: {error}")))?;
    Ok(value)
}

/// Says which field is wrong, and how. Unknown and missing fields are named by the problem itself.
pub(super) fn describe(at: &str, problem: &str) -> ApiError {
    let message = if at == "." || problem.contains("field `") { problem.to_owned() } else { format!("`{at}`: {problem}") };
    ApiError::new(ErrorCode::InvalidRequest, message)
}
