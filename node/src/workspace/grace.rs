//! The grace after a restart: sessions on record may come back and send again what was not durable, and nobody is served before.
//!
//! It ends when each has come back, has ended or has lapsed; then what came back is applied in the order in which it was first visible.

use std::collections::BTreeMap;

use artifacts_core::SessionId;
use artifacts_core::namespace::Errno;
use artifacts_core::protocol::{OpResult, ServerFrame};
use artifacts_core::session::Admission;
use ractor::ActorRef;

use super::actor::WorkspaceState;
use super::commit::Decider;
use super::message::{Attachment, WorkspaceMessage};
use crate::store::StoreError;

impl WorkspaceState {
    /// During the grace, sets aside what has to wait for its end.
    pub(super) fn defer(&mut self, message: WorkspaceMessage) -> Option<WorkspaceMessage> {
        if let WorkspaceMessage::Attach(Attachment { session, resumes: false, .. }, _) = &message {
            // On record already, but new: it has nothing to send again.
            self.settle(*session);
        }
        let waits = self.recovery.is_some()
            && match &message {
                WorkspaceMessage::ResolveRoot { .. }
                | WorkspaceMessage::Usage(_)
                | WorkspaceMessage::SetQuotas(..)
                | WorkspaceMessage::Visit(..) => true,
                WorkspaceMessage::Attach(attachment, _) => !attachment.resumes,
                WorkspaceMessage::Frame(_, frame, _) => frame.waits_for_recovery(),
                _ => false,
            };
        if waits {
            self.deferred.push_back(message);
            return None;
        }
        Some(message)
    }

    /// It has sent everything again.
    pub(super) fn settle(&mut self, session: SessionId) {
        if let Some(recovery) = &mut self.recovery {
            recovery.settle(session);
        }
    }

    /// It will not come back.
    pub(super) fn miss(&mut self, session: SessionId) {
        if let Some(recovery) = &mut self.recovery {
            recovery.miss(session);
        }
    }

    /// The end of the grace: applies what came back, in its order, then serves who had to wait.
    pub(super) async fn recover(&mut self, myself: &ActorRef<WorkspaceMessage>) -> Result<(), StoreError> {
        let Some(recovery) = self.recovery.take() else { return Ok(()) };
        let has_missed = recovery.has_missed();
        let mut results: BTreeMap<SessionId, Vec<OpResult>> = BTreeMap::new();
        for resent in recovery.into_ops() {
            let Some(member) = self.members.get(&resent.session) else { continue };
            let result = match member.inbox.admit(resent.op.seq) {
                // Orphans are looked for when all of it is there: a later op may be one on them.
                Admission::Apply => {
                    let decider = if resent.had_happened() { Decider::Past } else { Decider::Node };
                    self.execute(myself, resent.session, resent.op, decider).await?
                }
                Admission::Duplicate(_) => continue,
                Admission::Gap => OpResult { seq: resent.op.seq, order: 0, result: Err(Errno::EPROTO) },
            };
            results.entry(resent.session).or_default().push(result);
        }
        for (session, results) in results {
            if let Some(member) = self.members.get(&session) {
                member.send(ServerFrame::Applied(results));
            }
        }
        if has_missed {
            // What a session that is not back had done, and others had seen, may never have happened.
            let effects = self.lease.doubt();
            self.perform(myself, effects);
            self.doubt_inodes(myself);
        }
        self.purge_orphans_if_all_are_back(myself).await?;
        // The numbers of the next life begin above those of this one, also if nothing is written in it.
        self.dirty = true;
        self.maybe_flush(myself, true);
        for message in std::mem::take(&mut self.deferred) {
            Box::pin(self.route(myself, message)).await?;
        }
        Ok(())
    }
}
