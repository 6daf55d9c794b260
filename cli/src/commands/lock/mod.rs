//! `artifacts lock …`: named locks of a workspace, with the API key or with a mount ticket alone.

mod access;
mod acquire;
mod child;
mod keeper;
mod list;
mod release;
mod renew;
mod run;
mod terminal;
mod watch;
mod wish;

use std::process::ExitCode;

use clap::Subcommand;

use crate::output::Output;

/// What to do with locks.
#[derive(Debug, Subcommand)]
pub(crate) enum LockCommand {
    /// Run a command while holding a lock
    Run(run::RunArgs),
    /// Acquire a lock
    Acquire(acquire::AcquireArgs),
    /// Hold a lock for longer
    Renew(renew::RenewArgs),
    /// Give a lock back
    Release(release::ReleaseArgs),
    /// List what is locked, by whom, and who waits
    List(list::ListArgs),
    /// Show what happens to locks, as it happens
    Watch(watch::WatchArgs),
}

/// Does it.
pub(crate) async fn run(command: LockCommand, output: Output) -> anyhow::Result<ExitCode> {
    match command {
        LockCommand::Run(args) => return run::run(args, output).await,
        LockCommand::Acquire(args) => acquire::run(args, output).await?,
        LockCommand::Renew(args) => renew::run(args, output).await?,
        LockCommand::Release(args) => release::run(args, output).await?,
        LockCommand::List(args) => list::run(args, output).await?,
        LockCommand::Watch(args) => watch::run(args, output).await?,
    }
    Ok(ExitCode::SUCCESS)
}
