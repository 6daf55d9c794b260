use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};
use artifacts_tests::Scratch;

use crate::terminal::Terminal;

/// A machine in which a customer's program runs: a namespace of mounts with a `/run` and a `/mnt` of its own, so that nothing of the machine
/// of the test is touched, and no credential but what it is given.
#[derive(Debug)]
pub(crate) struct Runtime {
    terminal: Terminal,
}

impl Runtime {
    /// Starts one. Only root can.
    ///
    /// # Errors
    /// If it does not start.
    pub(crate) fn start(scratch: &Scratch, name: &str, path: &str) -> Result<Self> {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private"]);
        scratch.mark(&mut command).env("PATH", path);
        // Agents of different machines do not know each other.
        command.env("XDG_STATE_HOME", scratch.join("state").join(name)).env("XDG_CACHE_HOME", scratch.join("cache").join(name));
        let mut terminal = Terminal::open(command, &scratch.join(name), &scratch.join("logs").join(format!("{name}.log")))?;
        terminal.run("mount -t tmpfs tmpfs /run\nmount -t tmpfs tmpfs /mnt\n")?;
        ensure!(terminal.run("echo $TONBO_API_KEY")?.trim().is_empty(), "the runtime holds the API key");
        Ok(Self { terminal })
    }

    /// A shell in it.
    pub(crate) fn terminal(&mut self) -> &mut Terminal {
        &mut self.terminal
    }

    /// Where a file of this machine is, for the machine of the test.
    pub(crate) fn seen(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.terminal.pid()))
    }
}
