//! `artifacts sim`: the deterministic simulation.

mod loss;
mod one;
mod progress;
mod scale;
mod seeds;
mod sweep;

use clap::Subcommand;

use crate::output::Output;

/// Subcommands of `sim`.
#[derive(Debug, Subcommand)]
pub(crate) enum SimCommand {
    /// Run one seed and print what happens, one line an event
    Run(one::RunArgs),
    /// Run many seeds on all cores, and look for violations
    Sweep(sweep::SweepArgs),
    /// Revoke what thousands of agents stand on, and show how soon their access ends
    Scale(scale::ScaleArgs),
}

/// Runs a subcommand.
pub(crate) fn run(command: SimCommand, output: Output) -> anyhow::Result<()> {
    match command {
        SimCommand::Run(args) => one::run(&args, output),
        SimCommand::Sweep(args) => sweep::run(&args, output),
        SimCommand::Scale(args) => scale::run(&args, output),
    }
}
