//! The store on disk: sled 0.34.7 behind one group-committing writer.
//!
//! One tree holds every key, because sled's batches are atomic within one tree only. Reads go straight to it. Writes go
//! through a bounded queue to one thread, since sled does not overlap the commits of several: the thread merges all that
//! is waiting, applies it once and flushes once (see `writer.rs`). A full queue makes writers wait; nothing is dropped.
//!
//! After the disk has failed a write the store takes no more of them (what the failed one left behind is unknown) and
//! answers all with the same error, while reads go on; a restart recovers what was durable.

mod database;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;

use self::database::Database;
use self::writer::{Command, Write};
use super::{Batch, Durability, KeyRange, Store, StoreError};

/// How much sled may cache in memory unless told otherwise, in bytes. sled takes it as a target, not as a limit.
pub const DEFAULT_CACHE_BYTES: u64 = 32 << 20;

/// Room on the disk that writes leave untouched, in bytes: sled cannot go on after its log could not grow, so a nearly
/// full disk is refused while there is still room for deletes and for sled's own housekeeping.
const RESERVE_BYTES: u64 = 64 << 20;

/// How many writes may wait for the writer thread before the next caller waits for a place.
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
    database: RwLock<Option<Arc<Database>>>,
    queue: mpsc::Sender<Command>,
}

impl SledStore {
    /// Opens the store in a directory, which is created if missing; recovery after a crash happens here and may take
    /// seconds. `cache_bytes` is how much sled may cache, see [`DEFAULT_CACHE_BYTES`].
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process still has the directory after a second, [`StoreError::Corrupt`] when
    /// its files cannot be understood, [`StoreError::Io`] when they cannot be read or created.
    pub async fn open(directory: impl Into<PathBuf>, cache_bytes: u64) -> Result<Self, StoreError> {
        Self::open_reserving(directory.into(), cache_bytes, RESERVE_BYTES).await
    }

    async fn open_reserving(directory: PathBuf, cache_bytes: u64, reserve_bytes: u64) -> Result<Self, StoreError> {
        let database = Arc::new(open_database(directory, cache_bytes, reserve_bytes).await?);
        let (queue, commands) = mpsc::channel(QUEUE_LENGTH);
        writer::spawn(Arc::clone(&database), commands)?;
        Ok(Self { database: RwLock::new(Some(database)), queue })
    }

    fn database(&self) -> Result<Arc<Database>, StoreError> {
        self.database.read().clone().ok_or(StoreError::Closed)
    }

    /// Why the writer thread did not answer: it ends only when it is closed, or when sled panics in it.
    fn writer_is_gone(&self) -> StoreError {
        self.database().err().unwrap_or_else(|| StoreError::unavailable("the writer has stopped, restart the node"))
    }
}

impl Store for SledStore {
    fn get(&self, key: &[u8]) -> BoxFuture<'_, Result<Option<Bytes>, StoreError>> {
        ready(self.database().and_then(|database| database.get(key))).boxed()
    }

    fn scan(&self, range: KeyRange, limit: usize) -> BoxFuture<'_, Result<Vec<(Bytes, Bytes)>, StoreError>> {
        async move {
            let database = self.database()?;
            if limit <= INLINE_SCAN_LIMIT {
                return database.scan(&range, limit);
            }
            blocking(move || database.scan(&range, limit)).await
        }
        .boxed()
    }

    fn write(&self, batch: Batch, durability: Durability) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            batch.check()?;
            let (answer, answered) = oneshot::channel();
            let write = Command::Write(Write { batch, durability, answer });
            self.queue.send(write).await.map_err(|_| self.writer_is_gone())?;
            answered.await.unwrap_or_else(|_| Err(self.writer_is_gone()))
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let Some(database) = self.database.write().take() else {
                return Ok(());
            };
            let (answer, answered) = oneshot::channel();
            let sent = self.queue.send(Command::Close(answer)).await.is_ok();
            let flushed = if sent { answered.await.ok() } else { None };
            // sled joins its threads when the last handle goes.
            blocking(move || {
                drop(database);
                Ok(())
            })
            .await?;
            flushed.unwrap_or_else(|| Err(StoreError::unavailable("the writer had stopped, restart the node")))
        }
        .boxed()
    }
}

/// Opens the database, waiting a moment for another process to let go of it.
async fn open_database(directory: PathBuf, cache_bytes: u64, reserve_bytes: u64) -> Result<Database, StoreError> {
    let mut retry = tokio::time::interval(LOCK_RETRY);
    let mut outcome = Err(StoreError::Locked { directory: directory.clone() });
    for _ in 0..LOCK_ATTEMPTS {
        retry.tick().await;
        let directory = directory.clone();
        outcome = blocking(move || Database::open(directory, cache_bytes, reserve_bytes)).await;
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
