//! What the product promises about its own appetite: memory, objects, and the time to mount a large workspace.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::Table;
use artifacts_tests::time::{Duration, now, sleep, wait_until};
use serde_json::{Value, json};

use crate::contestant::Contestant as _;
use crate::million;
use crate::ours::Ours;
use crate::scale::Scale;

const MIB: u64 = 1 << 20;

/// A promise with a number in it, and what was measured.
pub(crate) struct Bound {
    what: String,
    measured: f64,
    most: f64,
    unit: &'static str,
}

impl Bound {
    fn new(what: impl Into<String>, measured: f64, most: f64, unit: &'static str) -> Self {
        Self { what: what.into(), measured, most, unit }
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({ "what": self.what, "measured": self.measured, "most": self.most, "unit": self.unit, "kept": self.measured <= self.most })
    }
}

/// Measures all of them.
pub(crate) fn measure(scale: Scale) -> Result<Vec<Bound>> {
    let mut bounds = agent_memory(scale).context("memory of the agent")?;
    bounds.extend(objects(scale).context("objects of small files")?);
    bounds.extend(large_workspace(scale).context("a large workspace")?);
    Ok(bounds)
}

/// Prints them.
pub(crate) fn print(bounds: &[Bound]) {
    let mut table = Table::new(&["", "measured", "at most", "", ""]);
    for bound in bounds {
        let number = |value: f64| if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") };
        let verdict = if bound.measured <= bound.most { "kept" } else { "BROKEN" };
        table.row(vec![bound.what.clone(), number(bound.measured), number(bound.most), bound.unit.to_owned(), verdict.to_owned()]);
    }
    table.print();
}

/// The agent's peak while one large file is written and read again.
fn agent_memory(scale: Scale) -> Result<Vec<Bound>> {
    let mut ours = Ours::on_directory()?;
    let (size_mib, path) = (scale.of(4096, 64), ours.path().join("large"));
    let mut block = vec![0x5a; MIB as usize];
    let mut file = File::create(&path)?;
    for number in 0..size_mib {
        block[..8].copy_from_slice(&number.to_le_bytes());
        file.write_all(&block)?;
    }
    file.sync_all()?;
    drop(file);
    let mut peak_bytes = ours.mount()?.agent().peak_rss_bytes().context("the agent has ended")?;
    ours.refresh()?;
    let mut file = File::open(&path)?;
    for number in 0..size_mib {
        file.read_exact(&mut block)?;
        ensure!(block[..8] == number.to_le_bytes(), "MiB {number} reads otherwise");
    }
    drop(file);
    peak_bytes = peak_bytes.max(ours.mount()?.agent().peak_rss_bytes().context("the agent has ended")?);
    Box::new(ours).end()?;
    let what = format!("peak RSS of the agent, {size_mib} MiB written and read again");
    Ok(vec![Bound::new(what, peak_bytes.div_ceil(MIB) as f64, 400.0, "MiB")])
}

/// What small files cost in objects: those that the node keeps once all is written, and the puts of the agent.
fn objects(scale: Scale) -> Result<Vec<Bound>> {
    let mut ours = Ours::on_directory()?;
    let files = scale.of(5_000, 100);
    for number in 0..files {
        fs::write(ours.path().join(format!("file-{number}")), [number as u8; 1024])?;
    }
    ours.settle()?;
    ours.unmount()?;
    let (blobs, mut count, mut since) = (ours.lab.node.data().join("blobs/objects"), 0, now());
    wait_until("the number of objects stays the same", Duration::from_secs(120), || {
        let found = files_below(&blobs)?;
        if found != count {
            (count, since) = (found, now());
        }
        sleep(Duration::from_millis(200));
        Ok(since.elapsed() > Duration::from_secs(5))
    })?;
    let metrics = ours.lab.api.send("GET", "/metrics", None)?.text;
    let puts =
        sum(&metrics, |name| name.starts_with("artifacts_http_requests_total") && name.contains("\"PUT\"") && name.contains("/v1/data"));
    Ok(vec![
        Bound::new(format!("objects that {files} files of 1 KiB are kept in"), count as f64, 30.0, ""),
        Bound::new("puts of the agent for them", puts, 30.0, ""),
    ])
}

/// A workspace of a million files: the node's memory, and how long a mount of it takes to answer.
fn large_workspace(scale: Scale) -> Result<Vec<Bound>> {
    let mut ours = Ours::on_directory()?;
    ours.unmount()?;
    let files = scale.of(1_000_000, 1_000);
    let start = now();
    let dirs = million::fill(&mut ours, files)?;
    println!("{files} files made in {:.0} s", start.elapsed().as_secs_f64());
    let made_bytes = ours.lab.node.process()?.peak_rss_bytes().context("the node has ended")?;
    ours.lab.node.terminate()?;
    ours.lab.node.start_again()?;
    let first = mount_and_list(&mut ours, dirs / 2)?;
    ours.unmount()?;
    let second = mount_and_list(&mut ours, dirs / 3)?;
    for dir in 0..dirs {
        fs::read_dir(ours.path().join(million::dir_name(dir)))?.try_for_each(|entry| entry.map(drop))?;
    }
    let listed_bytes = ours.lab.node.process()?.peak_rss_bytes().context("the node has ended")?;
    Box::new(ours).end()?;
    Ok(vec![
        Bound::new(format!("peak RSS of the node while {files} files are made"), made_bytes.div_ceil(MIB) as f64, 600.0, "MiB"),
        Bound::new("the same after a restart, all of them listed", listed_bytes.div_ceil(MIB) as f64, 600.0, "MiB"),
        Bound::new("mount until ls answers, first after the restart", first, 1.0, "s"),
        Bound::new("mount until ls answers, then", second, 1.0, "s"),
    ])
}

/// Seconds from the start of `artifacts mount` until a directory is listed.
fn mount_and_list(ours: &mut Ours, dir: usize) -> Result<f64> {
    let start = now();
    ours.refresh()?;
    let entries = fs::read_dir(ours.path().join(million::dir_name(dir)))?.count();
    let took = start.elapsed().as_secs_f64();
    ensure!(entries > 0, "the directory is empty");
    Ok(took)
}

fn files_below(dir: &Path) -> Result<usize> {
    let mut count = 0;
    // Files may go while they are counted.
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        count += if entry.path().is_dir() { files_below(&entry.path())? } else { 1 };
    }
    Ok(count)
}

/// The sum of all samples whose name and labels are wanted, from Prometheus' text.
fn sum(text: &str, wanted: impl Fn(&str) -> bool) -> f64 {
    let samples = text.lines().filter_map(|line| line.rsplit_once(' ')).filter(|(name, _)| wanted(name));
    samples.filter_map(|(_, value)| value.parse::<f64>().ok()).fold(0.0, |sum, value| sum + value)
}
