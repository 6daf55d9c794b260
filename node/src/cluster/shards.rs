use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use artifacts_core::cluster::Shard;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::ObjectStore;
use tokio::sync::watch;

use super::measured_objects::MeasuredObjects;
use super::{Bucket, ClusterError, ClusterRecord, OwnedStore, OwnerRules};
use crate::config::NodeConfig;
use crate::random::SharedEntropy;
use crate::store::{BlockCache, ShardedStore, SlateLimits, SlateStore, StoreError};
use crate::time::SharedClock;

/// How many shards are opened at once.
const OPENED_AT_ONCE: usize = 16;

/// The shards of a cluster, and those of them that this node owns.
pub struct Shards {
    record: ClusterRecord,
    objects: Arc<dyn ObjectStore>,
    cache: Arc<BlockCache>,
    limits: SlateLimits,
    rules: OwnerRules,
    store: Arc<ShardedStore>,
    /// From when no owner before can act on any of them, by this node's clock.
    alone_from_ms: AtomicU64,
    lost: watch::Sender<Option<Shard>>,
}

impl Shards {
    /// Joins the cluster in the bucket, or makes it. No shard is opened yet.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub async fn join(config: &NodeConfig, bucket: &Bucket, clock: SharedClock, entropy: &SharedEntropy) -> Result<Self, ClusterError> {
        let wanted = config.cluster.shards;
        let map = artifacts_core::cluster::ShardMap::new(wanted);
        let map = map.ok_or_else(|| ClusterError::Unusable { reason: format!("a cluster cannot have {wanted} shards") })?;
        let objects: Arc<dyn ObjectStore> = Arc::new(MeasuredObjects::new(bucket.objects().await?));
        let mut bits = [0; 16];
        entropy.fill(&mut bits);
        let id = format!("cl_{:032x}", u128::from_be_bytes(bits));
        let regions = config.regions().map_err(|error| ClusterError::Unusable { reason: error.to_string() })?;
        let record = ClusterRecord::join_or_make(&*objects, &ClusterRecord::new(id, map, clock.wall(), &regions)).await?;
        record.check_region(&regions)?;
        if record.shards != map {
            tracing::info!(shards = record.shards.len(), "the cluster has as many shards as it was made with");
        }
        let limits = SlateLimits {
            unflushed_bytes: config.cluster.unflushed_bytes_per_shard as usize,
            table_bytes: (config.cluster.unflushed_bytes_per_shard / 4) as usize,
            conditional_updates: bucket.has_conditional_updates(),
            ..SlateLimits::default()
        };
        Ok(Self {
            store: Arc::new(ShardedStore::new(record.shards)),
            record,
            objects,
            cache: Arc::new(BlockCache::new(config.store_cache_bytes)),
            limits,
            rules: OwnerRules { ttl_ms: config.cluster.ownership_ttl_ms, clock },
            alone_from_ms: AtomicU64::new(0),
            lost: watch::Sender::new(None),
        })
    }

    /// Asks the bucket for anything.
    ///
    /// # Errors
    /// What came instead of an answer.
    pub async fn probe(&self) -> Result<(), ClusterError> {
        ClusterRecord::look(&*self.objects).await
    }

    /// What was decided when the cluster was made.
    pub fn record(&self) -> &ClusterRecord {
        &self.record
    }

    /// The shards that this node owns, as one store.
    pub fn store(&self) -> Arc<ShardedStore> {
        Arc::clone(&self.store)
    }

    /// From when, by the node's clock, no owner before can act on any shard that this node has opened.
    pub fn alone_from_ms(&self) -> u64 {
        self.alone_from_ms.load(Ordering::Relaxed)
    }

    /// The first shard that another node has taken from this one, once one has.
    pub fn lost(&self) -> watch::Receiver<Option<Shard>> {
        self.lost.subscribe()
    }

    /// Becomes the owner of every shard.
    ///
    /// # Errors
    /// [`ClusterError::Store`]; shards that were opened before stay open.
    pub async fn own_all(&self) -> Result<(), ClusterError> {
        let opening = futures_util::stream::iter(self.record.shards.all()).map(|shard| self.own(shard));
        opening.buffer_unordered(OPENED_AT_ONCE).try_collect::<Vec<_>>().await?;
        tracing::info!(cluster = self.record.id, shards = self.record.shards.len(), "this node owns every shard");
        Ok(())
    }

    /// Lets go of a shard: answers nothing about it any more, makes everything durable and says so on record, so that the next
    /// owner need not wait. Nothing if this node does not have it.
    ///
    /// # Errors
    /// The store's; then the next owner waits.
    pub async fn release(&self, shard: Shard) -> Result<(), StoreError> {
        match self.store.detach(shard) {
            Some(store) => store.close().await,
            None => Ok(()),
        }
    }

    /// Becomes the owner of a shard: takes it from whoever has it.
    ///
    /// # Errors
    /// [`ClusterError::Store`].
    pub async fn own(&self, shard: Shard) -> Result<Arc<OwnedStore>, ClusterError> {
        let owned = self.open(shard).await?;
        let (mut lost, news) = (owned.lost(), self.lost.clone());
        tokio::spawn(async move {
            if lost.wait_for(|lost| *lost).await.is_ok() {
                tracing::error!(%shard, "another node has taken a shard from this one");
                news.send_if_modified(|first| first.is_none() && first.replace(shard).is_none());
            }
        });
        self.alone_from_ms.fetch_max(owned.alone_from_ms(), Ordering::Relaxed);
        self.store.attach(shard, owned.clone());
        Ok(owned)
    }

    /// Takes a shard for somebody who looks after it alone: it is not part of the one store.
    ///
    /// # Errors
    /// [`ClusterError::Store`].
    pub async fn open(&self, shard: Shard) -> Result<Arc<OwnedStore>, ClusterError> {
        let (objects, cache) = (Arc::clone(&self.objects), Arc::clone(&self.cache));
        let path = format!("meta/{shard}");
        let open = SlateStore::open(objects, &path, cache, u64::from(shard.0), self.limits);
        Ok(Arc::new(Box::pin(OwnedStore::open(open, self.rules.clone())).await?))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::cluster::ClusterConfig;
    use crate::random::SystemEntropy;
    use crate::store::{Batch, Durability, Store as _};
    use crate::time::{Clock as _, SystemClock};

    async fn join(directory: &std::path::Path, shards: u16) -> Shards {
        let cluster = ClusterConfig { directory: Some(directory.to_owned()), shards, ..ClusterConfig::default() };
        let config = NodeConfig { cluster, ..NodeConfig::default() };
        let entropy: SharedEntropy = Arc::new(SystemEntropy);
        Shards::join(&config, &Bucket::of(&config).unwrap(), Arc::new(SystemClock), &entropy).await.unwrap()
    }

    fn row(id: u128) -> Vec<u8> {
        [b"W", &id.to_be_bytes()[..], b"row"].concat()
    }

    #[tokio::test]
    async fn a_shard_that_is_let_go_is_followed_at_once_and_one_that_is_taken_is_lost() {
        let directory = tempfile::tempdir().unwrap();
        let first = join(directory.path(), 2).await;
        first.own_all().await.unwrap();
        for id in 0..8 {
            let mut batch = Batch::new();
            batch.put(row(id), "v");
            first.store().write(batch, Durability::Durable).await.unwrap();
        }
        let second = join(directory.path(), 5).await;
        assert_eq!(second.record(), first.record(), "the number of shards was decided");

        first.release(Shard(0)).await.unwrap();
        let now_ms = SystemClock.monotonic_ms();
        assert!(second.own(Shard(0)).await.unwrap().alone_from_ms() <= SystemClock.monotonic_ms());
        assert!(second.own(Shard(1)).await.unwrap().alone_from_ms() >= now_ms + 2_000, "the first does not know yet");
        let lost = tokio::time::timeout(std::time::Duration::from_secs(20), async {
            let mut lost = first.lost();
            // The first finds out as soon as it writes.
            let mut batch = Batch::new();
            let mine = (0..8).find(|id| crate::store::shard_of(first.record().shards, &row(*id)) == Shard(1)).unwrap();
            batch.put(row(mine), "late");
            assert!(matches!(first.store().write(batch, Durability::Durable).await, Err(StoreError::Fenced)));
            *lost.wait_for(Option::is_some).await.unwrap()
        });
        assert_eq!(lost.await.unwrap(), Some(Shard(1)));
        let found = second.store().scan(crate::store::KeyRange::prefix(b"W"), 20).await.unwrap();
        assert_eq!(found.len(), 8);
        assert!(found.iter().all(|(_, value)| value == "v"));
    }
}
