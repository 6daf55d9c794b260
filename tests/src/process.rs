use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::time::{Duration, wait_until};

/// What Linux counts processor time in, on every machine there is (`USER_HZ`, time(7)).
const CLOCK_TICKS_PER_SECOND: f64 = 100.0;

/// A process known by its id and the moment it started, so that an id given to another process later is not
/// mistaken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    pid: i32,
    started_ticks: u64,
}

impl Process {
    /// The process that has this id now; `None` if there is none, or only its remains.
    pub fn with_pid(pid: i32) -> Option<Self> {
        let (_, started_ticks) = stat(&format!("/proc/{pid}"))?;
        // Its first thread may have ended while others still do, and hold its files open.
        let mut threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
        let runs = |(state, _)| state != 'Z' && state != 'X';
        threads.any(|thread| stat(&thread.path().to_string_lossy()).is_some_and(runs)).then_some(Self { pid, started_ticks })
    }

    /// All processes of this machine whose environment holds the entry `mark`.
    pub fn marked(mark: &str) -> Vec<Self> {
        let holds = |pid: &i32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|&byte| byte == 0).any(|entry| entry == mark.as_bytes())
        };
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|&pid| pid != own).filter(holds).filter_map(Self::with_pid).collect()
    }

    /// Its id.
    pub fn pid(self) -> i32 {
        self.pid
    }

    /// Whether `text` is one of its arguments.
    pub fn has_argument(self, text: &Path) -> bool {
        let arguments = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        arguments.split(|&byte| byte == 0).any(|argument| argument == text.as_os_str().as_encoded_bytes())
    }

    /// Whether it still runs.
    pub fn is_alive(self) -> bool {
        Self::with_pid(self.pid) == Some(self)
    }

    /// Sends a signal, if it still runs.
    ///
    /// # Errors
    /// Those of kill(2).
    pub fn signal(self, signal: Signal) -> Result<()> {
        let Some(pid) = Pid::from_raw(self.pid).filter(|_| self.is_alive()) else { return Ok(()) };
        match kill_process(pid, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("kill {}", self.pid)),
        }
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// If it has not within `limit`.
    pub fn wait_gone(self, limit: Duration) -> Result<()> {
        wait_until(&format!("process {} ends", self.pid), limit, || Ok(!self.is_alive()))
    }

    /// The most memory it ever held, in bytes; `None` once it has ended.
    pub fn peak_rss_bytes(self) -> Option<u64> {
        self.status_bytes("VmHWM:")
    }

    /// The memory that it holds now, in bytes; `None` once it has ended.
    pub fn rss_bytes(self) -> Option<u64> {
        self.status_bytes("VmRSS:")
    }

    /// The processor time that it has taken so far, its threads together; `None` once it has ended.
    pub fn cpu_seconds(self) -> Option<f64> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?;
        let mut fields = text.rsplit_once(')')?.1.split_whitespace();
        let (user, system): (u64, u64) = (fields.nth(11)?.parse().ok()?, fields.next()?.parse().ok()?);
        Some((user + system) as f64 / CLOCK_TICKS_PER_SECOND)
    }

    fn status_bytes(self, field: &str) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
    }
}

/// State and start time of a process or a thread, fields 3 and 22 of its stat (proc_pid_stat(5)).
fn stat(folder: &str) -> Option<(char, u64)> {
    let text = fs::read_to_string(format!("{folder}/stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.nth(18)?.parse().ok()?))
}
