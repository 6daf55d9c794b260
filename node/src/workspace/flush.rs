//! Group commit: many ops, one durable batch.

use artifacts_core::protocol::ServerFrame;
use artifacts_trace::{Span, within};
use ractor::ActorRef;
use serde::{Deserialize, Serialize};

use super::actor::WorkspaceState;
use super::message::WorkspaceMessage;
use super::visit::{VisitReply, Visited};
use crate::store::{Batch, Durability, StoreError};

/// A flush begins by itself when this much waits, in bytes.
const FLUSH_BYTES: usize = 8 << 20;
/// When this much waits although a flush is under way, nothing more is applied until it has ended, in bytes.
pub(super) const PENDING_MAX_BYTES: usize = 32 << 20;

/// The workspace's counters, durable with each flush.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Meta {
    /// The place that the next op gets in the workspace's order.
    pub(super) next_order: u64,
    /// The next inode number that is leased out.
    pub(super) next_ino: u64,
}

impl WorkspaceState {
    /// Begins a flush if there is something to flush, none is under way, and somebody waits or enough has come up.
    pub(super) fn maybe_flush(&mut self, myself: &ActorRef<WorkspaceMessage>, wanted: bool) {
        self.flush_wanted |= wanted || self.layers.pending_bytes() >= FLUSH_BYTES;
        if self.flush_under_way || !self.dirty || !self.flush_wanted {
            return;
        }
        let batch = match self.cut() {
            Ok(batch) => batch,
            Err(error) => {
                tracing::error!(workspace = %self.keys.0, %error, "cannot build a flush");
                return;
            }
        };
        self.flush_wanted = false;
        self.dirty = false;
        self.flush_under_way = true;
        self.flushes_begun += 1;
        let mut span = self.unflushed_calls.take("node.commit");
        if span.is_recorded() {
            span.set("artifacts.workspace", self.keys.0.to_string());
        }
        self.write(myself.clone(), batch, span);
    }

    /// Everything since the last flush as one batch.
    fn cut(&mut self) -> Result<Batch, StoreError> {
        let mut batch = Batch::new();
        let inline = self.layers.begin_flush(&mut batch)?;
        self.mark_unpacked(&mut batch, inline);
        self.bury(&mut batch);
        for (id, member) in &mut self.members {
            if member.inbox.applied() != member.flushing {
                member.flushing = member.inbox.applied();
                batch.put(self.keys.progress(*id), encode(&member.inbox.progress())?);
            }
        }
        for id in self.departed.drain(..) {
            batch.delete(self.keys.progress(id));
            batch.delete(self.keys.unsaved(id));
        }
        for key in self.no_longer_unsaved.drain(..) {
            batch.delete(key.to_vec());
        }
        batch.put(self.keys.meta(), encode(&self.meta)?);
        Ok(batch)
    }

    /// Writes the batch in the background. A store that fails is asked again: what was applied is not given up.
    fn write(&self, myself: ActorRef<WorkspaceMessage>, batch: Batch, commit: Span) {
        let store = self.context.store.clone();
        let workspace = self.keys.0;
        let writer = self.writer.clone();
        let snapshot = self.upkeep.snapshot.clone();
        tokio::spawn(async move {
            let _alone = writer.lock().await;
            if let Some(snapshot) = snapshot {
                snapshot.keep(&*store, &batch).await;
            }
            // Its first tick would cost a turn of the clock, so a write does not wait for one.
            let mut retries = tokio::time::interval(RETRY);
            loop {
                let mut span = Span::child(commit.context(), "store.write");
                span.count("artifacts.rows", batch.len() as u64);
                span.count("artifacts.bytes", batch.bytes() as u64);
                let written = within(span.context(), store.write(batch.clone(), Durability::Durable)).await;
                if let Err(error) = &written {
                    span.fail(error.to_string());
                }
                drop(span);
                match written {
                    Ok(()) => break,
                    Err(error @ (StoreError::Unavailable { .. } | StoreError::Full { .. })) => {
                        tracing::warn!(%workspace, %error, "a flush failed and is tried again");
                        metrics::counter!("artifacts_flush_retries_total").increment(1);
                        retries.reset();
                        retries.tick().await;
                    }
                    Err(error) => {
                        let _ = myself.cast(WorkspaceMessage::Flushed(Err(error)));
                        return;
                    }
                }
            }
            drop(commit);
            let _ = myself.cast(WorkspaceMessage::Flushed(Ok(())));
        });
    }

    /// A flush has ended.
    pub(super) fn flushed(&mut self, myself: &ActorRef<WorkspaceMessage>, result: Result<(), StoreError>) -> Result<(), StoreError> {
        self.flush_under_way = false;
        result?;
        metrics::counter!("artifacts_flushes_total").increment(1);
        let flushed = self.layers.end_flush();
        self.note_flushed(flushed);
        self.buried();
        self.open_snapshot();
        let begun = self.flushes_begun;
        for (_, waiting) in self.until_flushed.extract_if(.., |(until, _)| *until <= begun).collect::<Vec<_>>() {
            self.settle_durably(waiting);
        }
        for member in self.members.values_mut() {
            if member.flushing > member.durable {
                member.durable = member.flushing;
                member.send(ServerFrame::Durable { seq: member.durable });
            }
        }
        self.schedule_upkeep(myself);
        if !self.dirty && !self.drains.is_empty() {
            for reply in self.drains.drain(..) {
                let _ = reply.send(Ok(()));
            }
        }
        let waited = !self.drains.is_empty();
        self.maybe_flush(myself, waited);
        Ok(())
    }
}

/// What is done once everything is durable that had happened before.
#[derive(Debug)]
pub(super) enum Durably {
    /// A visit that changed something is answered.
    Visited(VisitReply, Visited),
    /// A snapshot is opened.
    Frozen(VisitReply),
}

impl WorkspaceState {
    /// Does this when everything that has happened so far is durable, and no flush is under way.
    pub(super) fn when_durable(&mut self, myself: &ActorRef<WorkspaceMessage>, waiting: Durably) {
        if !self.dirty && !self.flush_under_way {
            return self.settle_durably(waiting);
        }
        self.until_flushed.push((self.flushes_begun + u64::from(self.dirty), waiting));
        self.maybe_flush(myself, true);
    }

    fn settle_durably(&mut self, waiting: Durably) {
        match waiting {
            Durably::Visited(reply, visited) => drop(reply.send(Ok(visited))),
            Durably::Frozen(reply) => self.open_for_copy(reply),
        }
    }
}

/// How long a failed flush waits before it is tried again.
const RETRY: std::time::Duration = std::time::Duration::from_millis(200);

pub(super) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    postcard::to_stdvec(value).map_err(|error| StoreError::Corrupt { reason: format!("a record does not encode: {error}") })
}
