//! The end of segments and of objects that nothing names.
//!
//! **Dead segments.** A segment dies when its last byte does. The flush that makes this durable puts it on record among
//! the dead, so whichever life comes next knows it. **Unnamed objects.** A mount puts a segment and names it by ops
//! afterwards; one that dies in between leaves an object. Listing finds those that no record names.
//!
//! Either may still be meant: by a reader that has just learnt where a block was, or by ops that a writer holds and has not
//! sent. A connected writer sends what it has within seconds. So nothing is deleted before a grace has passed, counted from
//! when it died or was first seen unnamed, in which all writers of the workspace were connected and no op was kept waiting. One
//! that has been away for a day is not waited for: what it names then is refused, and its mount reports that with the next fsync.
//! Times are those of this life of the actor; after a restart the grace begins anew.
//!
//! While the object is being deleted its segment is *condemned*: an op that names it is refused, so no record can come to
//! point at what is about to go.

use artifacts_core::SegmentId;
use artifacts_core::namespace::{Key, Record};
use ractor::ActorRef;

use super::actor::WorkspaceState;
use super::errand::{ErrandContext, decode};
use super::keys::WorkspaceKeys;
use super::message::WorkspaceMessage;
use super::sharing;
use super::upkeep::{Errand, UpkeepMessage, millis};
use crate::blob::BlobKey;
use crate::store::{Batch, KeyRange, StoreError};

/// How many objects one deletion takes on.
const DELETED_AT_ONCE: usize = 256;
/// How many unnamed objects are followed at a time; the next listing finds the others.
const SUSPECTS_MAX: usize = 64 * 1024;
const PAGE: usize = 512;

impl WorkspaceState {
    /// Takes into a batch which segments die with it, and which are not dead any more.
    pub(super) fn bury(&mut self, batch: &mut Batch) {
        for segment in self.upkeep.exhumed.drain(..) {
            batch.delete(self.keys.dead(segment));
        }
        for segment in std::mem::take(&mut self.dead_segments) {
            batch.put(self.keys.dead(segment), Vec::new());
            // Its own grace counts from now on.
            self.upkeep.suspects.remove(&segment);
            self.upkeep.dying.push(segment);
        }
    }

    /// That batch is durable.
    pub(super) fn buried(&mut self) {
        let now_ms = self.now_ms();
        let dying = std::mem::take(&mut self.upkeep.dying);
        self.upkeep.graves.extend(dying.into_iter().map(|segment| (segment, now_ms)));
    }

    /// Reads what earlier lives left.
    pub(super) fn begin_recall(&mut self, myself: &ActorRef<WorkspaceMessage>) {
        let errand = self.errand_context(myself);
        self.begin(myself, Errand::Recall, async move {
            let store = &errand.context.store;
            let all = errand.keys.all_dead();
            let mut dead = Vec::new();
            let mut range = KeyRange::prefix(&all);
            loop {
                let page = store.scan(range.clone(), PAGE).await?;
                dead.extend(page.iter().filter_map(|(key, _)| WorkspaceKeys::segment_of(&all, key)));
                match page.last().filter(|_| page.len() == PAGE) {
                    Some((last, _)) => range = range.after(last),
                    None => break,
                }
            }
            errand.tell(UpkeepMessage::Left(dead));
            Ok(())
        });
    }

    pub(super) fn remember(&mut self, dead: Vec<SegmentId>) {
        let now_ms = self.now_ms();
        for segment in dead {
            self.upkeep.graves.entry(segment).or_insert(now_ms);
        }
    }

    /// Whether so much time has passed since, in which nothing could be on its way.
    fn is_safe(&self, since_ms: u64, grace: std::time::Duration) -> bool {
        let quiet_since_ms = since_ms.max(self.upkeep.restless_ms);
        self.recovery.is_none() && self.now_ms().saturating_sub(quiet_since_ms) >= millis(grace)
    }

    /// Whether anything lies in a segment. Nothing is known while its end is not durable: a crash would bring it back.
    async fn is_in_use(&self, segment: SegmentId) -> Option<bool> {
        // Without asking for its object: nothing here waits for those.
        let named = self.layers.is_named(segment).await.ok()?;
        (named || !self.layers.is_changing(segment)).then_some(named)
    }

    /// Deletes segments that have been dead for long enough.
    pub(super) async fn collect_dead(&mut self, myself: &ActorRef<WorkspaceMessage>) {
        if self.upkeep.snapshot.is_some() {
            return;
        }
        let grace = self.rules().grace;
        let due: Vec<SegmentId> = self
            .upkeep
            .graves
            .iter()
            .filter(|(id, since)| self.is_safe(**since, grace) && !self.layers.is_condemned(**id))
            .map(|(id, _)| *id)
            .take(DELETED_AT_ONCE)
            .collect();
        let mut going = Vec::new();
        for segment in due {
            match self.is_in_use(segment).await {
                Some(false) => going.push(segment),
                Some(true) => {
                    // Named again by an op that was on its way.
                    self.upkeep.graves.remove(&segment);
                    self.upkeep.exhumed.push(segment);
                    self.dirty = true;
                }
                None => {}
            }
        }
        self.delete_objects(myself, going);
    }

    /// Deletes unnamed objects that are old enough.
    pub(super) async fn collect_overdue(&mut self, myself: &ActorRef<WorkspaceMessage>) {
        let due = self.upkeep.suspects.keys().copied().filter(|segment| self.is_overdue(*segment)).take(DELETED_AT_ONCE).collect();
        let collected = self.collect_unnamed(myself, due).await;
        if !collected.is_empty() {
            tracing::info!(workspace = %self.keys.0, objects = collected.len(), "deleting objects that nothing names");
            metrics::counter!("artifacts_unnamed_objects_total").increment(collected.len() as u64);
        }
    }

    pub(super) fn is_overdue(&self, segment: SegmentId) -> bool {
        let since = self.upkeep.suspects.get(&segment);
        since.is_some_and(|since| self.is_safe(*since, self.rules().orphan_age))
    }

    /// Deletes those of these objects that are overdue and that nothing names, and says which.
    pub(super) async fn collect_unnamed(&mut self, myself: &ActorRef<WorkspaceMessage>, segments: Vec<SegmentId>) -> Vec<SegmentId> {
        let mut going = Vec::new();
        for segment in segments {
            if !self.is_overdue(segment) || self.layers.is_condemned(segment) || self.upkeep.snapshot.is_some() {
                continue;
            }
            match self.is_in_use(segment).await {
                Some(false) => going.push(segment),
                Some(true) => drop(self.upkeep.suspects.remove(&segment)),
                None => {}
            }
        }
        self.delete_objects(myself, going.clone());
        going
    }

    /// Deletes objects in the background. From now on no op can name them.
    pub(super) fn delete_objects(&mut self, myself: &ActorRef<WorkspaceMessage>, segments: Vec<SegmentId>) {
        if segments.is_empty() {
            return;
        }
        segments.iter().for_each(|segment| self.layers.condemn(*segment));
        let errand = self.errand_context(myself);
        tokio::spawn(async move {
            let mut outcomes = Vec::with_capacity(segments.len());
            for segment in segments {
                outcomes.push((segment, delete(&errand, segment).await));
            }
            errand.tell(UpkeepMessage::Deleted(outcomes));
        });
    }

    pub(super) fn deleted(&mut self, outcomes: Vec<(SegmentId, bool)>) {
        for (segment, gone) in outcomes {
            self.layers.absolve(segment);
            if gone {
                self.upkeep.suspects.remove(&segment);
                if self.upkeep.graves.remove(&segment).is_some() {
                    self.upkeep.exhumed.push(segment);
                    self.dirty = true;
                }
            }
        }
    }

    /// Lists the objects and looks for those that no record names.
    pub(super) fn begin_listing(&mut self, myself: &ActorRef<WorkspaceMessage>) {
        self.upkeep.list_due_ms = self.now_ms() + millis(self.rules().list_every);
        let errand = self.errand_context(myself);
        self.begin(myself, Errand::List, async move {
            let mut unnamed = Vec::new();
            let mut after: Option<BlobKey> = None;
            loop {
                let page = objects(&errand, after.as_ref()).await?;
                for segment in page.iter().filter_map(segment_of_object) {
                    if unnamed.len() < SUSPECTS_MAX && !is_on_record(&errand, segment).await? {
                        unnamed.push(segment);
                    }
                }
                match page.last().filter(|_| page.len() == PAGE) {
                    Some(last) => after = Some(last.clone()),
                    None => break,
                }
            }
            errand.tell(UpkeepMessage::Unnamed(unnamed));
            Ok(())
        });
    }

    /// Follows objects that a listing found unnamed, and only those.
    pub(super) async fn suspect(&mut self, segments: Vec<SegmentId>) {
        let now_ms = self.now_ms();
        let before = std::mem::take(&mut self.upkeep.suspects);
        for segment in segments {
            // Ops applied and not yet flushed may name it.
            if self.is_in_use(segment).await == Some(false) {
                self.upkeep.suspects.insert(segment, before.get(&segment).copied().unwrap_or(now_ms));
            }
        }
    }
}

async fn delete(errand: &ErrandContext, segment: SegmentId) -> bool {
    match sharing::let_go(&errand.context, errand.keys.0, segment).await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(workspace = %errand.keys.0, %segment, %error, "an object could not be deleted; it is tried again");
            false
        }
    }
}

/// A page of the workspace's objects.
async fn objects(errand: &ErrandContext, after: Option<&BlobKey>) -> Result<Vec<BlobKey>, StoreError> {
    let listed = errand.context.blobs.list(&format!("{}/", errand.keys.0), after, PAGE).await;
    listed.map_err(|error| StoreError::Unavailable { reason: error.to_string() })
}

/// The segment whose object this is.
pub(super) fn segment_of_object(key: &BlobKey) -> Option<SegmentId> {
    key.components().next_back()?.parse().ok()
}

/// Whether a segment is known to the store, alive or dead, or lives elsewhere.
async fn is_on_record(errand: &ErrandContext, segment: SegmentId) -> Result<bool, StoreError> {
    let store = &errand.context.store;
    let known = store.get(&errand.keys.namespace(&Key::Segment(segment).encode())).await?;
    if let Some(bytes) = known {
        return Ok(matches!(decode(&bytes)?, Record::Segment(_)));
    }
    Ok(store.get(&errand.keys.dead(segment)).await?.is_some() || sharing::is_shared(&errand.context, errand.keys.0, segment).await?)
}
