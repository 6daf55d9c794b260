use std::sync::Arc;

use anyhow::{Context as _, Result};

use crate::time::Duration;
use crate::{Backend, Scratch, require_fuse};

/// Runs a test that needs a node but no mount.
///
/// # Errors
/// Those of `body`, after the logs have been shown, and if an agent or the node held more memory than they may.
pub fn local(name: &str, limit: Duration, body: impl FnOnce(&Arc<Scratch>) -> Result<()>) -> Result<()> {
    if !Backend::of_environment()?.is_available()? {
        return Ok(());
    }
    greedy(name, limit, |scratch| body(scratch).and_then(|()| scratch.memory().check()))
}

/// Runs a test that asks for more than the limits of memory are made for; what was held is only printed.
///
/// # Errors
/// Those of `body`, after the logs have been shown.
pub fn greedy(name: &str, limit: Duration, body: impl FnOnce(&Arc<Scratch>) -> Result<()>) -> Result<()> {
    let scratch = Arc::new(Scratch::new(name, limit)?);
    let result = body(&scratch);
    if result.is_err() {
        scratch.show_logs();
    }
    println!("{name}: {}", scratch.memory().describe());
    result.with_context(|| name.to_owned())
}

/// Runs a test that mounts. Where that is not possible it fails at once.
///
/// # Errors
/// As [`local`], and if this machine cannot mount.
pub fn mounted(name: &str, limit: Duration, body: impl FnOnce(&Arc<Scratch>) -> Result<()>) -> Result<()> {
    require_fuse()?;
    local(name, limit, body)
}
