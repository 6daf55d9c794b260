//! What the store needs of sled, in blocking calls.
//!
//! Three things about sled 0.34.7 are repaired here:
//! - Its flush writes the log with `sync_file_range`, which neither flushes the disk's own cache nor the size of a file
//!   that has grown: enough for `kill -9`, not for the loss of power. So [`Database::sync`] adds an `fdatasync`.
//! - A page above a quarter of its segment size goes to a file of its own that sled never syncs, and a page that is lost
//!   takes its older, durable keys along. A leaf is split above 16 keys, and merging leaves can make it 21, so segments
//!   of 8 MiB and values of at most 80 KiB keep every page in the log.
//! - Its iterators lock the tree for one pair at a time, so a scan could show half of what is being applied: scans and
//!   applying exclude each other.
//!
//! It is told to write nothing out by itself: what has to survive is in the journal until [`Database::sync`].

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use parking_lot::RwLock;

use crate::store::journal::{Entry, Merge};
use crate::store::{DirectoryLock, KeyRange, StoreError};

/// See above: four times 21 of the largest values, rounded up to a power of two as sled wants it. An existing database
/// can be opened with the segment size it was made with, only.
const SEGMENT_BYTES: usize = 8 << 20;

/// sled's log inside the directory.
const LOG_FILE: &str = "db";

/// An open database; the directory is free for others once the last handle is dropped.
pub(super) struct Database {
    db: ::sled::Db,
    /// Shared by scans, exclusive while a part of a group is applied.
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
        let config = ::sled::Config::new().path(&directory).cache_capacity(cache_bytes).segment_size(SEGMENT_BYTES).flush_every_ms(None);
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

    /// Reads up to `limit` pairs of a range, covered by what `overlay` gives. It is called when nothing can be applied any
    /// more until the scan has ended.
    pub(super) fn scan(
        &self,
        range: &KeyRange,
        limit: usize,
        overlay: impl FnOnce() -> Vec<Entry>,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let _nothing_is_applied = self.applying.read();
        let stored = self.db.range(range.bounds()).map(|pair| {
            let (key, value) = pair.map_err(sled_error)?;
            Ok((Bytes::copy_from_slice(&key), Some(Bytes::copy_from_slice(&value))))
        });
        let merged = Merge::new(overlay().into_iter(), stored);
        let pairs = merged.filter_map(|entry| entry.map(|(key, value)| Some((key, value?))).transpose());
        pairs.take(limit).collect()
    }

    /// Applies a part of a group.
    pub(super) fn apply(&self, part: ::sled::Batch) -> Result<(), StoreError> {
        let _no_scan = self.applying.write();
        self.db.apply_batch(part).map_err(sled_error)
    }

    /// Makes everything applied durable.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.db.flush().map_err(sled_error)?;
        self.log.sync_data().map_err(StoreError::io)
    }

    /// Says why nothing should be added to the disk, if there is a reason; `unapplied_bytes` are still to come.
    pub(super) fn check_room(&self, unapplied_bytes: u64) -> Result<(), StoreError> {
        let disk = rustix::fs::statvfs(&self.directory).map_err(|errno| StoreError::io(errno.into()))?;
        let free_bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
        let reserve_bytes = self.reserve_bytes.saturating_add(unapplied_bytes);
        if free_bytes >= reserve_bytes {
            return Ok(());
        }
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
