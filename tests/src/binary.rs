use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

use anyhow::{Context as _, Result, anyhow, ensure};

/// The `artifacts` binary of this build: `ARTIFACTS_BIN` if set, else the one beside the running test. If that one
/// is missing or older than the sources, it is built first, once.
///
/// # Errors
/// If it cannot be built.
pub fn artifacts_binary() -> Result<&'static Path> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| find().map_err(|error| format!("{error:#}")));
    found.as_deref().map_err(|error| anyhow!("no artifacts binary: {error}"))
}

fn find() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("ARTIFACTS_BIN") {
        let path = PathBuf::from(path);
        ensure!(path.is_file(), "ARTIFACTS_BIN={} is not a file", path.display());
        return Ok(path);
    }
    // target/PROFILE/deps/test-0123 or target/PROFILE/bench
    let own = std::env::current_exe()?;
    let mut folder = own.parent().context("the running program has no folder")?;
    if folder.ends_with("deps") {
        folder = folder.parent().context("deps has no parent")?;
    }
    let binary = folder.join("artifacts");
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the crate has no parent")?;
    let built = fs::metadata(&binary).and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    if newest_source(workspace)? > built {
        build(workspace, folder)?;
    }
    ensure!(binary.is_file(), "cargo build left no {}", binary.display());
    Ok(binary)
}

/// Builds as `make build` does: the same choice of packages, so that nothing is compiled twice.
fn build(workspace: &Path, folder: &Path) -> Result<()> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace).args(["build", "--workspace", "--bins"]);
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    // What cargo tells this test about itself makes build scripts that look at it run again, and half the crates with
    // them, here and at the next build outside.
    for (name, _) in std::env::vars_os() {
        let told =
            name.to_str().is_some_and(|name| ["CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_BIN_"].iter().any(|part| name.starts_with(part)));
        if told {
            cargo.env_remove(name);
        }
    }
    let status = cargo.status().context("cargo build")?;
    ensure!(status.success(), "cargo build failed");
    Ok(())
}

fn newest_source(workspace: &Path) -> Result<SystemTime> {
    let mut newest = SystemTime::UNIX_EPOCH;
    let mut pending: Vec<PathBuf> =
        ["core", "gossip", "node", "mount", "sim", "cli", "Cargo.toml"].iter().map(|part| workspace.join(part)).collect();
    while let Some(path) = pending.pop() {
        let meta = fs::metadata(&path).with_context(|| path.display().to_string())?;
        if meta.is_dir() {
            pending.extend(fs::read_dir(&path)?.flatten().map(|entry| entry.path()));
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "toml") {
            newest = newest.max(meta.modified()?);
        }
    }
    Ok(newest)
}
