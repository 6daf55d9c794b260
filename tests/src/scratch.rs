use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::time::Duration;
use crate::{PeakMemory, Process};

/// The environment variable by which the processes of a test are known.
const MARK: &str = "ARTIFACTS_TEST_SCRATCH";
/// How much of each log is shown when a test fails, in bytes.
const LOG_TAIL_BYTES: usize = 8 * 1024;

/// The directory in which one test lives. Dropping it ends every process that was started through
/// [`Scratch::mark`], takes down every mount below, and removes the directory.
///
/// A test that takes longer than its limit is taken for hung: its processes are ended and its mounts detached, so
/// that whatever call it hangs in fails, and with it the test.
#[derive(Debug)]
pub struct Scratch {
    dir: TempDir,
    limit: Duration,
    memory: PeakMemory,
    guard: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Scratch {
    /// Makes one for the test `name`, which may take `limit`.
    ///
    /// # Errors
    /// If the directory cannot be made.
    pub fn new(name: &str, limit: Duration) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix(&format!("artifacts-{name}-")).tempdir().context("a temporary directory")?;
        for part in ["home", "config", "cache", "state", "run", "logs", "mnt"] {
            fs::create_dir(dir.path().join(part))?;
        }
        let (done, hung) = channel();
        let (path, name) = (dir.path().to_owned(), name.to_owned());
        let guard = std::thread::spawn(move || {
            if hung.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{name}: still not done after {limit:?}; ending its processes");
                show_logs(&path);
                release(&path);
            }
        });
        Ok(Self { dir, limit, memory: PeakMemory::default(), guard: Some((done, guard)) })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A path below it.
    pub fn join(&self, below: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(below)
    }

    /// How long the test may take.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// What the agents and nodes of this test held at most.
    pub fn memory(&self) -> &PeakMemory {
        &self.memory
    }

    /// The entry in the environment of every process of this test.
    pub fn mark_entry(&self) -> String {
        format!("{MARK}={}", self.path().display())
    }

    /// Makes `command` one of this test's processes, with directories of its own instead of the user's.
    pub fn mark<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        for inherited in ["TONBO_API_KEY", "TONBO_API_URL", "NO_COLOR"] {
            command.env_remove(inherited);
        }
        command
            .env(MARK, self.path())
            .env("HOME", self.join("home"))
            .env("XDG_CONFIG_HOME", self.join("config"))
            .env("XDG_CACHE_HOME", self.join("cache"))
            .env("XDG_STATE_HOME", self.join("state"))
            .env("XDG_RUNTIME_DIR", self.join("run"))
            .env("TONBO_AGENT_SOCKET", self.join("run").join("agent.sock"))
    }

    /// Prints the end of every log, for a test that has failed.
    pub fn show_logs(&self) {
        show_logs(self.path());
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show_logs();
        }
        if let Some((done, guard)) = self.guard.take() {
            // The guard may have gone already; either way it ends now.
            let _ = done.send(());
            let _ = guard.join();
        }
        release(self.path());
    }
}

/// Ends the processes of the scratch directory and detaches the mounts below it, until there are none.
fn release(dir: &Path) {
    let mark = format!("{MARK}={}", dir.display());
    for _ in 0..100 {
        let processes = Process::marked(&mark);
        let mounts = mounts_below(dir);
        if processes.is_empty() && mounts.is_empty() {
            return;
        }
        for process in processes {
            // What cannot be signalled has ended.
            let _ = process.signal(Signal::KILL);
        }
        for mount in mounts {
            detach(&mount);
        }
        crate::time::sleep(Duration::from_millis(20));
    }
    eprintln!("could not take down everything under {}", dir.display());
}

/// Takes a mount away from its place at once, whether its agent answers or not.
pub(crate) fn detach(mount: &Path) {
    if unmount(mount, UnmountFlags::DETACH).is_err() && !rustix::process::geteuid().is_root() {
        // An ordinary user unmounts through the helper; a failure shows in the next look at the mounts.
        let _ = Command::new("fusermount3").arg("-uz").arg(mount).output();
    }
}

/// The mount points at or below `dir`, the innermost last.
pub(crate) fn mounts_below(dir: &Path) -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = table.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    points.filter(|point| point.starts_with(dir)).collect()
}

/// Logs only: what else an agent keeps there holds secrets.
fn show_logs(dir: &Path) {
    let mut pending = vec![dir.join("logs"), dir.join("state")];
    while let Some(path) = pending.pop() {
        if let Ok(entries) = fs::read_dir(&path) {
            pending.extend(entries.flatten().map(|entry| entry.path()));
        } else if path.extension().is_some_and(|extension| extension == "log") {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()).into_owned();
            let start = text.len().saturating_sub(LOG_TAIL_BYTES);
            let tail = text.char_indices().find(|(index, _)| *index >= start).map_or("", |(index, _)| &text[index..]);
            eprintln!("--- {}\n{tail}", path.display());
        }
    }
}
