//! Servers that only the comparison needs.

use std::fs::File;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use artifacts_tests::Scratch;
use artifacts_tests::time::{Duration, now, sleep};
use rustix::process::{Pid, Signal, kill_process};

const PATIENCE: Duration = Duration::from_secs(60);

/// A process in the foreground, its output in a log; it ends with its owner.
pub(crate) struct Server {
    name: &'static str,
    child: Child,
}

impl Server {
    /// Starts `command`.
    pub(crate) fn start(scratch: &Scratch, name: &'static str, mut command: Command) -> Result<Self> {
        let log = File::options().create(true).append(true).open(scratch.join("logs").join(format!("{name}.log")))?;
        scratch.mark(&mut command).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(Self { name, child: command.spawn().with_context(|| name.to_owned())? })
    }

    /// Waits until `ready`.
    pub(crate) fn wait_until(&mut self, mut ready: impl FnMut() -> Result<bool>) -> Result<()> {
        let start = now();
        while !ready()? {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended at once: {status}", self.name);
            }
            ensure!(start.elapsed() < PATIENCE, "{} does not serve", self.name);
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait_ended(mut self) -> Result<()> {
        let start = now();
        while self.child.try_wait()?.is_none() {
            ensure!(start.elapsed() < PATIENCE, "{} does not end", self.name);
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // In good order, for it may have processes and files of its own; what does not end goes with the scratch directory.
            let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
            let _ = pid.map(|pid| kill_process(pid, Signal::TERM));
            let start = now();
            while matches!(self.child.try_wait(), Ok(None)) && start.elapsed() < Duration::from_secs(10) {
                sleep(Duration::from_millis(20));
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Whether somebody listens there.
pub(crate) fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// Whether something is mounted at `dir`.
pub(crate) fn is_mounted(dir: &Path) -> Result<bool> {
    let table = std::fs::read_to_string("/proc/self/mountinfo")?;
    Ok(table.lines().any(|line| line.split(' ').nth(4).is_some_and(|point| Path::new(point) == dir)))
}
