use std::collections::{BTreeMap, BTreeSet, VecDeque};

use artifacts_core::SessionId;
use artifacts_core::namespace::{self, Context, Errno, Ino, Key, MemoryView, Op, Outcome, Record, Stop, View as _};
use artifacts_core::protocol::{Answer, ClientFrame, FenceReason, NumberedOp, OpResult, Request, ServerFrame};
use artifacts_core::replica::{Fetch, Records};
use artifacts_core::session::{Admission, LeaseEffect, Lifecycle, LifecycleEffect, OpenFiles, Phase, Progress, Recovery, WorkspaceLease};

use crate::member::Member;

/// The orders of a new life lie this far above those of the one before.
const ORDER_GAP: u64 = 1 << 32;
/// The most rows of one fetch: few, so that several are needed.
const ROWS_MAX: usize = 3;

/// What survives a crash.
#[derive(Debug, Clone)]
pub(crate) struct Durable {
    view: MemoryView,
    order: u64,
    progress: BTreeMap<SessionId, Progress>,
}

/// What waits for something.
#[derive(Debug)]
enum Message {
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

/// The workspace and its sessions at the node, as the actors there drive the machines.
#[derive(Debug)]
pub(crate) struct Node {
    view: MemoryView,
    durable: Durable,
    order: u64,
    members: BTreeMap<SessionId, Member>,
    open: OpenFiles,
    lease: WorkspaceLease,
    waiting_for_lease: VecDeque<Message>,
    released: bool,
    recovery: Option<Recovery>,
    deferred: VecDeque<Message>,
    is_dirty: bool,
    is_flushing: bool,
    flush_wanted: bool,
    lease_ms: u64,
    pub(crate) todo: Vec<Todo>,
    pub(crate) grants: u64,
    pub(crate) recalls: u64,
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
            recovery: None,
            deferred: VecDeque::new(),
            is_dirty: false,
            is_flushing: false,
            flush_wanted: false,
            lease_ms,
            todo: Vec::new(),
            grants: 0,
            recalls: 0,
        }
    }

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
            recovery: Some(recovery).filter(|recovery| !recovery.is_complete()),
            todo: std::mem::take(&mut self.todo),
            grants: self.grants,
            recalls: self.recalls,
            ..Self::new(view, self.lease_ms)
        };
    }

    /// Nothing waits and nothing is to be made durable.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.recovery.is_none() && !self.is_dirty && !self.is_flushing && self.waiting_for_lease.is_empty()
    }

    /// What it waits for, for people.
    pub(crate) fn describe(&self) -> String {
        let Self { lease, waiting_for_lease, recovery, deferred, is_dirty, is_flushing, members, .. } = self;
        format!("{lease:?} {waiting_for_lease:?} {recovery:?} {deferred:?} dirty {is_dirty} flushing {is_flushing} {members:?}")
    }

    /// Sessions that may still come back.
    pub(crate) fn is_attached(&self, session: SessionId) -> bool {
        self.members.contains_key(&session)
    }

    /// A session opens, or is resumed over a new stream.
    pub(crate) fn attach(&mut self, session: SessionId, resumes: bool, now_ms: u64) {
        match self.members.get_mut(&session) {
            Some(member) => {
                member.lifecycle.hear(now_ms);
                if resumes {
                    member.resending.get_or_insert_default();
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
        let Some(member) = self.members.get_mut(&session) else {
            return self.todo.push(Todo::Send(session, ServerFrame::Fenced(FenceReason::LeaseLost)));
        };
        if !member.lifecycle.hear(now_ms) {
            return self.todo.push(Todo::Send(session, ServerFrame::Fenced(FenceReason::LeaseLost)));
        }
        if let ClientFrame::Heartbeat { sent_ms } = frame {
            self.lease.hear(session);
            return self.todo.push(Todo::Send(session, ServerFrame::Proof { sent_ms }));
        }
        if matches!(frame, ClientFrame::Goodbye) {
            member.lifecycle.goodbye();
            return self.seal(session);
        }
        self.route(Message::Frame(session, frame));
        self.go_on();
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now_ms: u64) {
        let ids: Vec<_> = self.members.keys().copied().collect();
        for session in ids {
            let Some(member) = self.members.get_mut(&session) else { continue };
            let before = member.lifecycle.phase();
            member.lifecycle.tick(now_ms);
            if before == Phase::Live && member.lifecycle.phase() == Phase::Lapsed {
                self.settle(session);
                let effects = self.lease.lapse(session);
                self.perform(effects);
            }
        }
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
    fn fence(&mut self, session: SessionId) {
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
        while std::mem::take(&mut self.released) {
            for message in std::mem::take(&mut self.waiting_for_lease) {
                self.route(message);
            }
        }
        if self.flush_wanted && self.is_dirty && !self.is_flushing && self.recovery.is_none() {
            (self.flush_wanted, self.is_dirty, self.is_flushing) = (false, false, true);
            let progress = self.members.iter().map(|(&id, member)| (id, member.inbox.progress())).collect();
            self.todo.push(Todo::Flush(Box::new(Durable { view: self.view.clone(), order: self.order, progress })));
        }
    }

    fn route(&mut self, message: Message) {
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
        self.lease.hear(session);
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

    fn perform(&mut self, effects: Vec<LeaseEffect>) {
        for effect in effects {
            match effect {
                LeaseEffect::Grant { session, epoch } => {
                    self.grants += 1;
                    self.todo.push(Todo::Send(session, ServerFrame::Lease { epoch, bytes: None, inodes: None }));
                }
                LeaseEffect::Recall { session, epoch } => {
                    self.recalls += 1;
                    self.todo.push(Todo::Send(session, ServerFrame::Recall { epoch }));
                    self.todo.push(Todo::Recalled(epoch));
                }
                LeaseEffect::Fence(session) => self.fence(session),
                LeaseEffect::Released => self.released = true,
            }
        }
    }

    fn take(&mut self, session: SessionId, frame: ClientFrame) {
        if !self.members.contains_key(&session) {
            return;
        }
        match frame {
            ClientFrame::Commit { acked, ops } => self.commit(session, acked, ops),
            ClientFrame::Request { id, request } => {
                let result = self.answer(session, request);
                self.todo.push(Todo::Send(session, ServerFrame::Reply { id, result }));
            }
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
                self.settle(session);
            }
            ClientFrame::Opened { inodes } => inodes.into_iter().for_each(|ino| self.open.open(session, ino)),
            ClientFrame::WantLease => {
                let effects = self.lease.want(session);
                self.perform(effects);
            }
            ClientFrame::ClaimLease { epoch } => {
                let effects = self.lease.claim(session, epoch);
                self.perform(effects);
            }
            ClientFrame::ReturnLease => {
                let effects = self.lease.give_back(session);
                self.perform(effects);
            }
            _ => {}
        }
    }

    fn commit(&mut self, session: SessionId, acked: u64, ops: Vec<NumberedOp>) {
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
                Admission::Apply => {
                    let result = self.execute(session, numbered);
                    self.orphaned(session, &result);
                    results.push(result);
                }
                Admission::Gap => results.push(OpResult { seq: numbered.seq, order: 0, result: Err(Errno::EPROTO) }),
            }
        }
        if let Some(member) = self.members.get(&session) {
            let is_durable = results.first().is_some_and(|first| first.seq <= member.durable);
            let seq = member.durable;
            self.todo.push(Todo::Send(session, ServerFrame::Applied(results)));
            if is_durable {
                self.todo.push(Todo::Send(session, ServerFrame::Durable { seq }));
            }
        }
    }

    fn execute(&mut self, session: SessionId, NumberedOp { seq, op, .. }: NumberedOp) -> OpResult {
        self.order += 1;
        let result = self.apply(&op);
        if let Some(member) = self.members.get_mut(&session) {
            member.inbox.record(seq, result.clone());
        }
        self.is_dirty = true;
        OpResult { seq, order: self.order, result }
    }

    fn apply(&mut self, op: &Op) -> Result<Outcome, Errno> {
        match namespace::apply(&self.view, &Context::default(), op) {
            Ok(applied) => {
                self.view.absorb(&applied.changes);
                Ok(applied.outcome)
            }
            Err(Stop::Refused(errno)) => Err(errno),
            Err(Stop::Missing(_)) => Err(Errno::EIO),
        }
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

    fn purge_if_orphan(&mut self, ino: Ino) {
        let mut from = Some(0);
        while let Some(offset) = from
            && self.recovery.is_none()
            && !self.open.is_open(ino)
        {
            let Ok((applied, rest)) = namespace::purge(&self.view, ino, offset) else { return };
            self.view.absorb(&applied.changes);
            self.is_dirty = true;
            from = rest;
        }
    }

    fn answer(&mut self, session: SessionId, request: Request) -> Result<Answer, Errno> {
        let view = &self.view;
        let answer = match request {
            Request::Lookup { parent, name } => namespace::lookup(view, parent, &name).map(Answer::Attr),
            Request::Attr { ino } => namespace::attr(view, ino).map(Answer::Attr),
            Request::Open { ino } => namespace::attr(view, ino).map(|attr| {
                self.open.open(session, ino);
                Answer::Attr(attr)
            }),
            Request::ReadDir { dir, after, limit } => namespace::read_dir(view, dir, after.as_ref(), limit as usize).map(Answer::Entries),
            Request::Pieces { ino, offset, len } => {
                namespace::pieces(view, ino, offset, len, usize::MAX).map(|(attr, pieces)| Answer::Pieces { attr, pieces, more: false })
            }
            Request::Fetch(fetch) => return self.fetch(session, fetch),
            _ => return Err(Errno::EINVAL),
        };
        answer.map_err(|stop| if let Stop::Refused(errno) = stop { errno } else { Errno::EIO })
    }

    fn fetch(&self, session: SessionId, fetch: Fetch) -> Result<Answer, Errno> {
        if self.lease.holder() != Some(session) {
            return Err(Errno::EPERM);
        }
        let named = |key: &Key| Some((key.encode().into(), self.view.get(key).ok()??));
        let records = match fetch {
            Fetch::Key(encoded) => {
                Records { rows: Key::decode(&encoded).as_ref().and_then(named).into_iter().collect(), ..Records::default() }
            }
            Fetch::Range { start, prefix, limit, along } => {
                let limit = (limit as usize).clamp(1, ROWS_MAX);
                let mut records = Records::of(&self.view, &start, &prefix, limit).map_err(|_| Errno::EIO)?;
                let inodes = records.rows.iter().filter_map(|(_, record)| match record {
                    Record::Dentry(ino, _) => named(&Key::Inode(*ino)),
                    _ => None,
                });
                records.rows.extend(inodes.collect::<Vec<_>>());
                for ino in along {
                    if let Some(rows) = Records::extents_of(&self.view, ino).map_err(|_| Errno::EIO)? {
                        records.rows.extend(rows);
                        records.whole.push(ino);
                    }
                }
                records
            }
        };
        Ok(Answer::Records(records))
    }

    /// The end of the grace after a crash.
    fn recover(&mut self) {
        let Some(recovery) = self.recovery.take() else { return };
        let mut results: BTreeMap<SessionId, Vec<OpResult>> = BTreeMap::new();
        for resent in recovery.into_ops() {
            let Some(member) = self.members.get(&resent.session) else { continue };
            let result = match member.inbox.admit(resent.op.seq) {
                Admission::Apply => self.execute(resent.session, resent.op),
                Admission::Duplicate(_) => continue,
                Admission::Gap => OpResult { seq: resent.op.seq, order: 0, result: Err(Errno::EPROTO) },
            };
            results.entry(resent.session).or_default().push(result);
        }
        for (session, results) in results {
            self.todo.push(Todo::Send(session, ServerFrame::Applied(results)));
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
