//! Logs go to stderr: quiet by default, more with `-v`, exactly what `RUST_LOG` says where it is set.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

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
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging had been started before");
    }
}
