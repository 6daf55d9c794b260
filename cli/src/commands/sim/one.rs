//! `artifacts sim run`

use artifacts_sim::Planted;
use clap::Args;
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::output::{Format, Output, printable};

/// Arguments of `sim run`.
#[derive(Debug, Args)]
#[command(after_help = "\
The same seed gives the same trace, always and on every machine. Each line is an event with the simulated time in
seconds; the last is the verdict. Exits 1 at a violation. With -q only the verdict is printed.

Examples:
  artifacts sim run --seed 7
  artifacts sim run --seed 7 --planted skip-fencing | less
  artifacts sim run --seed 7 --format json | jq .counted")]
pub(crate) struct RunArgs {
    /// What determines everything
    #[arg(long, value_name = "N")]
    seed: u64,
    /// How many operations to judge
    #[arg(long, value_name = "N", default_value_t = artifacts_sim::OPS)]
    ops: u64,
    /// A fault to plant, which has to be found
    #[arg(long, value_name = "NAME")]
    planted: Option<Planted>,
}

/// Runs a seed.
pub(super) fn run(args: &RunArgs, output: Output) -> anyhow::Result<()> {
    let planted = args.planted.unwrap_or(Planted::Nothing);
    let report = artifacts_sim::run(args.seed, args.ops, planted, true);
    match output.format {
        Format::Json => {
            let counted: Map<String, Value> = report.counted.iter().map(|(what, times)| ((*what).to_owned(), json!(times))).collect();
            output.json(&json!({
            "seed": args.seed,
            "planted": args.planted.map(Planted::name),
            "violation": report.violation,
            "counted": counted,
            "trace": report.trace,
            }))?;
        }
        Format::Text => {
            if !output.quiet {
                report.trace.iter().try_for_each(|line| output.line(&printable(line)))?;
            }
            let counted: Vec<_> =
                report.counted.iter().filter(|(_, times)| *times > 0).map(|(what, times)| format!("{times} {what}")).collect();
            output.note(&format!("Seed {}: {}.", args.seed, counted.join(", ")));
        }
    }
    match report.violation {
        None if output.format == Format::Text => output.line(&format!("seed {}: no violation", args.seed)),
        None => Ok(()),
        Some(violation) => Err(Failure::failed(format!("seed {}: {violation}", args.seed)).into()),
    }
}
