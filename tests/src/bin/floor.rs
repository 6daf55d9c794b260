//! Serves a file system in memory on a directory, for comparison.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

fn main() -> Result<()> {
    // As a daemon has one.
    rustix::process::setsid().context("setsid")?;
    let dir = std::env::args_os().nth(1).map(PathBuf::from).context("usage: floor DIRECTORY")?;
    artifacts_tests::serve_floor(&dir)
}
