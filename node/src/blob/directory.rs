//! Objects as files in a directory of the local disk.
//!
//! ```text
//! incoming/17          an object being written; whatever is here at start is left over from a crash
//! objects/ws_4k2/ws_4k2…+/seg_0p/seg_0p…
//! lock                 keeps a second process out
//! ```
//!
//! A put writes and syncs a file in `incoming`, gives it its name with `link(2)`, which never replaces, and syncs the
//! directory that has the name. So an object is there whole or not at all, and of two puts for one key one wins.
//! `layout.rs` says how keys become paths.
//!
//! Directories are made and removed under a lock that every put holds, shared, while it links: a directory that a put
//! finds is not about to vanish, and its own name is already durable.

mod layout;

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::RwLock;
use rustix::io::{ReadWriteFlags, preadv2};
use tokio::task::spawn_blocking;

use super::{BlobError, BlobKey, BlobStore};
use crate::store::DirectoryLock;

/// Room on the disk that objects leave untouched, in bytes: more than the store keeps back for itself, so that data
/// never takes the room that metadata needs to go on.
const RESERVE_BYTES: u64 = 128 << 20;

/// So much is read without another thread if the kernel has it in memory, in bytes.
const AT_ONCE_BYTES: u64 = 128 << 10;

const INCOMING: &str = "incoming";
const OBJECTS: &str = "objects";

/// Objects as files in a directory. One process at a time can have it open.
pub struct DirectoryBlobs {
    disk: Arc<Disk>,
}

impl DirectoryBlobs {
    /// Opens a directory, which is created if missing, and removes what a crash left half written.
    ///
    /// # Errors
    /// [`BlobError::Locked`] when another process has it open, [`BlobError::Io`] when it cannot be read or created.
    pub async fn open(root: impl Into<PathBuf>) -> Result<Self, BlobError> {
        Self::open_reserving(root.into(), RESERVE_BYTES).await
    }

    async fn open_reserving(root: PathBuf, reserve_bytes: u64) -> Result<Self, BlobError> {
        let disk = blocking(move || Disk::open(root, reserve_bytes)).await?;
        Ok(Self { disk: Arc::new(disk) })
    }

    /// Runs a call on a thread that may wait for the disk.
    async fn on_disk<T: Send + 'static>(&self, call: impl FnOnce(&Disk) -> Result<T, BlobError> + Send + 'static) -> Result<T, BlobError> {
        let disk = Arc::clone(&self.disk);
        blocking(move || call(&disk)).await
    }
}

impl BlobStore for DirectoryBlobs {
    fn put(&self, key: &BlobKey, data: Bytes) -> BoxFuture<'_, Result<(), BlobError>> {
        let key = key.clone();
        self.on_disk(move |disk| disk.put(&key, &data)).boxed()
    }

    fn get(&self, key: &BlobKey, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, BlobError>> {
        if range.end.saturating_sub(range.start) <= AT_ONCE_BYTES
            && let Some(data) = self.disk.get_at_once(key, &range)
        {
            return std::future::ready(Ok(data)).boxed();
        }
        let key = key.clone();
        self.on_disk(move |disk| disk.get(&key, range)).boxed()
    }

    fn len(&self, key: &BlobKey) -> BoxFuture<'_, Result<Option<u64>, BlobError>> {
        let key = key.clone();
        self.on_disk(move |disk| disk.len(&key)).boxed()
    }

    fn delete(&self, key: &BlobKey) -> BoxFuture<'_, Result<(), BlobError>> {
        let key = key.clone();
        self.on_disk(move |disk| disk.delete(&key)).boxed()
    }

    fn list(&self, prefix: &str, after: Option<&BlobKey>, limit: usize) -> BoxFuture<'_, Result<Vec<BlobKey>, BlobError>> {
        let (prefix, after) = (prefix.to_owned(), after.cloned());
        self.on_disk(move |disk| Ok(layout::list(&disk.objects, &prefix, after.as_ref(), limit)?)).boxed()
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, BlobError> + Send + 'static) -> Result<T, BlobError> {
    match spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(BlobError::unavailable("the work on the disk was abandoned")),
    }
}

/// The directory, in blocking calls.
struct Disk {
    incoming: PathBuf,
    objects: PathBuf,
    next_incoming: AtomicU64,
    /// Shared while a put relies on a directory, exclusive while one is made or removed.
    directories: RwLock<()>,
    reserve_bytes: u64,
    _lock: DirectoryLock,
}

impl Disk {
    fn open(root: PathBuf, reserve_bytes: u64) -> Result<Self, BlobError> {
        fs::create_dir_all(&root)?;
        let Some(lock) = DirectoryLock::acquire(&root)? else {
            return Err(BlobError::Locked { directory: root });
        };
        let (incoming, objects) = (root.join(INCOMING), root.join(OBJECTS));
        fs::create_dir_all(&incoming)?;
        fs::create_dir_all(&objects)?;
        for left_over in fs::read_dir(&incoming)? {
            fs::remove_file(left_over?.path())?;
        }
        // A process that was killed may have made directories whose names it did not get to sync.
        rustix::fs::syncfs(File::open(&root)?).map_err(io::Error::from)?;
        let next_incoming = AtomicU64::new(0);
        Ok(Self { incoming, objects, next_incoming, directories: RwLock::new(()), reserve_bytes, _lock: lock })
    }

    fn put(&self, key: &BlobKey, data: &[u8]) -> Result<(), BlobError> {
        self.check_room(data.len())?;
        let unnamed = Unnamed::create(self.incoming.join(self.next_incoming.fetch_add(1, Ordering::Relaxed).to_string()))?;
        unnamed.fill(data)?;
        let path = layout::path(&self.objects, key);
        match self.link(&unnamed.path, &path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !has_content(&path, data)? {
                    return Err(BlobError::AlreadyExists { key: key.clone() });
                }
            }
            Err(error) => return Err(error.into()),
        }
        // Even when the object was there: whoever put it may not have come to this point.
        Ok(sync_parent(&path)?)
    }

    fn get(&self, key: &BlobKey, range: Range<u64>) -> Result<Bytes, BlobError> {
        let mut file = File::open(layout::path(&self.objects, key)).map_err(|error| not_found(error, key))?;
        let len_bytes = file.metadata()?.len();
        if range.start > range.end || range.end > len_bytes {
            return Err(BlobError::OutOfRange { key: key.clone(), len_bytes });
        }
        let wanted = range.end - range.start;
        let mut data = Vec::with_capacity(wanted as usize);
        file.seek(SeekFrom::Start(range.start))?;
        file.take(wanted).read_to_end(&mut data)?;
        if data.len() as u64 != wanted {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(data.into())
    }

    /// As [`Disk::get`], if the kernel has it in memory: then no other thread is needed. `None` whatever else is the case.
    fn get_at_once(&self, key: &BlobKey, range: &Range<u64>) -> Option<Bytes> {
        let file = File::open(layout::path(&self.objects, key)).ok()?;
        let mut data = vec![0; range.end.checked_sub(range.start)? as usize];
        let read = preadv2(&file, &mut [io::IoSliceMut::new(&mut data)], range.start, ReadWriteFlags::NOWAIT).ok()?;
        (read == data.len()).then(|| data.into())
    }

    fn len(&self, key: &BlobKey) -> Result<Option<u64>, BlobError> {
        match fs::metadata(layout::path(&self.objects, key)) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        let path = layout::path(&self.objects, key);
        match fs::remove_file(&path).and_then(|()| sync_parent(&path)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        self.remove_empty_parents(&path);
        Ok(())
    }

    /// Gives a file that is complete its name, unless the name is taken.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        {
            let _kept = self.directories.read();
            match fs::hard_link(from, to) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                outcome => return outcome,
            }
        }
        let _alone = self.directories.write();
        let missing: Vec<_> = to.ancestors().skip(1).take_while(|ancestor| *ancestor != self.objects).collect();
        for directory in missing.into_iter().rev() {
            make_directory(directory)?;
        }
        fs::hard_link(from, to)
    }

    /// Keeps the tree from filling with directories of workspaces that are gone.
    fn remove_empty_parents(&self, path: &Path) {
        let _alone = self.directories.write();
        for parent in path.ancestors().skip(1).take_while(|ancestor| *ancestor != self.objects) {
            if fs::remove_dir(parent).is_err() {
                return;
            }
        }
    }

    fn check_room(&self, bytes: usize) -> Result<(), BlobError> {
        let disk = rustix::fs::statvfs(&self.objects).map_err(io::Error::from)?;
        let free_bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
        let needed_bytes = self.reserve_bytes.saturating_add(bytes as u64);
        if free_bytes >= needed_bytes {
            return Ok(());
        }
        Err(BlobError::Full { reason: format!("{free_bytes} bytes are free, {needed_bytes} are needed") })
    }
}

/// A file in `incoming`, removed again when dropped; an object that was linked keeps its other name.
struct Unnamed {
    path: PathBuf,
    file: File,
}

impl Unnamed {
    fn create(path: PathBuf) -> io::Result<Self> {
        let file = File::create_new(&path)?;
        Ok(Self { path, file })
    }

    fn fill(&self, data: &[u8]) -> io::Result<()> {
        (&self.file).write_all(data)?;
        self.file.sync_all()
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        // What stays is removed at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

fn make_directory(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Ok(()) => sync_parent(path).inspect_err(|_| {
            // Not to be found and trusted by the next put.
            let _ = fs::remove_dir(path);
        }),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

fn has_content(path: &Path, data: &[u8]) -> io::Result<bool> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() != data.len() as u64 {
        return Ok(false);
    }
    let mut chunk = vec![0; 64 << 10];
    for expected in data.chunks(chunk.len()) {
        let read = &mut chunk[..expected.len()];
        file.read_exact(read)?;
        if read != expected {
            return Ok(false);
        }
    }
    Ok(true)
}

fn not_found(error: io::Error, key: &BlobKey) -> BlobError {
    match error.kind() {
        io::ErrorKind::NotFound => BlobError::NotFound { key: key.clone() },
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests;
