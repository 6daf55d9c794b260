//! A store in memory that models what a crash leaves.

use std::collections::{BTreeMap, VecDeque};

use artifacts_core::cluster::ShardMap;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use parking_lot::Mutex;

use super::placement::shard_of_batch;
use super::{Batch, Durability, KeyRange, Store, StoreError};

/// How many writes may wait to become durable. A store on disk would have flushed long before; here it bounds the
/// memory of a caller that never asks for durability.
const MAX_PENDING_WRITES: usize = 4096;

/// A store in memory. Two maps, what is visible and what is durable, and between them the writes that a crash may lose,
/// in their order. Every future is ready at once, so a simulated run has no scheduling of its own in it.
#[derive(Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    visible: BTreeMap<Bytes, Bytes>,
    durable: BTreeMap<Bytes, Bytes>,
    pending: VecDeque<Batch>,
    /// Why nothing works any more, after a crash or a close.
    ended: Option<StoreError>,
    shards: ShardMap,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store that refuses what a store of so many shards refuses.
    pub fn sharded(shards: ShardMap) -> Self {
        Self { state: Mutex::new(State { shards, ..State::default() }) }
    }

    /// Loses power: this store answers nothing from now on, and the returned one holds what was durable, a prefix
    /// of the writes that ends with the last durable one.
    pub fn crash(&self) -> Self {
        self.crash_keeping(0)
    }

    /// Loses power as [`MemoryStore::crash`] does, but up to `writes` of those that nobody asked to be durable had
    /// reached the disk: any prefix may.
    pub fn crash_keeping(&self, writes: usize) -> Self {
        let mut state = self.state.lock();
        state.ended = Some(StoreError::unavailable("the store has crashed"));
        let mut left = std::mem::take(&mut state.durable);
        for batch in state.pending.drain(..).take(writes) {
            apply(&mut left, &batch);
        }
        Self { state: Mutex::new(State { visible: left.clone(), durable: left, shards: state.shards, ..State::default() }) }
    }

    /// How many writes a crash could lose now.
    pub fn pending_writes(&self) -> usize {
        self.state.lock().pending.len()
    }
}

impl State {
    fn live(&mut self) -> Result<&mut Self, StoreError> {
        match &self.ended {
            None => Ok(self),
            Some(error) => Err(error.clone()),
        }
    }

    fn write(&mut self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        batch.check()?;
        shard_of_batch(self.shards, &batch)?;
        apply(&mut self.visible, &batch);
        self.pending.push_back(batch);
        let may_wait = match durability {
            Durability::Visible => MAX_PENDING_WRITES,
            Durability::Durable => 0,
        };
        self.flush_down_to(may_wait);
        Ok(())
    }

    fn flush_down_to(&mut self, may_wait: usize) {
        let flushed = self.pending.len().saturating_sub(may_wait);
        for batch in self.pending.drain(..flushed) {
            apply(&mut self.durable, &batch);
        }
    }
}

fn apply(map: &mut BTreeMap<Bytes, Bytes>, batch: &Batch) {
    for (key, value) in batch.iter() {
        match value {
            Some(value) => map.insert(key.clone(), value.clone()),
            None => map.remove(key),
        };
    }
}

impl Store for MemoryStore {
    fn get(&self, key: &[u8]) -> BoxFuture<'_, Result<Option<Bytes>, StoreError>> {
        let found = self.state.lock().live().map(|state| state.visible.get(key).cloned());
        ready(found).boxed()
    }

    fn scan(&self, range: KeyRange, limit: usize) -> BoxFuture<'_, Result<Vec<(Bytes, Bytes)>, StoreError>> {
        let found = self.state.lock().live().map(|state| {
            if range.is_empty() {
                return Vec::new();
            }
            let pairs = state.visible.range(range.bounds()).take(limit);
            pairs.map(|(key, value)| (key.clone(), value.clone())).collect()
        });
        ready(found).boxed()
    }

    fn write(&self, batch: Batch, durability: Durability) -> BoxFuture<'_, Result<(), StoreError>> {
        // Only when polled: a caller that drops the future at once has not written, as with the other stores.
        async move { self.state.lock().live()?.write(batch, durability) }.boxed()
    }

    fn shards(&self) -> ShardMap {
        self.state.lock().shards
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let mut state = self.state.lock();
            match &state.ended {
                None => {
                    state.flush_down_to(0);
                    state.ended = Some(StoreError::Closed);
                    Ok(())
                }
                Some(StoreError::Closed) => Ok(()),
                Some(error) => Err(error.clone()),
            }
        }
        .boxed()
    }
}
