//! `artifacts node rotate-signing-key`

use std::path::PathBuf;

use anyhow::Context as _;
use artifacts_node::config::NodeConfig;
use clap::Args;

use crate::output::Output;
use crate::settings::Settings;

/// Arguments of `node rotate-signing-key`.
#[derive(Debug, Args)]
#[command(after_help = "\
The node is asked while it runs; TONBO_API_URL says which, and any node of the region will do. No ticket becomes invalid: the key
before stays published until the last ticket that it signed has run out.

Example:
  artifacts node --data /var/lib/artifacts rotate-signing-key")]
pub(crate) struct RotateArgs {
    /// The admin token of the node that is asked [default: `admin-token` in the data directory]
    #[arg(long, value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
}

/// Does it.
pub(crate) async fn run(args: RotateArgs, config: &NodeConfig, output: Output) -> anyhow::Result<()> {
    let file = args.admin_token_file.unwrap_or_else(|| config.data.join("admin-token"));
    let token = std::fs::read_to_string(&file).with_context(|| format!("cannot read the admin token in {}", file.display()))?;
    let key = Settings::load()?.client_with(token.trim())?.rotate_signing_key().await?;
    output.done(&key, &format!("{} is published, and signs tickets from {} on.", key.kid, key.signs_from))
}
