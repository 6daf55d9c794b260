//! Leases on single inodes: who gets one, who waits for whose, and what is told to whom.
//!
//! The table and what waits for it ([`Desk`]) are the workspace actor's own. It decides between two ops, and an op may come to
//! several inodes, so an actor for each file would only have to be asked and awaited by this one for every op.

use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use artifacts_core::SessionId;
use artifacts_core::leases::{Asked, Desk, DeskEffect, Kind, Lease, Passage, Wants};
use artifacts_core::namespace::{Errno, Ino, Key};
use artifacts_core::protocol::{Answer, Request, ServerFrame};
use artifacts_core::replica::Records;
use artifacts_core::ticket::Mode;
use bytes::Bytes;
use ractor::ActorRef;

use super::actor::WorkspaceState;
use super::commit::Decider;
use super::layers::Failure;
use super::lease::named;
use super::message::WorkspaceMessage;

/// How often it is looked whether holders have answered, while somebody waits.
const LOOK_EVERY: Duration = Duration::from_millis(1_000);

/// The desk of this workspace.
pub(super) struct InodeLeases {
    desk: Desk<WorkspaceMessage>,
    look_scheduled: bool,
}

impl InodeLeases {
    pub(super) fn new(first_number: u64) -> Self {
        Self { desk: Desk::new(first_number), look_scheduled: false }
    }
}

impl Deref for InodeLeases {
    type Target = Desk<WorkspaceMessage>;

    fn deref(&self) -> &Self::Target {
        &self.desk
    }
}

impl DerefMut for InodeLeases {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.desk
    }
}

impl WorkspaceState {
    /// Does what the desk wants.
    pub(super) fn perform_on_inodes(&mut self, myself: &ActorRef<WorkspaceMessage>, effects: Vec<DeskEffect>) {
        for effect in effects {
            match effect {
                DeskEffect::Send(session, frame) => {
                    if let ServerFrame::RecallLeases { leases, .. } = &frame {
                        metrics::counter!("artifacts_inode_leases_recalled_total").increment(leases.len() as u64);
                    }
                    if let Some(member) = self.members.get(&session) {
                        member.send(frame);
                    }
                }
                DeskEffect::Fence(session) => {
                    tracing::warn!(workspace = %self.keys.0, %session, "a session that holds leases on inodes cannot be waited for");
                    self.refuse(session);
                }
            }
        }
        if self.inode_leases.table.has_waits() && !self.inode_leases.look_scheduled {
            self.inode_leases.look_scheduled = true;
            myself.send_after(LOOK_EVERY, || WorkspaceMessage::LookAtLeases);
        }
    }

    /// A message waits until nothing is in its way.
    pub(super) fn wait_for_inodes(
        &mut self,
        myself: &ActorRef<WorkspaceMessage>,
        session: SessionId,
        wants: Wants,
        message: WorkspaceMessage,
    ) {
        let effects = self.inode_leases.wait(session, wants, message, self.context.clock.monotonic_ms());
        self.perform_on_inodes(myself, effects);
    }

    /// Whether an op that comes to these inodes may happen. If not, its mount will be told when to send it again.
    pub(super) fn may_pass(
        &mut self,
        myself: &ActorRef<WorkspaceMessage>,
        session: SessionId,
        seq: u64,
        wants: &Wants,
        decider: Decider,
    ) -> bool {
        let now_ms = self.context.clock.monotonic_ms();
        let (passage, effects) = self.inode_leases.pass(session, seq, wants, decider == Decider::Mount, now_ms);
        self.perform_on_inodes(myself, effects);
        if passage == Passage::Refused {
            tracing::error!(workspace = %self.keys.0, %session, seq, "a mount has decided on what somebody else holds");
        }
        passage == Passage::Free
    }

    /// A session has made an inode by itself: nobody else knows of it.
    pub(super) fn made_by(&mut self, session: SessionId, ino: Option<Ino>) {
        if let Some(ino) = ino
            && self.lease.holder() != Some(session)
        {
            self.inode_leases.table.made(session, ino);
        }
    }

    /// An op that the node has decided has changed these inodes: its session is told which of them it holds.
    pub(super) fn tell_changed(&mut self, session: SessionId, writes: &BTreeSet<Ino>) {
        let inodes: Vec<Ino> = writes.iter().copied().filter(|&ino| self.inode_leases.table.held(session, ino).is_some()).collect();
        if !inodes.is_empty()
            && let Some(member) = self.members.get(&session)
        {
            member.send(ServerFrame::Changed { inodes });
        }
    }

    /// What a session may be given. One that sees a part of the workspace gets none: whether an inode lies in it depends on
    /// directories outside. Nor does anybody decide where a quota has to be kept by all together.
    fn most(&self, session: SessionId) -> Option<Kind> {
        let member = self.members.get(&session).filter(|member| member.root == Ino::ROOT)?;
        let may_write = member.mode == Mode::Rw && !self.quotas_wait && self.limits.bytes.is_none() && self.limits.inodes.is_none();
        Some(if may_write { Kind::Write } else { Kind::Read })
    }

    /// Answers a question that brings leases; or what is in its way.
    pub(super) async fn answer_with_lease(&mut self, session: SessionId, request: &Request) -> Result<Result<Answer, Wants>, Failure> {
        let now_ms = self.context.clock.monotonic_ms();
        let (most, is_held) = (self.most(session), self.lease.holder().is_some());
        let leases = match self.inode_leases.ask(session, request, most, is_held, now_ms) {
            Asked::Never => return Err(Failure::Refused(Errno::EPERM)),
            Asked::Wait(wants) => return Ok(Err(wants)),
            Asked::Got(leases) => leases,
        };
        match (request, leases.first()) {
            (Request::Learn { fetch, .. }, Some(&lease)) => {
                let mut records = self.records(fetch.clone()).await?;
                let leases = self.lease_named(session, lease, &mut records).await?;
                Ok(Ok(Answer::Learnt { leases, records }))
            }
            (Request::Learn { .. }, None) => Ok(Ok(Answer::Learnt { leases, records: Records::default() })),
            _ => Ok(Ok(Answer::Leases(leases))),
        }
    }

    /// With records of an inode comes the inode itself, and with entries come the inodes that they name, as far as leases
    /// on those can be had.
    async fn lease_named(&mut self, session: SessionId, lease: Lease, records: &mut Records) -> Result<Vec<Lease>, Failure> {
        let key = Bytes::from(Key::Inode(lease.ino).encode());
        if !records.rows.iter().any(|(row, _)| *row == key) {
            self.add_inode(records, lease.ino).await?;
        }
        let mut leases = vec![lease];
        let now_ms = self.context.clock.monotonic_ms();
        for lease in self.inode_leases.ask_named(session, named(records), now_ms) {
            leases.push(lease);
            self.add_inode(records, lease.ino).await?;
        }
        metrics::counter!("artifacts_inode_leases_granted_total").increment(leases.len() as u64);
        Ok(leases)
    }

    /// A session gives leases back.
    pub(super) fn inodes_given_back(&mut self, myself: &ActorRef<WorkspaceMessage>, session: SessionId, leases: &[Lease], keep_read: bool) {
        let effects = self.inode_leases.give_back(session, leases, keep_read, self.context.clock.monotonic_ms());
        self.perform_on_inodes(myself, effects);
    }

    /// A session that has resumed says what it holds.
    pub(super) fn inodes_claimed(&mut self, myself: &ActorRef<WorkspaceMessage>, session: SessionId, leases: &[Lease]) {
        let are_others_served = self.recovery.is_none() && self.lease.has_served_others(session);
        let effects = self.inode_leases.claim(session, leases, are_others_served, self.context.clock.monotonic_ms());
        self.perform_on_inodes(myself, effects);
    }

    /// A session that has resumed has sent everything again.
    pub(super) fn inodes_resent(&mut self, myself: &ActorRef<WorkspaceMessage>, session: SessionId) {
        let effects = self.inode_leases.resent(session, self.context.clock.monotonic_ms());
        self.perform_on_inodes(myself, effects);
    }

    /// What sessions believe of inodes may not be so.
    pub(super) fn doubt_inodes(&mut self, myself: &ActorRef<WorkspaceMessage>) {
        let effects = self.inode_leases.doubt(self.context.clock.monotonic_ms());
        self.perform_on_inodes(myself, effects);
    }

    /// An inode has been removed.
    pub(super) fn inode_is_gone(&mut self, myself: &ActorRef<WorkspaceMessage>, ino: Ino) {
        let effects = self.inode_leases.forget(ino, self.context.clock.monotonic_ms());
        self.perform_on_inodes(myself, effects);
    }

    /// A session has lapsed.
    pub(super) fn inodes_lapsed(&mut self, myself: &ActorRef<WorkspaceMessage>, session: SessionId) {
        let effects = self.inode_leases.lapse(session);
        self.perform_on_inodes(myself, effects);
        self.count_inode_holders();
    }

    /// A session is over.
    pub(super) fn inodes_departed(&mut self, myself: &ActorRef<WorkspaceMessage>, session: SessionId) {
        let effects = self.inode_leases.depart(session, self.context.clock.monotonic_ms());
        self.perform_on_inodes(myself, effects);
        self.count_inode_holders();
    }

    /// Tells the workspace's lease who holds leases on inodes.
    pub(super) fn count_inode_holders(&mut self) {
        let holders: Vec<SessionId> = self.inode_leases.table.holders().collect();
        self.lease.set_holding_inodes(holders);
    }

    /// Looks whether holders have answered in time.
    pub(super) fn look_at_leases(&mut self, myself: &ActorRef<WorkspaceMessage>) {
        self.inode_leases.look_scheduled = false;
        let effects = self.inode_leases.expire(self.context.clock.monotonic_ms());
        self.perform_on_inodes(myself, effects);
    }
}
