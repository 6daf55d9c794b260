use artifacts_tests::percentile;
use serde_json::{Value, json};

use crate::crowd::Times;
use crate::worker::Done;

const KIB: f64 = 1024.0;

/// What one number of agents came to.
pub(crate) struct Figures {
    pub(crate) agents: usize,
    pub(crate) openings: Times,
    /// Processors that the node uses while nobody works.
    pub(crate) idle: f64,
    /// What it has come to hold by then.
    pub(crate) idle_bytes: u64,
    /// Processors that it uses while all work.
    pub(crate) at_work: f64,
    pub(crate) worked_bytes: u64,
    /// What it still holds of it when all have gone, and when as many more have come and gone.
    pub(crate) left_bytes: [u64; 2],
    /// What the agents hold, in one process.
    pub(crate) own_bytes: u64,
    pub(crate) own_at_work: f64,
    pub(crate) work: Done,
    pub(crate) leaving: Times,
    /// What the machine was busy with.
    pub(crate) load: f64,
}

impl Figures {
    /// All of them, side by side.
    pub(crate) fn print(all: &[Self]) {
        println!("sessions of one node: how they open, and what each costs it");
        crate::print(
            &[
                "agents",
                "refused",
                "open s",
                "p50 ms",
                "p99 ms",
                "KiB idle",
                "KiB worked",
                "left",
                "and again",
                "CPU idle",
                "CPU working",
                "load",
            ],
            all.iter().map(|figures| {
                let [p50, p99] = percentiles(&figures.openings.each_ms);
                let kib = |bytes| format!("{:.1}", figures.kib_each(bytes));
                let seconds = format!("{:.1}", figures.openings.all_seconds);
                let [left, again] = figures.left_bytes;
                let kibs = [figures.idle_bytes, figures.worked_bytes, left, again].map(kib);
                let refused = figures.openings.failed.to_string();
                let mut row = vec![figures.agents.to_string(), refused, seconds, format!("{p50:.1}"), format!("{p99:.1}")];
                row.extend(kibs);
                row.extend([figures.idle, figures.at_work].map(|cpu| format!("{cpu:.2}")));
                row.push(format!("{:.1}", figures.load));
                row
            }),
        );
        println!("\nat work: a file of 2 KB every 5 s from each, written and saved, another read; milliseconds");
        crate::print(
            &["agents", "commits/s", "commit p50", "p99", "whole file p50", "p99", "read p50", "p99", "failed", "wrong"],
            all.iter().map(|figures| {
                let Done { commits_ms, files_ms, reads_ms, failed, wrong } = &figures.work;
                let mut row = vec![figures.agents.to_string(), format!("{:.0}", figures.commits_per_second())];
                for values in [commits_ms, files_ms, reads_ms] {
                    row.extend(percentiles(values).map(|value| format!("{value:.1}")));
                }
                row.extend([failed, wrong].map(ToString::to_string));
                row
            }),
        );
    }

    /// In one line, as soon as it is known.
    pub(crate) fn describe(&self) -> String {
        format!(
            "{} agents: {:.1} KiB each at the node and {:.1} KiB of their own; their own process used {:.2} processors at work; all ended in {:.1} s",
            self.agents,
            self.kib_each(self.worked_bytes),
            self.kib_each(self.own_bytes),
            self.own_at_work,
            self.leaving.all_seconds
        )
    }

    pub(crate) fn to_json(&self) -> Value {
        let times = |values: &[f64]| {
            let [p50, p99] = percentiles(values);
            json!({ "count": values.len(), "p50_ms": p50, "p99_ms": p99 })
        };
        json!({
            "agents": self.agents,
            "load": self.load,
            "open": { "seconds": self.openings.all_seconds, "failed": self.openings.failed, "each": times(&self.openings.each_ms) },
            "leave": { "seconds": self.leaving.all_seconds, "failed": self.leaving.failed, "each": times(&self.leaving.each_ms) },
            "node": {
                "idle_processors": self.idle, "working_processors": self.at_work,
                "idle_bytes": self.idle_bytes, "worked_bytes": self.worked_bytes, "left_bytes": self.left_bytes,
            },
            "agents_own": { "idle_bytes": self.own_bytes, "working_processors": self.own_at_work },
            "commit": times(&self.work.commits_ms),
            "whole_file": times(&self.work.files_ms),
            "read": times(&self.work.reads_ms),
            "failed": self.work.failed,
            "wrong": self.work.wrong,
        })
    }

    fn kib_each(&self, bytes: u64) -> f64 {
        bytes as f64 / KIB / self.openings.each_ms.len() as f64
    }

    fn commits_per_second(&self) -> f64 {
        self.work.commits_ms.len() as f64 / crate::AT_WORK.as_secs_f64()
    }
}

fn percentiles(values: &[f64]) -> [f64; 2] {
    let mut values = values.to_vec();
    [50.0, 99.0].map(|percent| percentile(&mut values, percent))
}
