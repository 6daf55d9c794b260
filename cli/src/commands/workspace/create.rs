//! `artifacts workspace create`

use std::path::PathBuf;

use artifacts_core::name::{TenantSlug, WorkspaceAddress, WorkspaceName};
use artifacts_core::ticket::Mode;
use clap::Args;
use serde_json::json;

use crate::api::fields;
use crate::mounting::{self, MountRequest};
use crate::output::Output;
use crate::settings::Settings;
use crate::size::Size;

/// Arguments of `workspace create`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  artifacts workspace create task-1
  artifacts workspace create task-1 --quota-bytes 10GiB --quota-inodes 100000
  artifacts workspace create task-1 --tenant acme --quota-bytes 10GiB
  artifacts workspace create task-1 --region us
  artifacts workspace create task-1 /mnt/work      also mounts it, as the owner")]
pub(crate) struct CreateArgs {
    /// Its name, unique in the account
    name: WorkspaceName,
    /// An existing directory to mount it on
    mountpoint: Option<PathBuf>,
    /// The tenant that it belongs to: its quotas are a part of the tenant's
    #[arg(long, value_name = "SLUG")]
    tenant: Option<TenantSlug>,
    /// The most data it may hold, such as 10GiB
    #[arg(long, value_name = "SIZE")]
    quota_bytes: Option<Size>,
    /// The most files and directories it may hold
    #[arg(long, value_name = "N")]
    quota_inodes: Option<u64>,
    /// Where its data lives [default: the account's region]
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
}

/// Creates a workspace.
pub(crate) async fn run(args: CreateArgs, output: Output) -> anyhow::Result<()> {
    let settings = Settings::load()?;
    let client = settings.client()?;
    if let Some(mountpoint) = &args.mountpoint {
        // Nothing is created for a mount that cannot be.
        mounting::check_mountpoint(mountpoint)?;
    }
    let body = fields([
        ("name", Some(json!(args.name))),
        ("tenant_slug", args.tenant.map(|tenant| json!(tenant))),
        ("quota_bytes", args.quota_bytes.map(|size| json!(size.bytes()))),
        ("quota_inodes", args.quota_inodes.map(|inodes| json!(inodes))),
        ("region", args.region.map(|region| json!(region))),
    ]);
    let workspace = client.create_workspace(&body).await?;
    let Some(mountpoint) = args.mountpoint else {
        return output.object(&workspace, super::fields);
    };
    let address: WorkspaceAddress = workspace.address().parse()?;
    let request = MountRequest::with_key(&settings, address, Mode::Rw, &mountpoint)?;
    let mounted = tokio::task::spawn_blocking(move || mounting::mount(request, output)).await??;
    output.done(
        &json!({ "workspace": workspace, "mount": mounted }),
        &format!("Created {} and mounted it on {}.", workspace.address(), mounted.mountpoint.display()),
    )
}
