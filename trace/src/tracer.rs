use std::num::NonZeroU128;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;

use crate::exporter::{Exporter, QUEUE_MAX};
use crate::options::{TraceError, TraceOptions};

/// Of this process; none while nothing is traced. Spans begin anywhere, as metrics are counted anywhere.
static TRACER: OnceLock<Tracer> = OnceLock::new();
/// Spans that ended and reached no collector, and such that others asked for and that did not begin.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// What spans need to begin and to end.
#[derive(Debug)]
pub(crate) struct Tracer {
    exporter: Exporter,
    /// Traces below are recorded.
    bound: u64,
    scope: InstrumentationScope,
}

pub(crate) fn get() -> Option<&'static Tracer> {
    TRACER.get()
}

/// Whether this process traces anything.
pub fn is_on() -> bool {
    TRACER.get().is_some()
}

/// How many spans of this process reached no collector, because there were too many or because it did not take them.
pub fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

pub(crate) fn drop_spans(count: usize) {
    DROPPED.fetch_add(count as u64, Ordering::Relaxed);
}

/// Begins to trace, as `service` unless the environment gives another name, where the options or the environment say where to; once
/// a process. Tracing goes on until the answer is told to finish.
///
/// What the environment alone says may be meant for other programs: if it cannot be done, nothing is traced, and the log says why.
///
/// # Errors
/// [`TraceError`], of the options.
pub fn start(options: &TraceOptions, service: &'static str) -> Result<Tracing, TraceError> {
    match begin(options, service) {
        Err(TraceError::Absent) if options.endpoint.is_none() => Ok(Tracing(None)),
        Err(error) if *options == TraceOptions::default() => {
            tracing::warn!(%error, "nothing is traced");
            Ok(Tracing(None))
        }
        begun => begun.map(Tracing),
    }
}

fn begin(options: &TraceOptions, service: &'static str) -> Result<Option<&'static Tracer>, TraceError> {
    let Some(settings) = options.settings(|name| std::env::var(name).ok())? else { return Ok(None) };
    if is_on() {
        return Ok(None);
    }
    let exporter = Exporter::start(&settings.endpoint, resource(service))?;
    let scope = InstrumentationScope::builder("artifacts").with_version(env!("CARGO_PKG_VERSION")).build();
    let tracer = TRACER.get_or_init(|| Tracer { exporter, bound: bound(settings.ratio), scope });
    tracing::info!(endpoint = settings.endpoint, ratio = settings.ratio, "calls are traced");
    Ok(Some(tracer))
}

/// That a process traces, until it ends.
#[derive(Debug)]
#[must_use = "spans that wait are lost unless it is told to finish"]
pub struct Tracing(Option<&'static Tracer>);

impl Tracing {
    /// Sends what waits. Returns within two seconds, whatever the collector does; spans that end later are lost.
    pub fn finish(self) {
        if let Some(tracer) = self.0 {
            tracer.exporter.finish();
        }
    }
}

impl Tracer {
    /// Whether a trace is recorded that begins here. Whoever decides by the same ratio decides alike
    /// (OpenTelemetry's `TraceIdRatioBased`).
    pub(crate) fn samples(&self, trace: NonZeroU128) -> bool {
        (trace.get() as u64) >> 1 < self.bound
    }

    /// Whether a span may begin because somebody else's trace is recorded.
    pub(crate) fn has_room_for_others(&self) -> bool {
        let has_room = self.exporter.room() > QUEUE_MAX / 2;
        if !has_room {
            drop_spans(1);
        }
        has_room
    }

    pub(crate) fn take(&self, span: SpanData) {
        if !self.exporter.take(span) {
            drop_spans(1);
        }
    }

    pub(crate) fn scope(&self) -> InstrumentationScope {
        self.scope.clone()
    }
}

/// Of 63 bits.
fn bound(ratio: f64) -> u64 {
    if ratio >= 1.0 { 1 << 63 } else { (ratio.max(0.0) * (1u64 << 63) as f64) as u64 }
}

fn resource(service: &'static str) -> Resource {
    let is_named = std::env::var("OTEL_SERVICE_NAME").is_ok_and(|name| !name.is_empty())
        || std::env::var("OTEL_RESOURCE_ATTRIBUTES").is_ok_and(|text| text.contains("service.name="));
    let mut builder = Resource::builder();
    if !is_named {
        builder = builder.with_service_name(service);
    }
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    builder
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("host.name", host),
            KeyValue::new("process.pid", i64::from(std::process::id())),
        ])
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_a_share_of_all_traces() {
        assert_eq!((bound(0.0), bound(1.0), bound(0.5)), (0, 1 << 63, 1 << 62));
        let recorded = |ratio: f64| (0..=u64::MAX).step_by(1 << 54).filter(|low| low >> 1 < bound(ratio)).count();
        assert_eq!((recorded(0.0), recorded(0.25), recorded(1.0)), (0, 256, 1024));
    }
}
