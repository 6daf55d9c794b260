//! `artifacts login`

use std::io::{self, IsTerminal as _, Read as _};

use clap::Args;
use serde_json::json;

use crate::credentials::Credentials;
use crate::failure::Failure;
use crate::output::Output;
use crate::paths::Paths;
use crate::secret_prompt;
use crate::settings::Settings;

/// Arguments of `login`.
#[derive(Debug, Args)]
#[command(after_help = "\
The key is checked against the node, then kept in ~/.config/tonbo/artifacts/credentials.json (mode 0600).
TONBO_API_KEY, where it is set, goes before the stored key.

Examples:
  artifacts login
  artifacts login --url https://artifacts.example.com
  artifacts login --api-key-stdin < key.txt")]
pub(crate) struct LoginArgs {
    /// The node's address [default: TONBO_API_URL, else the stored one, else http://127.0.0.1:7700]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Read the key from standard input instead of asking for it
    #[arg(long)]
    api_key_stdin: bool,
}

/// Checks a key and stores it.
pub(crate) async fn run(args: LoginArgs, output: Output) -> anyhow::Result<()> {
    let path = Paths::of_this_user()?.credentials();
    let settings = match args.url {
        // A damaged login does not keep anybody from logging in anew.
        Some(url) => Settings::for_node(&url),
        None => Settings::load()?,
    };
    let url = &settings.url;
    let key = if args.api_key_stdin {
        let mut text = String::new();
        io::stdin().take(64 << 10).read_to_string(&mut text)?;
        text
    } else if io::stdin().is_terminal() {
        secret_prompt::ask(&format!("API key for {url}: ")).await?
    } else {
        return Err(Failure::usage("there is no terminal to ask for the API key on").hint("use --api-key-stdin").into());
    };
    let key = key.trim();
    if key.is_empty() || key.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(Failure::usage("that is not an API key").hint("an API key begins with tbo_").into());
    }
    let client = settings.client_with(key)?;
    let caller = client.whoami().await?;
    let handle = caller.account.handle;
    Credentials { url: client.url().to_owned(), api_key: key.to_owned(), handle: Some(handle.clone()) }.store(&path)?;
    if std::env::var_os("TONBO_API_KEY").is_some() {
        output.note("TONBO_API_KEY is set and goes before the key that was just stored.");
    }
    output
        .done(&json!({ "handle": handle, "url": client.url(), "stored_in": path }), &format!("Logged in to {} as {handle}.", client.url()))
}
