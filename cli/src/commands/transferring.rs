//! What `import` and `export` share: the mount, the signals, and what is said at the end.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use artifacts_core::name::WorkspaceAddress;
use artifacts_core::ticket::Mode;
use clap::Args;

use crate::failure::Failure;
use crate::output::Output;
use crate::size::Size;
use crate::stop::Stop;
use crate::transfer::{self, Bar, PrivateMount, Summary, Transfer};

/// How many files are copied at once unless told otherwise: enough that one that waits does not hold up the others.
const WORKERS: usize = 8;

/// Options of both.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Options {
    /// Say what would be copied, and copy nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// How many files to copy at once [default: 8]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
}

impl Options {
    /// How many files to copy at once.
    pub(super) fn workers(self) -> usize {
        self.jobs.map_or(WORKERS, NonZeroUsize::get).min(64)
    }
}

/// Mounts the workspace for itself, copies as `plan` says, unmounts, and tells what came of it. A signal ends it in good
/// order: what is under way is dropped, what is done is kept.
///
/// # Errors
/// It cannot be mounted or saved; a file could not be copied; it was told to end.
pub(super) async fn run(
    did: &'static str,
    workspace: &WorkspaceAddress,
    mode: Mode,
    output: Output,
    options: Options,
    plan: impl FnOnce(&Path, Options) -> anyhow::Result<Transfer> + Send + 'static,
) -> anyhow::Result<()> {
    let mut signals = Stop::new().context("cannot take signals")?;
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, address) = (Arc::clone(&stop), workspace.clone());
    let mut work = tokio::task::spawn_blocking(move || {
        let mount = PrivateMount::new(&address, mode, output)?;
        let bar = Bar::new(output);
        let transfer = plan(mount.root(), options)?;
        let summary = transfer::run(&transfer, &stopped, &bar).context("what was copied could not be made durable")?;
        drop(bar);
        mount.end()?;
        anyhow::Ok(summary)
    });
    let summary = loop {
        tokio::select! {
            summary = &mut work => break summary??,
            () = signals.asked() => stop.store(true, Ordering::Relaxed),
        }
    };
    tell(did, workspace, &summary, output)
}

/// Where one file goes: into a directory that is there, or under the name that was given.
pub(super) fn file_in(place: PathBuf, file: &Path) -> PathBuf {
    match file.file_name() {
        Some(name) if place.is_dir() => place.join(name),
        _ => place,
    }
}

fn tell(did: &str, workspace: &WorkspaceAddress, summary: &Summary, output: Output) -> anyhow::Result<()> {
    let Summary { files, bytes, unchanged, left_out, failed, .. } = *summary;
    let did = if summary.dry_run { "Would copy" } else { did };
    let rate = if summary.dry_run { String::new() } else { rate(summary) };
    output.done(summary, &format!("{did} {} files, {}{rate}; {unchanged} were there already.", files, Size::from_bytes(bytes)))?;
    if left_out > 0 {
        output.note(&format!("{left_out} devices were left out: only root may make them."));
    }
    let listed = summary.failures.iter().map(|failure| format!("{}: {}", failure.path, failure.reason)).collect();
    if summary.interrupted {
        return Err(Failure::incomplete(format!("{workspace}: ended before everything was copied"), listed)
            .hint("run the same command again to go on")
            .into());
    }
    match failed {
        0 => Ok(()),
        1 => Err(Failure::incomplete(format!("{workspace}: 1 file could not be copied"), listed).into()),
        n => Err(Failure::incomplete(format!("{workspace}: {n} files could not be copied"), listed).into()),
    }
}

/// How long it took, and how fast that was.
fn rate(summary: &Summary) -> String {
    let seconds = summary.duration_ms.max(1) as f64 / 1000.0;
    format!(" in {seconds:.1} s ({}/s)", Size::from_bytes((summary.bytes as f64 / seconds) as u64))
}
