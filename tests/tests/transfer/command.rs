//! The command, run against a node of the test.

use std::ffi::OsStr;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::{Lab, Scratch, artifacts_binary};
use serde_json::Value;

/// Runs `artifacts` by right of the account's key.
pub(crate) struct Cli<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) scratch: &'a Arc<Scratch>,
}

impl Cli<'_> {
    fn command(&self, arguments: &[&OsStr]) -> Result<Command> {
        let mut command = Command::new(artifacts_binary()?);
        self.scratch.mark(&mut command).args(["--format", "json"]).args(arguments).stdin(Stdio::null());
        command.env("TONBO_API_URL", self.lab.node.url()).env("TONBO_API_KEY", self.lab.api.token());
        Ok(command)
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, arguments: &[&OsStr]) -> Result<Output> {
        self.command(arguments)?.output().context("artifacts")
    }

    /// Runs it to its end, which is to be a good one, and gives what it says.
    pub(crate) fn succeed(&self, arguments: &[&OsStr]) -> Result<Value> {
        let output = self.run(arguments)?;
        ensure!(output.status.success(), "{arguments:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Begins it.
    pub(crate) fn start(&self, arguments: &[&OsStr]) -> Result<Child> {
        self.command(arguments)?.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("artifacts")
    }

    /// No mount of its own is left.
    pub(crate) fn expect_no_mounts(&self) -> Result<()> {
        let mounts = self.succeed(&[OsStr::new("status")])?;
        let private = mounts["items"].to_string().contains("/transfers/");
        ensure!(!private, "a private mount is left: {mounts}");
        Ok(())
    }
}
