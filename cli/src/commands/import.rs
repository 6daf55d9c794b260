//! `artifacts import`

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use artifacts_core::ticket::Mode;
use clap::Args;

use super::transferring::{self, Options};
use crate::failure::Failure;
use crate::output::Output;
use crate::transfer::{RemotePath, Transfer};

/// Arguments of `import`.
#[derive(Debug, Args)]
#[command(after_help = "\
Copies what is in a directory, or one file, with modes, times, links, extended attributes and holes; as
root with owners and devices too. What is there already, of the same length and time, is not copied again:
run the same command again to go on after an interruption. Nothing is deleted.

Examples:
  artifacts import ./project task-1                 the contents of ./project become those of task-1
  artifacts import data.bin acme/task-1:inputs/     one file
  artifacts import ./project task-1:src --dry-run")]
pub(crate) struct ImportArgs {
    /// A directory or a file of this machine
    #[arg(value_name = "SRC")]
    source: PathBuf,
    /// Where to: `WORKSPACE` or `WORKSPACE:PATH`
    #[arg(value_name = "WORKSPACE[:PATH]")]
    destination: RemotePath,
    #[command(flatten)]
    options: Options,
}

/// Copies into a workspace.
pub(crate) async fn run(args: ImportArgs, output: Output) -> anyhow::Result<()> {
    let ImportArgs { source, destination, options } = args;
    let source = std::path::absolute(source)?;
    let found = source.metadata().map_err(|error| Failure::not_found(format!("cannot read {}: {error}", source.display())))?;
    // A link on the command line stands for what it points to.
    let source = source.canonicalize()?;
    let mode = if options.dry_run { Mode::Ro } else { Mode::Rw };
    let workspace = destination.workspace.clone();
    transferring::run("Imported", &workspace, mode, output, options, move |root, options| {
        let to = match destination.below(root, !options.dry_run) {
            // Then nothing is there, which is all that a dry run must know.
            Err(_) if options.dry_run => root.join("nothing-here").join("either"),
            place => place?,
        };
        let to = if found.is_dir() { to } else { transferring::file_in(to, &source) };
        Ok(Transfer {
            from: source,
            to,
            workers: options.workers(),
            dry_run: options.dry_run,
            sync_each: false,
            never_enter: Some(root.metadata()?.dev()),
        })
    })
    .await
}
