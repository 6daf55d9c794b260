//! Copies the records of a workspace into a new one. Data is not copied: the copy has shares in its segments
//! ([`sharing`](super::sharing)), and what has not been packed yet travels with the records.

use artifacts_core::WorkspaceId;
use artifacts_core::namespace::{Extent, Key, Record, Source};
use ractor::ActorRef;

use super::errand::decode;
use super::keys::WorkspaceKeys;
use super::message::WorkspaceMessage;
use super::sharing;
use super::snapshot::Opened;
use super::visit::{Visit, VisitError, Visited};
use crate::context::SharedContext;
use crate::sessions::ask;
use crate::store::{Batch, Durability, KeyRange, StoreError};

/// How many records one step copies: the more the smaller they are. An extent may carry 64 KiB.
const PAGE_MIN: usize = 128;
const PAGE_MAX: usize = 512;
/// So much at a time is enough, in bytes.
const PAGE_BYTES: usize = 1 << 20;

/// Copies what `source` is at this moment, durably, into `target`, which nobody uses yet. What an attempt before has left there
/// is removed first.
///
/// # Errors
/// The store's, and when the workspace changes too fast to be copied. Then `target` is not to be used.
pub(crate) async fn copy(
    context: &SharedContext,
    source: WorkspaceId,
    actor: &ActorRef<WorkspaceMessage>,
    target: WorkspaceId,
) -> Result<(), StoreError> {
    let (from, to) = (WorkspaceKeys(source), WorkspaceKeys(target));
    if !context.store.scan(KeyRange::prefix(&to.all()), 1).await?.is_empty() {
        sharing::remove(context, target).await?;
    }
    let snapshot = match ask(actor, |reply| WorkspaceMessage::Visit(Visit::Freeze { is_settled: false }, reply)).await? {
        Ok(Visited::Frozen(snapshot)) => snapshot,
        Err(VisitError::Store(error)) => return Err(error),
        other => return Err(StoreError::Unavailable { reason: format!("no snapshot could be taken: {other:?}") }),
    };
    let opened = Opened::new(actor.clone(), snapshot);
    let homes = context.homes.of(&*context.store, source).await?;
    // Numbers that were given out since are not given out again either.
    let meta = context.store.get(&from.meta()).await?;
    let mut batch = Batch::new();
    if let Some(meta) = meta {
        batch.put(to.meta(), meta);
    }
    // Written before the first record that is sealed with it. What is shared stays sealed with the key of where it lies.
    context.data_keys.draw(&mut batch, target, &context.entropy).await?;
    let (before, mut is_unpacked, mut page) = (from.all().len(), false, PAGE_MIN);
    loop {
        // What was read is written while the next is read.
        let (written, read) = tokio::join!(
            context.store.write(std::mem::take(&mut batch), Durability::Visible),
            opened.snapshot.page(&*context.store, page),
        );
        written?;
        let (records, more) = read?;
        let (mut lent, mut bytes) = ([Batch::new(), Batch::new()], 0);
        for (key, value) in records {
            let encoded = key.slice(before..);
            match Key::decode(&encoded) {
                Some(Key::Segment(segment)) => sharing::lend(&homes, source, segment, target, &mut lent),
                Some(Key::Extent(..)) if !is_unpacked => {
                    is_unpacked = matches!(decode(&value)?, Record::Extent(Extent { source: Source::Inline { .. }, .. }));
                }
                _ => {}
            }
            bytes += value.len();
            batch.put(to.namespace(&encoded), value);
        }
        for part in lent.into_iter().filter(|part| !part.is_empty()) {
            // Homes first: by them whoever removes the copy finds the shares.
            context.store.write(part, Durability::Durable).await?;
        }
        if !more {
            break;
        }
        page = if bytes > PAGE_BYTES { (page / 2).max(PAGE_MIN) } else { (page * 2).min(PAGE_MAX) };
    }
    if is_unpacked {
        batch.put(to.unpacked(), Vec::new());
    }
    context.store.write(batch, Durability::Durable).await?;
    // An actor that began anew meanwhile kept nothing for the snapshot.
    ask(actor, WorkspaceMessage::Usage).await??;
    context.homes.forget(target);
    drop(opened);
    Ok(())
}
