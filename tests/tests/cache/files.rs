//! What is in a cache's directory, and what a mount says of it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::Mount;
use artifacts_tests::time::{Duration, wait_until};

/// Large enough for several blocks, and for the reader to be followed.
pub(crate) const FILE_BYTES: usize = 6 << 20;

/// Bytes that differ from block to block.
pub(crate) fn content(seed: u8) -> Vec<u8> {
    (0..FILE_BYTES).map(|at| (at / 1000) as u8 ^ seed).collect()
}

/// All files below a directory, however deep.
pub(crate) fn below(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.flat_map(|entry| if entry.path().is_dir() { below(&entry.path()) } else { vec![entry.path()] }).collect()
}

/// A number of `artifacts status`.
pub(crate) fn figure(mount: &Mount, pointer: &str) -> Result<u64> {
    let status = mount.status()?;
    status.pointer(pointer).and_then(serde_json::Value::as_u64).with_context(|| format!("no {pointer} in {status}"))
}

/// How much of this workspace a cache holds, in bytes.
pub(crate) fn bytes_of(dir: &Path, workspace: &str) -> usize {
    let files = below(dir).into_iter().filter(|path| path.components().any(|part| part.as_os_str() == workspace));
    files.filter_map(|path| Some(fs::metadata(path).ok()?.len() as usize)).sum()
}

/// Reads the file of a workspace through the mount, and waits until the cache on disk has all of it.
pub(crate) fn read_into_cache(mount: &Mount, dir: &Path, workspace: &str, expected: &[u8]) -> Result<()> {
    ensure!(fs::read(mount.join("file"))? == expected, "the file of {workspace} reads wrong");
    wait_until("the cache on disk has the file", Duration::from_secs(60), || Ok(bytes_of(dir, workspace) >= expected.len()))
}
