//! `artifacts workspace fork`

use artifacts_core::name::{WorkspaceAddress, WorkspaceName};
use clap::Args;
use serde_json::json;

use crate::api::fields;
use crate::output::Output;
use crate::settings::Settings;
use crate::size::Size;

/// Arguments of `workspace fork`.
#[derive(Debug, Args)]
#[command(after_help = "\
From then on neither sees what happens in the other, and each can be deleted.

Examples:
  artifacts workspace fork task-1 task-1-retry
  artifacts workspace fork task-1@before-upgrade task-1-old
  artifacts workspace fork task-1 task-2 --quota-bytes 10GiB")]
pub(crate) struct ForkArgs {
    /// `name`, `handle/name` or `artifacts://handle/name`, and `@snapshot` behind it for a snapshot
    source: WorkspaceAddress,
    /// The name of the new workspace, unique in the account
    name: WorkspaceName,
    /// The most data it may hold, such as 10GiB [default: as the source]
    #[arg(long, value_name = "SIZE")]
    quota_bytes: Option<Size>,
    /// The most files and directories it may hold [default: as the source]
    #[arg(long, value_name = "N")]
    quota_inodes: Option<u64>,
}

/// Forks a workspace.
pub(crate) async fn run(args: ForkArgs, output: Output) -> anyhow::Result<()> {
    let body = fields([
        ("name", Some(json!(args.name))),
        ("quota_bytes", args.quota_bytes.map(|size| json!(size.bytes()))),
        ("quota_inodes", args.quota_inodes.map(|inodes| json!(inodes))),
    ]);
    let workspace = Settings::load()?.client()?.fork_workspace(&args.source, body).await?;
    output.object(&workspace, super::fields)
}
