//! `artifacts lock acquire`

use clap::Args;

use super::access::Access;
use super::wish::{Wait, WishArgs};
use crate::output::{Output, relative};
use crate::ttl::Ttl;

/// Arguments of `lock acquire`.
#[derive(Debug, Args)]
#[command(after_help = "\
Prints the lock's id, with which it is renewed and released, and its fencing token: a number that is greater than every one
given in the workspace before. Exits 5 when the lock is not free in time. Who holds a lock for a command had better
use `lock run`.

Examples:
  artifacts lock acquire deploy --workspace task-1 --ttl 10m --note 'release 42' --format json
  artifacts lock acquire pool --permits 4 --wait 30s --ticket-file ticket.json")]
pub(crate) struct AcquireArgs {
    #[command(flatten)]
    wish: WishArgs,
    #[command(flatten)]
    access: Access,
    /// How long it is held unless it is renewed, 24h at most
    #[arg(long, value_name = "TIME", default_value = "60s")]
    ttl: Ttl,
    /// How long to wait for it; 0 for not at all
    #[arg(long, value_name = "TIME", default_value = "0")]
    wait: Wait,
}

/// Acquires it.
pub(crate) async fn run(args: AcquireArgs, output: Output) -> anyhow::Result<()> {
    let locks = args.access.locks().await?;
    let progress = output.progress(format!("Waiting for the lock {}", args.wish.lock));
    let (held, _) = args.wish.acquire(&locks, args.ttl, args.wait).await?;
    drop(progress);
    let sentence = format!(
        "Acquired {}: {}, fencing token {}, runs out {}.",
        args.wish.lock,
        held.lock_id,
        held.fencing_token,
        relative(held.expires_at)
    );
    output.done(&held, &sentence)
}
