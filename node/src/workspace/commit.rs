//! Ops: admitted once, applied in order, answered at once.

use std::collections::BTreeSet;

use artifacts_core::SessionId;
use artifacts_core::leases::Wants;
use artifacts_core::namespace::{self, Context, Errno, Ino, Key, Mutation, Op, Outcome, Source};
use artifacts_core::protocol::{COME_AGAIN, INLINE_MAX_BYTES, NumberedOp, OpResult, ServerFrame, Traced};
use artifacts_core::session::Admission;
use artifacts_core::ticket::Mode;
use ractor::ActorRef;

use super::actor::WorkspaceState;
use super::layers::Failure;
use super::member::Member;
use super::message::WorkspaceMessage;
use super::traces;
use crate::store::StoreError;

/// The most extents in one write.
const EXTENTS_MAX: usize = 64;

/// Who has decided what an op does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decider {
    /// The node does, now.
    Node,
    /// The mount has, under leases.
    Mount,
    /// Whoever it was, it has been visible before the node restarted.
    Past,
}

impl WorkspaceState {
    /// Takes in ops of a session, in its order.
    pub(super) async fn commit(
        &mut self,
        myself: &ActorRef<WorkspaceMessage>,
        session: SessionId,
        decider: Decider,
        acked: u64,
        ops: Vec<NumberedOp>,
        traced: Option<&Traced>,
    ) -> Result<(), StoreError> {
        self.unflushed_calls.add_batch(traced);
        let mut results = Vec::with_capacity(ops.len());
        let decided_by = if decider == Decider::Mount { "mount" } else { "node" };
        metrics::counter!("artifacts_ops_total", "decided_by" => decided_by).increment(ops.len() as u64);
        if let Some(member) = self.members.get_mut(&session) {
            member.inbox.acknowledge(acked);
        }
        for numbered in ops {
            let Some(member) = self.members.get(&session) else { break };
            match member.inbox.admit(numbered.seq) {
                Admission::Duplicate(known) => {
                    let result = match known {
                        Some(result) => result,
                        None => Ok(self.outcome_again(&numbered.op).await),
                    };
                    results.push(OpResult { seq: numbered.seq, order: numbered.order.unwrap_or(0), result });
                }
                Admission::Apply | Admission::Gap if self.recovery.is_some() => {
                    if let Some(recovery) = &mut self.recovery {
                        recovery.resend(session, numbered);
                    }
                }
                // It may have asked for that while it held a lock which somebody else has by now.
                Admission::Apply | Admission::Gap if member.is_outlived && member.resending.is_some() => {
                    tracing::warn!(workspace = %self.keys.0, %session, "a session that was away sends what others may have overtaken");
                    self.refuse(session);
                    return Ok(());
                }
                Admission::Apply => {
                    let mut span = traces::of_call(traced, numbered.seq, "node.op");
                    if span.is_recorded() {
                        traces::describe(&mut span, self.keys.0, &numbered.op);
                    }
                    let result = self.execute(myself, session, numbered, decider).await?;
                    traces::conclude(&mut span, result.result.as_ref().err().copied());
                    self.orphaned(myself, session, &result).await?;
                    results.push(result);
                }
                Admission::Gap => {
                    // Only a broken or hostile agent leaves a gap; every op behind it is refused alike.
                    results.push(OpResult { seq: numbered.seq, order: 0, result: Err(Errno::EPROTO) });
                }
            }
        }
        if let Some(member) = self.members.get(&session) {
            // Sent again although durable: its connection broke before the mount knew.
            let is_durable = results.first().is_some_and(|first| first.seq <= member.durable);
            // One answer for each frame, also an empty one: the stream counts what it has let in.
            member.send(ServerFrame::Applied(results));
            if is_durable {
                member.send(ServerFrame::Durable { seq: member.durable });
            }
        }
        self.maybe_flush(myself, false);
        Ok(())
    }

    /// What an op answered that took effect in an earlier life of this actor, as far as it still can be told.
    async fn outcome_again(&mut self, op: &Op) -> Outcome {
        let ino = match &op.mutation {
            Mutation::Create { ino, .. }
            | Mutation::Link { ino, .. }
            | Mutation::SetAttr { ino, .. }
            | Mutation::Write { ino, .. }
            | Mutation::Punch { ino, .. }
            | Mutation::SetAcl { ino, .. }
            | Mutation::Clone { to: ino, .. } => *ino,
            _ => return Outcome::default(),
        };
        let attr = self.layers.ask(|view| namespace::attr(view, ino)).await.ok();
        Outcome { attr, ..Outcome::default() }
    }

    /// Applies the next op of a session and notes its result.
    pub(super) async fn execute(
        &mut self,
        myself: &ActorRef<WorkspaceMessage>,
        session: SessionId,
        numbered: NumberedOp,
        decider: Decider,
    ) -> Result<OpResult, StoreError> {
        let NumberedOp { seq, op, .. } = numbered;
        let order = self.next_order();
        let Some(member) = self.members.get(&session) else {
            return Ok(OpResult { seq, order, result: Err(Errno::ESTALE) });
        };
        let context = member.context(&self.limits);
        let admitted = admissible(member, &op);
        let result = match admitted {
            Err(errno) => Err(errno),
            Ok(()) => match self.apply_beside_leases(myself, session, seq, &context, &op, decider).await {
                Ok(outcome) => Ok(outcome),
                Err(Failure::Refused(errno)) => Err(errno),
                Err(Failure::Store(error)) => return Err(error),
            },
        };
        if let Some(member) = self.members.get_mut(&session) {
            member.inbox.record(seq, result.clone());
        }
        self.dirty = true;
        Ok(OpResult { seq, order, result })
    }

    /// The place of an op that happens now. Leases are numbered as ops are: who decides under a lease knows by its number which
    /// ops came before.
    fn next_order(&mut self) -> u64 {
        let order = self.meta.next_order.max(self.lease.next_epoch()).max(self.inode_leases.table.next_number());
        self.meta.next_order = order + 1;
        self.lease.advance(order + 1);
        self.inode_leases.table.advance(order + 1);
        order
    }

    /// Applies an op, unless it meets a lease of somebody else.
    async fn apply_beside_leases(
        &mut self,
        myself: &ActorRef<WorkspaceMessage>,
        session: SessionId,
        seq: u64,
        context: &Context,
        op: &Op,
        decider: Decider,
    ) -> Result<Outcome, Failure> {
        let is_alone = self.lease.holder() == Some(session);
        if decider == Decider::Past || (self.inode_leases.table.is_empty() && (decider == Decider::Node || is_alone)) {
            return self.run(|view| namespace::apply(view, context, op)).await;
        }
        self.layers.begin_noting();
        let applied = self.layers.ask(|view| namespace::apply(view, context, op)).await;
        let reads = self.layers.end_noting();
        let writes: BTreeSet<Ino> = applied.iter().flat_map(|applied| applied.changes.keys().filter_map(Key::owner)).collect();
        if let Err(Failure::Store(error)) = applied {
            return Err(Failure::Store(error));
        }
        let wants = Wants { reads, writes };
        if !self.may_pass(myself, session, seq, &wants, decider) {
            return Err(Failure::Refused(if decider == Decider::Node { COME_AGAIN } else { Errno::EIO }));
        }
        let outcome = self.take_in(applied?);
        if decider == Decider::Mount {
            self.made_by(session, op.mutation.creates());
        } else {
            self.tell_changed(session, &wants.writes);
        }
        Ok(outcome)
    }

    /// Removes what lost its last link by an op of a session, unless that session may still come to it.
    async fn orphaned(&mut self, myself: &ActorRef<WorkspaceMessage>, session: SessionId, result: &OpResult) -> Result<(), StoreError> {
        let Ok(outcome) = &result.result else { return Ok(()) };
        if let Some(held) = self.members.get_mut(&session).and_then(|member| member.resending.as_mut()) {
            held.extend(&outcome.orphaned);
            return Ok(());
        }
        for &ino in &outcome.orphaned {
            self.purge_soon(myself, ino, self.members.len() > 1).await?;
        }
        Ok(())
    }
}

/// What the machine cannot check: who may change anything, whose inode numbers these are, and that small data is small.
fn admissible(member: &Member, op: &Op) -> Result<(), Errno> {
    if member.mode == Mode::Ro {
        return Err(Errno::EROFS);
    }
    if op.mutation.creates().is_some_and(|ino| !member.inodes.contains(ino)) {
        return Err(Errno::EINVAL);
    }
    if let Mutation::Write { extents, .. } = &op.mutation {
        let too_large = |source: &Source| matches!(source, Source::Inline { data, .. } if data.len() > INLINE_MAX_BYTES);
        if extents.len() > EXTENTS_MAX || extents.iter().any(|extent| too_large(&extent.source)) {
            return Err(Errno::EINVAL);
        }
    }
    Ok(())
}
