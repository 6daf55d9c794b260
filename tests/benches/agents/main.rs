//! How a node bears many agents: 1,000 sessions and more, each the agent's own code without a kernel behind it, first idle,
//! then at work. `docs/benchmarks.md` says what the numbers mean.
//!
//! `BENCH_SCALE=0.1` does it with a tenth of the agents, `BENCH_AGENTS=1000,5000` with these numbers of them,
//! `ARTIFACTS_TEST_BLOBS=slate` with a node whose metadata is in a bucket.

mod crowd;
mod figures;
mod meter;
mod worker;

use std::fs;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{Lab, Table, greedy, target_dir};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::crowd::Crowd;
use crate::figures::Figures;
use crate::meter::Meter;

/// How many agents there are in turn.
const AGENTS: [usize; 4] = [1_000, 2_000, 5_000, 10_000];
/// How long they are watched doing nothing, and at work.
const IDLE: Duration = Duration::from_secs(10);
const AT_WORK: Duration = Duration::from_secs(30);
/// How long the node has for what sessions that have ended leave to be done.
const SETTLING: Duration = Duration::from_secs(5);
/// For one number of agents.
const LIMIT: Duration = Duration::from_secs(30 * 60);

fn main() -> Result<()> {
    let open_files = raise_open_files()?;
    let mut all = Vec::new();
    for agents in chosen()? {
        // A socket at each end is in a process of its own; some files besides.
        ensure!(agents as u64 + 500 < open_files, "{agents} agents need more than {open_files} open files");
        greedy(&format!("bench-agents-{agents}"), LIMIT, |scratch| {
            let lab = Lab::start(scratch, &json!({ "max_connections": 2 * agents + 1_000, "rate_limit": 0 }))?;
            let figures = Runtime::new()?.block_on(measure(&lab, agents))?;
            println!("{}", figures.describe());
            all.push(figures);
            Ok(())
        })?;
    }
    println!();
    Figures::print(&all);
    let dir = target_dir()?.join("bench");
    fs::create_dir_all(&dir)?;
    let file = dir.join("agents.json");
    fs::write(&file, serde_json::to_string_pretty(&all.iter().map(Figures::to_json).collect::<Vec<_>>())?)?;
    println!("all of it is in {}", file.display());
    Ok(())
}

/// One number of agents at one node, from their opening to their end.
async fn measure(lab: &Lab, agents: usize) -> Result<Figures> {
    let tickets = tokio::task::block_in_place(|| crowd::tickets(lab, agents))?;
    let meter = Meter::new(lab)?;
    let (before, own_before) = (meter.node()?, meter.own()?);
    let (crowd, openings) = Crowd::gather(&tickets).await?;
    let gathered = meter.node()?;

    crowd::wait(IDLE).await;
    let (idle, own_idle) = (meter.node()?, meter.own()?);
    let work = crowd.work(AT_WORK).await?;
    let (worked, own_worked) = (meter.node()?, meter.own()?);
    let leaving = crowd.leave().await;
    crowd::wait(SETTLING).await;
    let left = meter.node()?;
    // Whatever a session leaves for good, another as many would double.
    let (crowd, _) = Crowd::gather(&tickets).await?;
    crowd.leave().await;
    crowd::wait(SETTLING).await;
    Ok(Figures {
        agents,
        openings,
        idle: idle.since(&gathered),
        idle_bytes: idle.rss_bytes.saturating_sub(before.rss_bytes),
        at_work: worked.since(&idle),
        worked_bytes: worked.rss_bytes.saturating_sub(before.rss_bytes),
        left_bytes: [left.rss_bytes, meter.node()?.rss_bytes].map(|rss_bytes| rss_bytes.saturating_sub(before.rss_bytes)),
        own_bytes: own_idle.rss_bytes.saturating_sub(own_before.rss_bytes),
        own_at_work: own_worked.since(&own_idle),
        work,
        leaving,
        load: meter::load(),
    })
}

fn chosen() -> Result<Vec<usize>> {
    if let Ok(text) = std::env::var("BENCH_AGENTS") {
        return text.split(',').map(|number| number.trim().parse().with_context(|| format!("BENCH_AGENTS={text}"))).collect();
    }
    let scale = std::env::var("BENCH_SCALE").ok().map_or(Ok(1.0), |text| text.parse().with_context(|| format!("BENCH_SCALE={text}")))?;
    ensure!(scale > 0.0 && scale <= 1.0, "BENCH_SCALE is above 0 and at most 1");
    Ok(AGENTS.map(|agents| ((agents as f64 * scale) as usize).max(10)).to_vec())
}

/// As many as this process may have.
fn raise_open_files() -> Result<u64> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).context("the limit on open files")?;
    Ok(maximum.unwrap_or(u64::MAX))
}

/// Heads and cells of one table.
pub(crate) fn print(heads: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let mut table = Table::new(heads);
    rows.into_iter().for_each(|row| table.row(row));
    table.print();
}
