//! How sessions end.

use artifacts_core::SessionId;
use artifacts_core::protocol::{FenceReason, ServerFrame};
use artifacts_core::session::{LifecycleEffect, Phase};

use super::node::{Node, Todo};

impl Node {
    /// A session is over.
    pub(super) fn fence(&mut self, session: SessionId, reason: FenceReason) {
        let Some(member) = self.members.get_mut(&session) else { return };
        if self.faults.skips_fence && reason == FenceReason::LeaseLost {
            // The fault that must be found: what it held passes, and it may go on.
            self.todo.push(Todo::Fenced(session, reason));
            return self.pass_on(session);
        }
        for effect in member.lifecycle.fence(reason) {
            match effect {
                LifecycleEffect::Seal => {
                    self.todo.push(Todo::Fenced(session, reason));
                    self.seal(session);
                }
                LifecycleEffect::PushFence(reason) => self.todo.push(Todo::Send(session, ServerFrame::Fenced(reason))),
                LifecycleEffect::Release => self.release(session, Phase::Fenced(reason)),
                // Nobody watches.
                LifecycleEffect::Confirmed | LifecycleEffect::Out(_) => {}
            }
        }
    }

    /// Ends a session.
    pub(crate) fn end(&mut self, session: SessionId, reason: FenceReason) {
        let skips_fence = std::mem::take(&mut self.faults.skips_fence);
        self.fence(session, reason);
        self.faults.skips_fence = skips_fence;
        self.go_on();
    }

    pub(super) fn seal(&mut self, session: SessionId) {
        self.miss(session);
        if self.absent.settle(session) {
            self.todo.push(Todo::Returned(session));
        }
        let Some(member) = self.members.remove(&session) else { return };
        self.todo.push(Todo::Sealed { session, applied: member.inbox.applied() });
        self.departed.push(session);
        if member.inbox.applied() > member.durable {
            self.unsaved.insert(session);
        }
        self.is_dirty = true;
        for ino in self.open.close_all(session).into_iter().chain(member.resending.unwrap_or_default()) {
            self.purge_if_orphan(ino);
        }
        self.pass_on(session);
        self.purge_waiting_orphans();
    }

    /// Leases of a session go to whoever is next.
    pub(super) fn pass_on(&mut self, session: SessionId) {
        let effects = self.desk.depart(session, self.now_ms);
        self.perform_on_inodes(effects);
        self.count_inode_holders();
        let effects = self.lease.depart(session);
        self.perform(effects);
        if self.members.contains_key(&session) {
            self.depart_locks(session);
        }
        self.go_on();
    }

    /// That a session is over is on record, and its locks pass.
    pub(super) fn release(&mut self, session: SessionId, phase: Phase) {
        if self.unsaved.contains(&session) {
            self.todo.push(Todo::Unsaved(session));
        }
        self.todo.push(Todo::Record(session, phase));
        self.depart_locks(session);
    }
}
