//! What a command prints: tables and fields for people, one JSON document for programs.
//!
//! Always true: results go to stdout; notes, progress and errors go to stderr. With `--format json` stdout holds exactly one
//! JSON document. Text that came over the network is printed without control characters, so nobody's host name can
//! write to the reader's terminal.

mod progress;
mod style;
mod table;

use std::io::{self, IsTerminal as _, Write as _};

use artifacts_core::Timestamp;
use clap::ValueEnum;
use serde::Serialize;

use crate::time;
use crate::ttl::Ttl;
pub(crate) use progress::Progress;
pub(crate) use style::Style;
pub(crate) use table::Table;

/// For whom to print: `Text` for people, `Json` for programs. (Comments on the variants would be printed by `--help`.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
}

/// Where a command's results go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// For whom.
    pub(crate) format: Format,
    /// Leave out notes and progress.
    pub(crate) quiet: bool,
    /// How stdout is coloured.
    pub(crate) style: Style,
    /// How stderr is coloured.
    pub(crate) error_style: Style,
}

impl Output {
    /// An output as the global options and the environment want it.
    pub(crate) fn new(format: Format, quiet: bool, no_color: bool) -> Self {
        let style = |is_terminal: bool| Style::for_stream(no_color, is_terminal);
        Self { format, quiet, style: style(io::stdout().is_terminal()), error_style: style(io::stderr().is_terminal()) }
    }

    /// Prints one object: as JSON, or as the fields that `text` makes of it.
    ///
    /// # Errors
    /// stdout cannot be written.
    pub(crate) fn object<T: Serialize>(&self, object: &T, text: impl FnOnce(&T) -> Vec<(&'static str, String)>) -> anyhow::Result<()> {
        if self.format == Format::Json {
            return self.json(object);
        }
        let fields = text(object);
        let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in fields {
            self.line(&format!("{}  {}", self.style.dim(&format!("{name:width$}")), printable(&value)))?;
        }
        Ok(())
    }

    /// Prints a list: as `{"items": […]}`, or as a table.
    ///
    /// # Errors
    /// stdout cannot be written.
    pub(crate) fn list<T: Serialize>(&self, items: &[T], table: impl FnOnce(&[T]) -> Table) -> anyhow::Result<()> {
        if self.format == Format::Json {
            return self.json(&serde_json::json!({ "items": items }));
        }
        let table = table(items);
        if items.is_empty() {
            self.note(table.when_empty());
            return Ok(());
        }
        self.line(&table.render(self.style))
    }

    /// Prints what a command did: a JSON document, or a sentence.
    ///
    /// # Errors
    /// stdout cannot be written.
    pub(crate) fn done<T: Serialize>(&self, object: &T, sentence: &str) -> anyhow::Result<()> {
        match self.format {
            Format::Json => self.json(object),
            Format::Text if self.quiet => Ok(()),
            Format::Text => self.line(&printable(sentence)),
        }
    }

    /// Prints a JSON document; indented where a person may be looking.
    ///
    /// # Errors
    /// stdout cannot be written.
    pub(crate) fn json<T: Serialize>(&self, object: &T) -> anyhow::Result<()> {
        let text = if io::stdout().is_terminal() { serde_json::to_string_pretty(object) } else { serde_json::to_string(object) };
        self.line(&text?)
    }

    /// Prints one line to stdout.
    ///
    /// # Errors
    /// stdout cannot be written.
    pub(crate) fn line(&self, line: &str) -> anyhow::Result<()> {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{line}")?;
        Ok(stdout.flush()?)
    }

    /// Says something to the person in front of the terminal; nothing with `-q` or `--format json`.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet && self.format == Format::Text {
            let _ = writeln!(io::stderr(), "{}", printable(text));
        }
    }

    /// Shows that something takes a while, until the answer is dropped.
    pub(crate) fn progress(&self, what: impl Into<String>) -> Progress {
        Progress::start(what.into(), !self.quiet && self.format == Format::Text && io::stderr().is_terminal())
    }
}

/// The text without control characters.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// How long ago, or in how long: `3m ago`, `in 59m`.
pub(crate) fn relative(instant: Timestamp) -> String {
    let now = time::wall_clock();
    if instant > now {
        format!("in {}", Ttl::from_seconds(instant.since_ms(now).div_ceil(1000)))
    } else if now.since_ms(instant) < 1000 {
        "just now".to_owned()
    } else {
        format!("{} ago", Ttl::from_seconds(now.since_ms(instant) / 1000))
    }
}

/// [`relative`], or a dash where there is no instant.
pub(crate) fn relative_or_dash(instant: Option<Timestamp>) -> String {
    instant.map_or_else(dash, relative)
}

/// The text, or a dash.
pub(crate) fn or_dash(text: Option<&String>) -> String {
    text.cloned().unwrap_or_else(dash)
}

fn dash() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\r\u{9b}c"), "a\u{fffd}[31mb\u{fffd}\u{fffd}c");
    }
}
