//! `artifacts sim scale`

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use artifacts_core::session::PROOF_MS;
use artifacts_sim::scale::{Case, Cost, Distribution, Ended, Report, Settings, Way, peak_memory_bytes};
use clap::Args;
use serde_json::{Map, Value, json};

use super::loss::Loss;
use super::progress::bar;
use crate::failure::Failure;
use crate::output::{Format, Output, Table};
use crate::size::Size;
use crate::time;

/// Arguments of `sim scale`.
#[derive(Debug, Args)]
#[command(after_help = "\
All agents are of one account, in cells of 48. Shows after how many milliseconds access has ended: by all ways, and by
each way alone. Regions are 100 ms apart, one way. Exits 1 if with all ways the 99th percentile is later than a second. The same seed finds the same; what is
measured of the processor differs. 10,000 agents take some minutes.

Examples:
  artifacts sim scale --agents 1000 --regions 3 --loss 10%
  artifacts sim scale --agents 10000 --regions 3 --loss 10% --png delays.png
  artifacts sim scale --agents 1000 --format json | jq '.ended[\"all ways\"].p99_ms'")]
pub(crate) struct ScaleArgs {
    /// How many host agents
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    agents: u32,
    /// Over how many regions they are spread
    #[arg(long, value_name = "R", default_value_t = 1)]
    regions: u16,
    /// How many datagrams are lost, as `10%` or `0.1`; streams send again what they lose
    #[arg(long, value_name = "P", default_value_t = Loss(0))]
    loss: Loss,
    /// What determines everything
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How often something is revoked
    #[arg(long, value_name = "N", default_value_t = 1)]
    rounds: u32,
    /// How often members of a cell gossip, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 200)]
    gossip_interval_ms: u64,
    /// How many threads [default: one for each core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Write a picture of the distributions
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
}

/// Simulates it.
pub(super) fn run(args: &ScaleArgs, output: Output) -> anyhow::Result<()> {
    let settings = Settings {
        agents: args.agents,
        regions: args.regions,
        loss_ppm: args.loss.0,
        gossip_interval_ms: args.gossip_interval_ms,
        rounds: args.rounds,
        seed: args.seed,
        threads: args.threads,
    };
    settings.check().map_err(|error| Failure::usage(error.to_string()))?;
    let begun = time::now();
    let bar = bar("cells", 0, output);
    let report = artifacts_sim::scale::run(settings, |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    let took_ms = begun.elapsed().as_millis() as u64;
    if let Some(path) = &args.png {
        fs::write(path, report.png()?).with_context(|| format!("cannot write {}", path.display()))?;
        output.note(&format!("The picture is in {}.", path.display()));
    }
    match output.format {
        Format::Json => output.json(&document(args, &report, took_ms))?,
        Format::Text => show(args, &report, took_ms, output)?,
    }
    let all = report.of(Case::AllWays);
    match all.percentile(99) {
        Some(ms) if u64::from(ms) <= PROOF_MS => Ok(()),
        late => Err(Failure::failed(format!("the 99th percentile is {} ms, and has to be {PROOF_MS} at the most", or_late(late))).into()),
    }
}

fn show(args: &ScaleArgs, report: &Report, took_ms: u64, output: Output) -> anyhow::Result<()> {
    let Report { nodes, cells, .. } = report;
    output.note(&format!(
        "{} agents in {cells} cells of {} regions, {nodes} nodes, {} of datagrams lost, {} rounds, seed {}.",
        args.agents, args.regions, args.loss, args.rounds, args.seed
    ));
    let mut table = Table::new(["WAYS", "ENDED BY", "AGENTS", "P50 MS", "P90 MS", "P99 MS", "MAX MS"], "nobody had access");
    for case in Case::ALL {
        let ended = report.of(case);
        let figures = [50, 90, 99, 100].map(|percent| or_late(ended.percentile(percent)));
        table = table.row(row(case.name(), "", ended.all.len() + ended.late, figures));
        for (way, of_way) in Way::ALL.into_iter().zip(&ended.by_way) {
            // What is alone needs no second line.
            if !of_way.is_empty() && of_way.len() < ended.all.len() + ended.late {
                let figures = [50, 90, 99, 100].map(|percent| or_late(of_way.percentile(percent)));
                table = table.row(row("", way.name(), of_way.len(), figures));
            }
        }
        if ended.late > 0 {
            table = table.row(row("", "nothing yet", ended.late, [50, 90, 99, 100].map(|_| or_late(None))));
        }
    }
    output.line(&table.render(output.style))?;
    output.line("")?;
    let heading = ["MEMBER OF", "MEMBERS", "DATAGRAMS/S", "BYTES/S", "LONGEST", "CORE"];
    let costs = Table::new(heading, "nobody gossips").row(cost_row("a cell", &report.cell)).row(cost_row("the ring", &report.ring));
    output.line(&costs.render(output.style))?;
    let ages = &report.beacons;
    output.note(&format!(
        "Proofs by beacons alone were {} ms old at the revocation (p50; p99 {}), and {} agents had none. The owner of the account is in all {} cells.",
        or_late(ages.percentile(50)),
        or_late(ages.percentile(99)),
        report.without_beacons,
        report.cells,
    ));
    if report.strangers > 0 {
        output.note(&format!("{} members of cells did not know everybody yet.", report.strangers));
    }
    let memory = peak_memory_bytes().map_or_else(String::new, |bytes| format!(", {} of memory at most", Size::from_bytes(bytes)));
    output.note(&format!("It took {:.1} s{memory}.", took_ms as f64 / 1_000.0));
    Ok(())
}

fn row(ways: &str, by: &str, agents: usize, [p50, p90, p99, max]: [String; 4]) -> [String; 7] {
    [ways.to_owned(), by.to_owned(), agents.to_string(), p50, p90, p99, max]
}

fn cost_row(of: &str, cost: &Cost) -> [String; 6] {
    [
        of.to_owned(),
        cost.members().to_string(),
        format!("{:.1}", cost.datagrams_per_second()),
        format!("{:.0}", cost.bytes_per_second()),
        cost.longest_bytes().to_string(),
        format!("{:.2} %", 100.0 * cost.cores()),
    ]
}

fn or_late(ms: Option<u32>) -> String {
    ms.map_or_else(|| "-".to_owned(), |ms| ms.to_string())
}

fn document(args: &ScaleArgs, report: &Report, took_ms: u64) -> Value {
    let ended: Map<String, Value> = Case::ALL.into_iter().map(|case| (case.name().to_owned(), case_document(report.of(case)))).collect();
    json!({
        "agents": args.agents,
        "regions": args.regions,
        "loss": f64::from(args.loss.0) / 1e6,
        "rounds": args.rounds,
        "seed": args.seed,
        "gossip_interval_ms": args.gossip_interval_ms,
        "nodes": report.nodes,
        "cells": report.cells,
        "ended": ended,
        "beacon_age": distribution_document(&report.beacons),
        "without_beacon": report.without_beacons,
        "strangers": report.strangers,
        "cell_member": cost_document(&report.cell),
        "ring_member": cost_document(&report.ring),
        "took_ms": took_ms,
        "memory_bytes": peak_memory_bytes(),
    })
}

fn case_document(ended: &Ended) -> Value {
    let by: Map<String, Value> =
        Way::ALL.into_iter().zip(&ended.by_way).map(|(way, of_way)| (way.name().to_owned(), distribution_document(of_way))).collect();
    let [p50_ms, p90_ms, p99_ms, max_ms] = [50, 90, 99, 100].map(|percent| ended.percentile(percent));
    json!({
        "agents": ended.all.len() + ended.late, "not_ended": ended.late,
        "p50_ms": p50_ms, "p90_ms": p90_ms, "p99_ms": p99_ms, "max_ms": max_ms, "by": by,
    })
}

fn distribution_document(of: &Distribution) -> Value {
    let [p50_ms, p90_ms, p99_ms, max_ms] = [50, 90, 99, 100].map(|percent| of.percentile(percent));
    json!({ "count": of.len(), "p50_ms": p50_ms, "p90_ms": p90_ms, "p99_ms": p99_ms, "max_ms": max_ms })
}

fn cost_document(cost: &Cost) -> Value {
    json!({
        "members": cost.members(),
        "datagrams_per_second": cost.datagrams_per_second(),
        "bytes_per_second": cost.bytes_per_second(),
        "longest_datagram_bytes": cost.longest_bytes(),
        "cores": cost.cores(),
    })
}
