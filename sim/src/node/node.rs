use std::collections::{BTreeMap, BTreeSet, VecDeque};

use artifacts_core::SessionId;
use artifacts_core::leases::{Desk, Lease};
use artifacts_core::namespace::{Ino, MemoryView};
use artifacts_core::protocol::{ClientFrame, FenceReason, ServerFrame};
use artifacts_core::session::{Lifecycle, LifecycleEffect, OpenFiles, Phase, Recovery, WorkspaceLease};

use super::commit::Decider;
use super::member::Member;
use super::recovery::Durable;

/// The orders of a new life lie this far above those of the one before.
pub(super) const ORDER_GAP: u64 = 1 << 32;

/// What waits for something.
#[derive(Debug)]
pub(super) enum Message {
    Attach(SessionId),
    Frame(SessionId, ClientFrame),
}

/// What the world has to do for the node.
#[derive(Debug)]
pub(crate) enum Todo {
    /// To a mount.
    Send(SessionId, ServerFrame),
    /// The answer to an attachment.
    Welcome { session: SessionId, durable_seq: u64 },
    /// This becomes durable in a while.
    Flush(Box<Durable>),
    /// Call [`Node::recall_expired`] when the time for that is over.
    Recalled(u64),
    /// Nothing of this session is accepted from now on; its last op that took effect.
    Sealed { session: SessionId, applied: u64 },
}

/// How often what happened.
#[derive(Debug, Default, Clone)]
pub(crate) struct Counts {
    pub(crate) grants: u64,
    pub(crate) recalls: u64,
    pub(crate) inode_grants: u64,
    pub(crate) inode_recalls: u64,
    /// Ops that were told to come again.
    pub(crate) come_agains: u64,
    /// Questions that waited for leases on inodes.
    pub(crate) waits: u64,
    /// Times that a mount was told that what it holds has changed.
    pub(crate) changes_told: u64,
    /// Leases on inodes that were claimed over a new stream.
    pub(crate) claims: u64,
}

/// The workspace and its sessions.
#[derive(Debug)]
pub(crate) struct Node {
    pub(super) view: MemoryView,
    pub(super) durable: Durable,
    pub(super) order: u64,
    pub(super) members: BTreeMap<SessionId, Member>,
    pub(super) open: OpenFiles,
    pub(super) lease: WorkspaceLease,
    pub(super) waiting_for_lease: VecDeque<Message>,
    pub(super) released: bool,
    pub(super) desk: Desk<Message>,
    pub(super) recovery: Option<Recovery>,
    pub(super) deferred: VecDeque<Message>,
    pub(super) is_dirty: bool,
    pub(super) is_flushing: bool,
    pub(super) flush_wanted: bool,
    pub(super) lease_ms: u64,
    pub(super) now_ms: u64,
    pub(crate) todo: Vec<Todo>,
    pub(crate) counts: Counts,
    /// It gives the right to decide to one while others believe: a fault that must be found.
    pub(crate) forgets_readers: bool,
    /// Those others, for the fault.
    pub(super) readers: BTreeMap<(SessionId, Ino), Lease>,
}

impl Node {
    pub(crate) fn new(view: MemoryView, lease_ms: u64) -> Self {
        Self {
            durable: Durable { view: view.clone(), order: 0, progress: BTreeMap::new() },
            view,
            order: ORDER_GAP,
            members: BTreeMap::new(),
            open: OpenFiles::default(),
            lease: WorkspaceLease::new(ORDER_GAP),
            waiting_for_lease: VecDeque::new(),
            released: false,
            desk: Desk::new(ORDER_GAP),
            recovery: None,
            deferred: VecDeque::new(),
            is_dirty: false,
            is_flushing: false,
            flush_wanted: false,
            lease_ms,
            now_ms: 0,
            todo: Vec::new(),
            counts: Counts::default(),
            forgets_readers: false,
            readers: BTreeMap::new(),
        }
    }

    /// Nothing waits and nothing is to be made durable.
    pub(crate) fn is_at_rest(&self) -> bool {
        let waits = !self.waiting_for_lease.is_empty() || !self.desk.is_at_rest();
        self.recovery.is_none() && !self.is_dirty && !self.is_flushing && !waits
    }

    /// What it waits for, for people.
    pub(crate) fn describe(&self) -> String {
        let Self { lease, desk, waiting_for_lease, recovery, deferred, is_dirty, is_flushing, members, .. } = self;
        format!("{lease:?} {desk:?} {waiting_for_lease:?} {recovery:?} {deferred:?} dirty {is_dirty} flushing {is_flushing} {members:?}")
    }

    /// Sessions that may still come back.
    pub(crate) fn is_attached(&self, session: SessionId) -> bool {
        self.members.contains_key(&session)
    }

    /// A session opens, or is resumed over a new stream.
    pub(crate) fn attach(&mut self, session: SessionId, resumes: bool, now_ms: u64) {
        self.now_ms = now_ms;
        match self.members.get_mut(&session) {
            Some(member) => {
                member.lifecycle.hear(now_ms);
                if resumes {
                    member.resending.get_or_insert_default();
                    // It asks again.
                    self.desk.reconnect(session);
                    self.waiting_for_lease.retain(|message| !matches!(message, Message::Frame(of, _) if *of == session));
                }
            }
            None if resumes => return,
            None => {
                let lifecycle = Lifecycle::new(Phase::Live, self.lease_ms, now_ms, None);
                self.members.insert(session, Member::new(None, false, lifecycle));
            }
        }
        if !resumes {
            // On record already, perhaps, but new: it has nothing to send again.
            self.settle(session);
            if self.recovery.is_some() {
                self.deferred.push_back(Message::Attach(session));
                return self.go_on();
            }
        }
        self.welcome(session);
        self.go_on();
    }

    fn welcome(&mut self, session: SessionId) {
        let Some(member) = self.members.get(&session) else { return };
        self.todo.push(Todo::Welcome { session, durable_seq: member.durable });
        let effects = self.lease.attach(session);
        self.perform(effects);
    }

    /// A frame has come.
    pub(crate) fn receive(&mut self, session: SessionId, frame: ClientFrame, now_ms: u64) {
        self.now_ms = now_ms;
        let is_heard = self.members.get_mut(&session).is_some_and(|member| member.lifecycle.hear(now_ms));
        if !is_heard {
            return self.send(session, ServerFrame::Fenced(FenceReason::LeaseLost));
        }
        match frame {
            ClientFrame::Heartbeat { sent_ms } => {
                self.hear(session);
                self.send(session, ServerFrame::Proof { sent_ms });
            }
            ClientFrame::Goodbye => {
                if let Some(member) = self.members.get_mut(&session) {
                    member.lifecycle.goodbye();
                }
                self.seal(session);
            }
            frame => {
                self.route(Message::Frame(session, frame));
                self.go_on();
            }
        }
    }

    pub(super) fn send(&mut self, session: SessionId, frame: ServerFrame) {
        self.todo.push(Todo::Send(session, frame));
    }

    fn hear(&mut self, session: SessionId) {
        self.lease.hear(session);
        self.desk.table.hear(session);
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        let ids: Vec<_> = self.members.keys().copied().collect();
        for session in ids {
            let Some(member) = self.members.get_mut(&session) else { continue };
            let before = member.lifecycle.phase();
            member.lifecycle.tick(now_ms);
            if before == Phase::Live && member.lifecycle.phase() == Phase::Lapsed {
                self.settle(session);
                let effects = self.desk.lapse(session);
                self.perform_on_inodes(effects);
                self.count_inode_holders();
                let effects = self.lease.lapse(session);
                self.perform(effects);
            }
        }
        let effects = self.desk.expire(now_ms);
        self.perform_on_inodes(effects);
        self.flush_wanted |= self.is_dirty;
        self.go_on();
    }

    /// The time in which a lease had to be given back is over.
    pub(crate) fn recall_expired(&mut self, epoch: u64) {
        let effects = self.lease.recall_expired(epoch);
        self.perform(effects);
        self.go_on();
    }

    /// What was to be made durable is.
    pub(crate) fn flushed(&mut self, durable: Durable) {
        self.is_flushing = false;
        for (&session, progress) in &durable.progress {
            if let Some(member) = self.members.get_mut(&session)
                && member.durable < progress.applied
            {
                member.durable = progress.applied;
                self.todo.push(Todo::Send(session, ServerFrame::Durable { seq: progress.applied }));
            }
        }
        self.durable = durable;
        self.go_on();
    }

    /// A session is over because of what it held.
    pub(super) fn fence(&mut self, session: SessionId) {
        let Some(member) = self.members.get_mut(&session) else { return };
        for effect in member.lifecycle.fence(FenceReason::LeaseLost) {
            match effect {
                LifecycleEffect::Seal => self.seal(session),
                LifecycleEffect::PushFence(reason) => self.todo.push(Todo::Send(session, ServerFrame::Fenced(reason))),
                LifecycleEffect::Confirmed | LifecycleEffect::Release => {}
            }
        }
    }

    /// Ends a session whose mount is known to be gone.
    pub(crate) fn end(&mut self, session: SessionId) {
        self.fence(session);
        self.go_on();
    }

    fn seal(&mut self, session: SessionId) {
        self.settle(session);
        let Some(member) = self.members.remove(&session) else { return };
        self.todo.push(Todo::Sealed { session, applied: member.inbox.applied() });
        self.is_dirty = true;
        for ino in self.open.close_all(session).into_iter().chain(member.resending.unwrap_or_default()) {
            self.purge_if_orphan(ino);
        }
        let effects = self.desk.depart(session, self.now_ms);
        self.perform_on_inodes(effects);
        self.count_inode_holders();
        let effects = self.lease.depart(session);
        self.perform(effects);
        self.go_on();
    }

    fn settle(&mut self, session: SessionId) {
        if let Some(recovery) = &mut self.recovery {
            recovery.settle(session);
        }
    }

    /// What has become possible.
    fn go_on(&mut self) {
        if self.recovery.as_ref().is_some_and(Recovery::is_complete) {
            self.recover();
        }
        loop {
            if std::mem::take(&mut self.released) {
                for message in std::mem::take(&mut self.waiting_for_lease) {
                    self.route(message);
                }
            } else if let Some(message) = self.desk.next_ready() {
                self.route(message);
            } else {
                break;
            }
        }
        if self.flush_wanted && self.is_dirty && !self.is_flushing && self.recovery.is_none() {
            (self.flush_wanted, self.is_dirty, self.is_flushing) = (false, false, true);
            let progress = self.members.iter().map(|(&id, member)| (id, member.inbox.progress())).collect();
            self.todo.push(Todo::Flush(Box::new(Durable { view: self.view.clone(), order: self.order, progress })));
        }
    }

    pub(super) fn route(&mut self, message: Message) {
        let waits_for_recovery = self.recovery.is_some()
            && match &message {
                Message::Attach(_) => true,
                Message::Frame(_, frame) => frame.waits_for_recovery(),
            };
        if waits_for_recovery {
            return self.deferred.push_back(message);
        }
        let (session, frame) = match message {
            Message::Attach(session) => return self.welcome(session),
            Message::Frame(session, frame) => (session, frame),
        };
        self.hear(session);
        if self.recovery.is_none()
            && frame.waits_for_lease()
            && self.members.contains_key(&session)
            && let Err(effects) = self.lease.admit(session)
        {
            self.waiting_for_lease.push_back(Message::Frame(session, frame));
            return self.perform(effects);
        }
        self.take(session, frame);
    }

    fn take(&mut self, session: SessionId, frame: ClientFrame) {
        if !self.members.contains_key(&session) {
            return;
        }
        match frame {
            ClientFrame::Commit { acked, ops } => self.commit(session, Decider::Node, acked, ops),
            ClientFrame::Decided { acked, ops } => self.commit(session, Decider::Mount, acked, ops),
            ClientFrame::Request { id, request } => self.request(session, id, request),
            ClientFrame::Flush { seq } => self.flush_wanted |= self.members.get(&session).is_some_and(|member| member.durable < seq),
            ClientFrame::Closed { inodes } => {
                for ino in inodes {
                    if self.open.close(session, ino) {
                        self.purge_if_orphan(ino);
                    }
                }
            }
            ClientFrame::ResendDone { open } => {
                let open: BTreeSet<Ino> = open.into_iter().collect();
                let orphaned = self.members.get_mut(&session).and_then(|member| member.resending.take()).unwrap_or_default();
                for ino in self.open.replace(session, &open).into_iter().chain(orphaned) {
                    self.purge_if_orphan(ino);
                }
                let effects = self.desk.resent(session, self.now_ms);
                self.perform_on_inodes(effects);
                self.settle(session);
            }
            ClientFrame::Opened { inodes } => inodes.into_iter().for_each(|ino| self.open.open(session, ino)),
            ClientFrame::WantLease => {
                self.count_inode_holders();
                let effects = self.lease.want(session);
                self.perform(effects);
            }
            ClientFrame::ClaimLease { epoch } => {
                let effects = self.lease.claim(session, epoch);
                self.perform(effects);
            }
            ClientFrame::ReturnLease => {
                self.count_inode_holders();
                let effects = self.lease.give_back(session);
                self.perform(effects);
            }
            ClientFrame::GiveBack { leases, keep_read } => {
                let effects = self.desk.give_back(session, &leases, keep_read, self.now_ms);
                self.perform_on_inodes(effects);
            }
            ClientFrame::ClaimLeases { leases } => {
                self.counts.claims += leases.len() as u64;
                let are_others_served = self.recovery.is_none() && self.lease.has_served_others(session);
                let effects = self.desk.claim(session, &leases, are_others_served, self.now_ms);
                self.perform_on_inodes(effects);
            }
            // The programs here take no locks.
            ClientFrame::ClaimLocks { .. } | ClientFrame::Heartbeat { .. } | ClientFrame::FenceConfirmed | ClientFrame::Goodbye => {}
        }
    }
}
