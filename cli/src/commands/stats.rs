//! `artifacts stats`

use artifacts_core::name::{TenantSlug, WorkspaceAddress};
use clap::Args;
use serde_json::json;

use crate::api::{Storage, UsageItem};
use crate::output::{Format, Output, Table};
use crate::settings::Settings;
use crate::size::Size;

/// Arguments of `stats`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  artifacts stats                        all workspaces of the account, and their sum
  artifacts stats --tenant customer-1    those that a tenant's standing grants name
  artifacts stats task-1                 one workspace, and what it takes in segments")]
pub(crate) struct StatsArgs {
    /// `name`, `handle/name` or `artifacts://handle/name`
    workspace: Option<WorkspaceAddress>,
    /// Only the workspaces that this tenant may mount
    #[arg(long, value_name = "SLUG", conflicts_with = "workspace")]
    tenant: Option<TenantSlug>,
}

/// Shows what workspaces hold.
pub(crate) async fn run(args: StatsArgs, output: Output) -> anyhow::Result<()> {
    let client = Settings::load()?.client()?;
    if let Some(address) = &args.workspace {
        return output.object(&client.workspace_storage(address).await?, lines);
    }
    let (total, items) = client.usage(args.tenant.as_ref().map(TenantSlug::as_str)).await?;
    if output.format == Format::Json {
        return output.json(&json!({ "total": total, "items": items }));
    }
    output.list(&items, table)?;
    if items.len() > 1 {
        output.note(&format!("{} workspaces: {} in {} inodes.", total.workspaces, Size::from_bytes(total.bytes), total.inodes));
    }
    Ok(())
}

fn table(items: &[UsageItem]) -> Table {
    let head = Table::new(["WORKSPACE", "DATA", "INODES"], "No workspaces.");
    items
        .iter()
        .fold(head, |table, item| table.row([item.workspace.clone(), Size::from_bytes(item.bytes).to_string(), item.inodes.to_string()]))
}

fn lines(storage: &Storage) -> Vec<(&'static str, String)> {
    let of = |used: String, limit: Option<String>| format!("{used} of {}", limit.unwrap_or_else(|| "no limit".to_owned()));
    let size = |bytes: u64| Size::from_bytes(bytes).to_string();
    let live = match storage.stored_bytes {
        0 => "-".to_owned(),
        stored => format!("{} ({} %)", size(storage.live_bytes), storage.live_bytes.saturating_mul(100) / stored),
    };
    vec![
        ("workspace", storage.workspace.clone()),
        ("data", of(size(storage.bytes), storage.quota_bytes.map(size))),
        ("inodes", of(storage.inodes.to_string(), storage.quota_inodes.map(|inodes| inodes.to_string()))),
        ("not packed yet", size(storage.inline_bytes)),
        ("segments", storage.segments.to_string()),
        ("stored", size(storage.stored_bytes)),
        ("of it live", live),
        ("to be deleted", format!("{} segments", storage.dead_segments)),
    ]
}
