//! A blob store that fails on request, for tests and the simulator.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{BlobError, BlobKey, BlobStore};
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
            Some(Fault::Fail) => Err(injected()),
            Some(Fault::LoseAnswer) => {
                call.await?;
                Err(injected())
            }
        }
    }
}

impl BlobStore for FaultyBlobs {
    fn put(&self, key: &BlobKey, data: Bytes) -> BoxFuture<'_, Result<(), BlobError>> {
        self.run(BlobOp::Put, self.inner.put(key, data)).boxed()
    }

    fn get(&self, key: &BlobKey, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, BlobError>> {
        self.run(BlobOp::Get, self.inner.get(key, range)).boxed()
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
}

fn injected() -> BlobError {
    BlobError::unavailable("injected fault")
}
