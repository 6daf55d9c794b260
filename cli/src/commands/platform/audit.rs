//! `artifacts platform audit …`

use artifacts_core::Timestamp;
use artifacts_core::name::{RuntimeId, TenantSlug, WorkspaceAddress};
use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use crate::api::{AuditEvent, Client, Following, filters};
use crate::output::{Format, Output, Table, or_dash, printable};
use crate::settings::Settings;
use crate::stop::Stop;

/// What to do with the audit trail.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List who granted, issued, mounted and revoked what, and what that fenced
    List(ListArgs),
}

/// Arguments of `platform audit list`.
#[derive(Debug, Args)]
#[command(after_help = "\
With --follow, what happens from now on, one line an entry, until Ctrl-C; a stream that breaks is taken up again where it was.

Examples:
  artifacts platform audit list --tenant acme --since 2026-01-01T00:00:00Z
  artifacts platform audit list --kind session_fenced --format json
  artifacts platform audit list --workspace task-1 --follow")]
pub(crate) struct ListArgs {
    /// About this tenant only
    #[arg(long, value_name = "SLUG")]
    tenant: Option<TenantSlug>,
    /// About this runtime only
    #[arg(long, value_name = "ID")]
    runtime: Option<RuntimeId>,
    /// About this workspace only
    #[arg(long, value_name = "WORKSPACE")]
    workspace: Option<WorkspaceAddress>,
    /// Of this kind only, such as grant_revoked
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// From this instant on (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = instant, conflicts_with = "follow")]
    since: Option<Timestamp>,
    /// Show what happens from now on
    #[arg(long)]
    follow: bool,
}

fn instant(text: &str) -> Result<Timestamp, String> {
    let parsed = serde_json::from_value(Value::String(text.to_owned()));
    parsed.map_err(|_| "expected an instant such as 2026-01-31T12:00:00Z".to_owned())
}

/// Does it.
pub(crate) async fn run(command: AuditCommand, output: Output) -> anyhow::Result<()> {
    let AuditCommand::List(args) = command;
    let client = Settings::load()?.client()?;
    let filters = filters([
        ("tenant_slug", args.tenant.map(|tenant| tenant.to_string())),
        ("runtime_id", args.runtime.map(|runtime| runtime.to_string())),
        ("workspace", args.workspace.map(|workspace| workspace.to_string())),
        ("kind", args.kind),
        ("since", args.since.map(|since| since.to_string())),
    ]);
    if !args.follow {
        return output.list(&client.audit(&filters).await?, table);
    }
    let mut stop = Stop::new()?;
    tokio::select! {
        ended = follow(&client, &filters, output) => ended,
        () = stop.asked() => Ok(()),
    }
}

async fn follow(client: &Client, filters: &[(&str, String)], output: Output) -> anyhow::Result<()> {
    let mut following = Following::new(client, filters);
    loop {
        let event = following.next().await?;
        if event.kind == "ready" {
            output.note("Following; Ctrl-C ends it.");
        } else if output.format == Format::Json {
            output.line(&event.data.to_string())?;
        } else if let Ok(entry) = serde_json::from_value::<AuditEvent>(event.data) {
            output.line(&printable(&line(&entry)))?;
        }
    }
}

fn text<'a>(event: &'a AuditEvent, field: &str) -> Option<&'a str> {
    event.rest.get(field)?.as_str()
}

fn by(by: &Map<String, Value>) -> String {
    let id = by.iter().find_map(|(field, value)| if field == "kind" { None } else { value.as_str() });
    id.or_else(|| by.get("kind")?.as_str()).unwrap_or("-").to_owned()
}

/// What beside workspace, tenant and runtime it is about.
fn detail(event: &AuditEvent) -> Option<String> {
    let fields = ["session_id", "ticket_id", "grant_id", "key_id", "copied_from"];
    let id = fields.into_iter().find_map(|field| text(event, field));
    let after = event.rest.get("after_ms").and_then(Value::as_u64).map(|ms| format!("after {ms} ms"));
    let texts = [id, text(event, "reason"), text(event, "how"), after.as_deref(), text(event, "host"), text(event, "remote_addr")];
    let parts: Vec<&str> = texts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

fn line(event: &AuditEvent) -> String {
    let fields = ["workspace", "tenant_slug", "runtime_id"].map(|field| text(event, field).map(ToOwned::to_owned));
    let parts = [Some(event.at.to_string()), Some(event.kind.clone()), Some(format!("by {}", by(&event.by)))];
    parts.into_iter().chain(fields).chain([detail(event)]).flatten().collect::<Vec<_>>().join(" ")
}

fn table(events: &[AuditEvent]) -> Table {
    let head = Table::new(["AT", "WHAT", "BY", "WORKSPACE", "TENANT", "RUNTIME", "ABOUT"], "Nothing has happened yet.");
    events.iter().fold(head, |table, event| {
        let field = |name: &str| or_dash(text(event, name).map(ToOwned::to_owned).as_ref());
        table.row([
            event.at.to_string(),
            event.kind.clone(),
            by(&event.by),
            field("workspace"),
            field("tenant_slug"),
            field("runtime_id"),
            or_dash(detail(event).as_ref()),
        ])
    })
}
