use std::path::Path;

use super::MountTable;

/// How far the kernel reads ahead of a sequential reader, in KiB: a handful of the largest requests, so that the next
/// blocks are on their way while one is copied.
const READ_AHEAD_KIB: u32 = 4096;

/// Raises the read-ahead of a mount from the 128 KiB that FUSE begins with. Only root may; without it reads are
/// slower, nothing else.
pub(crate) fn raise_read_ahead(path: &Path) {
    let device = MountTable::read().ok().and_then(|table| table.at(path).map(|entry| entry.device));
    let Some((major, minor)) = device else { return };
    let setting = format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb");
    if let Err(error) = std::fs::write(&setting, READ_AHEAD_KIB.to_string()) {
        tracing::debug!(%error, setting, "the kernel's read-ahead stays as it is");
    }
}
