use artifacts_core::SessionId;
use artifacts_core::leases::{Passage, Wants};
use artifacts_core::namespace::{self, Context, Errno, Ino, Key, Op, Outcome, Stop};
use artifacts_core::protocol::{COME_AGAIN, FenceReason, NumberedOp, OpResult, ServerFrame};
use artifacts_core::session::Admission;

use super::node::{Node, Todo};
use super::noting::Noting;

/// Who has decided what an op does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decider {
    Node,
    Mount,
    /// It was visible before the node crashed.
    Past,
}

impl Node {
    /// Takes in ops of a session, in its order.
    pub(super) fn commit(&mut self, session: SessionId, decider: Decider, acked: u64, ops: Vec<NumberedOp>) {
        let mut results = Vec::new();
        if let Some(member) = self.members.get_mut(&session) {
            member.inbox.acknowledge(acked);
        }
        for numbered in ops {
            let Some(member) = self.members.get(&session) else { break };
            match member.inbox.admit(numbered.seq) {
                Admission::Duplicate(known) => {
                    let result = known.unwrap_or_else(|| Ok(Outcome::default()));
                    results.push(OpResult { seq: numbered.seq, order: numbered.order.unwrap_or(0), result });
                }
                Admission::Apply | Admission::Gap if self.recovery.is_some() => {
                    if let Some(recovery) = &mut self.recovery {
                        recovery.resend(session, numbered);
                    }
                }
                // It may have asked for that under a lock that somebody else has had since.
                Admission::Apply | Admission::Gap if member.is_outlived && member.resending.is_some() => {
                    return self.end(session, FenceReason::LeaseLost);
                }
                Admission::Apply => {
                    let result = self.execute(session, numbered, decider);
                    self.orphaned(session, &result);
                    results.push(result);
                }
                Admission::Gap => results.push(OpResult { seq: numbered.seq, order: 0, result: Err(Errno::EPROTO) }),
            }
        }
        if let Some(member) = self.members.get(&session) {
            let is_durable = results.first().is_some_and(|first| first.seq <= member.durable);
            let seq = member.durable;
            self.send(session, ServerFrame::Applied(results));
            if is_durable {
                self.send(session, ServerFrame::Durable { seq });
            }
        }
    }

    pub(super) fn execute(&mut self, session: SessionId, NumberedOp { seq, op, .. }: NumberedOp, decider: Decider) -> OpResult {
        self.order = self.order.max(self.lease.next_epoch()).max(self.desk.table.next_number()) + 1;
        self.lease.advance(self.order + 1);
        self.desk.table.advance(self.order + 1);
        let result = self.apply_beside_leases(session, seq, &op, decider);
        if let Some(member) = self.members.get_mut(&session) {
            member.inbox.record(seq, result.clone());
        }
        self.is_dirty = true;
        if result.is_ok() {
            self.todo.push(Todo::Took { session, seq, time: op.time });
        }
        OpResult { seq, order: self.order, result }
    }

    /// Applies an op, unless it meets a lease of somebody else.
    fn apply_beside_leases(&mut self, session: SessionId, seq: u64, op: &Op, decider: Decider) -> Result<Outcome, Errno> {
        let is_alone = self.lease.holder() == Some(session);
        let is_past = decider == Decider::Past || (self.desk.table.is_empty() && (decider == Decider::Node || is_alone));
        let noting = Noting::new(&self.view);
        let applied = namespace::apply(&noting, &Context::default(), op);
        let reads = noting.into_noted();
        let writes = applied.iter().flat_map(|applied| applied.changes.keys().filter_map(Key::owner)).collect();
        let wants = Wants { reads, writes };
        if !is_past {
            let (passage, effects) = self.desk.pass(session, seq, &wants, decider == Decider::Mount, self.now_ms);
            self.perform_on_inodes(effects);
            match passage {
                Passage::Free => {}
                Passage::ComesAgain => {
                    self.counts.come_agains += 1;
                    return Err(COME_AGAIN);
                }
                Passage::Refused => return Err(Errno::EIO),
            }
        }
        let applied = applied.map_err(|stop| if let Stop::Refused(errno) = stop { errno } else { Errno::EIO })?;
        self.view.absorb(&applied.changes);
        if decider == Decider::Mount && !is_alone {
            if let Some(ino) = op.mutation.creates() {
                self.desk.table.made(session, ino);
            }
        } else if decider == Decider::Node {
            let changed = wants.writes.into_iter().filter(|&ino| self.desk.table.held(session, ino).is_some());
            let inodes: Vec<Ino> = changed.collect();
            if !inodes.is_empty() {
                self.counts.changes_told += 1;
                self.send(session, ServerFrame::Changed { inodes });
            }
        }
        Ok(applied.outcome)
    }

    fn orphaned(&mut self, session: SessionId, result: &OpResult) {
        let Ok(outcome) = &result.result else { return };
        if let Some(held) = self.members.get_mut(&session).and_then(|member| member.resending.as_mut()) {
            return held.extend(&outcome.orphaned);
        }
        for &ino in &outcome.orphaned {
            self.purge_if_orphan(ino);
        }
    }

    pub(super) fn purge_if_orphan(&mut self, ino: Ino) {
        let mut from = Some(0);
        while let Some(offset) = from
            && self.recovery.is_none()
            && !self.open.is_open(ino)
        {
            let Ok((applied, rest)) = namespace::purge(&self.view, ino, offset) else { return };
            self.view.absorb(&applied.changes);
            self.is_dirty = true;
            from = rest;
            if rest.is_none() {
                let effects = self.desk.forget(ino, self.now_ms);
                self.perform_on_inodes(effects);
            }
        }
    }
}
