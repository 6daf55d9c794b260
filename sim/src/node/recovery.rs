use std::collections::{BTreeMap, BTreeSet};

use artifacts_core::SessionId;
use artifacts_core::namespace::{self, Errno, MemoryView};
use artifacts_core::protocol::{OpResult, ServerFrame};
use artifacts_core::session::{Admission, Phase, Progress};

use super::commit::Decider;
use super::node::{Node, Todo};

/// What a flush makes durable.
#[derive(Debug, Clone)]
pub(crate) struct Durable {
    pub(crate) view: MemoryView,
    pub(crate) order: u64,
    pub(crate) progress: BTreeMap<SessionId, Progress>,
    /// Sessions that had ended when it began: all that they have done is in it.
    pub(crate) departed: Vec<SessionId>,
}

/// What is stored of a workspace.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) durable: Durable,
    pub(crate) sessions: BTreeMap<SessionId, Phase>,
    /// Sessions that were away while others were served.
    pub(crate) outlived: BTreeSet<SessionId>,
    /// Sessions that ended while something that they had done was not durable.
    pub(crate) unsaved: BTreeSet<SessionId>,
    /// No fencing token above it has been given.
    pub(crate) token_reserve: u64,
}

impl Node {
    /// The end of the grace after a takeover.
    pub(super) fn recover(&mut self) {
        let Some(recovery) = self.recovery.take() else { return };
        let has_missed = recovery.has_missed();
        let had_taken = std::mem::take(&mut self.had_taken);
        let mut is_whole = true;
        let mut results: BTreeMap<SessionId, Vec<OpResult>> = BTreeMap::new();
        for resent in recovery.into_ops() {
            let Some(member) = self.members.get(&resent.session) else { continue };
            let result = match member.inbox.admit(resent.op.seq) {
                Admission::Apply => {
                    let had_taken = had_taken.get(&resent.session).is_some_and(|&last| resent.op.seq <= last);
                    is_whole &= !had_taken || resent.op.order.is_some_and(|order| order > 0);
                    let decider = if resent.had_happened() { Decider::Past } else { Decider::Node };
                    self.execute(resent.session, resent.op, decider)
                }
                Admission::Duplicate(_) => continue,
                Admission::Gap => OpResult { seq: resent.op.seq, order: 0, result: Err(Errno::EPROTO) },
            };
            results.entry(resent.session).or_default().push(result);
        }
        is_whole &= had_taken.iter().all(|(session, &last)| self.members.get(session).is_some_and(|member| member.inbox.applied() >= last));
        self.todo.push(Todo::Recovered { is_whole });
        for (session, results) in results {
            self.send(session, ServerFrame::Applied(results));
        }
        if has_missed {
            let effects = self.lease.doubt();
            self.perform(effects);
            let effects = self.desk.doubt(self.now_ms);
            self.perform_on_inodes(effects);
        }
        self.purge_waiting_orphans();
        (self.is_dirty, self.flush_wanted) = (true, true);
        for message in std::mem::take(&mut self.deferred) {
            self.route(message);
        }
    }

    /// Removes the inodes without links that nobody has open, once every session on record has said what it has open, or is over.
    pub(super) fn purge_waiting_orphans(&mut self) {
        let may_be_open =
            self.recovery.is_some() || self.absent.is_anybody_away() || self.members.values().any(|member| member.resending.is_some());
        if may_be_open || !std::mem::take(&mut self.orphans_wait) {
            return;
        }
        for ino in namespace::orphans(&self.view, None, usize::MAX).unwrap_or_default() {
            self.purge_if_orphan(ino);
        }
    }
}
