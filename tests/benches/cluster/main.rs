//! What a cluster of three nodes on an object store costs: time, at 0, 10 and 30 ms more for each request to the object store, and
//! requests, idle and busy. `docs/benchmarks.md` says what the numbers mean.
//!
//! `BENCH_SCALE=0.1` does a tenth of it.

mod lines;
mod nodes;
mod proxy;
mod requests;

use std::fs;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, now, sleep};
use artifacts_tests::{Mount, Scratch, Table, hand_off, percentile, require_fuse, target_dir};
use serde_json::{Value, json};

use crate::nodes::{LIMIT, Nodes};
use crate::requests::Hourly;

/// By how much each request to the object store takes longer.
const DELAYS_MS: [u64; 3] = [0, 10, 30];
/// How many mounts are idle, or busy, while requests are counted.
const MOUNTS: usize = 8;

fn main() -> Result<()> {
    require_fuse()?;
    let scale = Scale::chosen()?;
    let scratch = Arc::new(Scratch::new("bench-cluster", LIMIT)?);
    let Some(nodes) = Nodes::start(&scratch)? else {
        println!("without an S3 server there is no cluster to measure");
        return Ok(());
    };
    println!("{} nodes, their bucket on SeaweedFS behind a proxy", nodes.count());
    measure(&nodes, scale).inspect_err(|_| scratch.show_logs())
}

fn measure(nodes: &Nodes, scale: Scale) -> Result<()> {
    let costs = costs(nodes, scale)?;
    Hourly::print(&costs);
    let mut lines = Vec::new();
    for delay_ms in DELAYS_MS {
        nodes.proxy.set_delay(Duration::from_millis(delay_ms));
        lines.push(delayed(nodes, delay_ms, scale)?);
    }
    print_lines(&lines);
    let dir = target_dir()?.join("bench");
    fs::create_dir_all(&dir)?;
    let file = dir.join("cluster.json");
    let lines: Vec<Value> = lines.iter().flatten().map(Line::to_json).collect();
    let all =
        json!({ "scale": scale.0, "load": load(), "lines": lines, "requests": costs.iter().map(Hourly::to_json).collect::<Vec<_>>() });
    fs::write(&file, serde_json::to_string_pretty(&all)?)?;
    println!("\nload of the machine {}; all of it is in {}", load(), file.display());
    Ok(())
}

/// How much is done.
#[derive(Debug, Clone, Copy)]
struct Scale(f64);

impl Scale {
    fn chosen() -> Result<Self> {
        let factor =
            std::env::var("BENCH_SCALE").ok().map_or(Ok(1.0), |text| text.parse().with_context(|| format!("BENCH_SCALE={text}")))?;
        ensure!(factor > 0.0 && factor <= 1.0, "BENCH_SCALE is above 0 and at most 1");
        Ok(Self(factor))
    }

    fn of(self, full: usize, least: usize) -> usize {
        ((full as f64 * self.0) as usize).max(least)
    }
}

/// One line at one delay.
struct Line {
    delay_ms: u64,
    what: &'static str,
    took_ms: Vec<f64>,
}

impl Line {
    fn percentiles(&self) -> [f64; 2] {
        let mut took = self.took_ms.clone();
        [50.0, 99.0].map(|percent| percentile(&mut took, percent))
    }

    fn per_second(&self) -> f64 {
        self.took_ms.len() as f64 * 1000.0 / self.took_ms.iter().sum::<f64>()
    }

    fn to_json(&self) -> Value {
        let [p50, p99] = self.percentiles();
        json!({ "added_ms": self.delay_ms, "what": self.what, "calls": self.took_ms.len(), "p50_ms": p50, "p99_ms": p99, "per_second": self.per_second() })
    }
}

/// All lines at one delay, on workspaces of their own.
fn delayed(nodes: &Nodes, delay_ms: u64, scale: Scale) -> Result<Vec<Line>> {
    let name = |what: &str| format!("{what}-{delay_ms}ms");
    let alone = nodes.workspace(&name("alone"))?;
    let mount = nodes.mount(&name("alone"), &alone)?;
    let mut lines = lines::fsyncs(&mount, scale.of(400, 40))?;
    let remount = |mount: Mount| {
        mount.unmount()?;
        nodes.mount(&name("alone"), &alone)
    };
    let (mount, small) = lines::small_files(mount, scale.of(2_000, 100), remount)?;
    mount.unmount()?;
    lines.extend(small);

    let shared = nodes.workspace(&name("shared"))?;
    let mounts = [nodes.mount(&name("one"), &shared)?, nodes.mount(&name("other"), &shared)?];
    lines.push(("hand-off of a lock", hand_off([&mounts[0], &mounts[1]], scale.of(300, 40))?));
    for mount in mounts {
        mount.unmount()?;
    }
    Ok(lines.into_iter().map(|(what, took_ms)| Line { delay_ms, what, took_ms }).collect())
}

fn print_lines(all: &[Vec<Line>]) {
    println!(
        "\neach call, p50 / p99 in milliseconds, and how many a second one after the other, by what a request to the object store takes longer"
    );
    let heads: Vec<String> = DELAYS_MS.iter().flat_map(|delay_ms| [format!("+{delay_ms} ms"), "a second".to_owned()]).collect();
    let heads: Vec<&str> = [""].into_iter().chain(heads.iter().map(String::as_str)).collect();
    let rows = all.first().map_or(0, Vec::len);
    print(
        &heads,
        (0..rows).map(|row| {
            let cells = all.iter().flat_map(|lines| {
                let [p50, p99] = lines[row].percentiles();
                [format!("{p50:.2} / {p99:.2}"), format!("{:.0}", lines[row].per_second())]
            });
            [all[0][row].what.to_owned()].into_iter().chain(cells).collect()
        }),
    );
}

/// What the cluster asks of the object store in an hour, idle and busy.
fn costs(nodes: &Nodes, scale: Scale) -> Result<Vec<Hourly>> {
    let time = Duration::from_secs(scale.of(60, 15) as u64);
    // What the beginning left to be done is done.
    sleep(Duration::from_secs(35));
    let count = |what: &str, during: &dyn Fn() -> Result<usize>| -> Result<Hourly> {
        let (start, before) = (now(), nodes.proxy.counted());
        let done = during()?;
        let seconds = start.elapsed().as_secs_f64();
        let hourly = Hourly::between(what, &before, &nodes.proxy.counted(), seconds);
        println!("{what}: counted for {seconds:.0} s, {:.1} files saved a second", done as f64 / seconds);
        Ok(hourly)
    };
    let idle = || -> Result<usize> {
        sleep(time);
        Ok(0)
    };
    let mut costs = vec![count("idle", &idle)?];
    let mounts = (0..MOUNTS).map(|number| nodes.mount(&format!("m{number}"), &nodes.workspace(&format!("m{number}"))?));
    let mounts = mounts.collect::<Result<Vec<_>>>()?;
    sleep(Duration::from_secs(35));
    costs.push(count(&format!("{MOUNTS} idle mounts"), &idle)?);
    let each_second = || lines::keep_busy(&mounts, "each-second", time, Duration::from_secs(1));
    costs.push(count(&format!("{MOUNTS} saving each second"), &each_second)?);
    let without_pause = || lines::keep_busy(&mounts, "without-pause", time, Duration::ZERO);
    costs.push(count(&format!("{MOUNTS} saving all the time"), &without_pause)?);
    mounts.into_iter().try_for_each(Mount::unmount)?;
    Ok(costs)
}

fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// A table.
fn print(heads: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let mut table = Table::new(heads);
    rows.into_iter().for_each(|row| table.row(row));
    table.print();
}
