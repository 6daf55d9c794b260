//! flock(2) and fcntl(2) between the processes of several mounts, as between the processes of one machine: who gets a
//! lock, who waits and for how long, when a lock ends, and what becomes of the locks of the dead.

mod counters;
mod ends;
mod holders;
mod locker;
mod programs;
mod table;
mod waits;

use std::sync::Arc;

use anyhow::{Context as _, Result};
use artifacts_tests::time::Duration;
use artifacts_tests::{Lab, Mount, Scratch, mounted};
use locker::Locker;
use serde_json::json;

/// Two mounts of one workspace, and what is needed to start processes in them.
pub(crate) struct Pair<'a> {
    pub(crate) scratch: &'a Arc<Scratch>,
    pub(crate) lab: Lab,
    pub(crate) one: Mount,
    pub(crate) other: Mount,
}

impl Pair<'_> {
    /// A process in either mount that has the file `name` open as `f`.
    pub(crate) fn lockers(&self, name: &str) -> Result<(Locker, Locker)> {
        Ok((Locker::with_file(self.scratch, self.one.path(), name)?, Locker::with_file(self.scratch, self.other.path(), name)?))
    }
}

/// Runs a test on two mounts, with this configuration of the node.
pub(crate) fn pair(name: &str, config: &serde_json::Value, body: impl FnOnce(&mut Pair<'_>) -> Result<()>) -> Result<()> {
    mounted(name, Duration::from_secs(10 * 60), |scratch| {
        let lab = Lab::start(scratch, config)?;
        let workspace = lab.workspace("shared")?;
        let (one, other) = (lab.mount("one", &workspace)?, lab.mount("other", &workspace)?);
        body(&mut Pair { scratch, lab, one, other })
    })
}

/// As [`pair`], with a node as it comes.
pub(crate) fn plain_pair(name: &str, body: impl FnOnce(&mut Pair<'_>) -> Result<()>) -> Result<()> {
    pair(name, &json!({}), body)
}

/// Several mounts of one workspace.
pub(crate) fn crowd(name: &str, size: usize, body: impl FnOnce(&Arc<Scratch>, &[Mount]) -> Result<()>) -> Result<()> {
    mounted(name, Duration::from_secs(15 * 60), |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("shared")?;
        let mounts = (0..size).map(|number| lab.mount(&format!("mount-{number}"), &workspace)).collect::<Result<Vec<_>>>()?;
        body(scratch, &mounts)?;
        mounts.into_iter().try_for_each(|mount| mount.unmount().context("after the test"))
    })
}
