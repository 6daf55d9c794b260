use std::collections::BTreeMap;

use artifacts_core::SessionId;
use artifacts_core::leases::Desk;
use artifacts_core::namespace::{self, Errno, MemoryView};
use artifacts_core::protocol::{OpResult, ServerFrame};
use artifacts_core::session::{Admission, Lifecycle, Phase, Progress, Recovery, WorkspaceLease};

use super::commit::Decider;
use super::member::Member;
use super::node::{Node, ORDER_GAP};

/// What survives a crash.
#[derive(Debug, Clone)]
pub(crate) struct Durable {
    pub(super) view: MemoryView,
    pub(super) order: u64,
    pub(super) progress: BTreeMap<SessionId, Progress>,
}

impl Node {
    /// Its process is gone, and another begins with what was durable and the sessions on record.
    pub(crate) fn crash(&mut self, now_ms: u64) {
        let Durable { view, order, progress } = self.durable.clone();
        let on_record: Vec<_> = self.members.iter().filter(|(_, member)| member.lifecycle.accepts()).map(|(&id, _)| id).collect();
        let recovery = Recovery::new(on_record.iter().copied());
        let members = on_record.into_iter().map(|id| {
            let lifecycle = Lifecycle::new(Phase::Live, self.lease_ms, now_ms, None);
            (id, Member::new(progress.get(&id).cloned(), true, lifecycle))
        });
        *self = Self {
            members: members.collect(),
            durable: Durable { view: view.clone(), order, progress },
            order: order + ORDER_GAP,
            lease: WorkspaceLease::new(order + ORDER_GAP),
            desk: Desk::new(order + ORDER_GAP),
            recovery: Some(recovery).filter(|recovery| !recovery.is_complete()),
            todo: std::mem::take(&mut self.todo),
            counts: self.counts.clone(),
            forgets_readers: self.forgets_readers,
            now_ms,
            ..Self::new(view, self.lease_ms)
        };
    }

    /// The end of the grace after a crash.
    pub(super) fn recover(&mut self) {
        let Some(recovery) = self.recovery.take() else { return };
        let mut results: BTreeMap<SessionId, Vec<OpResult>> = BTreeMap::new();
        for resent in recovery.into_ops() {
            let Some(member) = self.members.get(&resent.session) else { continue };
            let result = match member.inbox.admit(resent.op.seq) {
                Admission::Apply => {
                    let decider = if resent.had_happened() { Decider::Past } else { Decider::Node };
                    self.execute(resent.session, resent.op, decider)
                }
                Admission::Duplicate(_) => continue,
                Admission::Gap => OpResult { seq: resent.op.seq, order: 0, result: Err(Errno::EPROTO) },
            };
            results.entry(resent.session).or_default().push(result);
        }
        for (session, results) in results {
            self.send(session, ServerFrame::Applied(results));
        }
        for ino in namespace::orphans(&self.view, None, usize::MAX).unwrap_or_default() {
            self.purge_if_orphan(ino);
        }
        (self.is_dirty, self.flush_wanted) = (true, true);
        for message in std::mem::take(&mut self.deferred) {
            self.route(message);
        }
    }
}
