//! `artifacts lock renew`

use artifacts_core::LockId;
use artifacts_core::name::LockName;
use clap::Args;

use super::access::Access;
use super::wish::ttl_ms;
use crate::output::{Output, relative};
use crate::ttl::Ttl;

/// Arguments of `lock renew`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exits 5 when the lock is not held under this id any more: somebody else may have it.

Examples:
  artifacts lock renew deploy lck_… --workspace task-1 --ttl 10m")]
pub(crate) struct RenewArgs {
    /// The lock's name
    #[arg(value_name = "NAME")]
    lock: LockName,
    /// What acquiring it printed
    #[arg(value_name = "LOCK_ID")]
    lock_id: LockId,
    #[command(flatten)]
    access: Access,
    /// How long it is held from now on, 24h at most
    #[arg(long, value_name = "TIME", default_value = "60s")]
    ttl: Ttl,
}

/// Renews it.
pub(crate) async fn run(args: RenewArgs, output: Output) -> anyhow::Result<()> {
    let locks = args.access.locks().await?;
    let id = args.lock_id.to_string();
    let held = locks.client.renew_lock(&locks.workspace, args.lock.as_str(), &id, ttl_ms(args.ttl)).await?;
    output.done(&held, &format!("Renewed {}; it runs out {}.", args.lock, relative(held.expires_at)))
}
