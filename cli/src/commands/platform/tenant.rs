//! `artifacts platform tenant …`

use artifacts_core::name::TenantSlug;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::api::{Tenant, TenantUsage, fields};
use crate::output::{Output, Table, or_dash, relative_or_dash};
use crate::quota::QuotaArgs;
use crate::settings::Settings;
use crate::size::Size;

/// What to do with tenants.
#[derive(Debug, Subcommand)]
pub(crate) enum TenantCommand {
    /// Create a tenant; creating a ticket does so too
    Create(CreateArgs),
    /// List the account's tenants
    List,
    /// Show one tenant
    Show(OneTenant),
    /// Change what its workspaces may be given together
    SetQuota(SetQuotaArgs),
    /// Show what its workspaces hold, and have been given
    Usage(OneTenant),
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
    /// How much data its workspaces may be given together, such as 100GiB
    #[arg(long, value_name = "SIZE")]
    quota_bytes: Option<Size>,
    /// How many files and directories its workspaces may be given together
    #[arg(long, value_name = "N")]
    quota_inodes: Option<u64>,
}

/// Arguments of `platform tenant set-quota`.
#[derive(Debug, Args)]
#[command(after_help = "\
A tenant's quota is what its workspaces may be given together: each workspace of a tenant with a quota has one of its own.

Example:
  artifacts platform tenant set-quota acme --quota-bytes 100GiB")]
pub(crate) struct SetQuotaArgs {
    /// Its name
    slug: TenantSlug,
    #[command(flatten)]
    quotas: QuotaArgs,
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
                ("quota_bytes", args.quota_bytes.map(|size| json!(size.bytes()))),
                ("quota_inodes", args.quota_inodes.map(|inodes| json!(inodes))),
            ]);
            output.object(&client.create_tenant(&body).await?, lines)
        }
        TenantCommand::List => output.list(&client.tenants().await?, table),
        TenantCommand::Show(args) => output.object(&client.tenant(args.slug.as_str()).await?, lines),
        TenantCommand::SetQuota(args) => output.object(&client.change_tenant(args.slug.as_str(), &args.quotas.body()).await?, lines),
        TenantCommand::Usage(args) => output.object(&client.tenant_usage(args.slug.as_str()).await?, usage),
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
    lines.extend(tenant.quota_bytes.map(|bytes| ("data quota", Size::from_bytes(bytes).to_string())));
    lines.extend(tenant.quota_inodes.map(|inodes| ("inode quota", inodes.to_string())));
    lines.push(("created", relative_or_dash(tenant.created_at)));
    lines
}

fn usage(usage: &TenantUsage) -> Vec<(&'static str, String)> {
    let of = |used: String, given: String, quota: Option<String>| {
        format!("{used}, given {given} of {}", quota.unwrap_or_else(|| "no limit".to_owned()))
    };
    let size = |bytes: u64| Size::from_bytes(bytes).to_string();
    vec![
        ("tenant", usage.tenant_slug.clone()),
        ("workspaces", usage.workspaces.to_string()),
        ("data", of(size(usage.bytes), size(usage.given_bytes), usage.quota_bytes.map(size))),
        ("inodes", of(usage.inodes.to_string(), usage.given_inodes.to_string(), usage.quota_inodes.map(|inodes| inodes.to_string()))),
    ]
}

fn table(tenants: &[Tenant]) -> Table {
    let head = Table::new(["TENANT", "EXTERNAL ID", "ID", "CREATED"], "No tenants yet.");
    tenants.iter().fold(head, |table, tenant| {
        table.row([tenant.slug.clone(), or_dash(tenant.external_id.as_ref()), tenant.id.clone(), relative_or_dash(tenant.created_at)])
    })
}
