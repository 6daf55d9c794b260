//! A store that fails on request, for tests and the simulator.

use std::sync::Arc;

use artifacts_core::cluster::{Shard, ShardMap};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::fault::{Fault, FaultPlan, Faults};
use super::{Batch, Durability, KeyRange, Store, StoreError};

/// The operations of a store that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreOp {
    /// [`Store::get`].
    Get,
    /// [`Store::scan`].
    Scan,
    /// [`Store::write`].
    Write,
}

/// Wraps another store and fails the calls that a [`FaultPlan`] names, with [`StoreError::Unavailable`]. Whatever it
/// lets through is done by the wrapped store; `close` always is.
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    faults: Faults<StoreOp>,
}

impl FaultyStore {
    /// Wraps `inner`.
    pub fn new(inner: Arc<dyn Store>, plan: FaultPlan<StoreOp>) -> Self {
        Self { inner, faults: Faults::new(plan) }
    }

    /// Puts another plan in force: an outage begins or ends.
    pub fn set_plan(&self, plan: FaultPlan<StoreOp>) {
        self.faults.replace(plan);
    }

    /// How many calls were made to fail so far.
    pub fn injected(&self) -> u64 {
        self.faults.injected()
    }
}

impl Store for FaultyStore {
    fn get(&self, key: &[u8]) -> BoxFuture<'_, Result<Option<Bytes>, StoreError>> {
        let key = Bytes::copy_from_slice(key);
        async move {
            match self.faults.before(StoreOp::Get).await {
                None => self.inner.get(&key).await,
                Some(_) => Err(injected()),
            }
        }
        .boxed()
    }

    fn scan(&self, range: KeyRange, limit: usize) -> BoxFuture<'_, Result<Vec<(Bytes, Bytes)>, StoreError>> {
        async move {
            match self.faults.before(StoreOp::Scan).await {
                None => self.inner.scan(range, limit).await,
                Some(_) => Err(injected()),
            }
        }
        .boxed()
    }

    fn write(&self, batch: Batch, durability: Durability) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            match self.faults.before(StoreOp::Write).await {
                None => self.inner.write(batch, durability).await,
                Some(Fault::Fail | Fault::Throttle) => Err(injected()),
                Some(Fault::LoseAnswer | Fault::Truncate) => {
                    self.inner.write(batch, durability).await?;
                    Err(injected())
                }
            }
        }
        .boxed()
    }

    fn shards(&self) -> ShardMap {
        self.inner.shards()
    }

    fn holds(&self, shard: Shard) -> bool {
        self.inner.holds(shard)
    }

    fn is_doubtful(&self, shard: Shard) -> bool {
        self.inner.is_doubtful(shard)
    }

    fn vouch(&self, shard: Shard) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.vouch(shard)
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.close()
    }
}

fn injected() -> StoreError {
    StoreError::unavailable("injected fault")
}
