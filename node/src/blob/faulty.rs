//! A blob store that fails on request, for tests and the simulator.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use artifacts_core::protocol::DirectUrl;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{BlobError, BlobKey, BlobStore, DirectOp, whole};
use crate::store::fault::{Fault, FaultPlan, Faults};

/// The operations of a blob store that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlobOp {
    /// [`BlobStore::put`].
    Put,
    /// [`BlobStore::get`].
    Get,
    /// [`BlobStore::len`].
    Len,
    /// [`BlobStore::delete`].
    Delete,
    /// [`BlobStore::list`].
    List,
}

/// Wraps another blob store and fails the calls that a [`FaultPlan`] names, with [`BlobError::Unavailable`].
pub struct FaultyBlobs {
    inner: Arc<dyn BlobStore>,
    faults: Faults<BlobOp>,
}

impl FaultyBlobs {
    /// Wraps `inner`.
    pub fn new(inner: Arc<dyn BlobStore>, plan: FaultPlan<BlobOp>) -> Self {
        Self { inner, faults: Faults::new(plan) }
    }

    /// Puts another plan in force: an outage begins or ends.
    pub fn set_plan(&self, plan: FaultPlan<BlobOp>) {
        self.faults.replace(plan);
    }

    /// How many calls were made to fail so far.
    pub fn injected(&self) -> u64 {
        self.faults.injected()
    }

    /// Does `call` as the plan wants; a call whose answer is lost is done.
    async fn run<T>(&self, op: BlobOp, call: impl Future<Output = Result<T, BlobError>>) -> Result<T, BlobError> {
        match self.faults.before(op).await {
            None => call.await,
            Some(Fault::Fail) => Err(injected("injected fault")),
            Some(Fault::Throttle) => Err(injected("injected throttling")),
            Some(Fault::LoseAnswer | Fault::Truncate) => {
                call.await?;
                Err(injected("injected loss of the answer"))
            }
        }
    }

    /// A read: here an answer can be cut, and must be noticed to be.
    async fn read(&self, key: &BlobKey, range: Range<u64>) -> Result<Bytes, BlobError> {
        match self.faults.before(BlobOp::Get).await {
            None => self.inner.get(key, range).await,
            Some(Fault::Truncate) => {
                let data = self.inner.get(key, range.clone()).await?;
                whole(data.slice(..data.len().saturating_sub(1)), &range)
            }
            Some(_) => Err(injected("injected fault")),
        }
    }
}

impl BlobStore for FaultyBlobs {
    fn put(&self, key: &BlobKey, data: Bytes) -> BoxFuture<'_, Result<(), BlobError>> {
        self.run(BlobOp::Put, self.inner.put(key, data)).boxed()
    }

    fn get(&self, key: &BlobKey, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, BlobError>> {
        let key = key.clone();
        async move { self.read(&key, range).await }.boxed()
    }

    fn len(&self, key: &BlobKey) -> BoxFuture<'_, Result<Option<u64>, BlobError>> {
        self.run(BlobOp::Len, self.inner.len(key)).boxed()
    }

    fn delete(&self, key: &BlobKey) -> BoxFuture<'_, Result<(), BlobError>> {
        self.run(BlobOp::Delete, self.inner.delete(key)).boxed()
    }

    fn list(&self, prefix: &str, after: Option<&BlobKey>, limit: usize) -> BoxFuture<'_, Result<Vec<BlobKey>, BlobError>> {
        self.run(BlobOp::List, self.inner.list(prefix, after, limit)).boxed()
    }

    fn direct_url(&self, key: &BlobKey, op: DirectOp, valid_for: Duration) -> BoxFuture<'_, Result<Option<DirectUrl>, BlobError>> {
        self.inner.direct_url(key, op, valid_for)
    }
}

fn injected(what: &str) -> BlobError {
    BlobError::unavailable(what)
}
