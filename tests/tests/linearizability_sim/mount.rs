use std::collections::{BTreeMap, BTreeSet, VecDeque};

use artifacts_core::namespace::{self, Errno, Ino, Limits, Mutation, Op, Stop};
use artifacts_core::protocol::{Answer, ClientFrame, FenceReason, Request, ServerFrame};
use artifacts_core::replica::{Fetch, Replica};
use artifacts_core::session::{Disposition, Outbox, Standing, Verdict};

use crate::steps::{Came, Step};

/// What a program on the mount waits for.
type Steps = (usize, VecDeque<Step>);

/// Who decides.
#[derive(Debug)]
enum Mode {
    Shared,
    Local(Local),
    Draining(Local),
}

/// What is decided under the lease and not sent.
#[derive(Debug)]
struct Local {
    epoch: u64,
    replica: Replica,
    queue: VecDeque<Queued>,
}

#[derive(Debug)]
enum Queued {
    Op(u64),
    Opened(Ino),
    Closed(Ino),
}

/// What was decided here: for whom, and under which number if it changed anything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decided {
    pub(crate) client: usize,
    pub(crate) seq: Option<u64>,
}

/// A mount and its session, as the agent drives the machines.
#[derive(Debug)]
pub(crate) struct Mount {
    pub(crate) standing: Standing,
    mode: Mode,
    outbox: Outbox,
    sent: u64,
    node_durable: u64,
    ops: BTreeMap<u64, usize>,
    requests: BTreeMap<u32, (Waiter, Request)>,
    next_request: u32,
    durable_waits: Vec<(u64, usize)>,
    held: VecDeque<Steps>,
    returning: Option<u64>,
    handles: BTreeMap<Ino, u32>,
    told: BTreeSet<Ino>,
    closed: BTreeSet<Ino>,
    interrupted: bool,
    linked: bool,
    next_ino: u64,
    /// To the node.
    pub(crate) frames: Vec<ClientFrame>,
    /// To programs.
    pub(crate) came: Vec<(usize, Came)>,
    /// What was decided under the lease, in order.
    pub(crate) decided: Vec<Decided>,
    /// The kernel's caches are to be dropped, and then the lease goes back.
    pub(crate) is_drained: bool,
    /// Everything up to here was said to be durable.
    pub(crate) synced: u64,
    /// It answers whether or not its session stands: a fault that must be found.
    pub(crate) is_rash: bool,
}

#[derive(Debug)]
enum Waiter {
    Client(usize),
    /// These steps go on once the replica knows more.
    Replica(u64, Fetch, Steps),
}

impl Mount {
    pub(crate) fn new(standing: Standing, first_ino: u64) -> Self {
        Self {
            standing,
            mode: Mode::Shared,
            outbox: Outbox::default(),
            sent: 0,
            node_durable: 0,
            ops: BTreeMap::new(),
            requests: BTreeMap::new(),
            next_request: 0,
            durable_waits: Vec::new(),
            held: VecDeque::new(),
            returning: None,
            handles: BTreeMap::new(),
            told: BTreeSet::new(),
            closed: BTreeSet::new(),
            interrupted: false,
            linked: true,
            next_ino: first_ino,
            frames: vec![ClientFrame::WantLease],
            came: Vec::new(),
            decided: Vec::new(),
            is_drained: false,
            synced: 0,
            is_rash: false,
        }
    }

    pub(crate) fn take_ino(&mut self) -> Ino {
        self.next_ino += 1;
        Ino(self.next_ino - 1)
    }

    /// Whether everything that was done is durable, and nothing is on its way to being so.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.outbox.is_empty() && self.linked && self.held.is_empty() && !matches!(self.mode, Mode::Draining(_)) && !self.interrupted
    }

    pub(crate) fn last_seq(&self) -> u64 {
        self.outbox.last_seq()
    }

    /// Does several things one after the other for a program.
    pub(crate) fn run(&mut self, client: usize, mut steps: VecDeque<Step>, now_us: u64) {
        while let Some(step) = steps.pop_front() {
            if self.interrupted {
                self.came.push((client, step.refused(Errno::EIO)));
                continue;
            }
            match &self.mode {
                Mode::Shared => self.step_shared(client, step, now_us),
                Mode::Local(_) => {
                    if let Err(lacks) = self.step_local(client, step, now_us) {
                        let (step, fetch) = *lacks;
                        steps.push_front(step);
                        let epoch = self.epoch().unwrap_or(0);
                        self.ask(Request::Fetch(fetch.clone()), Waiter::Replica(epoch, fetch, (client, steps)));
                        return;
                    }
                }
                Mode::Draining(_) => {
                    steps.push_front(step);
                    self.held.push_back((client, steps));
                    return;
                }
            }
        }
    }

    fn step_shared(&mut self, client: usize, step: Step, now_us: u64) {
        match step {
            Step::Commit(mutation) => {
                let op = self.outbox.push(op(mutation, now_us));
                self.sent = op.seq;
                self.ops.insert(op.seq, client);
                let acked = self.outbox.acked();
                self.send(ClientFrame::Commit { acked, ops: vec![op] });
            }
            Step::Ask(request) => self.ask(request, Waiter::Client(client)),
            Step::Durable => self.wait_durable(client),
            Step::Close(ino) => self.close(client, ino),
        }
    }

    fn step_local(&mut self, client: usize, step: Step, now_us: u64) -> Result<(), Box<(Step, Fetch)>> {
        let Mode::Local(local) = &mut self.mode else { return Ok(()) };
        match step {
            Step::Commit(mutation) => {
                let seq = self.outbox.next_seq();
                let op = op(mutation, now_us);
                let result = match local.replica.apply(&op, seq) {
                    Ok(outcome) => {
                        for &ino in &outcome.orphaned {
                            if !self.handles.contains_key(&ino) {
                                local.replica.purge(ino, seq);
                            } else if self.told.insert(ino) {
                                local.queue.push_back(Queued::Opened(ino));
                            }
                        }
                        self.outbox.push_applied(op);
                        local.queue.push_back(Queued::Op(seq));
                        Ok(outcome)
                    }
                    Err(Stop::Refused(errno)) => Err(errno),
                    Err(Stop::Missing(missing)) => {
                        let fetch = local.replica.fetch(&missing);
                        return Err(Box::new((Step::Commit(op.mutation), fetch)));
                    }
                };
                self.decided.push(Decided { client, seq: result.is_ok().then_some(seq) });
                self.came.push((client, Came::Applied(result)));
            }
            Step::Ask(request) => {
                let result = match answer(&local.replica, &request) {
                    Ok(answer) => Ok(answer),
                    Err(Stop::Refused(errno)) => Err(errno),
                    Err(Stop::Missing(missing)) => {
                        let fetch = local.replica.fetch(&missing);
                        return Err(Box::new((Step::Ask(request), fetch)));
                    }
                };
                if let (Request::Open { ino }, true) = (&request, result.is_ok()) {
                    self.open(*ino);
                }
                self.decided.push(Decided { client, seq: None });
                self.came.push((client, Came::Answered(result)));
            }
            Step::Durable => self.wait_durable(client),
            Step::Close(ino) => self.close(client, ino),
        }
        Ok(())
    }

    fn ask(&mut self, request: Request, waiter: Waiter) {
        if let (Request::Open { ino }, Waiter::Client(_)) = (&request, &waiter) {
            self.open(*ino);
            self.told.insert(*ino);
        }
        let id = self.next_request;
        self.next_request += 1;
        self.requests.insert(id, (waiter, request.clone()));
        self.send(ClientFrame::Request { id, request });
    }

    fn open(&mut self, ino: Ino) {
        *self.handles.entry(ino).or_default() += 1;
        self.closed.remove(&ino);
    }

    fn close(&mut self, client: usize, ino: Ino) {
        self.came.push((client, Came::Closed));
        if let Mode::Local(_) | Mode::Draining(_) = self.mode {
            self.decided.push(Decided { client, seq: None });
        }
        self.closed_one(ino);
    }

    fn closed_one(&mut self, ino: Ino) {
        let Some(count) = self.handles.get_mut(&ino) else { return };
        *count -= 1;
        if *count > 0 {
            return;
        }
        self.handles.remove(&ino);
        if self.told.contains(&ino) {
            self.closed.insert(ino);
        }
        let last_seq = self.outbox.last_seq();
        if let Mode::Local(local) | Mode::Draining(local) = &mut self.mode {
            self.closed.remove(&ino);
            if self.told.remove(&ino) {
                local.queue.push_back(Queued::Closed(ino));
            }
            local.replica.purge(ino, last_seq);
        }
    }

    fn wait_durable(&mut self, client: usize) {
        let seq = self.outbox.last_seq();
        if seq <= self.outbox.durable() || self.outbox.is_empty() {
            return self.came.push((client, Came::Durable(Ok(()))));
        }
        self.durable_waits.push((seq, client));
        self.send_decided();
        self.send(ClientFrame::Flush { seq });
    }

    fn epoch(&self) -> Option<u64> {
        match &self.mode {
            Mode::Local(local) | Mode::Draining(local) => Some(local.epoch),
            Mode::Shared => None,
        }
    }

    fn send(&mut self, frame: ClientFrame) {
        if self.linked {
            self.frames.push(frame);
        }
    }

    /// Sends everything that was decided.
    fn send_decided(&mut self) {
        let (Mode::Local(local) | Mode::Draining(local)) = &mut self.mode else { return };
        let acked = self.outbox.acked();
        let mut frames = Vec::new();
        let mut ops = Vec::new();
        for item in local.queue.drain(..) {
            let other = match item {
                Queued::Op(seq) => {
                    self.sent = self.sent.max(seq);
                    ops.extend(self.outbox.get(seq).cloned());
                    continue;
                }
                Queued::Opened(ino) => ClientFrame::Opened { inodes: vec![ino] },
                Queued::Closed(ino) => ClientFrame::Closed { inodes: vec![ino] },
            };
            if !ops.is_empty() {
                frames.push(ClientFrame::Commit { acked, ops: std::mem::take(&mut ops) });
            }
            frames.push(other);
        }
        if !ops.is_empty() {
            frames.push(ClientFrame::Commit { acked, ops });
        }
        frames.into_iter().for_each(|frame| self.send(frame));
    }

    /// The heartbeat.
    pub(crate) fn beat(&mut self, now_us: u64) {
        if matches!(self.standing.verdict(now_us / 1_000), Verdict::Fail(_)) && !self.is_rash {
            self.interrupt();
        }
        self.send_decided();
        self.end_draining(now_us);
        if self.linked && !self.closed.is_empty() {
            let inodes: Vec<_> = std::mem::take(&mut self.closed).into_iter().collect();
            for ino in &inodes {
                self.told.remove(ino);
            }
            self.send(ClientFrame::Closed { inodes });
        }
        self.send(ClientFrame::Heartbeat { sent_ms: now_us / 1_000 });
    }

    /// Every wait ends, and every one that begins until the session is proven again.
    fn interrupt(&mut self) {
        self.interrupted = true;
        let ended: Vec<_> = std::mem::take(&mut self.ops).into_values().collect();
        self.came.extend(ended.into_iter().map(|client| (client, Came::Applied(Err(Errno::EIO)))));
        for (_, (waiter, request)) in std::mem::take(&mut self.requests) {
            match waiter {
                Waiter::Client(client) => {
                    if let Request::Open { ino } = request {
                        self.closed_one(ino);
                    }
                    self.came.push((client, Came::Answered(Err(Errno::EIO))));
                }
                Waiter::Replica(_, _, steps) => self.refuse(steps),
            }
        }
        for (_, client) in std::mem::take(&mut self.durable_waits) {
            self.came.push((client, Came::Durable(Err(Errno::EIO))));
        }
        for steps in std::mem::take(&mut self.held) {
            self.refuse(steps);
        }
    }

    fn refuse(&mut self, (client, steps): Steps) {
        self.came.extend(steps.iter().map(|step| (client, step.refused(Errno::EIO))));
    }

    fn proven(&mut self, asked_at_ms: u64) {
        self.standing.prove(asked_at_ms);
        self.interrupted = self.standing.fenced().is_some();
    }

    /// The session is over.
    pub(crate) fn fenced(&mut self) {
        self.standing.fence(FenceReason::LeaseLost);
        self.interrupt();
    }

    /// The stream is gone.
    pub(crate) fn unlink(&mut self) {
        self.linked = false;
        self.frames.clear();
    }

    /// The session has been resumed over a new stream.
    pub(crate) fn relink(&mut self, durable_seq: u64, asked_at_ms: u64) {
        self.linked = true;
        self.durable(durable_seq);
        let held = self.epoch().or(self.returning);
        let mut open: Vec<Ino> = self.handles.keys().copied().collect();
        if let Mode::Local(local) | Mode::Draining(local) = &self.mode {
            open.extend(local.queue.iter().filter_map(|item| if let Queued::Closed(ino) = item { Some(*ino) } else { None }));
        }
        if let Some(epoch) = held {
            self.frames.push(ClientFrame::ClaimLease { epoch });
            self.frames.push(ClientFrame::Opened { inodes: open.clone() });
        }
        let ops = self.outbox.resend(self.sent);
        if !ops.is_empty() {
            self.frames.push(ClientFrame::Commit { acked: self.outbox.acked(), ops });
        }
        self.closed.clear();
        self.told = self.handles.keys().copied().collect();
        self.frames.push(ClientFrame::ResendDone { open });
        self.frames.extend(self.requests.iter().map(|(&id, (_, request))| ClientFrame::Request { id, request: request.clone() }));
        if let Some(seq) = self.durable_waits.iter().map(|(seq, _)| *seq).max() {
            self.frames.push(ClientFrame::Flush { seq });
        }
        if held.is_none() {
            self.frames.push(ClientFrame::ReturnLease);
            self.frames.push(ClientFrame::WantLease);
        }
        self.proven(asked_at_ms);
    }

    /// A frame has come.
    pub(crate) fn receive(&mut self, frame: ServerFrame, now_us: u64) {
        match frame {
            ServerFrame::Reply { id, result } => self.answered(id, result, now_us),
            ServerFrame::Applied(results) => {
                for result in results {
                    match self.outbox.applied(&result) {
                        Disposition::Answer(outcome) => {
                            if let Some(client) = self.ops.remove(&result.seq) {
                                self.came.push((client, Came::Applied(outcome)));
                            }
                        }
                        Disposition::LostAfterAnswer(op, errno) => panic!("an op that was answered came to nothing: {op:?}, {errno}"),
                        Disposition::Nothing => {}
                    }
                }
                self.durable(0);
            }
            ServerFrame::Durable { seq } => self.durable(seq),
            ServerFrame::Proof { sent_ms } => self.proven(sent_ms),
            ServerFrame::Fenced(_) => self.fenced(),
            ServerFrame::Lease { epoch, .. } => {
                if matches!(self.mode, Mode::Shared) && self.returning.is_none() {
                    let replica = Replica::new(Limits { exceeded: Errno::EDQUOT, ..Limits::default() });
                    self.mode = Mode::Local(Local { epoch, replica, queue: VecDeque::new() });
                }
            }
            ServerFrame::Recall { epoch } => self.recall(epoch, now_us),
            // The simulated node gives leases on everything alone; locks go past the namespace, and none is taken here.
            ServerFrame::RecallLeases { .. }
            | ServerFrame::Changed { .. }
            | ServerFrame::ComeAgain { .. }
            | ServerFrame::LockSettled { .. }
            | ServerFrame::Closing => {}
        }
    }

    fn answered(&mut self, id: u32, result: Result<Answer, Errno>, now_us: u64) {
        let Some((waiter, request)) = self.requests.remove(&id) else { return };
        let (epoch, fetch, steps) = match waiter {
            Waiter::Client(client) => {
                if let (Request::Open { ino }, Err(_)) = (&request, &result) {
                    self.closed_one(*ino);
                }
                return self.came.push((client, Came::Answered(result)));
            }
            Waiter::Replica(epoch, fetch, steps) => (epoch, fetch, steps),
        };
        match (&mut self.mode, result) {
            (Mode::Local(local), Ok(Answer::Records(records))) if local.epoch == epoch => local.replica.learn(&fetch, records),
            (Mode::Local(local), Err(errno)) if local.epoch == epoch => panic!("the holder may not fetch: {errno}"),
            _ => {}
        }
        self.run(steps.0, steps.1, now_us);
    }

    fn durable(&mut self, seq: u64) {
        self.node_durable = self.node_durable.max(seq);
        self.outbox.set_durable(self.node_durable);
        let reached = self.outbox.durable();
        for (seq, client) in self.durable_waits.extract_if(.., |(seq, _)| *seq <= reached) {
            self.synced = self.synced.max(seq);
            self.came.push((client, Came::Durable(Ok(()))));
        }
    }

    fn recall(&mut self, epoch: u64, now_us: u64) {
        match std::mem::replace(&mut self.mode, Mode::Shared) {
            Mode::Local(local) if local.epoch == epoch => {
                self.mode = Mode::Draining(local);
                self.send_decided();
                self.end_draining(now_us);
            }
            Mode::Shared if self.returning.is_none() => self.send(ClientFrame::ReturnLease),
            mode => self.mode = mode,
        }
    }

    /// Everything was sent: the node decides from now on.
    fn end_draining(&mut self, now_us: u64) {
        match std::mem::replace(&mut self.mode, Mode::Shared) {
            Mode::Draining(local) if local.queue.is_empty() => self.returning = Some(local.epoch),
            mode => {
                self.mode = mode;
                return;
            }
        }
        let inodes: Vec<_> = self.handles.keys().copied().filter(|&ino| self.told.insert(ino)).collect();
        if !inodes.is_empty() {
            self.send(ClientFrame::Opened { inodes });
        }
        for (client, steps) in std::mem::take(&mut self.held) {
            self.run(client, steps, now_us);
        }
        self.is_drained = true;
    }

    /// The kernel's caches are dropped.
    pub(crate) fn return_lease(&mut self) {
        self.is_drained = false;
        if self.returning.take().is_some() {
            self.send(ClientFrame::ReturnLease);
            self.send(ClientFrame::WantLease);
        }
    }
}

fn op(mutation: Mutation, now_us: u64) -> Op {
    Op { mutation, time: now_us as i64 * 1_000 }
}

fn answer(view: &Replica, request: &Request) -> Result<Answer, Stop> {
    Ok(match request {
        Request::Lookup { parent, name } => Answer::Attr(namespace::lookup(view, *parent, name)?),
        Request::Attr { ino } | Request::Open { ino } => Answer::Attr(namespace::attr(view, *ino)?),
        Request::ReadDir { dir, after, limit } => Answer::Entries(namespace::read_dir(view, *dir, after.as_ref(), *limit as usize)?),
        Request::Pieces { ino, offset, len } => {
            let (attr, pieces) = view.pieces(*ino, *offset, *len, usize::MAX)?;
            Answer::Pieces { attr, pieces, more: false }
        }
        _ => return Err(Errno::EINVAL.into()),
    })
}
