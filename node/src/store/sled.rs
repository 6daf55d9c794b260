//! The store on disk: sled 0.34.7 behind a journal.
//!
//! A write goes through a bounded queue to one thread, the committer, which records it in the [journal](super::journal)
//! together with all that are waiting: there it is durable. It is visible from the table of what is not in sled yet, which
//! another thread, the applier, brings into sled in large groups. So a commit costs one `fdatasync` of a preallocated file, and
//! sled's flush is paid once for thousands. A full queue, table or journal makes writers wait; nothing is dropped.
//!
//! One sled tree holds every key, because sled's batches are atomic within one tree only.
//!
//! After the disk has failed a write the store takes no more of them (what the failed one left behind is unknown) and
//! answers all with the same error, while reads go on; a restart recovers what was durable.

mod applier;
mod committer;
mod contents;
mod database;

use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use parking_lot::RwLock;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::spawn_blocking;

pub(super) use self::committer::Pace;
use self::committer::{Command, Write};
use self::contents::Contents;
use self::database::Database;
use super::journal::{Log, LogLimits, Remains};
use super::{Batch, Durability, KeyRange, Store, StoreError};
use crate::random::{Entropy, SystemEntropy};

/// How much sled may cache in memory unless told otherwise, in bytes. sled takes it as a target, not as a limit.
pub const DEFAULT_CACHE_BYTES: u64 = 32 << 20;

/// Room on the disk that writes leave untouched, in bytes: sled cannot go on after its log could not grow, so a nearly
/// full disk is refused while there is still room for deletes and for sled's own housekeeping.
const RESERVE_BYTES: u64 = 64 << 20;

/// The journal's folder inside the directory.
const JOURNAL: &str = "journal";

/// How large the parts of a store may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// How much sled may cache, in bytes.
    pub(super) cache_bytes: u64,
    /// How much of the disk stays free, in bytes.
    pub(super) reserve_bytes: u64,
    pub(super) log: LogLimits,
    pub(super) pace: Pace,
}

impl Limits {
    pub(super) const fn with_cache(cache_bytes: u64) -> Self {
        Self {
            cache_bytes,
            reserve_bytes: RESERVE_BYTES,
            log: LogLimits { segment_bytes: 8 << 20, total_bytes: 64 << 20 },
            pace: Pace { apply_bytes: 4 << 20, apply_journal_bytes: 16 << 20, max_table_bytes: 32 << 20 },
        }
    }
}

/// How many writes may wait for the committer before the next caller waits for a place.
const QUEUE_LENGTH: usize = 1024;

/// Scans up to this many pairs run on the caller's thread; longer ones may read so much from the disk that they would
/// hold up the tasks which share that thread.
const INLINE_SCAN_LIMIT: usize = 256;

/// A node that is being replaced may take a moment to let go of its directory.
const LOCK_ATTEMPTS: usize = 20;
const LOCK_RETRY: Duration = Duration::from_millis(50);

/// The store on disk. One process at a time can have a directory open.
pub struct SledStore {
    /// Gone once closed.
    contents: RwLock<Option<Arc<Contents>>>,
    queue: mpsc::Sender<Command>,
    /// The places in the queue.
    places: Arc<Semaphore>,
}

impl SledStore {
    /// Opens the store in a directory, which is created if missing; recovery after a crash happens here and may take
    /// seconds. `cache_bytes` is how much sled may cache, see [`DEFAULT_CACHE_BYTES`].
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process still has the directory after a second, [`StoreError::Corrupt`] when
    /// its files cannot be understood, [`StoreError::Io`] when they cannot be read or created.
    pub async fn open(directory: impl Into<PathBuf>, cache_bytes: u64) -> Result<Self, StoreError> {
        Self::open_with(directory.into(), Limits::with_cache(cache_bytes)).await
    }

    pub(super) async fn open_with(directory: PathBuf, limits: Limits) -> Result<Self, StoreError> {
        let journal = directory.join(JOURNAL);
        let database = open_database(directory, limits).await?;
        let (contents, log) = blocking(move || {
            let remains = Remains::read(&journal)?;
            database.recover(remains.batches()?)?;
            drop(remains);
            let log = Log::start(&journal, new_journal_id(), limits.log)?;
            Ok((Arc::new(Contents { database, table: RwLock::default() }), log))
        })
        .await?;
        let (queue, commands) = mpsc::channel();
        committer::spawn(Arc::clone(&contents), log, limits.pace, commands)?;
        Ok(Self { contents: RwLock::new(Some(contents)), queue, places: Arc::new(Semaphore::new(QUEUE_LENGTH)) })
    }

    fn contents(&self) -> Result<Arc<Contents>, StoreError> {
        self.contents.read().clone().ok_or(StoreError::Closed)
    }

    /// Why the committer did not answer: it ends only when it is closed, or when something panics in it.
    fn committer_is_gone(&self) -> StoreError {
        self.contents().err().unwrap_or_else(|| StoreError::unavailable("the committer has stopped, restart the node"))
    }
}

impl Store for SledStore {
    fn get(&self, key: &[u8]) -> BoxFuture<'_, Result<Option<Bytes>, StoreError>> {
        ready(self.contents().and_then(|contents| contents.get(key))).boxed()
    }

    fn scan(&self, range: KeyRange, limit: usize) -> BoxFuture<'_, Result<Vec<(Bytes, Bytes)>, StoreError>> {
        async move {
            let contents = self.contents()?;
            if limit <= INLINE_SCAN_LIMIT {
                return contents.scan(&range, limit);
            }
            blocking(move || contents.scan(&range, limit)).await
        }
        .boxed()
    }

    fn write(&self, batch: Batch, durability: Durability) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            batch.check()?;
            let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| self.committer_is_gone())?;
            let (answer, answered) = oneshot::channel();
            let write = Command::Write(Write { batch, durability, answer, place });
            self.queue.send(write).map_err(|_| self.committer_is_gone())?;
            answered.await.unwrap_or_else(|_| Err(self.committer_is_gone()))
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let Some(contents) = self.contents.write().take() else {
                return Ok(());
            };
            let (answer, answered) = oneshot::channel();
            let sent = self.queue.send(Command::Close(answer)).is_ok();
            let flushed = if sent { answered.await.ok() } else { None };
            // sled joins its threads when the last handle goes.
            blocking(move || {
                drop(contents);
                Ok(())
            })
            .await?;
            flushed.unwrap_or_else(|| Err(StoreError::unavailable("the committer had stopped, restart the node")))
        }
        .boxed()
    }
}

/// An id that no journal had before, and that nobody who stores data can know.
fn new_journal_id() -> u64 {
    let mut id = [0; 8];
    SystemEntropy.fill(&mut id);
    u64::from_le_bytes(id)
}

/// Opens the database, waiting a moment for another process to let go of it.
async fn open_database(directory: PathBuf, limits: Limits) -> Result<Database, StoreError> {
    let mut retry = tokio::time::interval(LOCK_RETRY);
    let mut outcome = Err(StoreError::Locked { directory: directory.clone() });
    for _ in 0..LOCK_ATTEMPTS {
        retry.tick().await;
        let directory = directory.clone();
        outcome = blocking(move || Database::open(directory, limits.cache_bytes, limits.reserve_bytes)).await;
        if !matches!(outcome, Err(StoreError::Locked { .. })) {
            break;
        }
    }
    outcome
}

/// Runs work that may wait for the disk. sled panics where it finds its own files inconsistent.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, StoreError> + Send + 'static) -> Result<T, StoreError> {
    match spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) if error.is_panic() => Err(StoreError::Corrupt { reason: "sled panicked".into() }),
        Err(_) => Err(StoreError::unavailable("the runtime is shutting down")),
    }
}

#[cfg(test)]
mod tests;
