//! `artifacts export`

use std::path::PathBuf;

use artifacts_core::ticket::Mode;
use clap::Args;

use super::transferring::{self, Options};
use crate::failure::Failure;
use crate::output::Output;
use crate::transfer::{RemotePath, Transfer};

/// Arguments of `export`.
#[derive(Debug, Args)]
#[command(after_help = "\
Copies what is in a workspace, in one of its directories, or one file, with modes, times, links, extended
attributes and holes; as root with owners and devices too. What is there already, of the same length and
time, is not copied again: run the same command again to go on after an interruption. Nothing is deleted.

Examples:
  artifacts export task-1 ./backup                  the contents of task-1 become those of ./backup
  artifacts export acme/task-1:results/out.bin .    one file")]
pub(crate) struct ExportArgs {
    /// From where: `WORKSPACE` or `WORKSPACE:PATH`
    #[arg(value_name = "WORKSPACE[:PATH]")]
    source: RemotePath,
    /// A directory of this machine, made if there is none; or the name for one file
    #[arg(value_name = "DST")]
    destination: PathBuf,
    #[command(flatten)]
    options: Options,
}

/// Copies out of a workspace.
pub(crate) async fn run(args: ExportArgs, output: Output) -> anyhow::Result<()> {
    let ExportArgs { source, destination, options } = args;
    let above = std::path::absolute(&destination)?;
    if !above.parent().unwrap_or(&above).is_dir() {
        let shown = destination.display();
        return Err(Failure::not_found(format!("there is no directory to make {shown} in")).hint("make it first with mkdir -p").into());
    }
    // A link on the command line stands for what it points to.
    let destination = above.canonicalize().unwrap_or(above);
    let workspace = source.workspace.clone();
    transferring::run("Exported", &workspace, Mode::Ro, output, options, move |root, options| {
        let from = source.below(root, false)?;
        let to = if from.is_dir() { destination } else { transferring::file_in(destination, &from) };
        Ok(Transfer { from, to, workers: options.workers(), dry_run: options.dry_run, sync_each: true, never_enter: None })
    })
    .await
}
