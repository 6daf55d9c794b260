//! `artifacts unmount`

use std::path::PathBuf;

use artifacts_mount::control;
use clap::Args;

use crate::mounting;
use crate::output::Output;
use crate::paths::Paths;

/// Arguments of `unmount`.
#[derive(Debug, Args)]
#[command(after_help = "\
Saves everything first. While something cannot be saved, or a program still uses the directory, it stays
mounted and this exits 1 or 5; --force unmounts all the same and lists what is lost.

Example:
  artifacts unmount /mnt/work")]
pub(crate) struct UnmountArgs {
    /// The directory that something is mounted on
    #[arg(value_name = "DIR")]
    mountpoint: PathBuf,
    /// Unmount also when programs use it or something cannot be saved
    #[arg(short, long)]
    force: bool,
}

/// Unmounts.
pub(crate) fn run(args: &UnmountArgs, output: Output) -> anyhow::Result<()> {
    let state = Paths::of_this_user()?.state;
    let shown = args.mountpoint.display();
    let progress = output.progress(format!("Saving and unmounting {shown}"));
    let report = control::unmount(&state, &args.mountpoint, args.force)?;
    drop(progress);
    mounting::saved(&report.unsaved, &args.mountpoint)?;
    if report.was_busy {
        output.note("Programs still had files open there; they fail from now on.");
    }
    if report.agent_was_dead {
        output.note("The mount had died before; what it had not saved is lost.");
    }
    output.done(&report, &format!("Unmounted {shown}."))
}
