use std::collections::HashMap;
use std::sync::Arc;

use artifacts_core::SegmentId;
use artifacts_core::namespace::Errno;
use bytes::Bytes;
use parking_lot::Mutex;
use reqwest::{RequestBuilder, StatusCode, header};
use tokio::sync::{OnceCell, Semaphore};

use super::block_cache::BlockCache;
use super::{BlockId, Plan};
use crate::errno;
use crate::random::jittered;
use crate::session::MountSession;
use crate::time::pause;

/// Pauses between attempts, the first and the longest.
const PAUSES_MS: (u64, u64) = (50, 1_000);
/// How long a program may wait for one exchange, however the node excuses itself.
const GIVE_UP_MS: u64 = 60_000;
/// How many blocks may be on their way at once, so that many busy programs do not cost as much memory each.
const ON_THE_WAY_MAX: usize = 16;

/// Why a block cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockError {
    /// Its segment is gone: the file has been overwritten since the pieces were named.
    Gone,
    /// The read fails.
    Failed(Errno),
}

/// Gets blocks from the node and puts segments there. Attempts go on until the session is interrupted, so an outage
/// that is shorter than the lease is a pause.
#[derive(Debug)]
pub(crate) struct Blocks {
    http: reqwest::Client,
    session: Arc<MountSession>,
    cache: Mutex<BlockCache>,
    /// Blocks that are being fetched, so that several readers of one fetch it once.
    fetching: Mutex<HashMap<BlockId, Arc<OnceCell<Bytes>>>>,
    on_the_way: Semaphore,
}

impl Blocks {
    /// With a cache of this size.
    pub(crate) fn new(http: reqwest::Client, session: Arc<MountSession>, cache_bytes: usize) -> Self {
        let cache = Mutex::new(BlockCache::new(cache_bytes));
        Self { http, session, cache, fetching: Mutex::default(), on_the_way: Semaphore::new(ON_THE_WAY_MAX) }
    }

    /// The bytes of a read whose blocks are all at hand; `None` if one is not.
    pub(crate) fn fill_from_memory(&self, plan: &Plan) -> Option<Result<Bytes, Errno>> {
        let ids = plan.blocks();
        let mut blocks = Vec::with_capacity(ids.len());
        if !ids.is_empty() {
            let mut cache = self.cache.lock();
            for id in ids {
                blocks.push((id, cache.get(&id)?));
            }
        }
        Some(plan.fill(&blocks))
    }

    /// The bytes of a read.
    ///
    /// # Errors
    /// [`BlockError`].
    pub(crate) async fn fill(&self, plan: &Plan) -> Result<Bytes, BlockError> {
        let fetches = plan.blocks().into_iter().map(|id| async move { Ok((id, self.block(id).await?)) });
        let blocks = futures_util::future::try_join_all(fetches).await?;
        plan.fill(&blocks).map_err(BlockError::Failed)
    }

    async fn block(&self, id: BlockId) -> Result<Bytes, BlockError> {
        if let Some(bytes) = self.cache.lock().get(&id) {
            return Ok(bytes);
        }
        let cell = Arc::clone(self.fetching.lock().entry(id).or_default());
        let result = cell.get_or_try_init(|| self.fetch(id)).await.cloned();
        if let Ok(bytes) = &result {
            self.cache.lock().put(id, bytes.clone());
        }
        let mut fetching = self.fetching.lock();
        if fetching.get(&id).is_some_and(|known| Arc::ptr_eq(known, &cell)) {
            fetching.remove(&id);
        }
        result
    }

    async fn fetch(&self, id: BlockId) -> Result<Bytes, BlockError> {
        let range = format!("bytes={}-{}", id.offset, u64::from(id.offset) + u64::from(id.len) - 1);
        let bytes =
            self.exchange(id.segment, |request| request.header(header::RANGE, &range), reqwest::Method::GET).await.map_err(|failure| {
                match failure {
                    Failure::Status(StatusCode::NOT_FOUND) => BlockError::Gone,
                    Failure::Status(status) => BlockError::Failed(errno::of_status(status).unwrap_or(Errno::EIO)),
                    Failure::Interrupted(errno) => BlockError::Failed(errno),
                }
            })?;
        if bytes.len() != id.len as usize || crc32c::crc32c(&bytes) != id.crc32c {
            tracing::error!(segment = %id.segment, offset = id.offset, len = bytes.len(), "a block does not match its checksum");
            return Err(BlockError::Failed(Errno::EIO));
        }
        Ok(bytes)
    }

    /// Stores a segment, durably when it returns.
    ///
    /// # Errors
    /// Those of write(2).
    pub(crate) async fn store_segment(&self, segment: SegmentId, data: Bytes) -> Result<(), Errno> {
        let stored = self.exchange(segment, |request| request.body(data.clone()), reqwest::Method::PUT).await;
        stored.map(drop).map_err(|failure| match failure {
            Failure::Status(status) => errno::of_status(status).unwrap_or(Errno::EIO),
            Failure::Interrupted(errno) => errno,
        })
    }

    /// Keeps a block that was just written for readers.
    pub(crate) fn keep(&self, id: BlockId, bytes: Bytes) {
        self.cache.lock().put(id, bytes);
    }

    /// Whether the session is over for good.
    pub(crate) fn is_over(&self) -> bool {
        self.session.gate.fenced().is_some()
    }

    /// One exchange with the data endpoint, tried again until it succeeds, is refused, or may wait no longer.
    async fn exchange(
        &self,
        segment: SegmentId,
        build: impl Fn(RequestBuilder) -> RequestBuilder,
        method: reqwest::Method,
    ) -> Result<Bytes, Failure> {
        let give_up_at_ms = self.session.clock.boot_ms() + GIVE_UP_MS;
        let mut pause_ms = PAUSES_MS.0;
        loop {
            let url = self.session.endpoint().at(&format!("/v1/data/{segment}"));
            let token = format!("{}.{}", self.session.id(), self.session.welcome.secret);
            let attempt = async {
                let _permit = self.on_the_way.acquire().await;
                let response = build(self.http.request(method.clone(), url).bearer_auth(token)).send().await?;
                let status = response.status();
                Ok::<_, reqwest::Error>((status, response.bytes().await?))
            };
            let outcome = tokio::select! {
                outcome = attempt => outcome,
                errno = self.session.interruption() => return Err(Failure::Interrupted(errno)),
            };
            match outcome {
                Ok((status, bytes)) if status.is_success() => return Ok(bytes),
                Ok((status, _)) if errno::of_status(status).is_some() => return Err(Failure::Status(status)),
                Ok((status, _)) => tracing::warn!(%segment, %status, "the data endpoint is not ready"),
                Err(error) => tracing::warn!(%segment, %error, "the data endpoint does not answer"),
            }
            if self.session.clock.boot_ms() >= give_up_at_ms {
                return Err(Failure::Interrupted(Errno::EIO));
            }
            pause(jittered(pause_ms)).await;
            pause_ms = (pause_ms * 2).min(PAUSES_MS.1);
        }
    }

    /// Forgets all blocks.
    pub(crate) fn clear(&self) {
        self.cache.lock().clear();
    }

    /// Memory in use for blocks.
    pub(crate) fn cache_bytes(&self) -> usize {
        self.cache.lock().bytes()
    }
}

enum Failure {
    Status(StatusCode),
    Interrupted(Errno),
}
