//! What a workspace's records were at one moment, readable page by page while ops go on.
//!
//! A snapshot is taken between two flushes, so it is a prefix of the workspace's order. From then on whoever is about
//! to write the workspace's keys first lets the snapshot keep what stands at those that have not been read yet. It is read
//! in the order of the keys, so what it keeps is bounded by what changes *ahead of* the reader; past a limit it gives up, and
//! the reader hears that instead of a mixture.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use artifacts_core::namespace::Amendment;
use bytes::Bytes;
use ractor::ActorRef;

use super::actor::{WorkspaceState, store_error};
use super::flush::Durably;
use super::layers::Failure;
use super::message::WorkspaceMessage;
use super::upkeep::UpkeepMessage;
use super::visit::{VisitReply, Visited};
use crate::store::{Batch, KeyRange, Store, StoreError};

/// How much is kept at most, in bytes.
const KEPT_MAX_BYTES: usize = 64 << 20;

/// See the module.
#[derive(Debug)]
pub(crate) struct Snapshot {
    range: KeyRange,
    state: tokio::sync::Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// All keys up to this one have been read.
    read: Bytes,
    /// What stood at keys that have been written since and not been read before.
    kept: BTreeMap<Bytes, Option<Bytes>>,
    kept_bytes: usize,
    gave_up: bool,
}

impl Snapshot {
    pub(super) fn new(range: KeyRange) -> Self {
        Self { range, state: tokio::sync::Mutex::default() }
    }

    /// Keeps what a batch, which has not been written yet, is about to change. A store that fails makes it give up, never
    /// the write wait.
    pub(super) async fn keep(&self, store: &dyn Store, batch: &Batch) {
        let mut state = self.state.lock().await;
        for (key, _) in batch.iter() {
            if state.gave_up || *key <= state.read || !self.range.contains(key) || state.kept.contains_key(key) {
                continue;
            }
            match store.get(key).await {
                Ok(value) => {
                    state.kept_bytes += key.len() + value.as_ref().map_or(0, Bytes::len) + 64;
                    state.kept.insert(key.clone(), value);
                }
                Err(_) => state.give_up(),
            }
            if state.kept_bytes > KEPT_MAX_BYTES {
                state.give_up();
            }
        }
    }

    /// The next records, and whether there are more.
    ///
    /// # Errors
    /// The store's, and when more changed than can be kept.
    pub(super) async fn page(&self, store: &dyn Store, limit: usize) -> Result<(Vec<(Bytes, Bytes)>, bool), StoreError> {
        let read = self.state.lock().await.read.clone();
        let rest = if read.is_empty() { self.range.clone() } else { self.range.clone().after(&read) };
        let found = store.scan(rest, limit).await?;
        let more = found.len() >= limit;
        let mut state = self.state.lock().await;
        if state.gave_up {
            let reason = "the workspace changes faster than it can be read".to_owned();
            return Err(StoreError::Unavailable { reason });
        }
        // The page ends with its last record; without more to come, with the range.
        let last = if more { found.last().map(|(key, _)| key.clone()) } else { None };
        let mut records: BTreeMap<Bytes, Bytes> = found.into_iter().collect();
        let until = last.as_ref().map_or(Bound::Unbounded, Bound::Included);
        let kept: Vec<Bytes> = state.kept.range::<Bytes, _>((Bound::Unbounded, until)).map(|(key, _)| key.clone()).collect();
        for key in kept {
            match state.kept.remove(&key) {
                Some(Some(value)) => {
                    state.kept_bytes = state.kept_bytes.saturating_sub(key.len() + value.len() + 64);
                    records.insert(key, value);
                }
                _ => drop(records.remove(&key)),
            }
        }
        if let Some(last) = last {
            state.read = last;
        }
        Ok((records.into_iter().collect(), more))
    }
}

/// An open snapshot, closed when dropped.
pub(super) struct Opened {
    actor: ActorRef<WorkspaceMessage>,
    pub(super) snapshot: Arc<Snapshot>,
}

impl Opened {
    pub(super) fn new(actor: ActorRef<WorkspaceMessage>, snapshot: Arc<Snapshot>) -> Self {
        Self { actor, snapshot }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let _ = self.actor.cast(WorkspaceMessage::Upkeep(UpkeepMessage::CloseSnapshot));
    }
}

impl State {
    fn give_up(&mut self) {
        self.gave_up = true;
        self.kept.clear();
    }
}

impl WorkspaceState {
    /// Takes the snapshot that is wanted, unless a flush is under way: then at its end.
    pub(super) fn open_snapshot(&mut self) {
        if self.flush_under_way || self.upkeep.snapshot_wanted.is_empty() {
            return;
        }
        for reply in std::mem::take(&mut self.upkeep.snapshot_wanted) {
            let answer = if self.upkeep.snapshot.is_some() {
                Err(StoreError::Unavailable { reason: "another check or a copy of the workspace is under way".to_owned() })
            } else {
                let snapshot = Arc::new(Snapshot::new(self.keys.whole_namespace()));
                self.upkeep.snapshot = Some(snapshot.clone());
                Ok(snapshot)
            };
            if reply.send(answer).is_err() {
                // Nobody is there to close it.
                self.upkeep.snapshot = None;
            }
        }
    }

    /// Opens a snapshot for whoever copies the workspace; no flush is under way. If another one is open, when that is closed.
    pub(super) fn open_for_copy(&mut self, reply: VisitReply) {
        if self.upkeep.snapshot.is_some() {
            self.upkeep.waiting_to_freeze.push(reply);
            return;
        }
        let snapshot = Arc::new(Snapshot::new(self.keys.whole_namespace()));
        self.upkeep.snapshot = Some(snapshot.clone());
        if reply.send(Ok(Visited::Frozen(snapshot))).is_err() {
            // Nobody is there to close it.
            self.upkeep.snapshot = None;
        }
    }

    /// The snapshot that was open is not needed any more: whoever waited for that takes the next one.
    pub(super) fn close_snapshot(&mut self, myself: &ActorRef<WorkspaceMessage>) {
        self.upkeep.snapshot = None;
        for reply in std::mem::take(&mut self.upkeep.waiting_to_freeze) {
            self.when_durable(myself, Durably::Frozen(reply));
        }
    }

    /// Puts a count right.
    pub(super) async fn amend(&mut self, myself: &ActorRef<WorkspaceMessage>, amendment: &Amendment) -> Result<bool, StoreError> {
        match self.run(|view| artifacts_core::namespace::amend(view, amendment)).await {
            Ok(outcome) => {
                for ino in outcome.orphaned {
                    self.purge_if_orphan(myself, ino).await?;
                }
                Ok(true)
            }
            Err(Failure::Refused(_)) => Ok(false),
            Err(error) => Err(store_error(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Durability, MemoryStore};
    use proptest::prelude::*;

    fn batch(changes: &[(u8, Option<u8>)]) -> Batch {
        let mut batch = Batch::new();
        for (key, value) in changes {
            match value {
                Some(value) => batch.put(vec![b'n', *key], vec![*value]),
                None => batch.delete(vec![b'n', *key]),
            };
        }
        batch
    }

    proptest! {
        /// Whatever is written between two pages, all pages together are what stood there in the beginning.
        #[test]
        fn pages_are_of_one_moment(
            first in proptest::collection::vec((0..40u8, Just(Some(0u8))), 0..30),
            later in proptest::collection::vec(proptest::collection::vec((0..40u8, proptest::option::of(1..9u8)), 0..8), 0..12),
            limit in 1..7usize,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let store = MemoryStore::new();
                store.write(batch(&first), Durability::Durable).await.unwrap();
                let expected = store.scan(KeyRange::prefix(b"n"), 1000).await.unwrap();
                let snapshot = Snapshot::new(KeyRange::prefix(b"n"));
                let mut later = later.iter();
                let mut seen = Vec::new();
                loop {
                    if let Some(changes) = later.next() {
                        let batch = batch(changes);
                        snapshot.keep(&store, &batch).await;
                        store.write(batch, Durability::Durable).await.unwrap();
                    }
                    let (page, more) = snapshot.page(&store, limit).await.unwrap();
                    seen.extend(page);
                    if !more {
                        break;
                    }
                }
                assert_eq!(seen, expected);
            });
        }
    }
}
