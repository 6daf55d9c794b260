//! `artifacts platform account …`

use std::path::PathBuf;

use anyhow::Context as _;
use artifacts_core::name::Handle;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::api::fields;
use crate::output::{Output, or_dash};
use crate::settings::Settings;

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Create an account and print its first API key, which is shown this once
    Create(CreateArgs),
}

/// Arguments of `platform account create`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  artifacts platform account create acme --admin-token-file /var/lib/artifacts/admin-token
  export TONBO_API_KEY=$(artifacts platform account create acme --admin-token-file F --format json | jq -r .api_key.key)")]
pub(crate) struct CreateArgs {
    /// The account's public name, the first half of its workspaces' addresses
    handle: Handle,
    /// The file `admin-token` in the node's data directory
    #[arg(long, value_name = "FILE")]
    admin_token_file: PathBuf,
    /// Its home, of several regions [default: that of the node that is called]
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
}

/// Does it.
pub(crate) async fn run(command: AccountCommand, output: Output) -> anyhow::Result<()> {
    let AccountCommand::Create(args) = command;
    let file = args.admin_token_file;
    let token = std::fs::read_to_string(&file).with_context(|| format!("cannot read the admin token in {}", file.display()))?;
    let body = fields([("handle", Some(json!(args.handle))), ("region", args.region.map(|region| json!(region)))]);
    let created = Settings::load()?.client_with(token.trim())?.create_account(&body).await?;
    output.object(&created, |created| {
        vec![
            ("account", format!("{} ({})", created.account.handle, created.account.id)),
            ("region", or_dash(created.account.region.as_ref())),
            ("api key", created.api_key.key.clone().unwrap_or_default()),
            ("key id", created.api_key.id.clone()),
        ]
    })?;
    output.note("Keep the API key: it is not shown again. Use it with `artifacts login` or as TONBO_API_KEY.");
    Ok(())
}
