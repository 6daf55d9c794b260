//! What the store needs of sled, in blocking calls.
//!
//! Three things about sled 0.34.7 are repaired here:
//! - Its flush writes the log with `sync_file_range`, which neither flushes the disk's own cache nor the size of a file
//!   that has grown: enough for `kill -9`, not for the loss of power. So [`Database::sync`] adds an `fdatasync`.
//! - A page above a quarter of its segment size goes to a file of its own that sled never syncs, and a page that is lost
//!   takes its older, durable keys along. A leaf is split above 16 keys, and merging leaves can make it 21, so segments
//!   of 8 MiB and values of at most 80 KiB keep every page in the log.
//! - Its iterators lock the tree for one pair at a time, so a scan could show half a batch: scans and commits exclude
//!   each other.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use parking_lot::RwLock;

use crate::store::{DirectoryLock, KeyRange, StoreError};

/// See above: four times 21 of the largest values, rounded up to a power of two as sled wants it. An existing database
/// can be opened with the segment size it was made with, only.
const SEGMENT_BYTES: usize = 8 << 20;

/// How often sled writes out by itself. It syncs the file in the round after it has handed the data over, so twice this
/// is the age at which a visible write is durable.
const FLUSH_EVERY_MS: u64 = 200;

/// sled's log inside the directory.
const LOG_FILE: &str = "db";

/// An open database; the directory is free for others once the last handle is dropped.
pub(super) struct Database {
    db: ::sled::Db,
    /// Shared by scans, exclusive while a commit is applied.
    applying: RwLock<()>,
    /// The log once more, to sync it.
    log: File,
    directory: PathBuf,
    reserve_bytes: u64,
    _lock: DirectoryLock,
}

impl Database {
    pub(super) fn open(directory: PathBuf, cache_bytes: u64, reserve_bytes: u64) -> Result<Self, StoreError> {
        fs::create_dir_all(&directory).map_err(StoreError::io)?;
        let Some(lock) = DirectoryLock::acquire(&directory).map_err(StoreError::io)? else {
            return Err(StoreError::Locked { directory });
        };
        let config = ::sled::Config::new()
            .path(&directory)
            .cache_capacity(cache_bytes)
            .segment_size(SEGMENT_BYTES)
            .flush_every_ms(Some(FLUSH_EVERY_MS));
        let db = config.open().map_err(|error| open_error(error, &directory))?;
        let log = File::open(directory.join(LOG_FILE)).map_err(StoreError::io)?;
        // The names of files that sled has just made have to survive as well.
        sync_directory(&directory).map_err(StoreError::io)?;
        if let Some(parent) = directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync_directory(parent).map_err(StoreError::io)?;
        }
        Ok(Self { db, applying: RwLock::new(()), log, directory, reserve_bytes, _lock: lock })
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let value = self.db.get(key).map_err(sled_error)?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    pub(super) fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let _no_commit = self.applying.read();
        let pairs = self.db.range(range.bounds()).take(limit);
        pairs
            .map(|pair| {
                let (key, value) = pair.map_err(sled_error)?;
                Ok((Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value)))
            })
            .collect()
    }

    /// Makes a batch visible.
    pub(super) fn apply(&self, batch: ::sled::Batch) -> Result<(), StoreError> {
        let _no_scan = self.applying.write();
        self.db.apply_batch(batch).map_err(sled_error)
    }

    /// Makes everything that is visible durable.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.db.flush().map_err(sled_error)?;
        self.log.sync_data().map_err(StoreError::io)
    }

    /// Says why nothing should be added to the disk, if there is a reason.
    pub(super) fn check_room(&self) -> Result<(), StoreError> {
        let disk = rustix::fs::statvfs(&self.directory).map_err(|errno| StoreError::io(errno.into()))?;
        let free_bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free_bytes >= self.reserve_bytes {
            return Ok(());
        }
        let reserve_bytes = self.reserve_bytes;
        Err(StoreError::Full { reason: format!("{free_bytes} bytes are free, {reserve_bytes} have to stay free") })
    }
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// sled has a lock of its own, which its background threads may hold for a moment after a close in this process.
fn open_error(error: ::sled::Error, directory: &Path) -> StoreError {
    match error {
        ::sled::Error::Io(error) if error.to_string().starts_with("could not acquire lock") => {
            StoreError::Locked { directory: directory.to_owned() }
        }
        other => sled_error(other),
    }
}

fn sled_error(error: ::sled::Error) -> StoreError {
    match error {
        ::sled::Error::Io(error) => StoreError::io(error),
        other => StoreError::Corrupt { reason: other.to_string() },
    }
}
