//! A workspace with its locks, by the API and by the command.

use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, wait_until};
use artifacts_tests::{Lab, Reply, Scratch, artifacts_binary};
use serde_json::{Value, json};

/// The workspace.
pub(crate) const WORKSPACE: &str = "acme/project";

/// A node with a workspace.
pub(crate) struct Shop<'a> {
    pub(crate) lab: Lab,
    pub(crate) scratch: &'a Arc<Scratch>,
}

impl<'a> Shop<'a> {
    pub(crate) fn open(scratch: &'a Arc<Scratch>) -> Result<Self> {
        let lab = Lab::start(scratch, &json!({ "session_lease_ms": 2_000, "rate_limit": 0 }))?;
        lab.workspace("project")?;
        Ok(Self { lab, scratch })
    }

    /// Acquires with these fields beside the usual ones.
    pub(crate) fn acquire(&self, lock: &str, fields: &Value) -> Result<Reply> {
        let mut body = json!({ "mode": "exclusive", "ttl_ms": 10_000 });
        let (Some(body_fields), Some(fields)) = (body.as_object_mut(), fields.as_object()) else { unreachable!("objects") };
        body_fields.extend(fields.clone());
        self.lab.api.send("POST", &format!("/v1/workspaces/{WORKSPACE}/locks/{lock}/acquire"), Some(&body))
    }

    /// Gives it back.
    pub(crate) fn release(&self, lock: &str, held: &Value) -> Result<()> {
        let body = json!({ "lock_id": held["lock_id"] });
        self.lab.api.post(&format!("/v1/workspaces/{WORKSPACE}/locks/{lock}/release"), &body).map(drop)
    }

    /// The lock as the list shows it; null if nobody has or wants it.
    pub(crate) fn listed(&self, lock: &str) -> Result<Value> {
        let locks = self.lab.api.list(&format!("/v1/workspaces/{WORKSPACE}/locks"))?;
        Ok(locks.into_iter().find(|item| item["name"] == lock).unwrap_or_default())
    }

    /// Waits until nobody has or wants it.
    pub(crate) fn wait_free(&self, lock: &str, limit: Duration) -> Result<()> {
        wait_until(&format!("{lock} is free"), limit, || Ok(self.listed(lock)?.is_null()))
    }

    /// Waits until so many hold it and so many wait for it.
    pub(crate) fn wait_for(&self, lock: &str, holders: usize, waiters: usize) -> Result<()> {
        wait_until(&format!("{holders} hold {lock} and {waiters} wait"), Duration::from_secs(10), || {
            let listed = self.listed(lock)?;
            let count = |what: &str| listed[what].as_array().map_or(0, Vec::len);
            Ok((count("holders"), count("waiters")) == (holders, waiters))
        })
    }

    /// `artifacts lock …` by right of the account's key.
    pub(crate) fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(artifacts_binary()?);
        self.scratch.mark(&mut command).arg("lock").args(arguments).stdin(Stdio::null());
        command.env("TONBO_API_URL", self.lab.node.url()).env("TONBO_API_KEY", self.lab.api.token());
        Ok(command)
    }

    /// Runs it to its end.
    pub(crate) fn output(&self, arguments: &[&str]) -> Result<Output> {
        self.command(arguments)?.output().context("artifacts lock")
    }

    /// Begins it.
    pub(crate) fn start(&self, arguments: &[&str]) -> Result<Child> {
        self.command(arguments)?.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("artifacts lock")
    }
}

/// The fencing token of a lock.
pub(crate) fn token(held: &Value) -> Result<u64> {
    held["fencing_token"].as_u64().with_context(|| format!("no token in {held}"))
}

/// Checks how a command has ended.
pub(crate) fn expect_code(output: &Output, code: i32) -> Result<()> {
    let (said, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.code() == Some(code), "expected exit code {code}, got {}: {said} {complaint}", output.status);
    Ok(())
}
