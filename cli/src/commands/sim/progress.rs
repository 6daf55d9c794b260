use std::io::{self, IsTerminal as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::{Format, Output};

/// A bar for whoever looks; it counts `what`.
pub(super) fn bar(what: &str, length: u64, output: Output) -> ProgressBar {
    if output.quiet || output.format == Format::Json || !io::stderr().is_terminal() {
        return ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    }
    let template = format!("{{bar:30}} {{pos}}/{{len}} {what} {{msg}} · {{elapsed:.dim}} · {{eta}} left");
    ProgressBar::new(length).with_style(ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}
