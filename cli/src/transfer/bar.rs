use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::{Format, Output};

/// How far a transfer is: bytes, files, rate, and how long it may still take. Shown on a terminal only, and gone once it
/// is dropped.
#[derive(Debug)]
pub(crate) struct Bar {
    bar: ProgressBar,
    is_visible: bool,
    files: AtomicU64,
    all_files: AtomicU64,
}

impl Bar {
    /// As the global options want it.
    pub(crate) fn new(output: Output) -> Self {
        let is_visible = !output.quiet && output.format == Format::Text && std::io::stderr().is_terminal();
        let bar = if is_visible {
            // Without a total until the source has been counted.
            let bar = ProgressBar::no_length().with_style(style("{spinner} {bytes} · {msg} · {binary_bytes_per_sec} {elapsed:.dim}"));
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        } else {
            ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())
        };
        Self { bar, is_visible, files: AtomicU64::new(0), all_files: AtomicU64::new(0) }
    }

    /// Whether anybody sees it.
    pub(super) fn is_visible(&self) -> bool {
        self.is_visible
    }

    /// What there is in all.
    pub(super) fn expect(&self, files: u64, bytes: u64) {
        self.all_files.store(files, Ordering::Relaxed);
        self.bar.set_style(style("{wide_bar} {bytes} of {total_bytes} · {msg} · {binary_bytes_per_sec} · {eta} left"));
        self.bar.set_length(bytes);
    }

    /// So much of a file is done.
    pub(super) fn bytes(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// One more file is done.
    pub(super) fn file(&self) {
        let done = self.files.fetch_add(1, Ordering::Relaxed) + 1;
        if self.is_visible {
            let files = match self.all_files.load(Ordering::Relaxed) {
                0 => format!("{done} files"),
                all => format!("{done} of {all} files"),
            };
            self.bar.set_message(files);
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
