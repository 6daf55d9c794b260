use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// What a file is called while it is written begins like this; sixteen hexadecimal digits follow.
const PARTIAL: &str = ".artifacts-partial-";

/// Something to copy that is no directory.
#[derive(Debug)]
pub(super) struct Entry {
    /// Where it is.
    pub(super) from: PathBuf,
    /// Where it is to be.
    pub(super) to: PathBuf,
    /// What it was when it was found.
    pub(super) metadata: Metadata,
}

impl Entry {
    /// Whether the destination has it already.
    pub(super) fn is_there(&self) -> bool {
        let Ok(there) = fs::symlink_metadata(&self.to) else { return false };
        let here = &self.metadata;
        if here.file_type() != there.file_type() {
            return false;
        }
        if here.is_file() {
            here.len() == there.len() && here.mtime() == there.mtime() && here.mtime_nsec() == there.mtime_nsec()
        } else if here.is_symlink() {
            matches!((fs::read_link(&self.from), fs::read_link(&self.to)), (Ok(one), Ok(other)) if one == other)
        } else {
            here.rdev() == there.rdev()
        }
    }

    /// Whether it is a device.
    pub(super) fn is_device(&self) -> bool {
        let kind = self.metadata.file_type();
        kind.is_block_device() || kind.is_char_device()
    }

    /// Makes it under another name with `make`, which removes nothing, and then gives it its own.
    pub(super) fn place(&self, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
        let partial = partial(&self.to);
        // What an earlier run left.
        match fs::remove_file(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let placed = make(&partial).and_then(|()| fs::rename(&partial, &self.to));
        if placed.is_err() {
            // The error that matters is the first.
            let _ = fs::remove_file(&partial);
        }
        placed
    }
}

/// What a file is called while it is written; always the same for the same file, so that runs that are ended do not pile
/// up remains.
pub(super) fn partial(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or(OsStr::new("")).as_bytes();
    let hash = name.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    path.with_file_name(OsString::from(format!("{PARTIAL}{hash:016x}")))
}

/// Whether this is the name of something that a run left unfinished.
pub(super) fn is_partial(name: &OsStr) -> bool {
    name.as_bytes().strip_prefix(PARTIAL.as_bytes()).is_some_and(|hash| hash.len() == 16 && hash.iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_unfinished_files_are_short_steady_and_known() {
        let name = "x".repeat(255);
        let path = partial(&Path::new("/a").join(&name));
        assert_eq!(path, partial(&Path::new("/a").join(&name)));
        assert_ne!(path, partial(Path::new("/a/y")));
        assert_eq!(path.parent(), Some(Path::new("/a")));
        assert!(is_partial(path.file_name().unwrap()));
        assert!(!is_partial(OsStr::new(".artifacts-partial-")) && !is_partial(OsStr::new("file")));
    }
}
