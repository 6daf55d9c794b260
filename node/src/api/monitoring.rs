//! Liveness, readiness and metrics: for machines that watch the node, without a credential.

use std::sync::OnceLock;
use std::time::Duration;

use artifacts_core::ErrorCode;
use artifacts_core::session::Phase;
use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ErrorBody;
use super::{ApiError, ApiState, metric};
use crate::sessions::SessionStatus;

/// How long the store may take before the node counts as not ready.
const PROBE_LIMIT: Duration = Duration::from_secs(2);
/// How often the samples of histograms are summed up, so that they do not pile up when nobody reads them.
const UPKEEP_PERIOD: Duration = Duration::from_secs(10);
const LATENCY_BUCKETS_SECONDS: [f64; 13] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

/// The recorder of this process: metrics are global, so several nodes in one process share it.
static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// Installs the recorder, once a process. If the process has brought its own, ours stays empty.
pub(crate) fn install() -> PrometheusHandle {
    let handle = RECORDER.get_or_init(|| {
        let builder = match PrometheusBuilder::new().set_buckets(&LATENCY_BUCKETS_SECONDS) {
            Ok(builder) => builder,
            // Only an empty list of buckets is refused.
            Err(_) => PrometheusBuilder::new(),
        };
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("this process has a metrics recorder of its own; /metrics stays empty");
        }
        metric::declare();
        handle
    });
    handle.clone()
}

/// Sums up samples for as long as the process lives or `alive` says.
pub(crate) async fn upkeep(handle: PrometheusHandle, alive: impl Fn() -> bool) {
    let mut ticks = tokio::time::interval(UPKEEP_PERIOD);
    while alive() {
        ticks.tick().await;
        handle.run_upkeep();
    }
}

/// That the node is well.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`.
    status: &'static str,
}

/// Says that the process lives.
#[utoipa::path(get, path = "/healthz", tag = "monitoring", operation_id = "healthz", security(()), responses((status = 200, description = "It lives", body = Health)))]
pub(crate) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Says whether the node can serve: its store answers.
#[utoipa::path(get, path = "/readyz", tag = "monitoring", operation_id = "readyz", security(()), responses(
    (status = 200, description = "It serves", body = Health),
    (status = 503, description = "`unavailable`: it cannot serve at the moment", body = ErrorBody),
))]
pub(super) async fn readyz(State(state): State<ApiState>) -> Result<Json<Health>, ApiError> {
    match tokio::time::timeout(PROBE_LIMIT, state.context().catalog.probe()).await {
        Ok(Ok(())) => Ok(Json(Health { status: "ok" })),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the node is not ready");
            Err(ApiError::new(ErrorCode::Unavailable, "the store does not answer; send requests to another node"))
        }
        Err(_) => Err(ApiError::new(ErrorCode::Unavailable, "the store is too slow; send requests to another node")),
    }
}

/// The metrics in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "monitoring", operation_id = "metrics", security(()), responses(
    (status = 200, description = "Prometheus text", body = String, content_type = "text/plain"),
))]
pub(super) async fn metrics(State(state): State<ApiState>) -> Response {
    let sessions = state.control().data_plane().sessions(None).await.unwrap_or_default();
    render(state.prometheus(), &sessions, state.context().revocations.read().len())
}

/// The metrics, with what is counted now.
pub(crate) fn render(prometheus: &PrometheusHandle, sessions: &[SessionStatus], revocations: usize) -> Response {
    let lapsed = sessions.iter().filter(|session| session.phase == Phase::Lapsed).count();
    metrics::gauge!("artifacts_sessions", "state" => "lapsed").set(lapsed as f64);
    metrics::gauge!("artifacts_sessions", "state" => "live").set((sessions.len() - lapsed) as f64);
    metrics::gauge!("artifacts_revocations_known").set(revocations as f64);
    metrics::counter!("artifacts_spans_dropped_total").absolute(artifacts_trace::dropped());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], prometheus.render()).into_response()
}
