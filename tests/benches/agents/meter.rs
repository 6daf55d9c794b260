use std::time::Instant;

use anyhow::{Context as _, Result};
use artifacts_tests::time::now;
use artifacts_tests::{Lab, Process};

/// Reads what node and agents take of the machine.
pub(crate) struct Meter {
    node: Process,
    own: Process,
}

/// What a process holds, and has taken so far.
pub(crate) struct Reading {
    pub(crate) rss_bytes: u64,
    cpu_seconds: f64,
    at: Instant,
}

impl Meter {
    pub(crate) fn new(lab: &Lab) -> Result<Self> {
        let own = Process::with_pid(i32::try_from(std::process::id())?).context("this process")?;
        Ok(Self { node: lab.node.process()?, own })
    }

    pub(crate) fn node(&self) -> Result<Reading> {
        Reading::of(self.node).context("the node has ended")
    }

    /// The process of all agents.
    pub(crate) fn own(&self) -> Result<Reading> {
        Reading::of(self.own).context("this process")
    }
}

impl Reading {
    fn of(process: Process) -> Option<Self> {
        Some(Self { rss_bytes: process.rss_bytes()?, cpu_seconds: process.cpu_seconds()?, at: now() })
    }

    /// Processors in use since an earlier reading.
    pub(crate) fn since(&self, earlier: &Self) -> f64 {
        (self.cpu_seconds - earlier.cpu_seconds) / (self.at - earlier.at).as_secs_f64()
    }
}

/// What else the machine is busy with: processes that want to run, on the average of the last minute.
pub(crate) fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
}
