use std::sync::Arc;

use artifacts_core::cluster::{Shard, ShardMap};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use parking_lot::RwLock;

use super::placement::{shard_of, shard_of_batch, shard_of_range};
use super::{Batch, Durability, KeyRange, Store, StoreError};

/// All shards that this node answers for as one store.
///
/// A read or a write goes to the shard of its key. A batch lies in one shard: one that does not is refused. A scan that stays
/// within one thing reads one shard; a wider one reads all that are attached, each a snapshot of its own, and merges. A shard
/// that is not attached belongs to another node ([`StoreError::Fenced`]).
pub struct ShardedStore {
    map: ShardMap,
    shards: Vec<RwLock<Option<Arc<dyn Store>>>>,
}

impl ShardedStore {
    /// A store of which no shard is attached yet.
    pub fn new(map: ShardMap) -> Self {
        Self { map, shards: map.all().map(|_| RwLock::new(None)).collect() }
    }

    /// From now on this node answers for the shard.
    pub fn attach(&self, shard: Shard, store: Arc<dyn Store>) {
        if let Some(slot) = self.slot(shard) {
            *slot.write() = Some(store);
        }
        self.count();
    }

    /// From now on this node does not answer for the shard. What is under way ends as it may; the store is given back to be
    /// closed.
    pub fn detach(&self, shard: Shard) -> Option<Arc<dyn Store>> {
        let store = self.slot(shard)?.write().take();
        self.count();
        store
    }

    fn count(&self) {
        metrics::gauge!("artifacts_shards", "state" => "serving").set(self.attached().len() as f64);
    }

    /// The shards that this node answers for.
    pub fn attached(&self) -> Vec<Shard> {
        self.map.all().filter(|shard| self.slot(*shard).is_some_and(|slot| slot.read().is_some())).collect()
    }

    fn slot(&self, shard: Shard) -> Option<&RwLock<Option<Arc<dyn Store>>>> {
        self.shards.get(usize::from(shard.0))
    }

    fn store(&self, shard: Shard) -> Result<Arc<dyn Store>, StoreError> {
        self.slot(shard).and_then(|slot| slot.read().clone()).ok_or(StoreError::Fenced)
    }

    fn stores(&self) -> Vec<Arc<dyn Store>> {
        self.shards.iter().filter_map(|slot| slot.read().clone()).collect()
    }

    async fn scan_all(&self, range: KeyRange, limit: usize) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let stores = self.stores();
        let parts = join_all(stores.iter().map(|store| store.scan(range.clone(), limit))).await;
        let mut pairs = parts.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
        pairs.sort_unstable_by(|one, two| one.0.cmp(&two.0));
        pairs.truncate(limit);
        Ok(pairs)
    }
}

/// The first error of several outcomes.
async fn all(outcomes: impl IntoIterator<Item = BoxFuture<'_, Result<(), StoreError>>>) -> Result<(), StoreError> {
    join_all(outcomes).await.into_iter().collect()
}

impl Store for ShardedStore {
    fn get(&self, key: &[u8]) -> BoxFuture<'_, Result<Option<Bytes>, StoreError>> {
        let store = self.store(shard_of(self.map, key));
        let key = Bytes::copy_from_slice(key);
        async move { store?.get(&key).await }.boxed()
    }

    fn scan(&self, range: KeyRange, limit: usize) -> BoxFuture<'_, Result<Vec<(Bytes, Bytes)>, StoreError>> {
        async move {
            match shard_of_range(self.map, &range) {
                Some(shard) => self.store(shard)?.scan(range, limit).await,
                None => self.scan_all(range, limit).await,
            }
        }
        .boxed()
    }

    fn write(&self, batch: Batch, durability: Durability) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            match (shard_of_batch(self.map, &batch)?, durability) {
                (Some(shard), _) => self.store(shard)?.write(batch, durability).await,
                (None, Durability::Visible) => Ok(()),
                (None, Durability::Durable) => {
                    let stores = self.stores();
                    all(stores.iter().map(|store| store.write(Batch::new(), durability))).await
                }
            }
        }
        .boxed()
    }

    fn shards(&self) -> ShardMap {
        self.map
    }

    fn holds(&self, shard: Shard) -> bool {
        self.store(shard).is_ok_and(|store| store.holds(shard))
    }

    fn is_doubtful(&self, shard: Shard) -> bool {
        self.store(shard).is_ok_and(|store| store.is_doubtful(shard))
    }

    fn vouch(&self, shard: Shard) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { self.store(shard)?.vouch(shard).await }.boxed()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let stores = self.stores();
            all(stores.iter().map(|store| store.close())).await
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::store::MemoryStore;
    use crate::store::tests::conforms;

    fn sharded(shards: u16) -> (ShardedStore, Vec<Arc<MemoryStore>>) {
        let map = ShardMap::new(shards).unwrap();
        let (store, parts) = (ShardedStore::new(map), map.all().map(|_| Arc::new(MemoryStore::new())).collect::<Vec<_>>());
        for (shard, part) in map.all().zip(&parts) {
            store.attach(shard, part.clone());
        }
        (store, parts)
    }

    fn row(id: u128, rest: &[u8]) -> Vec<u8> {
        [b"W", &id.to_be_bytes()[..], rest].concat()
    }

    fn put(rows: &[Vec<u8>]) -> Batch {
        let mut batch = Batch::new();
        for row in rows {
            batch.put(row.clone(), "v");
        }
        batch
    }

    #[tokio::test]
    async fn one_shard_is_a_store_as_any() {
        conforms(Arc::new(sharded(1).0)).await;
    }

    #[tokio::test]
    async fn rows_go_to_their_shard_and_wide_scans_see_all() {
        let (store, parts) = sharded(16);
        let rows: Vec<Vec<u8>> = (0..100).flat_map(|id| [row(id, b"a"), row(id, b"b")]).collect();
        for pair in rows.chunks(2) {
            store.write(put(pair), Durability::Visible).await.unwrap();
            assert!(store.get(&pair[1]).await.unwrap().is_some());
        }
        let used = parts.iter().filter(|part| part.pending_writes() > 0).count();
        assert!(used > 12, "{used} shards hold something");
        assert_eq!(store.scan(KeyRange::prefix(&row(7, b"")), 10).await.unwrap().len(), 2);
        let mut found = Vec::new();
        let mut range = KeyRange::prefix(b"W");
        loop {
            let page = store.scan(range.clone(), 7).await.unwrap();
            let Some((last, _)) = page.last() else { break };
            range = range.after(last);
            found.extend(page.into_iter().map(|(key, _)| key.to_vec()));
        }
        let mut expected = rows;
        expected.sort();
        assert_eq!(found, expected);
        store.write(Batch::new(), Durability::Durable).await.unwrap();
        assert!(parts.iter().all(|part| part.pending_writes() == 0), "an empty durable batch is a barrier for all");
    }

    #[tokio::test]
    async fn a_batch_that_lies_in_two_shards_is_refused_whole() {
        let (store, _) = sharded(16);
        let map = store.shards();
        let other = (1..).find(|id| shard_of(map, &row(*id, b"")) != shard_of(map, &row(0, b""))).unwrap();
        let error = store.write(put(&[row(0, b"a"), row(other, b"a")]), Durability::Durable).await.unwrap_err();
        assert!(matches!(error, StoreError::Scattered), "{error}");
        assert!(store.scan(KeyRange::all(), 10).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_shard_that_is_gone_answers_nothing_and_the_others_go_on() {
        let (store, _) = sharded(16);
        let (gone, stays) = (row(0, b"a"), row(1, b"a"));
        assert_ne!(shard_of(store.shards(), &gone), shard_of(store.shards(), &stays));
        store.write(put(std::slice::from_ref(&gone)), Durability::Durable).await.unwrap();
        store.write(put(std::slice::from_ref(&stays)), Durability::Durable).await.unwrap();
        let shard = shard_of(store.shards(), &gone);
        assert!(store.holds(shard));
        assert!(store.detach(shard).is_some());
        assert!(!store.holds(shard));
        assert!(matches!(store.get(&gone).await, Err(StoreError::Fenced)));
        assert!(matches!(store.write(put(&[gone]), Durability::Visible).await, Err(StoreError::Fenced)));
        assert!(store.get(&stays).await.unwrap().is_some());
        assert_eq!(store.attached().len(), 15);
        assert_eq!(store.scan(KeyRange::all(), 10).await.unwrap().len(), 1);
    }
}
