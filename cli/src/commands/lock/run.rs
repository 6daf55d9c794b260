//! `artifacts lock run`

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Args;

use super::access::Access;
use super::child::{LockedCommand, exit_code};
use super::keeper::Keeper;
use super::wish::{Wait, WishArgs};
use crate::failure::Failure;
use crate::output::Output;
use crate::stop::Stop;
use crate::ttl::Ttl;

/// The exit code of a command that Ctrl-C has ended, as a shell has it.
const INTERRUPTED: u8 = 130;

/// Arguments of `lock run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Waits for the lock, runs the command, renews the lock while it runs, and gives it back when it has ended. Exits with the
command's exit code, or 128 and the signal that ended it.

The command finds its fencing token, a number greater than every one given in the workspace before, in
ARTIFACTS_FENCING_TOKEN. If the lock is lost (the node cannot be reached before it runs out, or access is revoked), the
command and what it has started get SIGTERM, and SIGKILL before anybody else has the lock; the exit code is 5.

Examples:
  artifacts lock run deploy --workspace task-1 -- ./deploy.sh
  artifacts lock run cache --shared --wait 30s -- make -j4
  artifacts lock run gpu --permits 2 --ticket-file ticket.json -- python train.py")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    wish: WishArgs,
    #[command(flatten)]
    access: Access,
    /// How long to wait for the lock; 0 for not at all [default: until it is there]
    #[arg(long, value_name = "TIME")]
    wait: Option<Wait>,
    /// How long the lock outlives this program if that is killed
    #[arg(long, value_name = "TIME", default_value = "30s")]
    ttl: Ttl,
    /// What to run
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Runs the command under the lock.
pub(crate) async fn run(args: RunArgs, output: Output) -> anyhow::Result<ExitCode> {
    let locks = args.access.locks().await?;
    let lock = args.wish.lock.as_str();
    let wait = args.wait.unwrap_or(Wait::FOR_EVER);
    let progress = output.progress(format!("Waiting for the lock {lock}"));
    let mut stop = Stop::new()?;
    let (held, asked) = tokio::select! {
        acquired = args.wish.acquire(&locks, args.ttl, wait) => acquired?,
        () = stop.asked() => return Ok(ExitCode::from(INTERRUPTED)),
    };
    drop(progress);
    tracing::info!(lock, lock_id = %held.lock_id, fencing_token = held.fencing_token, "the lock is held");

    let mut keeper = Keeper { locks: &locks, lock, lock_id: &held.lock_id, ttl: args.ttl, renewed: asked };
    keeper.begin().await?;
    let outcome = match LockedCommand::start(&args.command, held.fencing_token) {
        Ok(mut command) => {
            let grace = keeper.grace();
            let lost = tokio::select! {
                ended = command.ended() => Err(ended),
                lost = keeper.keep() => Ok(lost),
            };
            match lost {
                Err(ended) => ended.map(exit_code).map_err(Into::into),
                Ok(lost) => {
                    command.end(grace).await;
                    Err(Failure::lock_lost(format!("the lock {lock} was lost and the command ended: {lost}")).into())
                }
            }
        }
        Err(failure) => Err(failure.into()),
    };
    // One that is lost is not ours to give back, and the node knows.
    if let Err(error) = locks.client.release_lock(&locks.workspace, lock, &held.lock_id).await {
        tracing::info!(%error, "the lock was not given back");
    }
    outcome
}
