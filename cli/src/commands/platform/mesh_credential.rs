//! `artifacts platform mesh-credential …`

use std::path::PathBuf;

use anyhow::Context as _;
use artifacts_core::KeyId;
use artifacts_core::mesh::CredentialFile;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::api::{MeshCredential, fields};
use crate::output::{Output, Table, or_dash, relative, relative_or_dash};
use crate::private_file;
use crate::settings::Settings;
use crate::time;
use crate::ttl::Ttl;

/// What to do with mesh credentials.
#[derive(Debug, Subcommand)]
pub(crate) enum MeshCredentialCommand {
    /// Create a credential with which the agents of hosts join the mesh; its secret is shown this once
    Create(CreateArgs),
    /// List the account's mesh credentials
    List,
    /// Revoke a credential: its hosts leave the mesh, and their mounts live on by their streams
    Revoke(RevokeArgs),
}

/// Arguments of `platform mesh-credential create`.
#[derive(Debug, Args)]
#[command(after_help = "\
Prints the credential file's JSON, or writes it with mode 0600. For hosts that the platform runs, best one credential for each;
never for a sandbox of a customer.

Examples:
  artifacts platform mesh-credential create --name host-7 --out mesh.json
  artifacts agent --mesh-credential-file mesh.json")]
pub(crate) struct CreateArgs {
    /// For people
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// How long it is good for: seconds, or 15m, 1h, 30d [default: 90d]
    #[arg(long, value_name = "TIME")]
    ttl: Option<Ttl>,
    /// Write the credential to this file, with mode 0600, instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Arguments of `platform mesh-credential revoke`.
#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// The credential's id, not its secret
    #[arg(value_name = "CREDENTIAL")]
    id: KeyId,
}

/// Does it.
pub(crate) async fn run(command: MeshCredentialCommand, output: Output) -> anyhow::Result<()> {
    let client = Settings::load()?.client()?;
    match command {
        MeshCredentialCommand::Create(args) => {
            let body = fields([("name", args.name.map(|name| json!(name))), ("ttl_seconds", args.ttl.map(|ttl| json!(ttl.seconds())))]);
            let made = client.create_mesh_credential(&body).await?;
            let file = CredentialFile {
                version: CredentialFile::VERSION,
                id: made.id.parse().with_context(|| format!("the node gave the credential the id {}", made.id))?,
                endpoints: made.endpoints,
                secret: made.secret.context("the node gave no secret")?,
                expires_at: made.expires_at,
            };
            let Some(out) = args.out else {
                return output.json(&file);
            };
            private_file::replace(&out, &serde_json::to_vec(&file)?).with_context(|| format!("cannot write {}", out.display()))?;
            let ends = file.expires_at.map_or_else(|| "does not expire".to_owned(), |at| format!("expires {}", relative(at)));
            output.done(
                &json!({ "id": file.id, "file": out, "expires_at": file.expires_at }),
                &format!("Wrote {} to {}, which {ends}.", file.id, out.display()),
            )
        }
        MeshCredentialCommand::List => output.list(&client.mesh_credentials().await?, table),
        MeshCredentialCommand::Revoke(args) => {
            let revoked = client.revoke_mesh_credential(&args.id.to_string()).await?;
            output.done(&revoked, &format!("Revoked {}; its hosts leave the mesh.", args.id))
        }
    }
}

fn standing(credential: &MeshCredential) -> String {
    match (credential.revoked_at, credential.expires_at) {
        (Some(at), _) => format!("revoked {}", relative(at)),
        (None, Some(at)) if at <= time::wall_clock() => format!("expired {}", relative(at)),
        (None, Some(at)) => format!("active, ends {}", relative(at)),
        (None, None) => "active".to_owned(),
    }
}

fn table(credentials: &[MeshCredential]) -> Table {
    let head = Table::new(["CREDENTIAL", "NAME", "STANDING", "CREATED"], "No mesh credentials.");
    credentials.iter().fold(head, |table, credential| {
        table.row([credential.id.clone(), or_dash(credential.name.as_ref()), standing(credential), relative_or_dash(credential.created_at)])
    })
}
