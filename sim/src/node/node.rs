use std::collections::{BTreeMap, BTreeSet, VecDeque};

use artifacts_core::SessionId;
use artifacts_core::leases::{Desk, Lease};
use artifacts_core::locks::{Held, Resource};
use artifacts_core::namespace::{self, Ino, MemoryView};
use artifacts_core::protocol::{ClientFrame, FenceReason, ServerFrame};
use artifacts_core::session::{Absent, Lifecycle, LockClaims, OpenFiles, Phase, Recovery, WorkspaceLease};

use super::commit::Decider;
use super::faults::Faults;
use super::locks::Locks;
use super::member::Member;
use super::recovery::{Durable, Stored};

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
    Welcome {
        session: SessionId,
        durable_seq: u64,
    },
    /// This becomes durable in a while.
    Flush(Box<Durable>),
    /// Call [`Node::recall_expired`] when the time for that is over.
    Recalled(u64),
    /// Nothing of this session is accepted from now on; its last op that took effect.
    Sealed {
        session: SessionId,
        applied: u64,
    },
    /// It has decided that a session is over.
    Fenced(SessionId, FenceReason),
    /// This goes on record.
    Record(SessionId, Phase),
    /// That these were away while others were served goes on record, or that it does not matter any more.
    Outlived(Vec<SessionId>),
    /// Put on record that this session ends while something that it has done is not durable.
    Unsaved(SessionId),
    Returned(SessionId),
    /// An op has taken effect: whose, which, and when it was made.
    Took {
        session: SessionId,
        seq: u64,
        time: i64,
    },
    /// A lock is held.
    Holds(Resource, Box<Held>),
    /// What came back after a takeover has been put into its order: whether all of it is there, each in its place.
    Recovered {
        is_whole: bool,
    },
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

impl Counts {
    /// Those of another owner.
    pub(crate) const fn add(&mut self, other: &Self) {
        self.grants += other.grants;
        self.recalls += other.recalls;
        self.inode_grants += other.inode_grants;
        self.inode_recalls += other.inode_recalls;
        self.come_agains += other.come_agains;
        self.waits += other.waits;
        self.changes_told += other.changes_told;
        self.claims += other.claims;
    }
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
    /// Sessions that have ended since the last flush.
    pub(super) departed: Vec<SessionId>,
    /// Those of them whose ops are not durable.
    pub(super) unsaved: BTreeSet<SessionId>,
    pub(super) absent: Absent,
    /// Inodes without links are still to be looked for: some may be open on a mount that may come back.
    pub(super) orphans_wait: bool,
    pub(super) locks: Locks,
    pub(super) told_token: u64,
    /// The last op of each session that had taken effect at the owner before, for whoever judges.
    pub(super) had_taken: BTreeMap<SessionId, u64>,
    pub(super) lease_ms: u64,
    pub(super) now_ms: u64,
    pub(crate) todo: Vec<Todo>,
    pub(crate) counts: Counts,
    pub(super) faults: Faults,
    /// Who believes what, for one of the faults.
    pub(super) readers: BTreeMap<(SessionId, Ino), Lease>,
}

impl Node {
    /// The owner of a workspace from `now_ms` on, with what is stored of it and the sessions on record. `had_taken` says what had taken effect
    /// at the owner before, for whoever judges.
    pub(crate) fn open(stored: &Stored, had_taken: BTreeMap<SessionId, u64>, faults: Faults, lease_ms: u64, now_ms: u64) -> Self {
        let Durable { view, order, progress, .. } = stored.durable.clone();
        let is_open = |phase: &Phase| matches!(phase, Phase::Live | Phase::Lapsed);
        let known: Vec<_> = stored.sessions.iter().filter(|(_, phase)| is_open(phase)).map(|(&id, &phase)| (id, phase)).collect();
        let live = || known.iter().filter(|(_, phase)| *phase == Phase::Live && !faults.skips_grace).map(|&(id, _)| id);
        let recovery = Recovery::new(live()).with_missed(!stored.unsaved.is_empty());
        let member = |&(id, phase): &(SessionId, Phase)| {
            let lifecycle = Lifecycle::new(phase, lease_ms, now_ms, None);
            (id, Member::new(progress.get(&id).cloned(), true, lifecycle))
        };
        let next_order = order + ORDER_GAP;
        let had_taken: BTreeMap<_, _> =
            had_taken.into_iter().filter(|(id, last)| progress.get(id).is_none_or(|progress| progress.applied < *last)).collect();
        let recovery = Some(recovery).filter(|recovery| !recovery.is_complete());
        let is_whole = had_taken.is_empty() || recovery.is_some();
        Self {
            members: known.iter().map(member).collect(),
            durable: stored.durable.clone(),
            departed: stored.unsaved.iter().copied().collect(),
            unsaved: BTreeSet::new(),
            view,
            order: next_order,
            open: OpenFiles::default(),
            lease: WorkspaceLease::new(next_order),
            waiting_for_lease: VecDeque::new(),
            released: false,
            desk: Desk::new(next_order),
            recovery,
            deferred: VecDeque::new(),
            is_dirty: false,
            is_flushing: false,
            flush_wanted: false,
            orphans_wait: true,
            absent: Absent::new(known.iter().map(|&(id, _)| id), stored.outlived.iter().copied()),
            locks: Locks::new(stored.token_reserve, known.iter().map(|&(id, _)| id), live()),
            told_token: stored.token_reserve,
            had_taken,
            lease_ms,
            now_ms,
            todo: if is_whole { Vec::new() } else { vec![Todo::Recovered { is_whole }] },
            counts: Counts::default(),
            faults,
            readers: BTreeMap::new(),
        }
    }

    /// What is visible.
    pub(crate) fn view(&self) -> &MemoryView {
        &self.view
    }

    /// Whether something is not durable yet.
    pub(crate) fn is_unsaved(&self) -> bool {
        self.recovery.is_some() || self.is_dirty || self.is_flushing
    }

    /// An agent was heard. Whether its session is served.
    pub(crate) fn heard(&mut self, session: SessionId, now_ms: u64) -> bool {
        self.now_ms = now_ms;
        let Some(member) = self.members.get_mut(&session) else { return false };
        let had_lapsed = member.lifecycle.phase() == Phase::Lapsed;
        let is_heard = member.lifecycle.hear(now_ms);
        if had_lapsed && is_heard {
            self.todo.push(Todo::Record(session, Phase::Live));
        }
        is_heard
    }

    /// Nothing waits and nothing is to be made durable.
    pub(crate) fn is_at_rest(&self) -> bool {
        let waits = !self.waiting_for_lease.is_empty() || !self.desk.is_at_rest() || !self.locks.is_at_rest();
        self.recovery.is_none() && !self.is_dirty && !self.is_flushing && !waits
    }

    /// What it waits for, for people.
    pub(crate) fn describe(&self) -> String {
        let Self { lease, desk, locks, waiting_for_lease, recovery, deferred, is_dirty, is_flushing, members, .. } = self;
        format!(
            "{lease:?} {desk:?} {locks:?} {waiting_for_lease:?} {recovery:?} {deferred:?} dirty {is_dirty} flushing {is_flushing} {members:?}"
        )
    }

    /// A session opens, or is resumed over a new stream.
    pub(crate) fn attach(&mut self, session: SessionId, resumes: bool, now_ms: u64) {
        self.now_ms = now_ms;
        // Whoever waited over the stream before is not there any more.
        self.deferred.retain(|message| !matches!(message, Message::Attach(of) if *of == session));
        match self.members.get_mut(&session) {
            Some(member) => {
                member.lifecycle.hear(now_ms);
                if resumes {
                    member.resending.get_or_insert_default();
                    // It asks again.
                    self.desk.reconnect(session);
                    self.waiting_for_lease.retain(|message| !matches!(message, Message::Frame(of, _) if *of == session));
                }
                if !std::mem::replace(&mut member.is_back, true) {
                    member.is_outlived = resumes && self.absent.is_outlived(session);
                    let is_lost = resumes && self.absent.is_lost(session);
                    self.absent.back(session);
                    if is_lost {
                        // What it held was given away, or not, by an owner that is no more.
                        return self.end(session, FenceReason::LeaseLost);
                    }
                }
                self.todo.push(Todo::Record(session, Phase::Live));
            }
            None if resumes => return,
            None => {
                let lifecycle = Lifecycle::new(Phase::Live, self.lease_ms, now_ms, None);
                self.members.insert(session, Member::new(None, false, lifecycle));
                self.todo.push(Todo::Record(session, Phase::Live));
            }
        }
        if !resumes {
            // On record already, perhaps, but new: it has nothing to send again.
            self.settle(session);
            self.settle_locks(session);
            if self.recovery.is_some() {
                self.deferred.push_back(Message::Attach(session));
                return self.go_on();
            }
        }
        self.welcome(session);
        self.go_on();
    }

    pub(super) fn welcome(&mut self, session: SessionId) {
        let Some(member) = self.members.get(&session) else { return };
        self.todo.push(Todo::Welcome { session, durable_seq: member.durable });
        let effects = self.lease.attach(session);
        self.perform(effects);
    }

    /// A heartbeat was answered.
    pub(crate) fn beats(&mut self, session: SessionId, now_ms: u64) {
        self.now_ms = now_ms;
        self.hear(session);
    }

    /// A frame has come that is no heartbeat.
    pub(crate) fn receive(&mut self, session: SessionId, frame: ClientFrame, now_ms: u64) {
        self.now_ms = now_ms;
        if !self.members.contains_key(&session) {
            return;
        }
        if matches!(frame, ClientFrame::Goodbye) {
            if let Some(member) = self.members.get_mut(&session) {
                member.lifecycle.goodbye();
            }
            self.seal(session);
            self.release(session, Phase::Ended);
        } else {
            self.route(Message::Frame(session, frame));
        }
        self.go_on();
    }

    pub(super) fn send(&mut self, session: SessionId, frame: ServerFrame) {
        self.todo.push(Todo::Send(session, frame));
    }

    pub(super) fn hear(&mut self, session: SessionId) {
        self.lease.hear(session);
        self.desk.table.hear(session);
        self.hear_locks(session);
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
                self.todo.push(Todo::Record(session, Phase::Lapsed));
                self.miss(session);
                let effects = self.desk.lapse(session);
                self.perform_on_inodes(effects);
                self.count_inode_holders();
                let effects = self.lease.lapse(session);
                self.perform(effects);
                self.lapse_locks(session);
            }
        }
        let effects = self.desk.expire(now_ms);
        self.perform_on_inodes(effects);
        self.flush_wanted |= self.is_dirty;
        self.go_on();
    }

    /// The time in which a lease had to be given back is over.
    pub(crate) fn recall_expired(&mut self, epoch: u64, now_ms: u64) {
        self.now_ms = now_ms;
        let effects = self.lease.recall_expired(epoch);
        self.perform(effects);
        self.go_on();
    }

    /// What was to be made durable is, or could not be.
    pub(crate) fn flushed(&mut self, durable: Option<Durable>, now_ms: u64) {
        self.now_ms = now_ms;
        self.is_flushing = false;
        match durable {
            Some(durable) => {
                self.departed.retain(|session| !durable.departed.contains(session));
                self.unsaved.retain(|session| !durable.departed.contains(session));
                self.say_durable(&durable);
                self.durable = durable;
            }
            None => (self.is_dirty, self.flush_wanted) = (true, true),
        }
        self.go_on();
    }

    pub(super) fn say_durable(&mut self, durable: &Durable) {
        for (&session, progress) in &durable.progress {
            if let Some(member) = self.members.get_mut(&session)
                && member.durable < progress.applied
            {
                member.durable = progress.applied;
                self.todo.push(Todo::Send(session, ServerFrame::Durable { seq: progress.applied }));
            }
        }
    }

    pub(super) fn settle(&mut self, session: SessionId) {
        if let Some(recovery) = &mut self.recovery {
            recovery.settle(session);
        }
    }

    pub(super) fn miss(&mut self, session: SessionId) {
        if let Some(recovery) = &mut self.recovery {
            recovery.miss(session);
        }
    }

    /// What has become possible.
    pub(super) fn go_on(&mut self) {
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
            let durable = Durable { view: self.view.clone(), order: self.order, progress, departed: self.departed.clone() };
            if self.faults.acks_before_durable {
                self.say_durable(&durable);
            }
            self.todo.push(Todo::Flush(Box::new(durable)));
        }
        self.tell_holders();
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
        if self.recovery.is_none() && frame.waits_for_lease() && self.members.contains_key(&session) {
            let outlived = self.absent.outlived_by(session);
            if !outlived.is_empty() {
                self.todo.push(Todo::Outlived(outlived));
            }
        }
        self.take(session, frame);
    }

    pub(super) fn take(&mut self, session: SessionId, frame: ClientFrame) {
        if !self.members.contains_key(&session) {
            return;
        }
        match frame {
            ClientFrame::Commit { acked, ops } => self.commit(session, Decider::Node, acked, ops),
            ClientFrame::Decided { acked, ops } => self.commit(session, Decider::Mount, acked, ops),
            ClientFrame::Request { id, request } if request.is_about_locks() => self.asks_about_locks(session, id, request),
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
                if self.absent.is_outlived(session) && open.iter().any(|&ino| namespace::attr(&self.view, ino).is_err()) {
                    // What it does with that file others would never see.
                    return self.fence(session, FenceReason::LeaseLost);
                }
                if self.absent.settle(session) {
                    self.todo.push(Todo::Returned(session));
                }
                let member = self.members.get_mut(&session);
                let orphaned = member.and_then(|member| {
                    member.is_outlived = false;
                    member.resending.take()
                });
                let orphaned = orphaned.unwrap_or_default();
                for ino in self.open.replace(session, &open).into_iter().chain(orphaned) {
                    self.purge_if_orphan(ino);
                }
                let effects = self.desk.resent(session, self.now_ms);
                self.perform_on_inodes(effects);
                self.settle(session);
                self.purge_waiting_orphans();
            }
            ClientFrame::Opened { inodes } => inodes.into_iter().for_each(|ino| self.open.open(session, ino)),
            ClientFrame::Traced(_) => {}
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
            ClientFrame::ClaimLocks { held, asked, waiting } => self.claims_locks(session, LockClaims { held, asked, waiting }),
            ClientFrame::Heartbeat { .. } | ClientFrame::FenceConfirmed | ClientFrame::Goodbye => {}
        }
    }
}
