//! Leases on single inodes: who gets one, who waits for whose, and what is told to whom.
//!
//! The table ([`Leases`]) is the workspace actor's own. It decides between two ops, and an op may come to several inodes,
//! so an actor for each file would only have to be asked and awaited by this one for every op.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use artifacts_core::SessionId;
use artifacts_core::leases::{Effect, Kind, Lease, Leases, Ticket, Wants};
use artifacts_core::namespace::{Errno, Ino};
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
/// The most inodes of one `Acquire`.
const ACQUIRE_MAX: usize = 64;

/// The table, and what waits for it.
pub(super) struct InodeLeases {
    pub(super) table: Leases,
    waiting: HashMap<Ticket, Waiting>,
    /// What goes on now, in order.
    ready: VecDeque<WorkspaceMessage>,
    look_scheduled: bool,
}

enum Waiting {
    /// A question, to be asked again.
    Message(WorkspaceMessage),
    /// An op that was refused: its mount is to send it again.
    Op(SessionId, u64),
}

impl InodeLeases {
    pub(super) fn new(first_number: u64) -> Self {
        Self { table: Leases::new(first_number), waiting: HashMap::new(), ready: VecDeque::new(), look_scheduled: false }
    }

    /// The next message whose wait is over.
    pub(super) fn next_ready(&mut self) -> Option<WorkspaceMessage> {
        self.ready.pop_front()
    }

    /// A session has come to these inodes through the node.
    pub(super) fn used(&mut self, session: SessionId, wants: &Wants, now_ms: u64) {
        self.table.used(session, wants, now_ms);
    }
}

impl WorkspaceState {
    /// Does what the table wants.
    pub(super) fn perform_on_inodes(&mut self, myself: &ActorRef<WorkspaceMessage>, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Recall { session, leases, keep_read } => {
                    metrics::counter!("artifacts_inode_leases_recalled_total").increment(leases.len() as u64);
                    if let Some(member) = self.members.get(&session) {
                        member.send(ServerFrame::RecallLeases { leases, keep_read });
                    }
                }
                Effect::Ready(ticket) => match self.inode_leases.waiting.remove(&ticket) {
                    Some(Waiting::Message(message)) => self.inode_leases.ready.push_back(message),
                    Some(Waiting::Op(session, seq)) => {
                        if let Some(member) = self.members.get(&session) {
                            member.send(ServerFrame::ComeAgain { seq });
                        }
                    }
                    None => {}
                },
                Effect::Fence(session) => {
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

    fn begin_wait(&mut self, myself: &ActorRef<WorkspaceMessage>, session: SessionId, wants: Wants, waiting: Waiting) {
        let comes_again = matches!(waiting, Waiting::Op(..));
        let (ticket, effects) = self.inode_leases.table.wait(session, wants, comes_again, self.context.clock.monotonic_ms());
        self.inode_leases.waiting.insert(ticket, waiting);
        self.perform_on_inodes(myself, effects);
    }

    /// A message waits until nothing is in its way.
    pub(super) fn wait_for_inodes(
        &mut self,
        myself: &ActorRef<WorkspaceMessage>,
        session: SessionId,
        wants: Wants,
        message: WorkspaceMessage,
    ) {
        self.begin_wait(myself, session, wants, Waiting::Message(message));
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
        self.inode_leases.table.used(session, wants, now_ms);
        if self.inode_leases.table.is_free(session, wants) {
            self.inode_leases.table.came_about(session, &wants.writes);
            return true;
        }
        if decider == Decider::Mount {
            tracing::error!(workspace = %self.keys.0, %session, seq, "a mount has decided on what somebody else holds");
        } else {
            self.begin_wait(myself, session, wants.clone(), Waiting::Op(session, seq));
        }
        false
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
        let may_write = member.mode == Mode::Rw && self.limits.bytes.is_none() && self.limits.inodes.is_none();
        Some(if may_write { Kind::Write } else { Kind::Read })
    }

    /// Answers a question that brings leases; or what is in its way.
    pub(super) async fn answer_with_lease(&mut self, session: SessionId, request: &Request) -> Result<Result<Answer, Wants>, Failure> {
        let kind = if let Request::Learn { kind, .. } = request { *kind } else { Kind::Write };
        if self.most(session).is_none_or(|most| kind > most) {
            return Err(Failure::Refused(Errno::EPERM));
        }
        let now_ms = self.context.clock.monotonic_ms();
        match request {
            Request::Learn { fetch, kind } => {
                let ino = fetch.owner().ok_or(Failure::Refused(Errno::EINVAL))?;
                if self.lease.holder().is_some() || self.inode_leases.table.is_hot(ino, now_ms) {
                    return Ok(Ok(Answer::Learnt { leases: Vec::new(), records: Records::default() }));
                }
                let wants = Wants::lease(ino, *kind);
                if !self.inode_leases.table.is_free(session, &wants) {
                    return Ok(Err(wants));
                }
                let Some(lease) = self.inode_leases.table.grant(session, ino, *kind, now_ms) else {
                    return Ok(Ok(Answer::Learnt { leases: Vec::new(), records: Records::default() }));
                };
                let mut records = self.records(fetch.clone()).await?;
                let leases = self.lease_named(session, ino, lease, &mut records).await?;
                Ok(Ok(Answer::Learnt { leases, records }))
            }
            Request::Acquire { inodes } => {
                if self.lease.holder().is_some() || inodes.len() > ACQUIRE_MAX {
                    return Ok(Ok(Answer::Leases(Vec::new())));
                }
                let cool = inodes.iter().copied().filter(|&ino| !self.inode_leases.table.is_hot(ino, now_ms)).collect();
                let wants = Wants { writes: cool, ..Wants::default() };
                if !self.inode_leases.table.is_free(session, &wants) {
                    return Ok(Err(wants));
                }
                let granted = wants.writes.iter().filter_map(|&ino| self.inode_leases.table.grant(session, ino, Kind::Write, now_ms));
                Ok(Ok(Answer::Leases(granted.collect())))
            }
            _ => Err(Failure::Refused(Errno::EINVAL)),
        }
    }

    /// With records of an inode comes the inode itself, and with entries come the inodes that they name, as far as leases
    /// on those can be had.
    async fn lease_named(&mut self, session: SessionId, ino: Ino, lease: Lease, records: &mut Records) -> Result<Vec<Lease>, Failure> {
        let now_ms = self.context.clock.monotonic_ms();
        let mut leases = vec![lease];
        let key = Bytes::from(artifacts_core::namespace::Key::Inode(ino).encode());
        if !records.rows.iter().any(|(row, _)| *row == key) {
            self.add_inode(records, ino).await?;
        }
        for ino in named(records) {
            if let Some(lease) = self.inode_leases.table.grant(session, ino, Kind::Read, now_ms) {
                leases.push(lease);
                self.add_inode(records, ino).await?;
            }
        }
        metrics::counter!("artifacts_inode_leases_granted_total").increment(leases.len() as u64);
        Ok(leases)
    }

    /// A session gives leases back.
    pub(super) fn inodes_given_back(&mut self, myself: &ActorRef<WorkspaceMessage>, session: SessionId, leases: &[Lease], keep_read: bool) {
        let effects = self.inode_leases.table.give_back(session, leases, keep_read, self.context.clock.monotonic_ms());
        self.perform_on_inodes(myself, effects);
    }

    /// A session that has resumed says what it holds. After a restart of the node it is believed while nobody else has been
    /// served; later, who has decided anything by itself has been away too long.
    pub(super) fn inodes_claimed(&mut self, myself: &ActorRef<WorkspaceMessage>, session: SessionId, leases: &[Lease]) {
        let table = &self.inode_leases.table;
        // One that it has made since nobody else knows of.
        let is_new = |lease: &Lease| lease.number > 0 && table.held(session, lease.ino).is_none();
        let too_late = self.recovery.is_none() && self.lease.has_served_others(session) && leases.iter().any(is_new);
        let effects = if too_late {
            vec![Effect::Fence(session)]
        } else {
            self.inode_leases.table.claim(session, leases, self.context.clock.monotonic_ms())
        };
        self.perform_on_inodes(myself, effects);
    }

    /// A session that has resumed has sent everything again.
    pub(super) fn inodes_resent(&mut self, myself: &ActorRef<WorkspaceMessage>, session: SessionId) {
        let effects = self.inode_leases.table.resent(session, self.context.clock.monotonic_ms());
        self.perform_on_inodes(myself, effects);
    }

    /// An inode has been removed.
    pub(super) fn inode_is_gone(&mut self, myself: &ActorRef<WorkspaceMessage>, ino: Ino) {
        let effects = self.inode_leases.table.forget(ino, self.context.clock.monotonic_ms());
        self.perform_on_inodes(myself, effects);
    }

    /// A session has lapsed.
    pub(super) fn inodes_lapsed(&mut self, myself: &ActorRef<WorkspaceMessage>, session: SessionId) {
        let effects = self.inode_leases.table.lapse(session);
        self.perform_on_inodes(myself, effects);
        self.count_inode_holders();
    }

    /// A session is over.
    pub(super) fn inodes_departed(&mut self, myself: &ActorRef<WorkspaceMessage>, session: SessionId) {
        self.inode_leases.waiting.retain(|_, waiting| match waiting {
            Waiting::Message(WorkspaceMessage::Frame(of, ..)) | Waiting::Op(of, _) => *of != session,
            Waiting::Message(_) => true,
        });
        let effects = self.inode_leases.table.depart(session, self.context.clock.monotonic_ms());
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
        let effects = self.inode_leases.table.expire(self.context.clock.monotonic_ms());
        self.perform_on_inodes(myself, effects);
    }
}
