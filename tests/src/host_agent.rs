use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::{Host, Mount, Process, Scratch, artifacts_binary};

/// `artifacts agent`, which serves from when it has said so.
#[derive(Debug)]
pub struct HostAgent {
    child: Child,
    process: Process,
}

impl HostAgent {
    /// Starts it.
    ///
    /// # Errors
    /// If it does not serve.
    pub fn start(scratch: &Scratch) -> Result<Self> {
        Self::start_with(None, scratch, &[])
    }

    /// The same on a machine of its own, with more arguments.
    ///
    /// # Errors
    /// If it does not serve.
    pub fn start_with(host: Option<&Host>, scratch: &Scratch, arguments: &[&str]) -> Result<Self> {
        let binary = artifacts_binary()?;
        let mut command = host.map_or_else(|| Command::new(binary), |host| host.command(binary));
        let log = File::options().create(true).append(true).open(scratch.join("logs/host-agent.log"))?;
        scratch.mark(&mut command).args(["agent", "--format", "json"]).args(arguments);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let mut said = String::new();
        BufReader::new(child.stdout.take().context("it has no stdout")?).read_line(&mut said)?;
        let said: Value = serde_json::from_str(&said).with_context(|| format!("it said {said:?}"))?;
        let process = Process::with_pid(said["pid"].as_i64().context("no pid")? as i32).context("it is gone")?;
        Ok(Self { child, process })
    }

    /// The process.
    pub fn process(&self) -> Process {
        self.process
    }

    /// Whether it serves a mount.
    ///
    /// # Errors
    /// If the mount does not answer.
    pub fn serves(&self, mount: &Mount) -> Result<bool> {
        Ok(mount.status()?["pid"] == json!(self.process.pid()))
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// What the system says.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        self.child.wait().context("the host agent")
    }

    /// What lets a host into the mesh, written to a file by `artifacts platform mesh-credential create`; its id, and the path.
    ///
    /// # Errors
    /// If it is refused.
    pub fn credential(scratch: &Arc<Scratch>, url: &str, key: &str, name: &str) -> Result<(String, String)> {
        let file = scratch.join(format!("{name}-mesh.json")).to_string_lossy().into_owned();
        let mut command = Command::new(artifacts_binary()?);
        scratch.mark(&mut command).env("TONBO_API_URL", url).env("TONBO_API_KEY", key);
        command.args(["--format", "json", "platform", "mesh-credential", "create", "--name", name, "--ttl", "1h", "--out", &file]);
        let output = command.stdin(Stdio::null()).output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let said: Value = serde_json::from_str(&said).with_context(|| format!("{said}{}", String::from_utf8_lossy(&output.stderr)))?;
        Ok((said["id"].as_str().context("no id")?.to_owned(), file))
    }
}

impl Drop for HostAgent {
    fn drop(&mut self) {
        // Already gone is as good. Its mounts end with the scratch directory.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
