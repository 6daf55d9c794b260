//! `artifacts platform ticket …`

use std::path::PathBuf;

use anyhow::Context as _;
use artifacts_core::name::{RuntimeId, Subpath, TenantSlug, WorkspaceAddress};
use artifacts_core::ticket::Mode;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::api::fields;
use crate::output::{Output, relative};
use crate::private_file;
use crate::settings::Settings;
use crate::ttl::Ttl;

/// What to do with tickets.
#[derive(Debug, Subcommand)]
pub(crate) enum TicketCommand {
    /// Sign a short-lived mount ticket for one runtime
    Create(CreateArgs),
}

/// Arguments of `platform ticket create`.
#[derive(Debug, Args)]
#[command(after_help = "\
Prints the ticket file's JSON, or writes it with mode 0600. Makes the tenant and a grant for the runtime where they are missing.
The runtime mounts with this file alone; the API key stays here.

Examples:
  artifacts platform ticket create acme run-1 --workspace task-1 --mode rw --ttl 1h --out mount-ticket.json
  artifacts platform ticket create acme run-1 --workspace task-1 --mode ro --ttl 15m --subpath data | ssh vm 'cat > ticket.json'")]
pub(crate) struct CreateArgs {
    /// The tenant
    tenant: TenantSlug,
    /// The platform's own id of the container, VM, task or run
    runtime: RuntimeId,
    /// What it may mount
    #[arg(long, value_name = "WORKSPACE")]
    workspace: WorkspaceAddress,
    /// `ro` or `rw`
    #[arg(long, value_name = "MODE")]
    mode: Mode,
    /// How long it is good for, 24h at most: seconds, or 90s, 15m, 1h
    #[arg(long, value_name = "TIME")]
    ttl: Ttl,
    /// Only this directory of the workspace
    #[arg(long, value_name = "PATH")]
    subpath: Option<Subpath>,
    /// Write the ticket to this file, with mode 0600, instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Does it.
pub(crate) async fn run(command: TicketCommand, output: Output) -> anyhow::Result<()> {
    let TicketCommand::Create(args) = command;
    let body = fields([
        ("workspace", Some(json!(args.workspace))),
        ("mode", Some(json!(args.mode))),
        ("ttl_seconds", Some(json!(args.ttl.seconds()))),
        ("subpath", args.subpath.map(|subpath| json!(subpath))),
    ]);
    let ticket = Settings::load()?.client()?.create_ticket(args.tenant.as_str(), args.runtime.as_str(), &body).await?.mount_ticket;
    let Some(out) = args.out else {
        return output.json(&ticket);
    };
    private_file::replace(&out, &serde_json::to_vec(&ticket)?).with_context(|| format!("cannot write {}", out.display()))?;
    let sentence = format!(
        "Wrote {} to {}: {} of {}, expires {}.",
        ticket.id,
        out.display(),
        ticket.mode,
        ticket.workspace,
        relative(ticket.expires_at)
    );
    output.done(
        &json!({ "id": ticket.id, "file": out, "workspace": ticket.workspace, "mode": ticket.mode, "expires_at": ticket.expires_at }),
        &sentence,
    )
}
