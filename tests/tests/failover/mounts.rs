use std::fs::{self, File};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::Mount;
use artifacts_tests::time::{Duration, monotonic_ns, now, sleep};

use crate::site::{CAMPS, Site};

/// How many there are; as many on each machine.
pub(crate) const MOUNTS: usize = 8;
const PAUSE: Duration = Duration::from_millis(20);
/// Only a guard against hanging.
const LIMIT: Duration = Duration::from_secs(120);

/// Eight mounts of one workspace. One whose session was fenced is replaced.
pub(crate) struct Mounts {
    all: Vec<Mount>,
    made: usize,
    /// How many were replaced.
    pub(crate) replaced: usize,
}

impl Mounts {
    pub(crate) fn new(site: &mut Site) -> Result<Self> {
        let all = (0..MOUNTS).map(|number| site.mount(camp(number), &format!("m{number}"))).collect::<Result<Vec<_>>>()?;
        Ok(Self { all, made: MOUNTS, replaced: 0 })
    }

    pub(crate) fn path(&self, number: usize) -> &Path {
        self.all[number].path()
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.all.iter().map(Mount::path)
    }

    /// Waits until each serves, and replaces those that will not. What a mount was asked before this has happened when it
    /// returns, or never will. Answers which were replaced.
    pub(crate) fn recover(&mut self, site: &mut Site) -> Result<Vec<usize>> {
        let mut replaced = Vec::new();
        for number in 0..MOUNTS {
            let start = now();
            while let Err(error) = settle(self.path(number), &format!("mount-{number}")) {
                ensure!(error.raw_os_error() == Some(libc::EIO), "mount {number}: {error}");
                let health = self.all[number].status()?["health"].to_string();
                if health.contains("failed") {
                    println!("     mount {number} has {health}");
                    self.replace(site, number)?;
                    replaced.push(number);
                    break;
                }
                ensure!(start.elapsed() < LIMIT, "mount {number} does not serve: {health}");
                sleep(PAUSE);
            }
        }
        Ok(replaced)
    }

    fn replace(&mut self, site: &mut Site, number: usize) -> Result<()> {
        (self.made, self.replaced) = (self.made + 1, self.replaced + 1);
        let new = site.mount(camp(number), &format!("m{}", self.made))?;
        std::mem::replace(&mut self.all[number], new).tear_down().context("a mount that has failed")
    }

    /// Unmounts all, each of which has saved everything.
    pub(crate) fn unmount(self) -> Result<()> {
        self.all.into_iter().try_for_each(Mount::unmount)
    }
}

/// Makes something durable: all that the mount was asked before is by then.
fn settle(root: &Path, who: &str) -> std::io::Result<()> {
    let path = root.join(format!("settled-{who}"));
    fs::write(&path, who)?;
    File::open(path)?.sync_all()
}

/// Waits until a mount serves again, and answers when that was; `None` if `stop` comes first. What the mount was asked before
/// has happened by then, or never will. `who` asks is unlike all others.
pub(crate) fn wait_served(root: &Path, who: &str, stop: &AtomicBool) -> Option<u64> {
    while !stop.load(Ordering::SeqCst) {
        if settle(root, who).is_ok() {
            return Some(monotonic_ns());
        }
        sleep(PAUSE);
    }
    None
}

fn camp(number: usize) -> usize {
    number % CAMPS
}
