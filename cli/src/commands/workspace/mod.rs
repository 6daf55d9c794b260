//! `artifacts workspace …`

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod set_quota;
pub(crate) mod show;

use artifacts_core::name::WorkspaceAddress;
use clap::{Args, Subcommand};

use crate::api::Workspace;
use crate::output::{Output, relative_or_dash};
use crate::size::Size;

/// What to do with workspaces.
#[derive(Debug, Subcommand)]
pub(crate) enum WorkspaceCommand {
    /// Create a workspace, and mount it where a mount point is given
    Create(create::CreateArgs),
    /// List the account's workspaces
    List,
    /// Show one workspace
    Show(ShowArgs),
    /// Change how much a workspace may hold
    SetQuota(set_quota::SetQuotaArgs),
    /// Delete a workspace and all that is in it
    Delete(delete::DeleteArgs),
}

/// Arguments of `workspace show`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  artifacts workspace show task-1")]
pub(crate) struct ShowArgs {
    /// `name`, `handle/name` or `artifacts://handle/name`
    workspace: WorkspaceAddress,
}

/// Does it.
pub(crate) async fn run(command: WorkspaceCommand, output: Output) -> anyhow::Result<()> {
    match command {
        WorkspaceCommand::Create(args) => create::run(args, output).await,
        WorkspaceCommand::List => list::run(output).await,
        WorkspaceCommand::Show(args) => show::run(&args.workspace, output).await,
        WorkspaceCommand::SetQuota(args) => set_quota::run(args, output).await,
        WorkspaceCommand::Delete(args) => delete::run(args, output).await,
    }
}

/// A workspace for people.
fn fields(workspace: &Workspace) -> Vec<(&'static str, String)> {
    let limit = |limit: Option<String>| limit.unwrap_or_else(|| "no limit".to_owned());
    let used = workspace.usage.as_ref();
    let mut lines = vec![
        ("workspace", workspace.address()),
        ("id", workspace.id.clone()),
        ("status", workspace.status.clone()),
        ("region", workspace.region.clone()),
        (
            "data",
            format!(
                "{} of {}",
                Size::from_bytes(used.map_or(0, |used| used.bytes)),
                limit(workspace.quota_bytes.map(|bytes| Size::from_bytes(bytes).to_string()))
            ),
        ),
        ("inodes", format!("{} of {}", used.map_or(0, |used| used.inodes), limit(workspace.quota_inodes.map(|inodes| inodes.to_string())))),
        ("created", relative_or_dash(workspace.created_at)),
    ];
    lines.extend(workspace.tenant_slug.clone().map(|slug| ("tenant", slug)));
    lines
}
