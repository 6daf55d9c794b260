use std::sync::Arc;

use anyhow::{Context as _, Result};

use crate::time::Duration;
use crate::{Backend, Scratch, require_fuse};

/// Runs a test that needs a node but no mount.
///
/// # Errors
/// Those of `body`, after the logs have been shown.
pub fn local(name: &str, limit: Duration, body: impl FnOnce(&Arc<Scratch>) -> Result<()>) -> Result<()> {
    if !Backend::of_environment()?.is_available()? {
        return Ok(());
    }
    let scratch = Arc::new(Scratch::new(name, limit)?);
    let result = body(&scratch).and_then(|()| scratch.memory().check());
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
