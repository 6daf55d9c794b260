//! Spans of nodes and agents, and their way to an OpenTelemetry collector (`docs/design/0023-traces.md`).
//!
//! Off unless [`start`] was called with a place to send them to; then a [`Span`] is nothing, which costs one look at an atomic. A
//! trace is sampled where it begins, and everybody who continues it does as was decided there.
//!
//! Always true:
//! - nothing waits for a span: one that ends goes into a bounded queue, or is dropped and counted ([`dropped`]);
//! - a span names no file and holds nothing of one: what it says are the keys of its attributes, which stand in the code;
//! - what others ask to be recorded takes at most half of the queue, so that nobody keeps the process from tracing itself;
//! - a collector that is away, slow or refuses costs a line in the log a minute at the most.

mod current;
#[cfg(feature = "otlp")]
mod exporter;
#[cfg(not(feature = "otlp"))]
#[path = "no_exporter.rs"]
mod exporter;
mod options;
mod span;
mod time;
#[cfg(feature = "otlp")]
mod tls;
mod tracer;

pub use current::{current, within};
pub use options::{TraceError, TraceOptions};
pub use span::Span;
pub use tracer::{Tracing, dropped, is_on, start};
