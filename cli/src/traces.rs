//! Where a server sends traces, as options say it.

use artifacts_trace::{TraceOptions, Tracing};
use clap::Args;

use crate::failure::Failure;

/// Options of every command that serves.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TraceArgs {
    /// Send traces to this OpenTelemetry collector, by OTLP over HTTP [default: what OTEL_EXPORTER_OTLP_ENDPOINT says, or nowhere]
    #[arg(long, value_name = "URL")]
    traces_endpoint: Option<String>,
    /// The share of calls that are traced, from 0 to 1 [default: what OTEL_TRACES_SAMPLER says, or 0.01]
    #[arg(long, value_name = "SHARE")]
    traces_ratio: Option<f64>,
}

impl TraceArgs {
    /// The options over what a file says.
    pub(crate) fn over(self, configured: TraceOptions) -> TraceOptions {
        TraceOptions { endpoint: self.traces_endpoint.or(configured.endpoint), ratio: self.traces_ratio.or(configured.ratio) }
    }
}

/// Begins to trace, if that is wanted.
///
/// # Errors
/// What is wrong with the options.
pub(crate) fn start(options: &TraceOptions, service: &'static str) -> Result<Tracing, Failure> {
    artifacts_trace::start(options, service).map_err(|error| Failure::usage(error.to_string()))
}
