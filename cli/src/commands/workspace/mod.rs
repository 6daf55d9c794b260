//! `artifacts workspace …`

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod fork;
pub(crate) mod list;
pub(crate) mod set_quota;
pub(crate) mod show;
pub(crate) mod snapshot;
pub(crate) mod snapshots;

use artifacts_core::name::WorkspaceAddress;
use clap::{Args, Subcommand};

use crate::api::{Snapshot, Workspace};
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
    /// Delete a workspace and all that is in it, or a snapshot
    Delete(delete::DeleteArgs),
    /// Take a snapshot of a workspace
    Snapshot(snapshot::SnapshotArgs),
    /// List the snapshots of a workspace
    Snapshots(snapshots::SnapshotsArgs),
    /// Make a workspace out of another one, or of a snapshot, without copying data
    Fork(fork::ForkArgs),
}

/// Arguments of `workspace show`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  artifacts workspace show task-1\n  artifacts workspace show task-1@before-upgrade")]
pub(crate) struct ShowArgs {
    /// `name`, `handle/name` or `artifacts://handle/name`, and `@snapshot` behind it for a snapshot
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
        WorkspaceCommand::Snapshot(args) => snapshot::run(args, output).await,
        WorkspaceCommand::Snapshots(args) => snapshots::run(&args.workspace, output).await,
        WorkspaceCommand::Fork(args) => fork::run(args, output).await,
    }
}

/// A workspace for people.
fn fields(workspace: &Workspace) -> Vec<(&'static str, String)> {
    let limit = |limit: Option<String>| limit.unwrap_or_else(|| "no limit".to_owned());
    let used = workspace.usage.as_ref();
    let mut fields = vec![
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
    fields.extend(workspace.forked_from.clone().map(|origin| ("forked from", origin)));
    fields.extend(workspace.tenant_slug.clone().map(|slug| ("tenant", slug)));
    fields
}

/// A snapshot for people.
fn snapshot_fields(snapshot: &Snapshot) -> Vec<(&'static str, String)> {
    vec![
        ("snapshot", snapshot.address.clone()),
        ("id", snapshot.id.clone()),
        ("status", snapshot.status.clone()),
        ("created", relative_or_dash(snapshot.created_at)),
    ]
}
