//! `artifacts platform tenant …`

use artifacts_core::name::TenantSlug;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::api::{Tenant, fields};
use crate::output::{Output, Table, or_dash, relative_or_dash};
use crate::settings::Settings;

/// What to do with tenants.
#[derive(Debug, Subcommand)]
pub(crate) enum TenantCommand {
    /// Create a tenant; creating a ticket does so too
    Create(CreateArgs),
    /// List the account's tenants
    List,
    /// Show one tenant
    Show(OneTenant),
    /// Delete a tenant and revoke all its grants
    Delete(OneTenant),
}

/// Arguments of `platform tenant create`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  artifacts platform tenant create acme --external-id cus_42 --metadata '{\"plan\":\"pro\"}'")]
pub(crate) struct CreateArgs {
    /// Its name, unique in the account
    slug: TenantSlug,
    /// The platform's own id for it
    #[arg(long, value_name = "ID")]
    external_id: Option<String>,
    /// A JSON object of at most 16 KiB, kept with it
    #[arg(long, value_name = "JSON", value_parser = json_object)]
    metadata: Option<JsonObject>,
}

/// A free JSON object.
type JsonObject = Map<String, Value>;

/// Names one tenant.
#[derive(Debug, Args)]
pub(crate) struct OneTenant {
    /// Its name
    slug: TenantSlug,
}

fn json_object(text: &str) -> Result<JsonObject, String> {
    serde_json::from_str(text).map_err(|error| format!("expected a JSON object: {error}"))
}

/// Does it.
pub(crate) async fn run(command: TenantCommand, output: Output) -> anyhow::Result<()> {
    let client = Settings::load()?.client()?;
    match command {
        TenantCommand::Create(args) => {
            let body = fields([
                ("slug", Some(json!(args.slug))),
                ("external_id", args.external_id.map(|id| json!(id))),
                ("metadata", args.metadata.map(|metadata| json!(metadata))),
            ]);
            output.object(&client.create_tenant(&body).await?, lines)
        }
        TenantCommand::List => output.list(&client.tenants().await?, table),
        TenantCommand::Show(args) => output.object(&client.tenant(args.slug.as_str()).await?, lines),
        TenantCommand::Delete(args) => {
            let answer = client.delete_tenant(args.slug.as_str()).await?;
            output.done(&answer, &format!("Deleted the tenant {} and revoked its grants.", args.slug))
        }
    }
}

fn lines(tenant: &Tenant) -> Vec<(&'static str, String)> {
    let mut lines = vec![("tenant", tenant.slug.clone()), ("id", tenant.id.clone())];
    lines.extend(tenant.external_id.clone().map(|id| ("external id", id)));
    lines.extend(tenant.metadata.as_ref().map(|metadata| ("metadata", Value::Object(metadata.clone()).to_string())));
    lines.push(("created", relative_or_dash(tenant.created_at)));
    lines
}

fn table(tenants: &[Tenant]) -> Table {
    let head = Table::new(["TENANT", "EXTERNAL ID", "ID", "CREATED"], "No tenants yet.");
    tenants.iter().fold(head, |table, tenant| {
        table.row([tenant.slug.clone(), or_dash(tenant.external_id.as_ref()), tenant.id.clone(), relative_or_dash(tenant.created_at)])
    })
}
