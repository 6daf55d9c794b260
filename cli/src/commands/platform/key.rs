//! `artifacts platform key …`

use artifacts_core::KeyId;
use artifacts_core::name::{TenantSlug, WorkspaceAddress};
use artifacts_core::ticket::Mode;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::api::{Key, Scope, fields};
use crate::output::{Output, Table, or_dash, relative, relative_or_dash};
use crate::settings::Settings;
use crate::time;
use crate::ttl::Ttl;

/// What to do with API keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Create a key, confined or not, and print its secret, which is shown this once
    Create(CreateArgs),
    /// List the account's keys
    List,
    /// Revoke a key and end the sessions opened with it
    Revoke(RevokeArgs),
}

/// Arguments of `platform key create`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  artifacts platform key create --name ci --ttl 30d
  artifacts platform key create --name viewer --workspace task-1 --mode ro")]
pub(crate) struct CreateArgs {
    /// For people
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Confine it to this workspace
    #[arg(long, value_name = "WORKSPACE")]
    workspace: Option<WorkspaceAddress>,
    /// Confine it to this tenant
    #[arg(long, value_name = "SLUG")]
    tenant: Option<TenantSlug>,
    /// `ro` confines it to reading
    #[arg(long, value_name = "MODE")]
    mode: Option<Mode>,
    /// How long it is good for: seconds, or 15m, 1h, 30d [default: until it is revoked]
    #[arg(long, value_name = "TIME")]
    ttl: Option<Ttl>,
}

/// Arguments of `platform key revoke`.
#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// The key's id, not its secret
    #[arg(value_name = "KEY")]
    id: KeyId,
}

/// Does it.
pub(crate) async fn run(command: KeyCommand, output: Output) -> anyhow::Result<()> {
    let client = Settings::load()?.client()?;
    match command {
        KeyCommand::Create(args) => {
            let scope = fields([
                ("workspace", args.workspace.map(|workspace| json!(workspace))),
                ("tenant", args.tenant.map(|tenant| json!(tenant))),
                ("mode", args.mode.map(|mode| json!(mode))),
            ]);
            let body = fields([
                ("name", args.name.map(|name| json!(name))),
                ("scope", scope.as_object().is_some_and(|scope| !scope.is_empty()).then_some(scope)),
                ("ttl_seconds", args.ttl.map(|ttl| json!(ttl.seconds()))),
            ]);
            output.object(&client.create_key(&body).await?, lines)?;
            output.note("Keep the key: it is not shown again.");
            Ok(())
        }
        KeyCommand::List => output.list(&client.keys().await?, table),
        KeyCommand::Revoke(args) => {
            let answer: Value = client.revoke_key(&args.id.to_string()).await?;
            output.done(&answer, &format!("Revoked {} and ended the sessions opened with it.", args.id))
        }
    }
}

fn standing(key: &Key) -> String {
    match (key.revoked_at, key.expires_at) {
        (Some(at), _) => format!("revoked {}", relative(at)),
        (None, Some(at)) if at <= time::wall_clock() => format!("expired {}", relative(at)),
        (None, Some(at)) => format!("active, ends {}", relative(at)),
        (None, None) => "active".to_owned(),
    }
}

fn lines(key: &Key) -> Vec<(&'static str, String)> {
    let mut lines = vec![("key id", key.id.clone())];
    lines.extend(key.key.clone().map(|secret| ("api key", secret)));
    lines.extend(key.name.clone().map(|name| ("name", name)));
    lines.push(("scope", Scope::words(key.scope.as_ref())));
    lines.push(("standing", standing(key)));
    lines
}

fn table(keys: &[Key]) -> Table {
    let head = Table::new(["KEY", "NAME", "SCOPE", "STANDING", "CREATED"], "No keys.");
    keys.iter().fold(head, |table, key| {
        table.row([
            key.id.clone(),
            or_dash(key.name.as_ref()),
            Scope::words(key.scope.as_ref()),
            standing(key),
            relative_or_dash(key.created_at),
        ])
    })
}
