use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::super::{BlockId, Wanted};
use super::breaker::Breaker;
use super::cache_dir::CacheDir;
use super::disk_index::DiskIndex;
use super::files::{CacheFiles, FileName};
use crate::control::DiskCacheStatus;
use crate::time::SharedClock;

/// How long a reader waits for the disk before it asks the node instead.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long the end of a mount waits for the disk.
const SETTLING: Duration = Duration::from_secs(2);
/// Threads that read.
const READERS: usize = 2;
/// So many readers may wait; more of them ask the node at once.
const READS_MAX: usize = 64;
/// So much waits to be written; what comes on top is not kept. In bytes.
const WRITES_MAX_BYTES: usize = 16 << 20;
/// After this part of the bound has been written, the directory is looked through again: other mounts may write too.
const LOOK_AGAIN_PART: u64 = 8;

/// Blocks on disk; see the module.
#[derive(Debug)]
pub(crate) struct DiskCache {
    shared: Arc<Shared>,
    patience: Duration,
}

#[derive(Debug)]
struct Shared {
    files: Box<dyn CacheFiles>,
    clock: SharedClock,
    index: Mutex<DiskIndex>,
    queue: Mutex<Queue>,
    something_to_read: Condvar,
    something_to_write: Condvar,
    settled: Condvar,
    reads: Breaker,
    writes: Breaker,
    /// Whether the directory has been opened and is believed to be there.
    is_open: AtomicBool,
    rotten: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    reads: VecDeque<(Read, oneshot::Sender<Bytes>)>,
    writes: VecDeque<(BlockId, Vec<Bytes>)>,
    write_bytes: usize,
    is_writing: bool,
    end: End,
}

/// A part of a file.
#[derive(Debug, Clone)]
struct Read {
    file: BlockId,
    range: Range<u32>,
    /// What it has to match; `None` if the reader checks that.
    check: Option<BlockId>,
}

/// How the cache ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum End {
    /// It does not.
    #[default]
    NotYet,
    /// Its files stay.
    Keep,
    /// The files of this workspace are to go.
    Remove,
    /// They are gone, or cannot be removed.
    Removed,
}

impl DiskCache {
    /// In this directory, for this workspace. Opens it in the background. `None`, with a line in the log, if there can
    /// be no such cache.
    pub(crate) fn new(dir: &Path, workspace: &str, max_bytes: u64, clock: SharedClock) -> Option<Self> {
        let Some(files) = CacheDir::new(dir, workspace) else {
            tracing::warn!(workspace, "there is no cache on disk: the workspace's name is no name for a directory");
            return None;
        };
        Self::begin(Box::new(files), max_bytes, clock, PATIENCE)
            .inspect_err(|error| tracing::warn!(%error, "there is no cache on disk: no thread can be started"))
            .ok()
    }

    fn begin(files: Box<dyn CacheFiles>, max_bytes: u64, clock: SharedClock, patience: Duration) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            files,
            clock,
            index: Mutex::new(DiskIndex::new(max_bytes)),
            queue: Mutex::default(),
            something_to_read: Condvar::new(),
            something_to_write: Condvar::new(),
            settled: Condvar::new(),
            reads: Breaker::default(),
            writes: Breaker::default(),
            is_open: AtomicBool::new(false),
            rotten: AtomicU64::new(0),
        });
        // Made first, so that the threads end if one of them cannot be started.
        let cache = Self { shared: Arc::clone(&shared), patience };
        for _ in 0..READERS {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name("cache-read".to_owned()).spawn(move || shared.read_on())?;
        }
        std::thread::Builder::new().name("cache-write".to_owned()).spawn(move || shared.write_on())?;
        Ok(cache)
    }

    /// A block or a part of one, checked. `None` if the disk is not known to have it, or does not give it soon.
    pub(crate) async fn get(&self, wanted: Wanted) -> Option<Bytes> {
        let file = self.file_with(&wanted.block())?;
        let begins = wanted.id.offset - file.offset;
        self.read(Read { file, range: begins..begins + wanted.id.len, check: Some(wanted.id) }).await
    }

    /// What a file holds in which this block lies.
    pub(crate) fn file_with(&self, block: &BlockId) -> Option<BlockId> {
        self.shared.index.lock().file_with(block)
    }

    /// A part of what a file holds, unchecked.
    pub(crate) async fn stretch(&self, file: BlockId, range: Range<u32>) -> Option<Bytes> {
        self.read(Read { file, range: range.start - file.offset..range.end - file.offset, check: None }).await
    }

    async fn read(&self, read: Read) -> Option<Bytes> {
        let shared = &self.shared;
        if !shared.is_open.load(Ordering::Acquire) || !shared.reads.is_on(shared.clock.boot_ms()) {
            return None;
        }
        let (sent, received) = oneshot::channel();
        {
            let mut queue = shared.queue.lock();
            if queue.end != End::NotYet || queue.reads.len() >= READS_MAX {
                return None;
            }
            queue.reads.push_back((read, sent));
        }
        shared.something_to_read.notify_one();
        match tokio::time::timeout(self.patience, received).await {
            Ok(outcome) => outcome.ok(),
            Err(late) => {
                shared.reads.trip(shared.clock.boot_ms(), "does not answer", late);
                shared.queue.lock().reads.clear();
                None
            }
        }
    }

    /// Keeps a block, or a stretch in pieces, if the disk keeps up. Waits for nothing.
    pub(crate) fn put(&self, id: BlockId, pieces: Vec<Bytes>) {
        let shared = &self.shared;
        if !shared.writes.is_on(shared.clock.boot_ms()) {
            return;
        }
        {
            let mut queue = shared.queue.lock();
            if queue.end != End::NotYet || queue.write_bytes + id.len as usize > WRITES_MAX_BYTES {
                return;
            }
            queue.write_bytes += id.len as usize;
            queue.writes.push_back((id, pieces));
        }
        shared.something_to_write.notify_one();
    }

    /// Reads and keeps nothing any more; removes this workspace's files, if so told, in the background. The first call
    /// counts.
    pub(crate) fn close(&self, removing: bool) {
        let mut queue = self.shared.queue.lock();
        queue.end = match (queue.end, removing) {
            (End::NotYet, true) => End::Remove,
            (End::NotYet, false) => End::Keep,
            (end, _) => end,
        };
        queue.reads.clear();
        queue.writes.clear();
        queue.write_bytes = 0;
        drop(queue);
        self.shared.something_to_read.notify_all();
        self.shared.something_to_write.notify_all();
    }

    /// Waits until everything is written or removed that is to be, for a short time at the most.
    pub(crate) fn settle(&self) {
        let mut queue = self.shared.queue.lock();
        let unsettled = |queue: &mut Queue| queue.is_writing || !queue.writes.is_empty() || queue.end == End::Remove;
        let _ = self.shared.settled.wait_while_for(&mut queue, unsettled, SETTLING);
    }

    /// How it is.
    pub(crate) fn status(&self) -> DiskCacheStatus {
        let shared = &self.shared;
        let now_ms = shared.clock.boot_ms();
        let index = shared.index.lock();
        DiskCacheStatus {
            bytes: index.bytes(),
            max_bytes: index.max_bytes(),
            working: shared.is_open.load(Ordering::Acquire) && shared.reads.is_on(now_ms) && shared.writes.is_on(now_ms),
            rotten: shared.rotten.load(Ordering::Relaxed),
        }
    }
}

impl Drop for DiskCache {
    fn drop(&mut self) {
        self.close(false);
    }
}

impl Shared {
    fn name(&self, id: BlockId) -> FileName {
        FileName { workspace: Arc::clone(self.files.workspace()), id }
    }

    fn read_on(&self) {
        loop {
            let (read, reader) = {
                let mut queue = self.queue.lock();
                self.something_to_read.wait_while(&mut queue, |queue| queue.reads.is_empty() && queue.end == End::NotYet);
                let Some(read) = queue.reads.pop_front() else { return };
                read
            };
            if let Some(bytes) = self.read(&read) {
                // The reader may have lost patience.
                let _ = reader.send(bytes);
            }
        }
    }

    fn read(&self, read: &Read) -> Option<Bytes> {
        let name = self.name(read.file);
        match self.files.read(&read.file, read.range.clone()) {
            Ok(Some(bytes)) if read.check.is_none_or(|id| id.matches(&bytes)) && bytes.len() == read.range.len() => {
                self.index.lock().used(name);
                Some(bytes)
            }
            Ok(Some(_)) => {
                self.rotten(&name);
                None
            }
            Ok(None) => {
                self.index.lock().removed(&name);
                None
            }
            Err(error) => {
                self.reads.trip(self.clock.boot_ms(), "cannot be read", error);
                None
            }
        }
    }

    fn rotten(&self, name: &FileName) {
        self.rotten.fetch_add(1, Ordering::Relaxed);
        let BlockId { segment, offset, .. } = name.id;
        tracing::warn!(%segment, offset, "a file of the cache does not match its checksum and is removed");
        self.remove(name);
    }

    fn remove(&self, name: &FileName) {
        self.index.lock().removed(name);
        if let Err(error) = self.files.remove(name) {
            self.writes.trip(self.clock.boot_ms(), "cannot be changed", error);
        }
    }

    fn write_on(&self) {
        self.open();
        let mut written_since_look = 0;
        loop {
            let write = {
                let mut queue = self.queue.lock();
                queue.is_writing = false;
                self.settled.notify_all();
                self.something_to_write.wait_while(&mut queue, |queue| queue.writes.is_empty() && queue.end == End::NotYet);
                if queue.end != End::NotYet {
                    break;
                }
                queue.is_writing = true;
                queue.writes.pop_front().inspect(|(id, _)| queue.write_bytes -= id.len as usize)
            };
            let Some((id, pieces)) = write else { continue };
            written_since_look += self.write(id, &pieces);
            if written_since_look > self.index.lock().max_bytes() / LOOK_AGAIN_PART {
                written_since_look = 0;
                self.open();
            }
        }
        self.finish();
    }

    /// Opens the directory and learns what is in it.
    fn open(&self) {
        match self.files.open() {
            Ok(files) => {
                let going = {
                    let mut index = self.index.lock();
                    index.replace(files);
                    index.make_room(0)
                };
                going.iter().for_each(|file| self.remove(file));
                self.is_open.store(true, Ordering::Release);
            }
            Err(error) => {
                self.is_open.store(false, Ordering::Release);
                self.writes.trip(self.clock.boot_ms(), "cannot be opened", error);
            }
        }
    }

    /// Writes a file, and answers how much room it took, in bytes.
    fn write(&self, id: BlockId, pieces: &[Bytes]) -> u64 {
        // While it was queued, the disk may have failed.
        if !self.writes.is_on(self.clock.boot_ms()) {
            return 0;
        }
        if !self.is_open.load(Ordering::Acquire) {
            self.open();
            if !self.is_open.load(Ordering::Acquire) {
                return 0;
            }
        }
        let name = self.name(id);
        let going = {
            let mut index = self.index.lock();
            if index.holds(&name) || !index.could_hold(&name) {
                return 0;
            }
            index.make_room(name.bytes())
        };
        going.iter().for_each(|file| self.remove(file));
        match self.files.write(&id, pieces) {
            Ok(()) => {
                let room = name.bytes();
                self.index.lock().used(name);
                room
            }
            Err(error) => {
                if error.kind() == io::ErrorKind::NotFound {
                    // Somebody has taken the directory away.
                    self.is_open.store(false, Ordering::Release);
                }
                self.writes.trip(self.clock.boot_ms(), "cannot be written", error);
                0
            }
        }
    }

    /// Ends the writer: removes the files that are to go, now or when somebody says so later.
    fn finish(&self) {
        let removing = self.queue.lock().end == End::Remove;
        if removing {
            match self.files.remove_all() {
                Ok(()) => tracing::info!("the workspace's blocks have been removed from the cache on disk"),
                Err(error) => tracing::error!(%error, "the workspace's blocks could not be removed from the cache on disk"),
            }
            self.index.lock().replace(Vec::new());
            self.queue.lock().end = End::Removed;
        }
        self.settled.notify_all();
    }
}

#[cfg(test)]
#[path = "disk_cache_tests.rs"]
mod tests;
