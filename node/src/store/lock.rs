//! Keeps two processes out of one data directory.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// The lock file's name inside the directory.
const FILE_NAME: &str = "lock";

/// An exclusive lock on a directory, held until dropped or until the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Takes the lock of a directory that exists, or answers `None` when another holds it.
    pub(crate) fn acquire(directory: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(directory.join(FILE_NAME))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }
}
