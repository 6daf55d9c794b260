//! The mount that a suite works on.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use artifacts_tests::{Credential, Lab, Mount, Scratch, Shell, greedy, mounted, require_fuse};
use serde_json::json;

use crate::scale::Scale;

/// Longer than any suite takes.
const TICKET_SECONDS: u64 = 24 * 60 * 60;

/// A node, a workspace, and the one mount of it.
pub(crate) struct Place<'a> {
    scratch: &'a Arc<Scratch>,
    lab: Lab,
    workspace: String,
    mount: Option<Mount>,
    mounts: usize,
}

impl<'a> Place<'a> {
    fn new(scratch: &'a Arc<Scratch>) -> Result<Self> {
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("suite")?;
        let mut place = Self { scratch, lab, workspace, mount: None, mounts: 0 };
        place.remount()?;
        Ok(place)
    }

    /// Saves everything and mounts again, always at the same path, by another agent that has nothing cached.
    pub(crate) fn remount(&mut self) -> Result<()> {
        if let Some(mount) = self.mount.take() {
            mount.unmount()?;
        }
        let cache = self.scratch.join("cache");
        fs::remove_dir_all(&cache)?;
        fs::create_dir(&cache)?;
        self.mounts += 1;
        let body = json!({ "workspace": self.workspace, "mode": "rw", "ttl_seconds": TICKET_SECONDS });
        let ticket = self.lab.ticket_with("suite", &format!("runtime-{}", self.mounts), &body)?;
        self.mount = Some(Mount::new(self.scratch, "suite", &Credential::Ticket(ticket))?);
        Ok(())
    }

    /// The mount point.
    pub(crate) fn path(&self) -> PathBuf {
        self.scratch.join("mnt/suite")
    }

    /// A new directory in the mount.
    pub(crate) fn dir(&self, name: &str) -> Result<PathBuf> {
        let dir = self.path().join(name);
        fs::create_dir(&dir).with_context(|| dir.display().to_string())?;
        Ok(dir)
    }

    /// Programs in a directory.
    pub(crate) fn shell(&self, dir: impl AsRef<Path>) -> Shell<'a> {
        Shell::new(self.scratch, dir.as_ref())
    }

    /// A place on the local disk.
    pub(crate) fn local(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    fn end(mut self) -> Result<()> {
        self.mount.take().map_or(Ok(()), Mount::unmount)
    }
}

/// Runs the suite `name` on a place of its own, which is gone afterwards however it ends.
pub(crate) fn suite(name: &str, body: impl FnOnce(&mut Place<'_>, Scale) -> Result<()>) -> Result<()> {
    let scale = Scale::chosen();
    let run = |scratch: &Arc<Scratch>| {
        let mut place = Place::new(scratch)?;
        body(&mut place, scale)?;
        place.end()
    };
    match scale {
        Scale::Bounded => mounted(name, scale.limit(), run),
        Scale::Full => require_fuse().and_then(|()| greedy(name, scale.limit(), run)),
    }
}
