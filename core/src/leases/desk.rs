use std::collections::{BTreeSet, VecDeque};

use super::{Effect, Kind, Lease, Leases, Ticket, Wants};
use crate::SessionId;
use crate::hashing::HashMap;
use crate::namespace::Ino;
use crate::protocol::{Request, ServerFrame};

/// The most inodes of one `Acquire`.
const ACQUIRE_MAX: usize = 64;

/// What the shell must do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeskEffect {
    /// Tell a mount.
    Send(SessionId, ServerFrame),
    /// This session cannot be waited for: nothing of it is accepted from now on.
    Fence(SessionId),
}

/// Whether an op may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// It meets nothing.
    Free,
    /// Its mount will be told when to send it again.
    ComesAgain,
    /// Its mount says that it has decided it, and has decided on what somebody else holds.
    Refused,
}

/// What becomes of a question that brings leases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// This session never gets such leases.
    Never,
    /// These are in its way. It waits, to be asked again.
    Wait(Wants),
    /// It has got these. For `Learn`: the one it is about, with which records may come, or none.
    Got(Vec<Lease>),
}

#[derive(Debug)]
enum Waiting<M> {
    /// A question, to be asked again.
    Message(SessionId, M),
    /// An op that was refused: its mount is to send it again.
    Op(SessionId, u64),
}

/// Where sessions come for leases on inodes, and wait for those of others: the table, and what waits for it. `M` is a message
/// that can be taken again.
#[derive(Debug)]
pub struct Desk<M> {
    /// Who holds what.
    pub table: Leases,
    waiting: HashMap<Ticket, Waiting<M>>,
    /// What goes on now, in order.
    ready: VecDeque<M>,
    /// Leases below this were granted in a life before.
    first_number: u64,
    /// Sessions whose leases of a life before are in the table.
    taken_over: BTreeSet<SessionId>,
}

impl<M> Desk<M> {
    /// No lease. `first_number` lies above that of every lease before.
    pub fn new(first_number: u64) -> Self {
        Self {
            table: Leases::new(first_number),
            waiting: HashMap::default(),
            ready: VecDeque::new(),
            first_number,
            taken_over: BTreeSet::new(),
        }
    }

    /// The next message whose wait is over.
    pub fn next_ready(&mut self) -> Option<M> {
        self.ready.pop_front()
    }

    /// Whether nobody waits.
    pub fn is_at_rest(&self) -> bool {
        self.ready.is_empty() && !self.table.has_waits()
    }

    /// A message waits until nothing is in its way.
    pub fn wait(&mut self, session: SessionId, wants: Wants, message: M, now_ms: u64) -> Vec<DeskEffect> {
        self.begin_wait(session, wants, Waiting::Message(session, message), now_ms)
    }

    fn begin_wait(&mut self, session: SessionId, wants: Wants, waiting: Waiting<M>, now_ms: u64) -> Vec<DeskEffect> {
        let comes_again = matches!(waiting, Waiting::Op(..));
        let (ticket, effects) = self.table.wait(session, wants, comes_again, now_ms);
        self.waiting.insert(ticket, waiting);
        self.carry_out(effects)
    }

    fn carry_out(&mut self, effects: Vec<Effect>) -> Vec<DeskEffect> {
        let mut out = Vec::new();
        for effect in effects {
            match effect {
                Effect::Recall { session, leases, keep_read } => {
                    out.push(DeskEffect::Send(session, ServerFrame::RecallLeases { leases, keep_read }));
                }
                Effect::Ready(ticket) => match self.waiting.remove(&ticket) {
                    Some(Waiting::Message(_, message)) => self.ready.push_back(message),
                    Some(Waiting::Op(session, seq)) => out.push(DeskEffect::Send(session, ServerFrame::ComeAgain { seq })),
                    None => {}
                },
                Effect::Fence(session) => out.push(DeskEffect::Fence(session)),
            }
        }
        out
    }

    /// An op of a session comes to these inodes. `is_decided` by its mount, or to be decided now.
    pub fn pass(&mut self, session: SessionId, seq: u64, wants: &Wants, is_decided: bool, now_ms: u64) -> (Passage, Vec<DeskEffect>) {
        self.table.used(session, wants, now_ms);
        if self.table.is_free(session, wants) {
            self.table.came_about(session, &wants.writes);
            return (Passage::Free, Vec::new());
        }
        if is_decided {
            return (Passage::Refused, Vec::new());
        }
        (Passage::ComesAgain, self.begin_wait(session, wants.clone(), Waiting::Op(session, seq), now_ms))
    }

    /// A session asks `Learn` or `Acquire`. At the `most` it may have such leases, and while the lease on the whole workspace
    /// `is_held` nobody gets any.
    pub fn ask(&mut self, session: SessionId, request: &Request, most: Option<Kind>, is_held: bool, now_ms: u64) -> Asked {
        let (inodes, kind) = match request {
            Request::Learn { fetch, kind } => (fetch.owner().into_iter().collect(), *kind),
            Request::Acquire { inodes } if inodes.len() <= ACQUIRE_MAX => (inodes.clone(), Kind::Write),
            _ => (Vec::new(), Kind::Write),
        };
        if most.is_none_or(|most| kind > most) {
            return Asked::Never;
        }
        if is_held {
            return Asked::Got(Vec::new());
        }
        let cool = inodes.into_iter().filter(|&ino| !self.table.is_hot(ino, now_ms)).collect();
        let wants = match kind {
            Kind::Read => Wants { reads: cool, ..Wants::default() },
            Kind::Write => Wants { writes: cool, ..Wants::default() },
        };
        if !self.table.is_free(session, &wants) {
            return Asked::Wait(wants);
        }
        let Wants { reads, writes } = wants;
        Asked::Got(reads.into_iter().chain(writes).filter_map(|ino| self.table.grant(session, ino, kind, now_ms)).collect())
    }

    /// Entries bring the inodes that they name, as far as leases on those can be had at once.
    pub fn ask_named(&mut self, session: SessionId, inodes: impl IntoIterator<Item = Ino>, now_ms: u64) -> Vec<Lease> {
        inodes.into_iter().filter_map(|ino| self.table.grant(session, ino, Kind::Read, now_ms)).collect()
    }

    /// A session gives leases back.
    pub fn give_back(&mut self, session: SessionId, leases: &[Lease], keep_read: bool, now_ms: u64) -> Vec<DeskEffect> {
        let effects = self.table.give_back(session, leases, keep_read, now_ms);
        self.carry_out(effects)
    }

    /// A session that has resumed says what it holds. After a restart of the node it is believed while nobody else has been
    /// served (`are_others_served`); later, who has decided anything by itself has been away too long.
    ///
    /// What was granted in this life, or taken over into it, and is not in the table any more went by what the session did
    /// itself: it was granted the lease on the whole workspace and has not heard of it, or it removed the inode. Nobody else
    /// was served in between.
    pub fn claim(&mut self, session: SessionId, leases: &[Lease], are_others_served: bool, now_ms: u64) -> Vec<DeskEffect> {
        // One that it has made since nobody else knows of, and has no number.
        let is_of_before = |lease: &Lease| lease.number > 0 && lease.number < self.first_number;
        if are_others_served && !self.taken_over.contains(&session) && leases.iter().any(is_of_before) {
            return vec![DeskEffect::Fence(session)];
        }
        self.taken_over.insert(session);
        let effects = self.table.claim(session, leases, now_ms);
        self.carry_out(effects)
    }

    /// A session that has resumed has sent everything again.
    pub fn resent(&mut self, session: SessionId, now_ms: u64) -> Vec<DeskEffect> {
        let effects = self.table.resent(session, now_ms);
        self.carry_out(effects)
    }

    /// A session is granted the lease on the whole workspace, which covers every inode.
    pub fn release_all(&mut self, session: SessionId, now_ms: u64) -> Vec<DeskEffect> {
        let effects = self.table.release_all(session, now_ms);
        self.carry_out(effects)
    }

    /// What holders believe may not be so: everything is recalled, although nobody waits.
    pub fn doubt(&mut self, now_ms: u64) -> Vec<DeskEffect> {
        let effects = self.table.doubt(now_ms);
        self.carry_out(effects)
    }

    /// An inode is gone for good.
    pub fn forget(&mut self, ino: Ino, now_ms: u64) -> Vec<DeskEffect> {
        let effects = self.table.forget(ino, now_ms);
        self.carry_out(effects)
    }

    /// A session has not been heard for its lease.
    pub fn lapse(&mut self, session: SessionId) -> Vec<DeskEffect> {
        let effects = self.table.lapse(session);
        self.carry_out(effects)
    }

    /// A session has a new stream, over which it says what it holds and asks again. What it asked over the last one must not
    /// bring leases in between: it would not have claimed them.
    pub fn reconnect(&mut self, session: SessionId) {
        self.forget_waits(session);
        self.table.end_waits_of(session);
    }

    /// A session is over, and with it its leases and waits.
    pub fn depart(&mut self, session: SessionId, now_ms: u64) -> Vec<DeskEffect> {
        self.taken_over.remove(&session);
        self.forget_waits(session);
        let effects = self.table.depart(session, now_ms);
        self.carry_out(effects)
    }

    fn forget_waits(&mut self, session: SessionId) {
        self.waiting.retain(|_, waiting| {
            let (Waiting::Message(of, _) | Waiting::Op(of, _)) = waiting;
            *of != session
        });
    }

    /// Time has passed: looks whether holders have answered.
    pub fn expire(&mut self, now_ms: u64) -> Vec<DeskEffect> {
        let effects = self.table.expire(now_ms);
        self.carry_out(effects)
    }
}
