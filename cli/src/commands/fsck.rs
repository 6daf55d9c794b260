//! `artifacts fsck`

use artifacts_core::name::WorkspaceAddress;
use clap::Args;

use crate::api::Check;
use crate::failure::Failure;
use crate::output::Output;
use crate::settings::Settings;
use crate::size::Size;

/// Arguments of `fsck`.
#[derive(Debug, Args)]
#[command(after_help = "\
The workspace stays in use: what is checked is how it was at one moment. Exits 1 when something is wrong and was
not put right. Repairing touches counts, marks of orphans and objects that nothing has named for an hour; nothing
that could lose data.

Examples:
  artifacts fsck task-1
  artifacts fsck task-1 --data                  reads every byte and compares it with its checksum
  artifacts fsck task-1 --repair --format json")]
pub(crate) struct FsckArgs {
    /// `name`, `handle/name` or `artifacts://handle/name`
    workspace: WorkspaceAddress,
    /// Put right what can be without losing anything
    #[arg(long)]
    repair: bool,
    /// Read all data and compare it with its checksums
    #[arg(long)]
    data: bool,
}

/// Checks a workspace.
pub(crate) async fn run(args: FsckArgs, output: Output) -> anyhow::Result<()> {
    let address = &args.workspace;
    let client = Settings::load()?.client()?;
    let what = if args.data { "metadata and all data" } else { "metadata" };
    let progress = output.progress(format!("Checking {what} of {address}"));
    let check = client.check_workspace(address, args.repair, args.data).await?;
    drop(progress);
    report(&check, output)?;
    let wrong = check.findings.iter().filter(|finding| !finding.repaired).count() as u64 + check.untold;
    if wrong == 0 {
        return Ok(());
    }
    let failure = Failure::failed(format!("{wrong} of the things found wrong in {address} are not put right"));
    let repairable = check.findings.iter().any(|finding| finding.repairable && !finding.repaired);
    Err(if repairable && !args.repair { failure.hint("some can be: `artifacts fsck --repair`") } else { failure }.into())
}

fn report(check: &Check, output: Output) -> anyhow::Result<()> {
    if output.format == crate::output::Format::Json {
        return output.json(check);
    }
    for finding in &check.findings {
        let mark = match (finding.repaired, finding.repairable) {
            (true, _) => "repaired",
            (false, true) => "repairable",
            (false, false) => "damage",
        };
        output.line(&crate::output::printable(&format!("{mark}: {}", finding.message)))?;
    }
    if check.untold > 0 {
        output.line(&format!("and {} more", check.untold))?;
    }
    let size = Size::from_bytes(check.bytes);
    let read = match check.verified_bytes {
        0 => String::new(),
        bytes => format!("; {} read and compared", Size::from_bytes(bytes)),
    };
    let young = match check.unnamed_objects {
        0 => String::new(),
        objects => format!("; {objects} objects are named by nothing yet"),
    };
    output.note(&format!("{} inodes, {size} in files, {} segments{read}{young}.", check.inodes, check.segments));
    if check.findings.is_empty() && check.untold == 0 {
        output.note("Nothing is wrong.");
    }
    Ok(())
}
