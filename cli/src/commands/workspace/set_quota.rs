//! `artifacts workspace set-quota`

use artifacts_core::name::WorkspaceAddress;
use clap::Args;

use crate::output::Output;
use crate::quota::QuotaArgs;
use crate::settings::Settings;

/// Arguments of `workspace set-quota`.
#[derive(Debug, Args)]
#[command(after_help = "\
When this returns, all mounts go by the new quotas. A workspace may hold more than a new quota: then nothing can be added until
it holds less.

Examples:
  artifacts workspace set-quota task-1 --quota-bytes 20GiB
  artifacts workspace set-quota task-1 --quota-bytes none --quota-inodes 100000")]
pub(crate) struct SetQuotaArgs {
    /// `name`, `handle/name` or `artifacts://handle/name`
    workspace: WorkspaceAddress,
    #[command(flatten)]
    quotas: QuotaArgs,
}

/// Changes a workspace's quotas.
pub(crate) async fn run(args: SetQuotaArgs, output: Output) -> anyhow::Result<()> {
    let workspace = Settings::load()?.client()?.change_workspace(&args.workspace, &args.quotas.body()).await?;
    output.object(&workspace, super::fields)
}
