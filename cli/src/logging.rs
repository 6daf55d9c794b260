//! Logs go to stderr: quiet by default, more with `-v`, exactly what `RUST_LOG` says where it is set.

use std::fmt;

use clap::ValueEnum;
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::output::Style;

/// How a log line looks: `Text` for people, `Json` is one object a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

/// What is logged without `-v`: nothing but what is wrong, or what a server reports anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Usual {
    /// Warnings.
    Command,
    /// Information as well.
    Server,
}

/// Starts logging; later calls change nothing.
pub(crate) fn start(verbose: u8, quiet: bool, usual: Usual, format: LogFormat, style: Style) {
    let level = match (verbose, usual) {
        (0, _) if quiet => "error",
        (0, Usual::Command) => "warn",
        // An object store that is away is told by whoever uses it, once and not for each request.
        (0, Usual::Server) => "info,object_store=warn",
        (1, _) => "info,artifacts=debug,artifacts_core=debug,artifacts_mount=debug,artifacts_node=debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(style.is_coloured());
    let started = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).map_event_format(WithTrace).try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging had been started before");
    }
}

/// A line of JSON that says which trace it belongs to, where there is one.
struct WithTrace<F>(F);

impl<S, N, F> FormatEvent<S, N> for WithTrace<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Some(span) = artifacts_trace::current() else { return self.0.format_event(context, writer, event) };
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        match line.strip_prefix('{') {
            Some(fields) => write!(writer, r#"{{"trace_id":"{:032x}","span_id":"{:016x}",{fields}"#, span.trace, span.span),
            None => writer.write_str(&line),
        }
    }
}
