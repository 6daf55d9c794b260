//! `artifacts workspace snapshots`

use artifacts_core::name::WorkspaceAddress;
use clap::Args;

use crate::api::Snapshot;
use crate::output::{Output, Table, relative_or_dash};
use crate::settings::Settings;

/// Arguments of `workspace snapshots`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  artifacts workspace snapshots task-1")]
pub(crate) struct SnapshotsArgs {
    /// `name`, `handle/name` or `artifacts://handle/name`
    pub(super) workspace: WorkspaceAddress,
}

/// Lists the snapshots of a workspace.
pub(crate) async fn run(address: &WorkspaceAddress, output: Output) -> anyhow::Result<()> {
    let snapshots = Settings::load()?.client()?.snapshots(address).await?;
    output.list(&snapshots, table)
}

fn table(snapshots: &[Snapshot]) -> Table {
    let head = Table::new(["SNAPSHOT", "STATUS", "CREATED"], "No snapshots yet: `artifacts workspace snapshot NAME`.");
    snapshots
        .iter()
        .fold(head, |table, snapshot| table.row([snapshot.address.clone(), snapshot.status.clone(), relative_or_dash(snapshot.created_at)]))
}
