use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use artifacts_core::protocol::DirectUrl;
use artifacts_core::{SegmentId, WorkspaceId};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::task::spawn_blocking;

use super::sealed_segment::{chunks_of, open, plain_len, seal};
use super::{DataKeys, SegmentCipher};
use crate::blob::{BlobError, BlobKey, BlobStore, DirectOp};

/// Of so many objects it is remembered how long they are; then it is asked anew.
const REMEMBERED_MAX: usize = 64 * 1024;
/// So much is sealed or opened in the task that asks, in bytes; more than that holds up others for too long.
const AT_ONCE_BYTES: usize = 128 << 10;

/// Segments that are sealed below, if their workspace is encrypted.
pub struct SealedBlobs {
    inner: Arc<dyn BlobStore>,
    keys: Arc<DataKeys>,
    /// How long objects are: what has to be known to find the last chunk of one.
    lens: Mutex<HashMap<BlobKey, u64>>,
}

impl SealedBlobs {
    /// Over the objects in `inner`.
    pub fn new(inner: Arc<dyn BlobStore>, keys: Arc<DataKeys>) -> Self {
        Self { inner, keys, lens: Mutex::default() }
    }

    /// What seals an object, if anything does.
    async fn cipher_of(&self, object: &BlobKey) -> Result<Option<SegmentCipher>, BlobError> {
        let mut components = object.components();
        let workspace = components.next().and_then(|text| text.parse::<WorkspaceId>().ok());
        let segment = components.next().and_then(|text| text.parse::<SegmentId>().ok());
        let (Some(workspace), Some(segment)) = (workspace, segment) else { return Ok(None) };
        let key = self.keys.of(workspace).await.map_err(|error| BlobError::unavailable(error.to_string()))?;
        let Some(key) = key else { return Ok(None) };
        key.segment(workspace, segment).map(Some).ok_or_else(|| BlobError::unavailable("the key of a segment cannot be derived"))
    }

    async fn len_of_object(&self, object: &BlobKey) -> Result<Option<u64>, BlobError> {
        if let Some(len) = self.lens.lock().get(object) {
            return Ok(Some(*len));
        }
        let len = self.inner.len(object).await?;
        if let Some(len) = len {
            self.remember(object, len);
        }
        Ok(len)
    }

    fn remember(&self, object: &BlobKey, len: u64) {
        let mut lens = self.lens.lock();
        if lens.len() >= REMEMBERED_MAX {
            lens.clear();
        }
        lens.insert(object.clone(), len);
    }

    async fn read(&self, object: &BlobKey, range: Range<u64>) -> Result<Bytes, BlobError> {
        let Some(cipher) = self.cipher_of(object).await? else { return self.inner.get(object, range).await };
        let len = self.len_of_object(object).await?.ok_or_else(|| BlobError::NotFound { key: object.clone() })?;
        let len_bytes = plain_len(len).ok_or_else(|| damaged(object))?;
        if range.start > range.end || range.end > len_bytes {
            return Err(BlobError::OutOfRange { key: object.clone(), len_bytes });
        }
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let sealed = self.inner.get(object, chunks_of(&range, len)).await?;
        computed(sealed.len(), move || open(&cipher, &range, len, sealed)).await.ok_or_else(|| damaged(object))
    }
}

impl BlobStore for SealedBlobs {
    fn put(&self, key: &BlobKey, data: Bytes) -> BoxFuture<'_, Result<(), BlobError>> {
        let object = key.clone();
        async move {
            let Some(cipher) = self.cipher_of(&object).await? else { return self.inner.put(&object, data).await };
            let sealed = computed(data.len(), move || seal(&cipher, &data)).await;
            let sealed = sealed.ok_or_else(|| BlobError::unavailable("a segment cannot be sealed"))?;
            let len = sealed.len() as u64;
            self.inner.put(&object, sealed).await?;
            self.remember(&object, len);
            Ok(())
        }
        .boxed()
    }

    fn get(&self, key: &BlobKey, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, BlobError>> {
        let object = key.clone();
        async move { self.read(&object, range).await }.boxed()
    }

    fn len(&self, key: &BlobKey) -> BoxFuture<'_, Result<Option<u64>, BlobError>> {
        let object = key.clone();
        async move {
            // Whether it is there is asked anew each time.
            let len = self.inner.len(&object).await?;
            match (len, self.cipher_of(&object).await?) {
                (Some(len), Some(_)) => plain_len(len).map(Some).ok_or_else(|| damaged(&object)),
                (len, _) => Ok(len),
            }
        }
        .boxed()
    }

    fn delete(&self, key: &BlobKey) -> BoxFuture<'_, Result<(), BlobError>> {
        self.lens.lock().remove(key);
        self.inner.delete(key)
    }

    fn list(&self, prefix: &str, after: Option<&BlobKey>, limit: usize) -> BoxFuture<'_, Result<Vec<BlobKey>, BlobError>> {
        self.inner.list(prefix, after, limit)
    }

    /// Whoever went there would find, or leave, what is not sealed as it has to be.
    fn direct_url(&self, key: &BlobKey, op: DirectOp, valid_for: Duration) -> BoxFuture<'_, Result<Option<DirectUrl>, BlobError>> {
        let object = key.clone();
        async move {
            match self.cipher_of(&object).await? {
                Some(_) => Ok(None),
                None => self.inner.direct_url(&object, op, valid_for).await,
            }
        }
        .boxed()
    }
}

/// What `work` over so many bytes gives, and nothing if it was abandoned.
async fn computed<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> Option<T> + Send + 'static) -> Option<T> {
    if bytes <= AT_ONCE_BYTES { work() } else { spawn_blocking(work).await.ok().flatten() }
}

fn damaged(object: &BlobKey) -> BlobError {
    tracing::error!(%object, "a segment is damaged, or was not sealed for its place");
    BlobError::unavailable("a segment does not open")
}
