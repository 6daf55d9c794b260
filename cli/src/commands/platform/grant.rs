//! `artifacts platform grant …`

use std::time::Duration;

use artifacts_core::GrantId;
use artifacts_core::name::{RuntimeId, Subpath, TenantSlug, WorkspaceAddress};
use artifacts_core::ticket::Mode;
use clap::{Args, Subcommand};
use serde_json::json;

use super::going::Going;
use crate::api::{ApiError, Client, Grant, Revoked, fields, filters};
use crate::output::{Output, Table, or_dash, relative};
use crate::settings::Settings;
use crate::ttl::Ttl;

/// What to do with grants.
#[derive(Debug, Subcommand)]
pub(crate) enum GrantCommand {
    /// Let a tenant, or one of its runtimes, mount a workspace
    Create(CreateArgs),
    /// List grants
    List(ListArgs),
    /// Revoke grants: their mounts fail within a second
    Revoke(RevokeArgs),
}

/// Arguments of `platform grant create`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  artifacts platform grant create task-1 --tenant acme --mode ro                     every runtime of acme
  artifacts platform grant create task-1 --tenant acme --runtime run-1 --mode rw --ttl 8h --subpath out")]
pub(crate) struct CreateArgs {
    /// `name`, `handle/name` or `artifacts://handle/name`
    workspace: WorkspaceAddress,
    /// For whom
    #[arg(long, value_name = "SLUG")]
    tenant: TenantSlug,
    /// For this runtime only [default: every runtime of the tenant]
    #[arg(long, value_name = "ID")]
    runtime: Option<RuntimeId>,
    /// `ro` or `rw`
    #[arg(long, value_name = "MODE")]
    mode: Mode,
    /// How long it stands: seconds, or 90s, 15m, 1h [default: until it is revoked]
    #[arg(long, value_name = "TIME")]
    ttl: Option<Ttl>,
    /// Only this directory of the workspace
    #[arg(long, value_name = "PATH")]
    subpath: Option<Subpath>,
}

/// Arguments of `platform grant list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Of this tenant only
    #[arg(long, value_name = "SLUG")]
    tenant: Option<TenantSlug>,
    /// Of this runtime only
    #[arg(long, value_name = "ID")]
    runtime: Option<RuntimeId>,
    /// To this workspace only
    #[arg(long, value_name = "WORKSPACE")]
    workspace: Option<WorkspaceAddress>,
}

/// Arguments of `platform grant revoke`.
#[derive(Debug, Args)]
#[command(
    override_usage = "artifacts platform grant revoke [OPTIONS] (<GRANT> | --tenant <SLUG>)",
    after_help = "\
With --wait each mount has a line when every call in it fails: it has confirmed that, or its lease is over. With --format json
these are entries of the audit trail, one document a line, and the last line is the answer.

Examples:
  artifacts platform grant revoke grt_01h…                           one grant
  artifacts platform grant revoke --tenant acme --runtime run-1      whatever this runtime has
  artifacts platform grant revoke --tenant acme --wait               whatever the tenant has, and see its mounts go out"
)]
pub(crate) struct RevokeArgs {
    /// The grant
    #[arg(value_name = "GRANT", required_unless_present = "tenant", conflicts_with_all = ["tenant", "runtime", "workspace"])]
    id: Option<GrantId>,
    /// All grants of this tenant
    #[arg(long, value_name = "SLUG")]
    tenant: Option<TenantSlug>,
    /// Those for this runtime only
    #[arg(long, value_name = "ID", requires = "tenant")]
    runtime: Option<RuntimeId>,
    /// Those to this workspace only
    #[arg(long, value_name = "WORKSPACE", requires = "tenant")]
    workspace: Option<WorkspaceAddress>,
    /// Wait until all their mounts are out, and say so of each: at most this long, a minute unless given
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "60s")]
    wait: Option<Ttl>,
}

/// Does it.
pub(crate) async fn run(command: GrantCommand, output: Output) -> anyhow::Result<()> {
    let client = Settings::load()?.client()?;
    match command {
        GrantCommand::Create(args) => {
            let body = fields([
                ("tenant_slug", Some(json!(args.tenant))),
                ("runtime_id", args.runtime.map(|runtime| json!(runtime))),
                ("mode", Some(json!(args.mode))),
                ("ttl_seconds", args.ttl.map(|ttl| json!(ttl.seconds()))),
                ("subpath", args.subpath.map(|subpath| json!(subpath))),
            ]);
            output.object(&client.create_grant(&args.workspace, &body).await?, lines)
        }
        GrantCommand::List(args) => {
            let filters = filters([
                ("tenant_slug", args.tenant.map(|tenant| tenant.to_string())),
                ("runtime_id", args.runtime.map(|runtime| runtime.to_string())),
                ("workspace", args.workspace.map(|workspace| workspace.to_string())),
            ]);
            output.list(&client.grants(&filters).await?, table)
        }
        GrantCommand::Revoke(args) => match args.wait {
            None => {
                let revoked = revoke(&client, &args, None).await?;
                output.done(&revoked, &revoked_sentence(&revoked))
            }
            Some(limit) => {
                let out = [("kind", "session_out".to_owned())];
                let going = Going::watch(&client, &out).await?;
                let mut revoked = revoke(&client, &args, Some(0)).await?;
                let all_out = going.show(&mut revoked, Duration::from_secs(limit.seconds()), output).await;
                output.done(&revoked, &revoked_sentence(&revoked))?;
                all_out
            }
        },
    }
}

/// `wait_ms` as the node is asked to wait for mounts.
async fn revoke(client: &Client, args: &RevokeArgs, wait_ms: Option<u64>) -> Result<Revoked, ApiError> {
    if let Some(id) = &args.id {
        return client.revoke_grant(&id.to_string(), wait_ms).await;
    }
    let body = fields([
        ("tenant_slug", args.tenant.as_ref().map(|tenant| json!(tenant))),
        ("runtime_id", args.runtime.as_ref().map(|runtime| json!(runtime))),
        ("workspace", args.workspace.as_ref().map(|workspace| json!(workspace))),
        ("wait_ms", wait_ms.map(|ms| json!(ms))),
    ]);
    client.revoke_grants(&body).await
}

fn revoked_sentence(revoked: &Revoked) -> String {
    let grants = match revoked.grants.len() {
        1 => "1 grant".to_owned(),
        count => format!("{count} grants"),
    };
    let sessions = &revoked.sessions;
    match sessions.matched {
        0 => format!("Revoked {grants}; nothing was mounted with them."),
        matched => {
            format!(
                "Revoked {grants}; of {matched} mounts {} are fenced and {} have confirmed that they fail.",
                sessions.fenced, sessions.confirmed
            )
        }
    }
}

/// `active`, `revoked …` or `expired …`.
fn standing(grant: &Grant) -> String {
    match (grant.revoked_at, grant.expires_at) {
        (Some(at), _) => format!("revoked {}", relative(at)),
        (None, Some(at)) if at <= crate::time::wall_clock() => format!("expired {}", relative(at)),
        (None, Some(at)) => format!("active, ends {}", relative(at)),
        (None, None) => "active".to_owned(),
    }
}

fn lines(grant: &Grant) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("grant", grant.id.clone()),
        ("workspace", grant.workspace.clone()),
        ("tenant", grant.tenant_slug.clone()),
        ("runtime", grant.runtime_id.clone().unwrap_or_else(|| "every runtime".to_owned())),
        ("mode", grant.mode.to_string()),
    ];
    lines.extend(grant.subpath.clone().map(|subpath| ("subpath", subpath)));
    lines.push(("standing", standing(grant)));
    lines
}

fn table(grants: &[Grant]) -> Table {
    let head = Table::new(["GRANT", "WORKSPACE", "TENANT", "RUNTIME", "MODE", "SUBPATH", "STANDING"], "No grants.");
    grants.iter().fold(head, |table, grant| {
        table.row([
            grant.id.clone(),
            grant.workspace.clone(),
            grant.tenant_slug.clone(),
            grant.runtime_id.clone().unwrap_or_else(|| "*".to_owned()),
            grant.mode.to_string(),
            or_dash(grant.subpath.as_ref()),
            standing(grant),
        ])
    })
}
