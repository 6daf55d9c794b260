//! The store on an object store: SlateDB 0.18, one database a shard.
//!
//! A write goes into SlateDB's memory and is visible; the log of what is not durable yet is put as one object, at the
//! latest [`AUTOMATIC_FLUSH`] after the first write in it and at once when somebody waits (see [`Flusher`]). So a durable
//! write costs one PUT, many that wait share it, and a store that nobody writes to costs nothing but the look for a
//! new owner.
//!
//! **One owner.** Opening a database takes it from whoever had it: the next object that the previous owner wants to put is
//! refused, and from then on it answers [`StoreError::Fenced`] to everything. Until it finds out, it would go on to answer
//! reads from its memory; who must know asks [`SlateStore::prove_ownership`].
//!
//! **An object store that is slow, fails or is away.** SlateDB tries again for as long as it takes, in order, so nothing
//! that was written is skipped. Callers wait no longer than [`Limits::patience`] and are told
//! [`StoreError::Unavailable`]; what they wrote may become durable later. Memory is bounded: writes wait when too much
//! of them is in memory only.

mod cache;
mod error;
mod flusher;
mod limits;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parking_lot::RwLock;
use slatedb::config::ScanOptions;
use slatedb::{Db, WriteBatch};

pub use self::cache::BlockCache;
use self::error::{of_open, of_read, of_write};
use self::flusher::Flusher;
pub use self::limits::Limits;
use super::{Batch, Durability, KeyRange, Store, StoreError};

/// How long a visible write may wait for the put that makes it durable. With the put itself this has to stay below the
/// 500 ms that are promised.
const AUTOMATIC_FLUSH: Duration = Duration::from_millis(200);
/// How long opening may take: the log since the last flush of the tables is read again.
const OPEN_LIMIT: Duration = Duration::from_secs(60);
/// What every key begins with: SlateDB has no empty keys.
const PREFIX: u8 = b'k';
/// Holds the epoch of the owner that has let go of the database in good order. No key of a caller.
const RELEASED_BY: &[u8] = b"m/released-by";
/// How much one step of a scan reads ahead, in bytes.
const READ_AHEAD_BYTES: usize = 256 << 10;

/// For how long after a proof the next version of the manifest tells of another owner: well below the age at which
/// versions are collected.
pub const LOOK_AT_NEXT_WITHIN: Duration = Duration::from_secs(60);

/// How ownership is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Whether there is a next version of the manifest.
    AtNext,
    /// What the latest version says.
    Whole,
}

/// The store on an object store, of which this process is the owner until another opens it.
pub struct SlateStore {
    /// Gone once closed.
    db: RwLock<Option<Open>>,
    objects: Arc<dyn ObjectStore>,
    path: String,
    limits: Limits,
    handed_over: bool,
    /// The number of the latest commit.
    committed: AtomicU64,
}

#[derive(Clone)]
struct Open {
    db: Db,
    flusher: Flusher,
}

impl SlateStore {
    /// Opens the database below `path`, makes it if there is none, and takes it from whoever had it. Everything that was
    /// durable is there. `number` tells the databases apart that share `cache`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the object store does not answer, [`StoreError::Fenced`] when another opened it
    /// at the same time and won, [`StoreError::Corrupt`] when what is there cannot be read.
    pub async fn open(
        objects: Arc<dyn ObjectStore>,
        path: &str,
        cache: Arc<BlockCache>,
        number: u64,
        limits: Limits,
    ) -> Result<Self, StoreError> {
        let builder = Db::builder(Path::from(path), Arc::clone(&objects)).with_settings(limits.settings()).with_db_cache(cache, number);
        // Boxed: the future of an open is too large to lie in that of every caller.
        let opening = tokio::time::timeout(OPEN_LIMIT, Box::pin(builder.build()));
        let db = opening.await.map_err(|_| no_answer(OPEN_LIMIT))?.map_err(of_open)?;
        let flusher = Flusher::start(db.clone());
        let db = RwLock::new(Some(Open { db, flusher }));
        let store = Self { db, objects, path: path.to_owned(), limits, handed_over: false, committed: AtomicU64::new(0) };
        let handed_over = store.owner_before_let_go().await?;
        Ok(Self { handed_over, ..store })
    }

    /// Whether nobody acts as the owner before: there was none, or it closed the database.
    pub fn is_handed_over(&self) -> bool {
        self.handed_over
    }

    async fn owner_before_let_go(&self) -> Result<bool, StoreError> {
        let before = self.epoch()?.saturating_sub(1);
        let released = self.patiently(self.handle()?.db.get(RELEASED_BY), of_read).await?;
        Ok(before == 0 || released.is_some_and(|epoch| *epoch == before.to_be_bytes()))
    }

    /// Asks the object store whether this process is the owner still. An answer counts from the moment before the call.
    ///
    /// Another owner would have written the next version of the manifest. [`Look::AtNext`] asks for that one alone, which is one
    /// request; it may be believed as long as the version could not have been written and collected since the last proof, see
    /// [`LOOK_AT_NEXT_WITHIN`]. [`Look::Whole`] finds the latest version.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when it is not, [`StoreError::Unavailable`] when that cannot be told.
    pub async fn prove_ownership(&self, look: Look) -> Result<(), StoreError> {
        let open = self.handle()?;
        if look == Look::AtNext {
            // One that has been fenced knows without asking.
            if let Some(reason) = open.db.status().close_reason {
                return Err(of_read(slatedb::Error::closed("closed".to_owned(), reason)));
            }
            let next = Path::from(format!("{}/manifest/{:020}.manifest", self.path, open.db.manifest().id() + 1));
            match tokio::time::timeout(self.limits.patience, self.objects.head(&next)).await {
                Ok(Err(object_store::Error::NotFound { .. })) => return Ok(()),
                Ok(Err(error)) => return Err(StoreError::unavailable(error.to_string())),
                Err(_) => return Err(no_answer(self.limits.patience)),
                // By another owner, or by the compactor of this one.
                Ok(Ok(_)) => {}
            }
        }
        self.patiently(open.db.refresh_manifest(), of_read).await
    }

    /// Which opening of the database this is; each has a greater number than those before.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    pub fn epoch(&self) -> Result<u64, StoreError> {
        Ok(self.handle()?.db.manifest().writer_epoch())
    }

    /// How many commits of this process are not durable yet.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    pub fn unflushed(&self) -> Result<u64, StoreError> {
        let durable = self.handle()?.db.status().durable_seq;
        Ok(self.committed.load(Ordering::Relaxed).saturating_sub(durable))
    }

    fn handle(&self) -> Result<Open, StoreError> {
        self.db.read().clone().ok_or(StoreError::Closed)
    }

    async fn patiently<T>(
        &self,
        work: impl Future<Output = Result<T, slatedb::Error>>,
        error: fn(slatedb::Error) -> StoreError,
    ) -> Result<T, StoreError> {
        match tokio::time::timeout(self.limits.patience, work).await {
            Ok(outcome) => outcome.map_err(error),
            Err(_) => Err(no_answer(self.limits.patience)),
        }
    }

    async fn scan_pairs(&self, range: KeyRange, limit: usize) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let open = self.handle()?;
        if range.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let end = range.end().map_or_else(|| Bytes::from_static(&[PREFIX + 1]), |end| stored(end));
        let options = ScanOptions { read_ahead_bytes: READ_AHEAD_BYTES, cache_blocks: true, ..ScanOptions::default() };
        let reading = async {
            let mut pairs = Vec::new();
            let mut found = open.db.scan_with_options(stored(range.start())..end, &options).await?;
            while pairs.len() < limit {
                let Some(pair) = found.next().await? else { break };
                pairs.push((pair.key.slice(1..), own(pair.value)));
            }
            Ok(pairs)
        };
        self.patiently(Box::pin(reading), of_read).await
    }
}

impl Store for SlateStore {
    fn get(&self, key: &[u8]) -> BoxFuture<'_, Result<Option<Bytes>, StoreError>> {
        let key = stored(key);
        async move {
            let open = self.handle()?;
            Ok(self.patiently(open.db.get(&key), of_read).await?.map(own))
        }
        .boxed()
    }

    fn scan(&self, range: KeyRange, limit: usize) -> BoxFuture<'_, Result<Vec<(Bytes, Bytes)>, StoreError>> {
        self.scan_pairs(range, limit).boxed()
    }

    fn write(&self, batch: Batch, durability: Durability) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            batch.check()?;
            let open = self.handle()?;
            if !batch.is_empty() {
                let mut entries = WriteBatch::new();
                for (key, value) in batch.into_entries() {
                    match value {
                        Some(value) => entries.put_bytes(stored(&key), value),
                        None => entries.delete(stored(&key)),
                    }
                }
                let written = self.patiently(open.db.write(entries), of_write).await?;
                self.committed.fetch_max(written.seqnum(), Ordering::Relaxed);
            }
            match durability {
                Durability::Visible => Ok(()),
                Durability::Durable => {
                    let flushed = tokio::time::timeout(self.limits.patience, open.flusher.flush()).await;
                    flushed.unwrap_or_else(|_| Err(no_answer(self.limits.patience)))
                }
            }
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let Some(open) = self.db.write().take() else { return Ok(()) };
            let letting_go = async {
                open.db.put(RELEASED_BY, open.db.manifest().writer_epoch().to_be_bytes()).await?;
                open.db.flush().await
            };
            self.patiently(Box::pin(letting_go), of_write).await?;
            // Everything is durable, and the next owner need not wait for a compaction to end; what it still writes after
            // that one has opened is refused.
            tokio::spawn(async move {
                if let Err(error) = open.db.close().await {
                    tracing::debug!(%error, "a database that was let go of did not close by itself");
                }
            });
            Ok(())
        }
        .boxed()
    }
}

fn stored(key: &[u8]) -> Bytes {
    let mut stored = BytesMut::with_capacity(key.len() + 1);
    stored.put_u8(PREFIX);
    stored.put_slice(key);
    stored.freeze()
}

/// A value without the block that it was read with, which would stay in memory as long as the value.
fn own(value: Bytes) -> Bytes {
    Bytes::copy_from_slice(&value)
}

fn no_answer(limit: Duration) -> StoreError {
    StoreError::unavailable(format!("the object store has not answered for {} s", limit.as_secs()))
}

#[cfg(test)]
mod tests;
