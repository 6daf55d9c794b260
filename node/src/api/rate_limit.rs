use std::collections::HashMap;

use artifacts_core::ErrorCode;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use parking_lot::Mutex;

use super::credential::{Bearer, Credential};
use super::token_bucket::TokenBucket;
use super::{ApiError, ApiState};

/// From so many buckets on, those that are full are forgotten.
const MANY_BUCKETS: usize = 10_000;

/// How fast each credential may call.
#[derive(Default)]
pub(super) struct RateLimits {
    buckets: Mutex<HashMap<Bearer, TokenBucket>>,
}

impl RateLimits {
    /// Counts one request.
    ///
    /// # Errors
    /// In how many milliseconds the next one may come.
    fn take(&self, who: Bearer, per_second: u32, now_ms: u64) -> Result<(), u64> {
        let mut buckets = self.buckets.lock();
        if buckets.len() >= MANY_BUCKETS && !buckets.contains_key(&who) {
            buckets.retain(|_, bucket| !bucket.is_full(now_ms));
        }
        buckets.entry(who).or_insert_with(|| TokenBucket::new(per_second, now_ms)).take(now_ms)
    }
}

/// Refuses a credential that calls too fast. Stands behind the gate.
///
/// # Errors
/// `rate_limited`.
pub(super) async fn limit(State(state): State<ApiState>, request: Request, next: Next) -> Result<Response, ApiError> {
    let context = state.context();
    let per_second = context.config.rate_limit;
    let who = request.extensions().get::<Credential>().map(|credential| credential.bearer);
    if let (Some(who), 1..) = (who, per_second) {
        state.rate_limits().take(who, per_second, context.clock.monotonic_ms()).map_err(|wait_ms| {
            metrics::counter!("artifacts_rate_limited_total").increment(1);
            ApiError::new(ErrorCode::RateLimited, format!("this credential may make {per_second} calls a second; wait, then try again"))
                .with_retry_after_ms(wait_ms)
        })?;
    }
    Ok(next.run(request).await)
}
