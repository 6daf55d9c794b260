//! What this mount asks the node before it can go on: records and leases.

use super::in_flight::Settled;
use super::local::Local;
use super::mount::{Mode, Mount};
use super::{Belief, Note, Steps};
use crate::leases::Kind;
use crate::namespace::{Errno, Ino, Key};
use crate::protocol::{Answer, Request};

/// Nothing needs so many fetches that ends at all.
const FETCHES_MAX: u32 = 100_000;

/// Who waits for the answer to a question.
#[derive(Debug)]
pub(super) enum Asker<O, R, D> {
    /// Whoever asked.
    Caller(R),
    /// This mount: whether the node takes what it claims.
    Claims,
    /// These steps go on once more is known.
    Learning(Box<Question>, Steps<O, R, D>),
}

/// A question of the mount's own.
#[derive(Debug)]
pub(super) struct Question {
    request: Request,
    /// The lease on the whole workspace under which it was asked, if any.
    epoch: Option<u64>,
    /// When, as [`Forgotten`](super::forgotten::Forgotten) counts.
    asked_at: u64,
}

impl<O, R, D> Mount<O, R, D> {
    /// Sends a question.
    pub(super) fn ask_node(&mut self, request: Request, asker: Asker<O, R, D>, now_ms: u64) {
        match self.in_flight.ask(request, asker, now_ms) {
            Ok(frame) => self.say(frame),
            Err((asker, errno)) => self.settle(vec![Settled::Answered(asker, Err(errno))], now_ms),
        }
    }

    /// Asks for what the replica lacks, or for leases; then the steps go on.
    pub(super) fn learn(&mut self, mut steps: Steps<O, R, D>, request: Request, now_ms: u64) {
        steps.fetches += 1;
        if steps.fetches > FETCHES_MAX {
            self.out.notes.push(Note::Endless(Box::new(request)));
            self.refuse(steps, Errno::EIO);
            return;
        }
        let question = Question { request: request.clone(), epoch: self.local().epoch(), asked_at: self.forgotten.now() };
        self.ask_node(request, Asker::Learning(Box::new(question), steps), now_ms);
    }

    pub(super) fn refuse(&mut self, steps: Steps<O, R, D>, errno: Errno) {
        self.out.settled.extend(steps.steps.into_iter().map(|step| step.refused(errno)));
    }

    pub(super) fn learnt(
        &mut self,
        Question { request: asked, epoch, asked_at }: &Question,
        result: Result<Answer, Errno>,
        steps: Steps<O, R, D>,
        now_ms: u64,
    ) {
        // Who decides may have changed: then the answer is of no use, and whoever decides now answers.
        let is_current = self.local().epoch() == *epoch;
        let is_forgotten = |ino| self.forgotten.is_forgotten(ino, *asked_at);
        let refused = match (&mut self.mode, result) {
            (Mode::Local(local), Ok(Answer::Records(records))) => {
                if let (true, Request::Fetch(fetch)) = (is_current, asked) {
                    local.replica.learn(fetch, records);
                }
                None
            }
            (Mode::Shared(local), Ok(answer @ (Answer::Learnt { .. } | Answer::Leases(_)))) => {
                if is_current {
                    if let Answer::Learnt { leases, .. } | Answer::Leases(leases) = &answer {
                        leases.iter().for_each(|lease| self.in_flight.outbox.saw(lease.number));
                    }
                    let belief = leased(local, asked, answer, is_forgotten, now_ms);
                    self.out.beliefs.extend(belief);
                }
                None
            }
            (Mode::Shared(local), Err(Errno::EPERM)) if is_current => {
                denied_for_good(local, asked);
                None
            }
            (_, Ok(Answer::Records(_) | Answer::Learnt { .. } | Answer::Leases(_))) => None,
            (_, Err(Errno::EPERM)) if !is_current => None,
            (Mode::Shared(_) | Mode::Draining(_), Err(Errno::EPERM)) => None,
            (_, Err(errno)) => Some(errno),
            (_, Ok(_)) => Some(Errno::EIO),
        };
        match refused {
            None => self.run(steps, now_ms),
            Some(errno) => self.refuse(steps, errno),
        }
    }
}

/// Leases have come, with records or without; or not.
///
/// Of what `is_forgotten` since it was asked nothing is learnt: what was decided on it meanwhile may be missing.
fn leased(local: &mut Local, asked: &Request, answer: Answer, is_forgotten: impl Fn(Ino) -> bool, now_ms: u64) -> Option<Belief> {
    let (granted, records) = match answer {
        Answer::Learnt { leases, records } => (leases, Some(records)),
        Answer::Leases(leases) => (leases, None),
        _ => return None,
    };
    let wanted = match asked {
        Request::Learn { fetch, .. } => fetch.owner().into_iter().collect(),
        Request::Acquire { inodes } => inodes.clone(),
        _ => Vec::new(),
    };
    let leases = local.leases()?;
    leases.got(&granted, now_ms);
    let is_granted = |ino: &Ino| granted.iter().any(|lease| lease.ino == *ino);
    let missed: Vec<Ino> = wanted.into_iter().filter(|ino| !is_granted(ino)).collect();
    missed.iter().for_each(|&ino| leases.deny(ino, now_ms));
    if let (Request::Learn { fetch, .. }, Some(mut records), true) = (asked, records, missed.is_empty())
        && !fetch.owner().is_some_and(&is_forgotten)
    {
        records.rows.retain(|(key, _)| !Key::decode(key).and_then(|key| key.owner()).is_some_and(&is_forgotten));
        local.replica.learn(fetch, records);
    }
    Some(Belief::Got(granted.iter().map(|lease| lease.ino).collect()))
}

/// The node gives this session no such lease, now or ever.
fn denied_for_good(local: &mut Local, asked: &Request) {
    let Some(leases) = local.leases() else { return };
    if !matches!(asked, Request::Learn { kind: Kind::Read, .. }) {
        leases.may_decide = false;
    } else {
        leases.may_believe = false;
    }
}
