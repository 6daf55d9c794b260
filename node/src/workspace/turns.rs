//! When a message is taken: at once, or behind what goes before it.
//!
//! It waits, in this order, for the end of the grace after a restart ([`grace`](super::grace)), for whoever holds a lease on what it
//! is about, and for the store, if that does not keep up. What a session sends is never taken in another order than it was sent.

use artifacts_core::SessionId;
use artifacts_core::protocol::ClientFrame;
use ractor::ActorRef;

use super::actor::{OUTSIDE, WorkspaceState};
use super::flush::PENDING_MAX_BYTES;
use super::message::WorkspaceMessage;
use crate::store::{Batch, Durability, StoreError};

impl WorkspaceState {
    /// Takes a message, now or when it is its turn.
    pub(super) async fn route(&mut self, myself: &ActorRef<WorkspaceMessage>, message: WorkspaceMessage) -> Result<(), StoreError> {
        if let Some(message) = self.defer(message)
            && let Some(message) = self.defer_to_lease(myself, message)
            && let Some(message) = self.hold(message)
        {
            self.note_served(&message).await?;
            self.take(myself, message).await?;
        }
        Ok(())
    }

    /// Puts on record who is away while somebody is served, before that is done.
    async fn note_served(&mut self, message: &WorkspaceMessage) -> Result<(), StoreError> {
        let is_admitted = |session| self.members.get(session).is_some_and(|member| !member.is_refused);
        let served = match message {
            WorkspaceMessage::Frame(session, frame, _) if frame.waits_for_lease() && is_admitted(session) => *session,
            WorkspaceMessage::Visit(..) => OUTSIDE,
            _ => return Ok(()),
        };
        if self.recovery.is_some() {
            return Ok(());
        }
        let outlived = self.absent.outlived_by(served);
        if outlived.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        for session in outlived {
            tracing::warn!(workspace = %self.keys.0, %session, "others are served while a session is away");
            batch.put(self.keys.outlived(session), Vec::new());
        }
        self.context.store.write(batch, Durability::Durable).await
    }

    /// A session that was outlived has come back for good, or is over.
    pub(super) async fn settle_absent(&mut self, session: SessionId) -> Result<(), StoreError> {
        if self.absent.settle(session) {
            let mut batch = Batch::new();
            batch.delete(self.keys.outlived(session));
            self.context.store.write(batch, Durability::Visible).await?;
        }
        Ok(())
    }

    /// Sets commits aside while the store does not keep up.
    fn hold(&mut self, message: WorkspaceMessage) -> Option<WorkspaceMessage> {
        // Frames keep their order: behind a commit that waits, all wait. A lease is not given back before what its holder
        // has decided.
        let commits = matches!(&message, WorkspaceMessage::Frame(_, ClientFrame::Commit { .. } | ClientFrame::Decided { .. }, _));
        let waits = if matches!(&message, WorkspaceMessage::Visit(visit, _) if visit.changes()) {
            self.falls_behind()
        } else if self.held.is_empty() {
            commits && self.falls_behind()
        } else {
            matches!(&message, WorkspaceMessage::Frame(..))
        };
        if waits {
            self.held.push_back(message);
            return None;
        }
        Some(message)
    }

    /// Whether so much waits for the store that nothing more may be applied.
    pub(super) fn falls_behind(&self) -> bool {
        self.flush_under_way && self.layers.pending_bytes() > PENDING_MAX_BYTES
    }

    /// Whether ops wait because the store does not keep up, or because another session decides.
    pub(super) fn has_held_back(&self) -> bool {
        !self.held.is_empty() || !self.waiting_for_lease.is_empty()
    }
}
