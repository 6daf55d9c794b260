//! What becomes of one step, by who decides.

use super::in_flight::Settled;
use super::local::{Undecided, is_local, is_oversized};
use super::mount::{Mode, Mount};
use super::questions::Asker;
use super::{Belief, Step};
use crate::leases::Kind;
use crate::namespace::{Ino, Key, Missing, Mutation, Op, Stop};
use crate::protocol::{Answer, Request};

/// Why a step cannot be done now.
pub(super) enum Pause<O, R, D> {
    /// The lease ends or begins, what was decided has to be sent first, or the node has to decide an op before: it goes on
    /// when that has come about.
    Wait(Step<O, R, D>),
    /// The replica lacks something, or a lease.
    Ask(Step<O, R, D>, Request),
    /// Its data has to be put first.
    Upload(Op, O),
    /// The node decides this.
    Commit(Op, O),
}

type Stepped<O, R, D> = Result<(), Box<Pause<O, R, D>>>;

impl<O, R, D> Mount<O, R, D> {
    /// Does a step under leases on single inodes, as far as they reach; what lies beyond them is the node's.
    ///
    /// While the node has still to decide an op of this mount, nothing is decided here: it would be numbered behind that op, and
    /// be decided without knowing what that comes to.
    pub(super) fn step_by_inode(&mut self, step: Step<O, R, D>, now_ms: u64) -> Stepped<O, R, D> {
        if self.coming.is_some() {
            return Err(Box::new(Pause::Wait(step)));
        }
        match step {
            Step::Commit(op, waiter) => self.commit_by_inode(op, waiter, now_ms),
            Step::Ask(request, waiter) => self.ask_by_inode(request, waiter, now_ms),
            Step::Durable(waiter) => {
                self.wait_durable(waiter, now_ms);
                Ok(())
            }
        }
    }

    fn ask_by_inode(&mut self, request: Request, waiter: R, now_ms: u64) -> Stepped<O, R, D> {
        let Self { mode: Mode::Shared(local), in_flight, is_stale, .. } = self else {
            return Err(Box::new(Pause::Wait(Step::Ask(request, waiter))));
        };
        // An op on its way may take the last link of what is opened, and of an opening here the node does not know.
        let is_told = matches!(request, Request::Open { .. }) && in_flight.has_undecided();
        // What it changes another mount may have seen by now, which a question here must not overtake.
        let is_doubtful = is_told || *is_stale || request.about().is_some_and(|ino| in_flight.may_change(ino));
        let believes = local.leases().is_some_and(|leases| leases.may_believe) && !is_doubtful;
        if believes && is_local(&request) && request != Request::Usage {
            match local.answer(&request, &mut in_flight.open) {
                // One without a link is gone as soon as nobody has it open, and of this mount the node does not know.
                Ok(Answer::Attr(attr)) if attr.nlink == 0 && matches!(request, Request::Open { .. }) => {
                    in_flight.open.close(attr.ino);
                }
                Ok(Answer::Attr(attr)) if in_flight.may_change(attr.ino) => {}
                Ok(answer) => {
                    self.out.settled.push(Settled::Answered(waiter, Ok(answer)));
                    return Ok(());
                }
                Err(Stop::Refused(errno)) => {
                    self.out.settled.push(Settled::Answered(waiter, Err(errno)));
                    return Ok(());
                }
                Err(Stop::Missing(missing)) => {
                    if self.is_leaving() {
                        return Err(Box::new(Pause::Wait(Step::Ask(request, waiter))));
                    }
                    // What is opened may be about to go: the node is to hear of it as soon as can be.
                    let is_opened = matches!(request, Request::Open { .. });
                    if !is_opened && let Some(learn) = self.learning(&missing, Kind::Read, now_ms) {
                        return Err(Box::new(Pause::Ask(Step::Ask(request, waiter), learn)));
                    }
                }
            }
        }
        // The node is to know all that was decided here before.
        self.cut(true);
        self.queue_decided(now_ms);
        // Whoever gets a lock that is let go reads nothing of what was written under it before it has been sent.
        let may_overtake = matches!(request, Request::Unlock { .. } | Request::CancelLock { .. });
        if !may_overtake && !self.local().is_drained() {
            return Err(Box::new(Pause::Wait(Step::Ask(request, waiter))));
        }
        self.ask_node(request, Asker::Caller(waiter), now_ms);
        Ok(())
    }

    fn commit_by_inode(&mut self, op: Op, waiter: O, now_ms: u64) -> Stepped<O, R, D> {
        if self.may_decide(&op.mutation, now_ms) {
            if self.in_flight.has_undecided() || self.is_stale || self.is_leaving() {
                return Err(Box::new(Pause::Wait(Step::Commit(op, waiter))));
            }
            if matches!(op.mutation, Mutation::Clone { .. }) {
                // Blocks are shared; data that is in none yet would be copied.
                self.cut(true);
                self.queue_decided(now_ms);
                if !self.local().is_drained() {
                    return Err(Box::new(Pause::Wait(Step::Commit(op, waiter))));
                }
            }
            let Self { mode: Mode::Shared(local), in_flight, .. } = self else {
                return Err(Box::new(Pause::Wait(Step::Commit(op, waiter))));
            };
            match local.commit(&op, now_ms, &mut in_flight.outbox, &mut in_flight.open) {
                Ok(outcome) => {
                    self.traces.numbered(in_flight.last_seq());
                    self.out.beliefs.extend(op.mutation.creates().map(Belief::Made));
                    self.out.settled.push(Settled::Applied(waiter, Ok(Box::new(outcome))));
                    return Ok(());
                }
                Err(Undecided::Refused(errno)) => {
                    self.out.settled.push(Settled::Applied(waiter, Err(errno)));
                    return Ok(());
                }
                Err(Undecided::Missing(missing)) => {
                    let is_named = owner(&missing).is_some_and(|ino| op.mutation.names().contains(&ino));
                    let kind = if is_named { Kind::Write } else { Kind::Read };
                    if let Some(learn) = self.learning(&missing, kind, now_ms) {
                        return Err(Box::new(Pause::Ask(Step::Commit(op, waiter), learn)));
                    }
                }
                Err(Undecided::Unleased(inodes)) => {
                    if let Some(acquire) = self.acquiring(inodes, now_ms) {
                        return Err(Box::new(Pause::Ask(Step::Commit(op, waiter), acquire)));
                    }
                }
            }
        }
        Err(Box::new(if is_oversized(&op.mutation) { Pause::Upload(op, waiter) } else { Pause::Commit(op, waiter) }))
    }

    /// Whether leases are to end once everything has been sent. Until then nothing may be asked that was decided under them.
    fn is_leaving(&mut self) -> bool {
        self.leases().is_some_and(|leases| leases.is_leaving())
    }

    /// Whether this op might be decided here.
    fn may_decide(&mut self, mutation: &Mutation, now_ms: u64) -> bool {
        let Some(leases) = self.leases().filter(|leases| leases.may_believe && leases.may_decide) else { return false };
        match mutation {
            // A time of access is not worth a lease.
            Mutation::Access { ino } => leases.kind(*ino) == Some(Kind::Write),
            mutation => !mutation.names().iter().any(|&ino| leases.is_denied(ino, now_ms)),
        }
    }

    /// The question that brings what is missing, unless no lease is to be had for it.
    fn learning(&mut self, missing: &Missing, kind: Kind, now_ms: u64) -> Option<Request> {
        let Mode::Shared(local) = &mut self.mode else { return None };
        let ino = owner(missing)?;
        let leases = local.leases()?;
        let may = if kind == Kind::Write { leases.may_decide } else { leases.may_believe };
        if !may || leases.is_denied(ino, now_ms) {
            return None;
        }
        Some(Request::Learn { fetch: local.replica.fetch(missing), kind })
    }

    /// The question that brings leases, unless one of them is not to be had.
    fn acquiring(&mut self, inodes: Vec<Ino>, now_ms: u64) -> Option<Request> {
        let leases = self.leases()?;
        let is_denied = inodes.iter().any(|&ino| leases.is_denied(ino, now_ms));
        (leases.may_decide && !is_denied).then_some(Request::Acquire { inodes })
    }

    /// Does a step under the lease on the whole workspace.
    pub(super) fn step_local(&mut self, step: Step<O, R, D>, now_ms: u64) -> Stepped<O, R, D> {
        let Self { mode: Mode::Local(local), in_flight, traces, out, .. } = self else { return Err(Box::new(Pause::Wait(step))) };
        match step {
            Step::Commit(op, waiter) => match local.commit(&op, now_ms, &mut in_flight.outbox, &mut in_flight.open) {
                Ok(outcome) => {
                    traces.numbered(in_flight.last_seq());
                    out.settled.push(Settled::Applied(waiter, Ok(Box::new(outcome))));
                }
                Err(Undecided::Refused(errno)) => out.settled.push(Settled::Applied(waiter, Err(errno))),
                Err(Undecided::Missing(missing)) => {
                    let fetch = local.replica.fetch(&missing);
                    return Err(Box::new(Pause::Ask(Step::Commit(op, waiter), Request::Fetch(fetch))));
                }
                // The lease is on everything.
                Err(Undecided::Unleased(_)) => return Err(Box::new(Pause::Commit(op, waiter))),
            },
            Step::Ask(request, waiter) if is_local(&request) => match local.answer(&request, &mut in_flight.open) {
                Ok(answer) => out.settled.push(Settled::Answered(waiter, Ok(answer))),
                Err(Stop::Refused(errno)) => out.settled.push(Settled::Answered(waiter, Err(errno))),
                Err(Stop::Missing(missing)) => {
                    let fetch = local.replica.fetch(&missing);
                    return Err(Box::new(Pause::Ask(Step::Ask(request, waiter), Request::Fetch(fetch))));
                }
            },
            Step::Ask(request, waiter) => {
                if matches!(request, Request::Unlock { .. }) {
                    // What was written under the lock leaves before it, unless it waits for an upload: who gets the lock is
                    // served nothing before this mount has given the lease back, and with it has sent all.
                    self.cut(true);
                    self.queue_decided(now_ms);
                }
                self.ask_node(request, Asker::Caller(waiter), now_ms);
            }
            Step::Durable(waiter) => self.wait_durable(waiter, now_ms),
        }
        Ok(())
    }

    /// Lets somebody wait until everything so far is durable. What was decided here is sent first.
    fn wait_durable(&mut self, waiter: D, now_ms: u64) {
        let seq = self.in_flight.last_seq();
        match self.in_flight.wait_durable(seq, waiter, now_ms) {
            Ok(None) => {}
            Ok(Some(flush)) if self.in_flight.is_sent(seq) => {
                self.traces.waits(seq);
                self.say(flush);
            }
            Ok(Some(_)) => {
                self.traces.waits(seq);
                self.local_mut().want_flush(seq);
                self.cut(true);
                self.queue_decided(now_ms);
            }
            Err((waiter, result)) => self.out.settled.push(Settled::Durable(waiter, result)),
        }
    }
}

/// The inode of which something is missing.
fn owner(missing: &Missing) -> Option<Ino> {
    match missing {
        Missing::Key(key) => key.owner(),
        Missing::From { prefix, .. } => Key::owner_of(prefix),
    }
}
