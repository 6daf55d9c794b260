//! `artifacts workspace snapshot`

use artifacts_core::name::{SnapshotName, WorkspaceAddress};
use clap::Args;
use serde_json::json;

use crate::api::fields;
use crate::output::Output;
use crate::settings::Settings;

/// Arguments of `workspace snapshot`.
#[derive(Debug, Args)]
#[command(after_help = "\
It holds what had been done on any mount before, copies no data, and is mounted by its address.

Examples:
  artifacts workspace snapshot task-1
  artifacts workspace snapshot task-1 --name before-upgrade
  artifacts mount task-1@before-upgrade /mnt/old")]
pub(crate) struct SnapshotArgs {
    /// `name`, `handle/name` or `artifacts://handle/name`
    workspace: WorkspaceAddress,
    /// Its name, unique in the workspace [default: the time of day in UTC]
    #[arg(long, value_name = "NAME")]
    name: Option<SnapshotName>,
}

/// Takes a snapshot.
pub(crate) async fn run(args: SnapshotArgs, output: Output) -> anyhow::Result<()> {
    let body = fields([("name", args.name.map(|name| json!(name)))]);
    let snapshot = Settings::load()?.client()?.create_snapshot(&args.workspace, &body).await?;
    output.object(&snapshot, super::snapshot_fields)
}
