//! Segments that several workspaces have, since one is a copy of the other.
//!
//! An object lies in the place of the workspace whose mounts have put it: its **owner**. A copy has on record, for each segment
//! that is not its own, whose it is (its **home**); beside the owner's records stands who else has it (a **share**). Counts of live
//! bytes stay each workspace's own. Always true:
//!
//! - for each segment that a copy names it has a home and a share, durable before it is used. A share without a home there never is;
//! - an object in which somebody else has a share is not deleted. Its owner lets it lie when nothing of its own lives in it; if no
//!   share is left later, it is an object that nothing names, and goes as those do;
//! - when an owner is removed for good, a mark stays as long as there are shares, and with it the key that its objects are sealed
//!   with. Then whoever gives back the last share in an object deletes it, and with the last share of all the key;
//! - a copy never names again a segment of another's in which nothing of it lived any more: its home is gone.
//!
//! A share can only be made from a workspace in whose snapshot something lives in the segment, and a workspace with an open
//! snapshot gives nothing back. So none is made in what is just being deleted. Workspaces that share lie in one shard, with one
//! owner; only where a single node's records were spread over shards later they need not. Then a share may stay for ever, which
//! costs room and nothing else.

use artifacts_core::{SegmentId, WorkspaceId};

use super::homes::Foreign;
use super::keys::{WorkspaceKeys, segment_key};
use crate::blob::BlobError;
use crate::context::Context;
use crate::store::{Batch, Durability, KeyRange, StoreError};

const PAGE: usize = 512;

/// Nothing of a workspace lives in a segment any more: gives its share back, or deletes its object if nobody has one.
///
/// # Errors
/// The store's; it can be done again.
pub(super) async fn let_go(context: &Context, of: WorkspaceId, segment: SegmentId) -> Result<(), StoreError> {
    let _alone = context.homes.deciding.lock().await;
    let home = context.homes.of(&*context.store, of).await?.get(&segment).copied();
    match home {
        Some(owner) => give_back(context, of, owner, segment).await,
        None if is_shared(context, of, segment).await? => Ok(()),
        None => delete(context, of, segment).await,
    }
}

/// What has to be on record, in this order, before `copy` names a segment of `source`: whose it is, and the share in it.
pub(super) fn lend(homes: &Foreign, source: WorkspaceId, segment: SegmentId, copy: WorkspaceId, [kept, shares]: &mut [Batch; 2]) {
    let home = homes.get(&segment).copied().unwrap_or(source);
    kept.put(WorkspaceKeys(copy).home(segment), home.bits().to_be_bytes().to_vec());
    shares.put(WorkspaceKeys(home).share(segment, copy), Vec::new());
}

/// Whether others have a share in a segment of this workspace.
pub(super) async fn is_shared(context: &Context, owner: WorkspaceId, segment: SegmentId) -> Result<bool, StoreError> {
    Ok(!context.store.scan(KeyRange::prefix(&WorkspaceKeys(owner).shares_of(segment)), 1).await?.is_empty())
}

async fn give_back(context: &Context, of: WorkspaceId, owner: WorkspaceId, segment: SegmentId) -> Result<(), StoreError> {
    match take_off(context, of, owner, segment).await {
        // The owner's records lie in another shard, which may be another node's.
        Err(StoreError::Fenced) => {
            tracing::warn!(workspace = %of, %owner, %segment, "a share cannot be given back: its record is elsewhere")
        }
        outcome => outcome?,
    }
    let mut batch = Batch::new();
    batch.delete(WorkspaceKeys(of).home(segment));
    context.store.write(batch, Durability::Durable).await?;
    context.homes.forget(of);
    Ok(())
}

async fn take_off(context: &Context, of: WorkspaceId, owner: WorkspaceId, segment: SegmentId) -> Result<(), StoreError> {
    let keys = WorkspaceKeys(owner);
    let own = keys.share(segment, of);
    let shares = context.store.scan(KeyRange::prefix(&keys.shares_of(segment)), 2).await?;
    let is_last = shares.iter().all(|(key, _)| *key == own);
    let is_owned = context.store.get(&keys.removed()).await?.is_none();
    if is_last && !is_owned {
        // First: a share without an object is given back again, an object without a share would stay for ever.
        delete(context, owner, segment).await?;
    }
    let mut batch = Batch::new();
    batch.delete(own);
    context.store.write(batch, Durability::Durable).await?;
    if !is_owned && context.store.scan(KeyRange::prefix(&keys.all_shares()), 1).await?.is_empty() {
        let mut batch = Batch::new();
        batch.delete(keys.removed());
        batch.delete(keys.data_key());
        context.store.write(batch, Durability::Durable).await?;
    }
    Ok(())
}

async fn delete(context: &Context, owner: WorkspaceId, segment: SegmentId) -> Result<(), StoreError> {
    let key = segment_key(owner, segment).map_err(|error| StoreError::Corrupt { reason: error.to_string() })?;
    context.blobs.delete(&key).await.map_err(unavailable)?;
    metrics::counter!("artifacts_segments_deleted_total").increment(1);
    Ok(())
}

/// Removes all objects and records of a workspace that nobody uses any more. Objects in which others have a share stay, and so does
/// what says that. Can be repeated.
///
/// # Errors
/// The store's.
pub(crate) async fn remove(context: &Context, workspace: WorkspaceId) -> Result<(), StoreError> {
    let keys = WorkspaceKeys(workspace);
    let _alone = context.homes.deciding.lock().await;
    remove_objects(context, workspace).await?;
    context.homes.forget(workspace);
    let homes = context.homes.of(&*context.store, workspace).await?;
    for (segment, owner) in homes.iter() {
        give_back(context, workspace, *owner, *segment).await?;
    }
    let mut batch = Batch::new();
    if context.store.scan(KeyRange::prefix(&keys.all_shares()), 1).await?.is_empty() {
        batch.delete(keys.data_key());
    } else {
        batch.put(keys.removed(), Vec::new());
    }
    context.store.write(batch, Durability::Durable).await?;
    for part in keys.all_but_shares() {
        remove_records(context, part).await?;
    }
    // The name is given free in another shard: that must not outlast a crash which brings records back.
    context.store.write(Batch::new(), Durability::Durable).await?;
    remove_objects(context, workspace).await?;
    context.homes.forget(workspace);
    Ok(())
}

async fn remove_records(context: &Context, range: KeyRange) -> Result<(), StoreError> {
    loop {
        let page = context.store.scan(range.clone(), PAGE).await?;
        if page.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        for (key, _) in page {
            batch.delete(key);
        }
        context.store.write(batch, Durability::Visible).await?;
    }
}

async fn remove_objects(context: &Context, workspace: WorkspaceId) -> Result<(), StoreError> {
    let prefix = format!("{workspace}/");
    let mut after = None;
    loop {
        let listed = context.blobs.list(&prefix, after.as_ref(), PAGE).await.map_err(unavailable)?;
        for key in &listed {
            let is_kept = match super::collection::segment_of_object(key) {
                Some(segment) => is_shared(context, workspace, segment).await?,
                None => false,
            };
            if !is_kept {
                context.blobs.delete(key).await.map_err(unavailable)?;
            }
        }
        match listed.last().filter(|_| listed.len() == PAGE) {
            Some(last) => after = Some(last.clone()),
            None => return Ok(()),
        }
    }
}

fn unavailable(error: BlobError) -> StoreError {
    StoreError::Unavailable { reason: error.to_string() }
}
