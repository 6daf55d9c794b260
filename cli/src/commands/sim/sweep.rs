//! `artifacts sim sweep`

use artifacts_sim::{Planted, Settings};
use clap::Args;
use serde_json::{Map, Value, json};

use super::progress::bar;
use super::seeds::Seeds;
use crate::failure::Failure;
use crate::output::{Format, Output, Table, printable};

/// Arguments of `sim sweep`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exits 1 at a violation and prints its seed; `artifacts sim run` shows what happened. With a planted fault it is the
other way round: exits 1 if the fault is not found.

Examples:
  artifacts sim sweep --seeds 0..10000
  artifacts sim sweep --seeds 0..200 --planted serve-without-proof")]
pub(crate) struct SweepArgs {
    /// From the first to before the second
    #[arg(long, value_name = "A..B")]
    seeds: Seeds,
    /// How many operations to judge in each
    #[arg(long, value_name = "N", default_value_t = artifacts_sim::OPS)]
    ops: u64,
    /// How many threads [default: one for each core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// A fault to plant, which has to be found
    #[arg(long, value_name = "NAME")]
    planted: Option<Planted>,
    /// Go on after a violation
    #[arg(long)]
    keep_going: bool,
}

/// Runs many seeds.
pub(super) fn run(args: &SweepArgs, output: Output) -> anyhow::Result<()> {
    let planted = args.planted.unwrap_or(Planted::Nothing);
    let settings = Settings { ops: args.ops, planted, threads: args.threads, stops: !args.keep_going };
    let bar = bar("seeds", args.seeds.0.end - args.seeds.0.start, output);
    let swept = artifacts_sim::sweep(args.seeds.0.clone(), settings, |done, violations| {
        bar.set_position(done);
        bar.set_message(format!("· {violations} violations"));
    });
    bar.finish_and_clear();
    let first = swept.violations.first_key_value();
    if output.format == Format::Json {
        let violations: Vec<_> = swept.violations.iter().map(|(seed, violation)| json!({ "seed": seed, "violation": violation })).collect();
        let counted: Map<String, Value> = swept.counted.iter().map(|(what, times)| ((*what).to_owned(), json!(times))).collect();
        let found_by = args.planted.and(first).map(|(seed, _)| seed);
        output.json(&json!({
            "seeds": swept.seeds,
            "planted": args.planted.map(Planted::name),
            "found_by_seed": found_by,
            "violations": violations,
            "counted": counted,
        }))?;
    } else {
        if !output.quiet {
            let table = Table::new(["WHAT HAPPENED", "TIMES"], "nothing happened");
            let table = swept.counted.iter().fold(table, |table, (what, times)| table.row([(*what).to_owned(), times.to_string()]));
            output.line(&table.render(output.style))?;
        }
        output.line(&format!("{} seeds, {} violations", swept.seeds, swept.violations.len()))?;
    }
    match (args.planted, first) {
        (None, None) => Ok(()),
        (Some(planted), None) => Err(Failure::failed(format!("the planted fault {planted} was not found")).into()),
        (Some(planted), Some((seed, violation))) if output.format == Format::Text => {
            output.line(&format!("{planted} was found by seed {seed}: {}", printable(violation.lines().next().unwrap_or_default())))
        }
        (Some(_), Some(_)) => Ok(()),
        (None, Some((seed, violation))) => {
            let again = format!("`artifacts sim run --seed {seed} --ops {}` shows what happened", args.ops);
            Err(Failure::failed(format!("seed {seed}: {violation}")).hint(again).into())
        }
    }
}
