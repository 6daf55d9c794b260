//! `artifacts workspace list`

use crate::api::Workspace;
use crate::output::{Output, Table, relative_or_dash};
use crate::settings::Settings;
use crate::size::Size;

/// Lists the account's workspaces.
pub(crate) async fn run(output: Output) -> anyhow::Result<()> {
    let workspaces = Settings::load()?.client()?.workspaces().await?;
    output.list(&workspaces, table)
}

fn table(workspaces: &[Workspace]) -> Table {
    let head =
        Table::new(["WORKSPACE", "STATUS", "REGION", "DATA", "INODES", "CREATED"], "No workspaces yet: `artifacts workspace create NAME`.");
    workspaces.iter().fold(head, |table, workspace| {
        let used = workspace.usage.as_ref();
        table.row([
            workspace.address(),
            workspace.status.clone(),
            workspace.region.clone(),
            used.map_or_else(|| "-".to_owned(), |used| Size::from_bytes(used.bytes).to_string()),
            used.map_or_else(|| "-".to_owned(), |used| used.inodes.to_string()),
            relative_or_dash(workspace.created_at),
        ])
    })
}
