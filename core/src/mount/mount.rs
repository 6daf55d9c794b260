use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::forgotten::Forgotten;
use super::held_leases::HeldLeases;
use super::in_flight::{InFlight, Settled};
use super::local::{Local, Upload, pack_alone};
use super::questions::Asker;
use super::steps::Pause;
use super::traces::Traces;
use super::{Effects, Step, Steps};
use crate::SegmentId;
use crate::namespace::{Errno, Ino, Limits, Op};
use crate::protocol::{ClientFrame, NumberedOp};

/// Who decides.
#[derive(Debug)]
pub(super) enum Mode {
    /// The node, and this mount where it holds leases on single inodes.
    Shared(Box<Local>),
    /// This mount, under the lease on the whole workspace.
    Local(Box<Local>),
    /// This mount has decided, and sends the rest; what comes meanwhile waits.
    Draining(Box<Local>),
}

impl Mode {
    /// The node decides, and leases on single inodes are to be asked for.
    pub(super) fn shared() -> Self {
        Self::Shared(Box::new(Local::of_inodes(HeldLeases::to_be_asked_for())))
    }
}

/// Whether the node goes along with the leases that this mount takes itself to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claims {
    /// It does, as far as this mount knows.
    Taken,
    /// It is to be asked.
    Doubted,
    /// It has been asked.
    Asked,
}

/// Who waits for an op that the node decides, and what comes after it.
#[derive(Debug)]
pub(super) struct Committer<O, R, D> {
    pub(super) seq: u64,
    pub(super) op: Op,
    pub(super) waiter: O,
    pub(super) rest: Steps<O, R, D>,
}

/// A wait of the machine's own that has come to its end.
type Ended<O, R, D> = Settled<Committer<O, R, D>, Asker<O, R, D>, D>;

/// The mount's side of a session; see the module.
#[derive(Debug)]
pub struct Mount<O, R, D> {
    pub(super) in_flight: InFlight<Committer<O, R, D>, Asker<O, R, D>, D>,
    pub(super) mode: Mode,
    pub(super) linked: bool,
    /// Whether this mount takes the lease on the whole workspace.
    pub(super) takes_leases: bool,
    /// What waits until something else is out of the way: see [`Pause::Wait`].
    pub(super) held: VecDeque<Steps<O, R, D>>,
    /// Ops up to this one were sent again over a new stream. Of those, that they may come again was perhaps said over the last.
    pub(super) resent: u64,
    /// The node may not take what this mount claims, and until it has answered nothing is served here.
    pub(super) claims: Claims,
    /// What waits to be told to come again, by the op that was refused.
    pub(super) come_again: BTreeMap<u64, Steps<O, R, D>>,
    /// Ops that were told to come again before they were refused.
    pub(super) told_early: BTreeSet<u64>,
    /// The lease that will be given back once the kernel's caches are dropped.
    pub(super) returning: Option<u64>,
    /// The lease on the whole workspace that begins once everything that was decided before has been sent.
    pub(super) coming: Option<(u64, Limits)>,
    /// What the node said that ops have changed was lost with a stream; it is forgotten once their results are here.
    pub(super) is_stale: bool,
    /// What was forgotten while questions were on their way.
    pub(super) forgotten: Forgotten,
    pub(super) traces: Traces,
    new_segment: fn() -> SegmentId,
    pub(super) out: Effects<O, R, D>,
}

impl<O, R, D> Mount<O, R, D> {
    /// A session whose stream is up and that holds no lease. `new_segment` names a segment as none was named before.
    pub fn new(new_segment: fn() -> SegmentId) -> Self {
        Self {
            in_flight: InFlight::default(),
            mode: Mode::Shared(Box::new(Local::of_inodes(HeldLeases::none()))),
            linked: true,
            takes_leases: false,
            held: VecDeque::new(),
            resent: 0,
            claims: Claims::Taken,
            come_again: BTreeMap::new(),
            told_early: BTreeSet::new(),
            returning: None,
            coming: None,
            is_stale: false,
            forgotten: Forgotten::default(),
            traces: Traces::default(),
            new_segment,
            out: Effects::default(),
        }
    }

    /// What is to be done since this was asked last.
    pub fn take_effects(&mut self) -> Effects<O, R, D> {
        std::mem::take(&mut self.out)
    }

    /// Does what is to be done, as far as that goes now. What waits for something goes on when that is there.
    pub fn run(&mut self, mut steps: Steps<O, R, D>, now_ms: u64) {
        if self.claims != Claims::Taken && self.in_flight.interrupted().is_none() {
            self.held.push_back(steps);
            return;
        }
        let outer = self.traces.run(steps.call);
        while let Some(step) = steps.steps.pop_front() {
            if let Some(errno) = self.in_flight.interrupted() {
                self.out.settled.push(step.refused(errno));
                continue;
            }
            let stop = match &self.mode {
                Mode::Shared(_) => self.step_by_inode(step, now_ms),
                Mode::Local(_) => self.step_local(step, now_ms),
                Mode::Draining(_) => Err(Box::new(Pause::Wait(step))),
            };
            let Err(pause) = stop else { continue };
            match *pause {
                Pause::Wait(step) => {
                    steps.steps.push_front(step);
                    self.held.push_back(steps);
                }
                Pause::Ask(step, request) => {
                    steps.steps.push_front(step);
                    self.learn(steps, request, now_ms);
                }
                Pause::Upload(mut op, waiter) => {
                    let upload = Upload { call: steps.call, ..pack_alone((self.new_segment)(), &mut op.mutation) };
                    steps.steps.push_front(Step::Commit(op, waiter));
                    self.out.alone.push((upload, steps));
                }
                Pause::Commit(op, waiter) => self.commit_at_node(op, waiter, steps, now_ms),
            }
            break;
        }
        if self.local().is_full() {
            self.cut(false);
            self.queue_decided(now_ms);
        }
        self.traces.run(outer);
    }

    /// Tells those who waited, and goes on with what waited behind.
    pub(super) fn settle(&mut self, settled: Vec<Ended<O, R, D>>, now_ms: u64) {
        for settled in settled {
            match settled {
                Settled::Applied(committer, result) => self.node_has_decided(committer, result, now_ms),
                Settled::Answered(Asker::Caller(waiter), result) => self.out.settled.push(Settled::Answered(waiter, result)),
                Settled::Answered(Asker::Claims, result) => self.claims_answered(&result, now_ms),
                Settled::Answered(Asker::Learning(question, steps), result) => self.learnt(&question, result, steps, now_ms),
                Settled::Durable(waiter, result) => self.out.settled.push(Settled::Durable(waiter, result)),
            }
        }
    }

    /// Queues a frame, if there is a stream for it.
    pub fn say(&mut self, frame: ClientFrame) {
        let traced = self.traces.of(&frame);
        if self.linked {
            self.out.frames.extend(traced.map(ClientFrame::Traced));
            self.out.frames.push(frame);
        }
    }

    pub(super) fn local(&self) -> &Local {
        let (Mode::Shared(local) | Mode::Local(local) | Mode::Draining(local)) = &self.mode;
        local
    }

    pub(super) fn local_mut(&mut self) -> &mut Local {
        let (Mode::Shared(local) | Mode::Local(local) | Mode::Draining(local)) = &mut self.mode;
        local
    }

    /// The leases on single inodes, where those are what this mount holds.
    pub(super) fn leases(&mut self) -> Option<&mut HeldLeases> {
        if let Mode::Shared(local) = &mut self.mode { local.leases() } else { None }
    }

    /// Puts what waits on its way.
    pub(super) fn cut(&mut self, everything: bool) {
        let (Mode::Shared(local) | Mode::Local(local) | Mode::Draining(local)) = &mut self.mode;
        let uploads: Vec<Upload> = local.cut(everything, &mut self.in_flight.outbox, &self.traces, self.new_segment);
        self.out.uploads.extend(uploads);
    }

    /// Queues the frames that may leave now.
    pub(super) fn queue_decided(&mut self, now_ms: u64) {
        let (Mode::Shared(local) | Mode::Local(local) | Mode::Draining(local)) = &mut self.mode;
        let (frames, last) = local.frames(&self.in_flight.outbox);
        if let Some(last) = last {
            self.in_flight.sent(last, now_ms);
        }
        frames.into_iter().for_each(|frame| self.say(frame));
    }

    /// A segment is durable, and what names it may be sent.
    pub fn uploaded(&mut self, segment: SegmentId, now_ms: u64) {
        let written = self.local_mut().uploaded(segment);
        self.out.written.extend(written);
        self.queue_decided(now_ms);
        self.all_sent(now_ms);
    }

    /// Sends everything that was decided.
    pub fn send_decided(&mut self, now_ms: u64) {
        self.cut(true);
        self.queue_decided(now_ms);
        let applied = self.in_flight.outbox.acked();
        if let Mode::Shared(local) | Mode::Local(local) = &mut self.mode {
            local.trim(applied, &self.in_flight.open);
        }
        self.all_sent(now_ms);
    }

    /// A handle on an inode is closed.
    pub fn close(&mut self, ino: Ino) {
        let Self { in_flight, mode, .. } = self;
        if in_flight.open.close(ino) {
            let last_seq = in_flight.outbox.last_seq();
            let (Mode::Shared(local) | Mode::Local(local) | Mode::Draining(local)) = mode;
            if local.epoch().is_some() || !local.is_drained() {
                return local.closed(ino, &mut in_flight.open, last_seq);
            }
            // It is told with others, unless it is opened again before.
            local.replica.purge(ino, last_seq);
        }
    }

    /// Where the data of a file lies is asked anew by the next read.
    pub fn forget_extents(&mut self, ino: Ino) {
        let applied = self.in_flight.outbox.acked();
        if let Mode::Shared(local) | Mode::Local(local) = &mut self.mode {
            local.replica.forget_extents(ino, applied);
        }
    }

    /// Ends every wait with this errno, and every one that begins before [`Mount::revive`].
    pub fn interrupt(&mut self, errno: Errno, now_ms: u64) {
        let settled = self.in_flight.interrupt(errno);
        self.settle(settled, now_ms);
        let waiting = std::mem::take(&mut self.held).into_iter().chain(std::mem::take(&mut self.come_again).into_values());
        self.out.settled.extend(waiting.flat_map(|steps| steps.steps).map(|step| step.refused(errno)));
    }

    /// Waits may begin again.
    pub fn revive(&mut self, now_ms: u64) {
        self.in_flight.revive();
        self.ask_for_claims(now_ms);
    }

    /// Why nothing may wait now.
    pub fn interrupted(&self) -> Option<Errno> {
        self.in_flight.interrupted()
    }

    /// Ends the waits that began before this instant. Answers whether there were any.
    pub fn expire(&mut self, before_ms: u64, now_ms: u64) -> bool {
        let settled = self.in_flight.expire(before_ms);
        let has_expired = !settled.is_empty();
        self.settle(settled, now_ms);
        has_expired
    }

    /// Whether another mutation may begin: what was decided and is not durable takes a bounded amount of memory.
    pub fn has_room(&self, now_ms: u64) -> bool {
        self.local().has_room() && self.in_flight.has_room(now_ms)
    }

    /// The error that this inode's fsync or close must report; it is reported once.
    pub fn take_loss(&mut self, ino: Ino) -> Option<Errno> {
        self.in_flight.take_loss(ino)
    }

    /// Inodes whose errors nobody has been told.
    pub fn untold_losses(&self) -> Vec<Ino> {
        self.in_flight.untold_losses()
    }

    /// Ops that are not durable, in order.
    pub fn unsaved(&self) -> Vec<NumberedOp> {
        self.in_flight.unsaved()
    }

    /// Whether this mount has decided an op that is not durable.
    pub fn is_decided(&self, seq: u64) -> bool {
        self.in_flight.outbox.is_decided(seq)
    }

    /// How many ops, and memory for them in bytes, are not durable.
    pub fn unsaved_size(&self) -> (usize, usize) {
        self.in_flight.unsaved_size()
    }

    /// How many handles programs have on files.
    pub fn handles(&self) -> u64 {
        self.in_flight.open.handles()
    }

    /// The number of the last op.
    pub fn last_seq(&self) -> u64 {
        self.in_flight.last_seq()
    }

    /// Whether nothing waits: everything is durable, and no lease is about to end.
    pub fn is_at_rest(&self) -> bool {
        self.linked
            && self.interrupted().is_none()
            && self.in_flight.outbox.is_empty()
            && self.held.is_empty()
            && self.come_again.is_empty()
            && self.claims == Claims::Taken
            && !matches!(self.mode, Mode::Draining(_))
    }
}
