use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

use crate::scratch::{detach, mounts_below};
use crate::time::{Duration, now, sleep, wait_until};
use crate::{Host, Process, Scratch, artifacts_binary};

/// `artifacts` ends with this when something else is in the way.
pub const EXIT_CONFLICT: i32 = 5;
const UNMOUNT_PATIENCE: Duration = Duration::from_secs(5);

/// By what right a mount is made.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A ticket file.
    Ticket(Value),
    /// An API key at a node, and a workspace.
    Key {
        /// Where the node is.
        url: String,
        /// The secret.
        key: String,
        /// `handle/name`.
        workspace: String,
    },
}

/// A mounted workspace and the agent process behind it.
#[derive(Debug)]
pub struct Mount {
    scratch: Arc<Scratch>,
    dir: PathBuf,
    agent: Process,
    /// The agent is the host's, and serves others too.
    is_shared: bool,
    abandoned: bool,
}

impl Mount {
    /// Mounts on the directory `mnt/NAME` of the scratch directory, which may hold a dead mount.
    ///
    /// # Errors
    /// If `artifacts mount` fails, or says it has mounted and has not.
    pub fn new(scratch: &Arc<Scratch>, name: &str, credential: &Credential) -> Result<Self> {
        Self::with_options(scratch, name, credential, &[])
    }

    /// As [`Mount::new`], with an agent that runs in `host`.
    ///
    /// # Errors
    /// As [`Mount::new`].
    pub fn new_in(host: &Host, scratch: &Arc<Scratch>, name: &str, credential: &Credential) -> Result<Self> {
        Self::with(scratch, name, credential, &[], Some(host))
    }

    /// As [`Mount::new`], with further options of `artifacts mount`.
    ///
    /// # Errors
    /// As [`Mount::new`].
    pub fn with_options(scratch: &Arc<Scratch>, name: &str, credential: &Credential, options: &[&str]) -> Result<Self> {
        Self::with(scratch, name, credential, options, None)
    }

    fn with(scratch: &Arc<Scratch>, name: &str, credential: &Credential, options: &[&str], host: Option<&Host>) -> Result<Self> {
        let dir = scratch.join("mnt").join(name);
        // On a dead mount even this fails, with ENOTCONN; `artifacts mount` is to recover it.
        let _ = fs::create_dir(&dir);
        let output = Self::attempt_with(scratch, &dir, credential, options, host)?;
        ensure!(output.status.success(), "artifacts mount {name}: {}", describe(&output));
        Self::adopt(scratch, name)
    }

    /// What a successful [`Mount::attempt`] has mounted on `mnt/NAME`.
    ///
    /// # Errors
    /// If nothing is mounted there.
    pub fn adopt(scratch: &Arc<Scratch>, name: &str) -> Result<Self> {
        let dir = scratch.join("mnt").join(name);
        ensure!(is_mounted(&dir), "artifacts mount returned, and {} is no mount point", dir.display());
        let mark = scratch.mark_entry();
        let serving = |argument: &Path| Process::marked(&mark).into_iter().find(|process| process.has_argument(argument));
        let (own, host) = (serving(&dir), || serving(Path::new("agent")));
        let is_shared = own.is_none();
        let agent = own.or_else(host).with_context(|| format!("no agent process serves {}", dir.display()))?;
        Ok(Self { scratch: Arc::clone(scratch), dir, agent, is_shared, abandoned: false })
    }

    /// Runs `artifacts mount` on `dir` and gives back how it ended.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn attempt(scratch: &Arc<Scratch>, dir: &Path, credential: &Credential) -> Result<Output> {
        Self::attempt_with(scratch, dir, credential, &[], None)
    }

    fn attempt_with(scratch: &Arc<Scratch>, dir: &Path, credential: &Credential, options: &[&str], host: Option<&Host>) -> Result<Output> {
        let binary = artifacts_binary()?;
        let mut command = host.map_or_else(|| Command::new(binary), |host| host.command(binary));
        scratch.mark(&mut command);
        command.arg("mount");
        match credential {
            Credential::Ticket(ticket) => {
                let file = scratch.join("run").join(format!("{}.json", ticket["id"].as_str().unwrap_or("ticket")));
                // Written through a fresh file of mode 0600, as a platform would inject it.
                let _ = fs::remove_file(&file);
                let mut out = fs::File::options().write(true).create_new(true).mode(0o600).open(&file)?;
                std::io::Write::write_all(&mut out, ticket.to_string().as_bytes())?;
                command.arg("--ticket-file").arg(file);
            }
            Credential::Key { url, key, workspace } => {
                command.env("TONBO_API_URL", url).env("TONBO_API_KEY", key).arg(workspace);
            }
        }
        command.args(options).arg(dir).stdin(Stdio::null()).output().context("artifacts mount")
    }

    /// The mount point.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// A path below the mount point.
    pub fn join(&self, below: impl AsRef<Path>) -> PathBuf {
        self.dir.join(below)
    }

    /// The agent process.
    pub fn agent(&self) -> Process {
        self.agent
    }

    /// What `artifacts status` says of it.
    ///
    /// # Errors
    /// If it fails.
    pub fn status(&self) -> Result<Value> {
        let mut command = Command::new(artifacts_binary()?);
        self.scratch.mark(&mut command).args(["status", "--format", "json"]).arg(&self.dir).stdin(Stdio::null());
        let output = command.output().context("artifacts status")?;
        ensure!(output.status.success(), "artifacts status: {}", describe(&output));
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Whether something is still mounted there.
    pub fn is_mounted(&self) -> bool {
        is_mounted(&self.dir)
    }

    /// Notes how much memory the agent has held so far.
    pub fn note_memory(&self) {
        self.scratch.memory().note_agent(self.agent.peak_rss_bytes());
    }

    /// `artifacts unmount`, whatever comes of it. While it says that the mount is in use, it is asked again for some seconds:
    /// processes that another thread is about to start hold copies of all descriptors for an instant.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn try_unmount(&self) -> Result<Output> {
        self.note_memory();
        let start = now();
        loop {
            let mut command = Command::new(artifacts_binary()?);
            self.scratch.mark(&mut command).arg("unmount").arg(&self.dir).stdin(Stdio::null());
            let output = command.output().context("artifacts unmount")?;
            if output.status.code() != Some(EXIT_CONFLICT) || start.elapsed() > UNMOUNT_PATIENCE {
                return Ok(output);
            }
            sleep(Duration::from_millis(50));
        }
    }

    /// A clean unmount: everything is saved, the agent has ended, and the directory below is as empty as it was.
    ///
    /// # Errors
    /// If any of that is not so.
    pub fn unmount(self) -> Result<()> {
        let output = self.try_unmount()?;
        ensure!(output.status.success(), "artifacts unmount: {}", describe(&output));
        ensure!(!self.is_mounted(), "artifacts unmount returned, and {} is still mounted", self.dir.display());
        if !self.is_shared {
            self.agent.wait_gone(Duration::from_secs(20))?;
        }
        self.expect_empty_below()
    }

    /// Takes the mount away whatever state it is in, and checks that nothing was ever written to the directory
    /// below it.
    ///
    /// # Errors
    /// If something was.
    pub fn tear_down(self) -> Result<()> {
        self.agent_gone()?;
        detach(&self.dir);
        wait_until("the mount is gone", Duration::from_secs(10), || Ok(!self.is_mounted()))?;
        self.expect_empty_below()
    }

    /// `kill -9` of the agent; the dead mount stays.
    ///
    /// # Errors
    /// If it does not end.
    pub fn agent_gone(&self) -> Result<()> {
        self.note_memory();
        self.agent.signal(Signal::KILL)?;
        self.agent.wait_gone(Duration::from_secs(20))
    }

    /// Forgets a mount whose agent is dead, because another has been made in its place.
    pub fn abandon(mut self) {
        self.abandoned = true;
    }

    fn expect_empty_below(&self) -> Result<()> {
        let names: Vec<_> = fs::read_dir(&self.dir)?.flatten().map(|entry| entry.file_name()).collect();
        ensure!(names.is_empty(), "written through to the directory below the mount: {names:?}");
        Ok(())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        self.note_memory();
        if !self.abandoned && ((self.agent.is_alive() && !self.is_shared) || self.is_mounted()) {
            // Not unmounted by the test, which may have failed: no time is spent on saving anything.
            if !self.is_shared {
                let _ = self.agent.signal(Signal::KILL);
            }
            detach(&self.dir);
        }
    }
}

fn is_mounted(dir: &Path) -> bool {
    mounts_below(dir).iter().any(|point| point == dir)
}

fn describe(output: &Output) -> String {
    format!("{}: {}{}", output.status, String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
