//! `artifacts platform revoke-everything`

use clap::Args;
use serde_json::Value;

use crate::confirmation;
use crate::output::Output;
use crate::settings::Settings;

/// Arguments of `platform revoke-everything`.
#[derive(Debug, Args)]
#[command(after_help = "\
For the moment in which a key or a backend is lost. All grants with their tickets, all sessions, and all API keys but the one that
this command uses are revoked at once; what is granted afterwards stands. Nothing of it can be taken back.

Example:
  artifacts platform revoke-everything --yes")]
pub(crate) struct EverythingArgs {
    /// Do not ask; needed where there is no terminal
    #[arg(short, long)]
    yes: bool,
}

/// Revokes everything.
pub(crate) async fn run(args: EverythingArgs, output: Output) -> anyhow::Result<()> {
    let client = Settings::load()?.client()?;
    confirmation::require("Revoke all grants, all sessions and all other API keys of the account?", args.yes)?;
    let revoked = client.revoke_everything().await?;
    let of = |field: &str| revoked.sessions.get(field).and_then(Value::as_u64).unwrap_or(0);
    let sentence = format!(
        "Revoked everything: {} sessions ended, {} of them confirmed. {} is the only API key left.",
        of("fenced"),
        of("confirmed"),
        revoked.kept_key_id
    );
    output.done(&revoked, &sentence)
}
