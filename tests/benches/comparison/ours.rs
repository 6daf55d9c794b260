//! The project's own mounts.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use artifacts_tests::time::Duration;
use artifacts_tests::{Credential, Lab, Mount, NodeOptions, Scratch, artifacts_binary};
use serde_json::{Value, json};

use crate::contestant::Contestant;
use crate::s3_server::S3Server;

/// Longer than the benchmark takes.
const TICKET_SECONDS: u64 = 24 * 60 * 60;
/// What a cluster is encrypted with that holds nothing.
const SEALING_KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

/// A node, a workspace, and the one mount of it.
pub(crate) struct Ours {
    name: &'static str,
    scratch: Arc<Scratch>,
    pub(crate) lab: Lab,
    workspace: String,
    mount: Option<Mount>,
    mounts: usize,
}

impl Ours {
    /// The name of the one that is encrypted at rest.
    pub(crate) const SEALED: &str = "ours, sealed";

    /// One whose node keeps data in a directory.
    pub(crate) fn on_directory() -> Result<Self> {
        Self::start("ours", json!({}), Vec::new(), Vec::new())
    }

    /// The same, encrypted at rest.
    pub(crate) fn sealed() -> Result<Self> {
        let key = ("ARTIFACTS_ENCRYPTION_KEY".to_owned(), SEALING_KEY.to_owned());
        Self::start(Self::SEALED, json!({ "encryption": {} }), Vec::new(), vec![key])
    }

    /// One whose node keeps data in a bucket.
    pub(crate) fn on_s3(server: &S3Server) -> Result<Self> {
        let arguments = ["--s3-bucket", S3Server::BUCKET, "--s3-endpoint", &server.url(), "--s3-region", "us-east-1", "--s3-path-style"];
        let environment = [("AWS_ACCESS_KEY_ID", S3Server::ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", S3Server::SECRET_KEY)];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self::start("ours, S3", json!({}), arguments.map(str::to_owned).to_vec(), environment.to_vec())
    }

    /// Whether the node of this build can keep data on S3.
    pub(crate) fn can_use_s3() -> Result<bool> {
        let help = Command::new(artifacts_binary()?).args(["node", "--help"]).output()?;
        Ok(String::from_utf8_lossy(&help.stdout).contains("--s3-bucket"))
    }

    fn start(name: &'static str, config: Value, arguments: Vec<String>, environment: Vec<(String, String)>) -> Result<Self> {
        let scratch = Arc::new(Scratch::new("bench", Duration::from_secs(6 * 60 * 60))?);
        let lab = Lab::start_with(&scratch, NodeOptions { config, arguments, environment, ..NodeOptions::default() });
        let lab = lab.inspect_err(|_| scratch.show_logs())?;
        let workspace = lab.workspace("bench")?;
        let mut ours = Self { name, scratch, lab, workspace, mount: None, mounts: 0 };
        ours.refresh()?;
        Ok(ours)
    }

    /// Without a mount until it is refreshed.
    pub(crate) fn unmount(&mut self) -> Result<()> {
        self.mount.take().map_or(Ok(()), Mount::unmount)
    }

    /// A new ticket of the workspace.
    pub(crate) fn ticket(&mut self) -> Result<Value> {
        self.mounts += 1;
        let body = json!({ "workspace": self.workspace, "mode": "rw", "ttl_seconds": TICKET_SECONDS });
        self.lab.ticket_with("bench", &format!("runtime-{}", self.mounts), &body)
    }

    /// The mount.
    pub(crate) fn mount(&self) -> Result<&Mount> {
        self.mount.as_ref().context("not mounted")
    }
}

impl Contestant for Ours {
    fn name(&self) -> &str {
        self.name
    }

    fn path(&self) -> PathBuf {
        self.scratch.join("mnt/bench")
    }

    fn refresh(&mut self) -> Result<()> {
        self.unmount()?;
        let cache = self.scratch.join("cache");
        fs::remove_dir_all(&cache)?;
        fs::create_dir(&cache)?;
        let ticket = self.ticket()?;
        let options = ["--cache-dir", &cache.display().to_string()];
        self.mount = Some(Mount::with_options(&self.scratch, "bench", &Credential::Ticket(ticket), &options)?);
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        Ok(File::open(self.path())?.sync_all()?)
    }

    fn end(mut self: Box<Self>) -> Result<()> {
        self.unmount()
    }
}
