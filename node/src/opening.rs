//! Opens what a node keeps its state in, as its configuration says: metadata and segments.

use std::os::unix::fs::DirBuilderExt as _;
use std::sync::Arc;
use std::time::Duration;

use crate::blob::{BlobError, BlobStore, BlobsConfig, DirectoryBlobs, S3Blobs, home};
use crate::catalog::layout::{self, LayoutState};
use crate::cluster::{Bucket, Shards};
use crate::config::{NodeConfig, StoreKind};
use crate::node::NodeError;
use crate::random::{SharedEntropy, SystemEntropy};
use crate::store::{SledStore, Store};
use crate::time::{SharedClock, SystemClock, pause};

/// The metadata's folder inside the data directory.
pub(crate) const METADATA: &str = "meta";

/// What a node keeps its state in.
pub(crate) struct Opened {
    /// Metadata.
    pub(crate) store: Arc<dyn Store>,
    /// Segments.
    pub(crate) blobs: Arc<dyn BlobStore>,
    /// The shards behind `store`, if it lies in the cluster's bucket.
    pub(crate) shards: Option<Shards>,
}

/// Opens all of it for a node that serves, as this version wants it.
pub(crate) async fn open(config: &NodeConfig, clock: &SharedClock, entropy: &SharedEntropy) -> Result<Opened, NodeError> {
    let opened = open_as_it_is(config, clock, entropy).await?;
    match layout::bring_up_to_date(&*opened.store).await? {
        LayoutState::Current => Ok(opened),
        LayoutState::Importing => {
            let message = "an import into this store has not ended; run `artifacts node import` with the same file again";
            Err(NodeError::Config(message.to_owned()))
        }
    }
}

/// Opens all of it for somebody who is no node, while no node runs on it.
pub(crate) async fn open_alone(config: &NodeConfig) -> Result<Opened, NodeError> {
    make_data_directory(config)?;
    let (clock, entropy): (SharedClock, SharedEntropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    open_as_it_is(config, &clock, &entropy).await
}

/// Makes the data directory, if there is none, so that nobody else can look into it.
pub(crate) fn make_data_directory(config: &NodeConfig) -> Result<(), NodeError> {
    let failed = |source| NodeError::DataDirectory { path: config.data.clone(), source };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&config.data).map_err(failed)
}

/// Of a cluster every shard is opened, and the owner before, if it may be alive, is waited for: on return this process may act.
async fn open_as_it_is(config: &NodeConfig, clock: &SharedClock, entropy: &SharedEntropy) -> Result<Opened, NodeError> {
    match config.store {
        StoreKind::Sled => {
            let store = Arc::new(SledStore::open(config.data.join(METADATA), config.store_cache_bytes).await?);
            Ok(Opened { store, blobs: open_blobs(config, None).await?, shards: None })
        }
        StoreKind::Slate => {
            let bucket = Bucket::of(config)?;
            // First, because it finds out whether the bucket keeps what is relied on.
            let blobs = open_blobs(config, Some(&bucket)).await?;
            let shards = Box::pin(Shards::join(config, &bucket, clock.clone(), entropy)).await?;
            shards.own_all().await?;
            let wait_ms = shards.alone_from_ms().saturating_sub(clock.monotonic_ms());
            if wait_ms > 0 {
                tracing::info!(wait_ms, "the owner before may not know yet that it is none");
                pause(Duration::from_millis(wait_ms)).await;
            }
            Ok(Opened { store: shards.store(), blobs, shards: Some(shards) })
        }
    }
}

async fn open_blobs(config: &NodeConfig, bucket: Option<&Bucket>) -> Result<Arc<dyn BlobStore>, BlobError> {
    let blobs: Arc<dyn BlobStore> = match &config.blobs {
        BlobsConfig::Directory => {
            let place = bucket.and_then(Bucket::blob_directory).unwrap_or(&config.data);
            std::fs::create_dir_all(place)?;
            home::claim(place, &config.blobs)?;
            Arc::new(DirectoryBlobs::open(place.join(home::DIRECTORY)).await?)
        }
        BlobsConfig::S3(bucket) => {
            // A place that does not work is not to be noted as the one in use.
            let blobs = Arc::new(S3Blobs::open(bucket, Arc::new(SystemEntropy)).await?);
            home::claim(&config.data, &config.blobs)?;
            blobs
        }
    };
    tracing::info!(place = config.blobs.home(), path = ?config.data_path(), "segments have their place");
    Ok(blobs)
}
