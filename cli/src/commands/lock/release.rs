//! `artifacts lock release`

use artifacts_core::LockId;
use artifacts_core::name::LockName;
use clap::Args;

use super::access::Access;
use crate::output::Output;

/// Arguments of `lock release`.
#[derive(Debug, Args)]
#[command(after_help = "\
Whoever waits for the lock has it at once. Exits 5 when it is not held under this id any more.

Examples:
  artifacts lock release deploy lck_… --workspace task-1")]
pub(crate) struct ReleaseArgs {
    /// The lock's name
    #[arg(value_name = "NAME")]
    lock: LockName,
    /// What acquiring it printed
    #[arg(value_name = "LOCK_ID")]
    lock_id: LockId,
    #[command(flatten)]
    access: Access,
}

/// Releases it.
pub(crate) async fn run(args: ReleaseArgs, output: Output) -> anyhow::Result<()> {
    let locks = args.access.locks().await?;
    let answer = locks.client.release_lock(&locks.workspace, args.lock.as_str(), &args.lock_id.to_string()).await?;
    output.done(&answer, &format!("Released {}.", args.lock))
}
