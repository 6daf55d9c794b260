//! What surrounds every request: its id, its line in the log, its metrics, and a net for panics.

use std::panic::AssertUnwindSafe;

use artifacts_core::trace::TraceContext;
use artifacts_trace::{Span, within};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;

use super::caller::Caller;
use super::error;
use super::error::{ApiError, name_request};
use super::request_id::{RequestId, X_REQUEST_ID};
use crate::random::SharedEntropy;
use crate::time::SharedClock;

/// What the shell needs.
pub(crate) type Surroundings = (SharedClock, SharedEntropy);

/// Names a request that somebody else surrounds, and errors that come about on the way there.
pub(crate) async fn name(State((_, entropy)): State<Surroundings>, mut request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers(), &entropy);
    request.headers_mut().insert(X_REQUEST_ID, id.header());
    let mut response = name_request(next.run(request).await, &id);
    response.headers_mut().insert(X_REQUEST_ID, id.header());
    response
}

/// The outermost layer.
pub(crate) async fn surround(State(surroundings): State<Surroundings>, request: Request, next: Next) -> Response {
    let mut span = Span::server(traced(request.headers()), "http");
    if span.is_recorded() {
        let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
        span.rename(|| format!("{} {route}", known(request.method())));
        span.set("http.request.method", known(request.method()));
        span.set("http.route", route);
    }
    let response = within(span.context(), answer(surroundings, request, next)).await;
    let status = response.status();
    span.count("http.response.status_code", u64::from(status.as_u16()));
    if status.is_server_error() {
        span.fail(status.canonical_reason().unwrap_or("failed"));
    }
    response
}

/// The span of whoever calls.
pub(crate) fn traced(headers: &HeaderMap) -> Option<TraceContext> {
    if !artifacts_trace::is_on() {
        return None;
    }
    headers.get(TraceContext::HEADER)?.to_str().ok()?.parse().ok()
}

async fn answer((clock, entropy): Surroundings, mut request: Request, next: Next) -> Response {
    let started_ms = clock.monotonic_ms();
    let id = RequestId::of(request.headers(), &entropy);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    request.extensions_mut().insert(id.clone());

    let outcome = AssertUnwindSafe(next.run(request)).catch_unwind().await.ok();
    let panicked = outcome.is_none();
    let mut response = name_request(outcome.unwrap_or_else(|| ApiError::internal().into_response()), &id);
    response.headers_mut().insert(X_REQUEST_ID, id.header());

    let took_ms = clock.monotonic_ms().saturating_sub(started_ms);
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    record(&method, route, &response, took_ms);
    if panicked {
        tracing::error!(request_id = %id, %method, route, "a handler panicked");
    }
    let caller = response.extensions().get::<Caller>();
    let key = caller.map(|caller| caller.key().id);
    let account = caller.map(|caller| caller.account().id);
    let status = response.status().as_u16();
    if account.is_some() || status >= 500 {
        tracing::info!(request_id = %id, %method, route, status, took_ms, ?account, ?key, "request");
    } else {
        // Segments, probes and strangers: as many as they like, each says little.
        tracing::debug!(request_id = %id, %method, route, status, took_ms, "request");
    }
    response
}

/// A client may invent methods; each would be a time series of its own.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        _ => "other",
    }
}

fn record(method: &Method, route: &str, response: &Response, took_ms: u64) {
    let method = known(method);
    let status = response.status().as_u16().to_string();
    metrics::counter!("artifacts_http_requests_total", "method" => method, "route" => route.to_owned(), "status" => status).increment(1);
    metrics::histogram!("artifacts_http_request_duration_seconds", "method" => method, "route" => route.to_owned())
        .record(took_ms as f64 / 1000.0);
}

/// No such route.
pub(super) async fn not_found() -> ApiError {
    ApiError::new(artifacts_core::ErrorCode::NotFound, "there is no such call; see /openapi.json for those there are")
}

/// A route, but not by this method.
pub(super) async fn method_not_allowed() -> error::ApiError {
    ApiError::new(artifacts_core::ErrorCode::MethodNotAllowed, "the call does not take this method; see the header `allow`")
}
