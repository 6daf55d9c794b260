use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use artifacts_core::SegmentId;
use artifacts_core::namespace::{Errno, Ino, Limits, Mutation, Outcome, Stop};
use artifacts_core::protocol::{Answer, ClientFrame, FenceReason, NumberedOp, Request, ServerFrame, Welcome, encode};
use artifacts_core::replica::Fetch;
use artifacts_core::session::Standing;
use bytes::Bytes;
use parking_lot::{Condvar, Mutex, RwLock};
use tokio::sync::watch;

use super::batch::{Answered, Batch, Durable, OpDone, Ready, Step, Steps};
use super::in_flight::InFlight;
use super::inode_supply::InodeSupply;
use super::local::{Local, Upload, is_local, is_oversized, pack_alone};
use super::locking::LockDone;
use super::locks::Locks;
use super::opening::Opened;
use super::outlet::Outlet;
use crate::data::BlockId;
use crate::gate::Gate;
use crate::random::segment_id;
use crate::time::SharedClock;
use crate::transport::Endpoint;

/// So many closed inodes are reported at once rather than with the next heartbeat.
const CLOSED_AT_ONCE: usize = 64;

/// Nothing needs so many fetches that ends at all.
const FETCHES_MAX: u32 = 100_000;

type InoWaiter = Box<dyn FnOnce(Result<Ino, Errno>) + Send>;

/// What happens to the workspace's lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeaseChange {
    /// This mount holds it: nobody else changes anything.
    Granted,
    /// It will be given back soon; what the kernel is shown from now on must not be believed later.
    Recalled,
    /// Everything was sent. Once the kernel's caches are dropped, [`MountSession::return_lease`].
    Drained,
}

/// Puts segments that ops are going to name.
pub(crate) trait Uploader: Send + Sync {
    /// Puts a segment, however long it takes; `done` runs once it is durable, and never when the session is over.
    fn upload(&self, segment: SegmentId, data: Bytes, done: Box<dyn FnOnce() + Send>);

    /// Keeps blocks that were just written for readers.
    fn keep(&self, blocks: Vec<(BlockId, Bytes)>);
}

/// Who decides.
enum Mode {
    /// The node, op by op.
    Shared,
    /// This mount, under the lease.
    Local(Box<Local>),
    /// This mount has decided, and sends the rest; what comes meanwhile waits.
    Draining(Box<Local>),
}

/// What one lock guards.
pub(super) struct Shared {
    pub(super) in_flight: InFlight<OpDone, Answered, Durable>,
    pub(super) locks: Locks<LockDone>,
    supply: InodeSupply<InoWaiter>,
    /// Mutations that wait for room in the outbox.
    room_waits: VecDeque<Box<dyn FnOnce() + Send>>,
    linked: bool,
    mode: Mode,
    /// What waits for the end of [`Mode::Draining`].
    held: VecDeque<Steps>,
    /// The lease that will be given back once the kernel's caches are dropped.
    returning: Option<u64>,
}

impl Shared {
    /// The frames that may leave now under the lease.
    fn decided(&mut self) -> Vec<ClientFrame> {
        let (Mode::Local(local) | Mode::Draining(local)) = &mut self.mode else { return Vec::new() };
        let (frames, last) = local.frames(&self.in_flight.outbox);
        if let Some(last) = last {
            self.in_flight.sent(last);
        }
        frames
    }

    /// Whether another mutation may begin: what was decided and is not durable takes a bounded amount of memory.
    fn has_room(&self) -> bool {
        let has_local_room = match &self.mode {
            Mode::Local(local) | Mode::Draining(local) => local.has_room(),
            Mode::Shared => true,
        };
        has_local_room && self.in_flight.has_room()
    }

    /// Puts what waits under the lease on its way.
    fn cut(&mut self, everything: bool) -> Vec<Upload> {
        match &mut self.mode {
            Mode::Local(local) | Mode::Draining(local) => local.cut(everything, &mut self.in_flight.outbox, segment_id),
            Mode::Shared => Vec::new(),
        }
    }
}

/// The session of a mount; see the module.
pub(crate) struct MountSession {
    /// What the node said when the session was opened.
    pub(crate) welcome: Welcome,
    /// The door that proofs keep open.
    pub(crate) gate: Arc<Gate>,
    /// The time.
    pub(crate) clock: SharedClock,
    pub(super) outlet: Outlet,
    pub(super) shared: Mutex<Shared>,
    endpoint: RwLock<Endpoint>,
    connected: AtomicBool,
    proven_at_ms: AtomicU64,
    interrupted: watch::Sender<Option<Errno>>,
    on_fence: OnceLock<Box<dyn Fn(FenceReason) + Send + Sync>>,
    on_lease: OnceLock<Box<dyn Fn(LeaseChange) + Send + Sync>>,
    uploader: OnceLock<Arc<dyn Uploader>>,
    early_fence: Mutex<Option<FenceReason>>,
    ending: AtomicBool,
    /// Whether the stream has ended for good.
    is_over: Mutex<bool>,
    over: Condvar,
}

/// Numbers for `artifacts status`.
#[derive(Debug, Clone)]
pub(crate) struct Vitals {
    pub(crate) unsaved_ops: u64,
    pub(crate) unsaved_bytes: u64,
    pub(crate) open_files: u64,
    pub(crate) proof_age_ms: u64,
    pub(crate) connected: bool,
    pub(crate) endpoint: String,
}

impl MountSession {
    /// The session that was just opened, its stream up.
    pub(super) fn new(clock: SharedClock, opened: Opened) -> Arc<Self> {
        let Opened { socket, welcome, asked_at_ms, endpoint } = opened;
        let gate = Arc::new(Gate::new(Arc::clone(&clock), standing(&welcome, asked_at_ms)));
        let shared = Shared {
            in_flight: InFlight::default(),
            locks: Locks::default(),
            supply: InodeSupply::new(welcome.inodes),
            room_waits: VecDeque::new(),
            linked: true,
            mode: Mode::Shared,
            held: VecDeque::new(),
            returning: None,
        };
        let session = Self {
            welcome,
            gate,
            clock,
            outlet: Outlet::default(),
            shared: Mutex::new(shared),
            endpoint: RwLock::new(endpoint),
            connected: AtomicBool::new(true),
            proven_at_ms: AtomicU64::new(asked_at_ms),
            interrupted: watch::Sender::new(None),
            on_fence: OnceLock::new(),
            on_lease: OnceLock::new(),
            uploader: OnceLock::new(),
            early_fence: Mutex::default(),
            ending: AtomicBool::new(false),
            is_over: Mutex::new(false),
            over: Condvar::new(),
        };
        session.outlet.attach(socket, []);
        Arc::new(session)
    }

    /// The session has been resumed over a new stream.
    pub(super) fn relink(&self, opened: Opened) {
        let Opened { socket, welcome, asked_at_ms, endpoint } = opened;
        *self.endpoint.write() = endpoint;
        let mut ready = Vec::new();
        {
            let mut shared = self.shared.lock();
            shared.in_flight.durable(welcome.durable_seq, &mut ready);
            let frames = self.resume(&mut shared);
            self.outlet.attach(socket, frames.iter().filter_map(encoded).collect::<Vec<_>>());
            shared.linked = true;
        }
        self.connected.store(true, Ordering::SeqCst);
        self.outlet.pump();
        self.proven(asked_at_ms, || self.gate.renew(standing(&welcome, asked_at_ms)));
        ready.into_iter().for_each(Ready::run);
    }

    /// What a new stream of this session begins with.
    fn resume(&self, shared: &mut Shared) -> Vec<ClientFrame> {
        let (held, closing) = match &shared.mode {
            Mode::Local(local) | Mode::Draining(local) => (Some(local.epoch), local.closing()),
            Mode::Shared => (shared.returning, Vec::new()),
        };
        let locks = shared.locks.claims();
        let mut frames = shared.in_flight.resume(held, &closing, locks);
        if held.is_none() && self.uploader.get().is_some() {
            frames.push(ClientFrame::WantLease);
        }
        frames
    }

    /// The stream is gone.
    pub(super) fn unlink(&self) {
        self.connected.store(false, Ordering::SeqCst);
        let mut shared = self.shared.lock();
        shared.linked = false;
        self.outlet.detach();
    }

    /// Does several things one after the other.
    pub(crate) fn send(self: &Arc<Self>, build: impl FnOnce(&mut Batch)) {
        let mut batch = Batch::new(self.clock.wall_ns());
        build(&mut batch);
        self.run(batch.into_steps());
    }

    /// Does what is to be done, as far as that goes now. What waits for something goes on when that is there.
    fn run(self: &Arc<Self>, mut steps: Steps) {
        let now_ms = self.clock.boot_ms();
        let mut done = Done::default();
        {
            let mut shared = self.shared.lock();
            while let Some(step) = steps.steps.pop_front() {
                if let Some(errno) = shared.in_flight.interrupted() {
                    done.ready.push(step.refused(errno));
                    continue;
                }
                let stop = match &shared.mode {
                    Mode::Shared => step_shared(&mut shared, step, now_ms, &mut done),
                    Mode::Local(_) => step_local(&mut shared, step, now_ms, &mut done),
                    Mode::Draining(_) => Err(Box::new(Pause::Drain(step))),
                };
                let Err(pause) = stop else { continue };
                match *pause {
                    Pause::Drain(step) => {
                        steps.steps.push_front(step);
                        shared.held.push_back(steps);
                    }
                    Pause::Fetch(step, fetch) => {
                        steps.steps.push_front(step);
                        self.fetch(&mut shared, steps, fetch, now_ms, &mut done);
                    }
                    Pause::Upload(mut op, waiter) => {
                        let upload = pack_alone(segment_id(), &mut op.mutation);
                        steps.steps.push_front(Step::Commit(op, waiter));
                        done.alone = Some((upload, steps));
                    }
                }
                break;
            }
            if matches!(&shared.mode, Mode::Local(local) if local.is_full()) {
                done.uploads.extend(shared.cut(false));
                let decided = shared.decided();
                done.frames.extend(decided);
            }
            self.queue(&shared, &done.frames);
        }
        self.finish(done);
    }

    /// Asks for what the replica lacks; then the steps go on.
    fn fetch(self: &Arc<Self>, shared: &mut Shared, mut steps: Steps, fetch: Fetch, now_ms: u64, done: &mut Done) {
        steps.fetches += 1;
        if steps.fetches > FETCHES_MAX {
            tracing::error!(?fetch, "the node answers, and still something is missing");
            done.ready.extend(steps.steps.into_iter().map(|step| step.refused(Errno::EIO)));
            return;
        }
        let epoch = if let Mode::Local(local) = &shared.mode { local.epoch } else { 0 };
        let session = Arc::clone(self);
        let asked = fetch.clone();
        let answered = Box::new(move |result| session.fetched(epoch, &asked, result, steps));
        match shared.in_flight.ask(Request::Fetch(fetch), answered, now_ms) {
            Ok(frame) => done.frames.push(frame),
            Err((waiter, errno)) => done.ready.push(Ready::Answered(waiter, Err(errno))),
        }
    }

    fn fetched(self: &Arc<Self>, epoch: u64, fetch: &Fetch, result: Result<Answer, Errno>, steps: Steps) {
        let refused = {
            let mut shared = self.shared.lock();
            match (&mut shared.mode, result) {
                (Mode::Local(local), Ok(Answer::Records(records))) if local.epoch == epoch => {
                    local.replica.learn(fetch, records);
                    None
                }
                // The answer is of no use any more; whoever decides now answers.
                (Mode::Shared | Mode::Draining(_), Ok(Answer::Records(_)) | Err(Errno::EPERM)) => None,
                (Mode::Local(local), Ok(Answer::Records(_)) | Err(Errno::EPERM)) if local.epoch != epoch => None,
                (_, Err(errno)) => Some(errno),
                (_, Ok(_)) => Some(Errno::EIO),
            }
        };
        match refused {
            None => self.run(steps),
            Some(errno) => steps.steps.into_iter().for_each(|step| step.refused(errno).run()),
        }
    }

    /// What is left to do once no lock is held.
    fn finish(self: &Arc<Self>, done: Done) {
        let Done { ready, uploads, alone, .. } = done;
        self.outlet.pump();
        ready.into_iter().for_each(Ready::run);
        self.start(uploads);
        if let Some((upload, steps)) = alone {
            let session = Arc::clone(self);
            self.upload(upload, move || session.run(steps));
        }
    }

    fn start(self: &Arc<Self>, uploads: Vec<Upload>) {
        for upload in uploads {
            let session = Arc::clone(self);
            let segment = upload.segment;
            self.upload(upload, move || session.uploaded(segment));
        }
    }

    fn upload(&self, Upload { segment, data }: Upload, then: impl FnOnce() + Send + 'static) {
        if let Some(uploader) = self.uploader.get() {
            uploader.upload(segment, data, Box::new(then));
        }
    }

    /// A segment is durable, and what names it may be sent.
    fn uploaded(self: &Arc<Self>, segment: SegmentId) {
        let (blocks, room) = {
            let mut shared = self.shared.lock();
            let blocks = match &mut shared.mode {
                Mode::Local(local) | Mode::Draining(local) => local.uploaded(segment),
                Mode::Shared => Vec::new(),
            };
            let frames = shared.decided();
            self.queue(&shared, &frames);
            let room: VecDeque<_> = if shared.has_room() { shared.room_waits.drain(..).collect() } else { VecDeque::new() };
            (blocks, room)
        };
        self.outlet.pump();
        if let Some(uploader) = self.uploader.get() {
            uploader.keep(blocks);
        }
        self.end_draining();
        room.into_iter().for_each(|then| then());
    }

    /// Sends everything that was decided under the lease.
    fn send_decided(self: &Arc<Self>) {
        let uploads = {
            let mut shared = self.shared.lock();
            let uploads = shared.cut(true);
            let frames = shared.decided();
            self.queue(&shared, &frames);
            let applied = shared.in_flight.outbox.acked();
            let Shared { mode, in_flight, .. } = &mut *shared;
            if let Mode::Local(local) = mode {
                local.trim(applied, &in_flight.open);
            }
            uploads
        };
        self.outlet.pump();
        self.start(uploads);
        self.end_draining();
    }

    /// The lease on the whole workspace, while this mount decides under it.
    pub(crate) fn whole_lease(&self) -> Option<u64> {
        if let Mode::Local(local) = &self.shared.lock().mode { Some(local.epoch) } else { None }
    }

    /// The node has granted the lease.
    fn granted(&self, epoch: u64, limits: Limits) {
        let mut shared = self.shared.lock();
        if matches!(shared.mode, Mode::Shared) && shared.returning.is_none() && self.uploader.get().is_some() {
            shared.mode = Mode::Local(Box::new(Local::new(epoch, limits)));
            drop(shared);
            tracing::info!(epoch, "this mount is alone and decides by itself");
            self.lease_changed(LeaseChange::Granted);
        }
    }

    /// Somebody waits for the end of this lease.
    fn recall(self: &Arc<Self>, epoch: u64) {
        let is_held = {
            let shared = self.shared.lock();
            match &shared.mode {
                Mode::Local(local) => local.epoch == epoch,
                Mode::Draining(_) => false,
                Mode::Shared => {
                    if shared.returning.is_none() {
                        // Whatever the node believes, nothing is decided here.
                        self.queue(&shared, &[ClientFrame::ReturnLease]);
                    }
                    false
                }
            }
        };
        self.outlet.pump();
        if is_held {
            self.recalled();
        }
    }

    /// The lease is to end: everything is sent, and then the node decides again.
    fn recalled(self: &Arc<Self>) {
        if !matches!(self.shared.lock().mode, Mode::Local(_)) {
            return;
        }
        self.lease_changed(LeaseChange::Recalled);
        {
            let mut shared = self.shared.lock();
            match std::mem::replace(&mut shared.mode, Mode::Shared) {
                Mode::Local(local) => shared.mode = Mode::Draining(local),
                other => shared.mode = other,
            }
        }
        self.send_decided();
    }

    /// Once everything has been sent, the node decides, and what was held goes on.
    fn end_draining(self: &Arc<Self>) {
        let held = {
            let mut shared = self.shared.lock();
            match &shared.mode {
                Mode::Draining(local) if local.is_drained() => {
                    shared.returning = Some(local.epoch);
                    shared.mode = Mode::Shared;
                }
                _ => return,
            }
            let inodes = shared.in_flight.open.tell_all();
            if !inodes.is_empty() {
                self.queue(&shared, &[ClientFrame::Opened { inodes }]);
            }
            std::mem::take(&mut shared.held)
        };
        self.outlet.pump();
        held.into_iter().for_each(|steps| self.run(steps));
        self.lease_changed(LeaseChange::Drained);
    }

    /// The kernel's caches are dropped: somebody else may change the workspace.
    pub(crate) fn return_lease(&self) {
        {
            let mut shared = self.shared.lock();
            if shared.returning.take().is_some() {
                self.queue(&shared, &[ClientFrame::ReturnLease, ClientFrame::WantLease]);
            }
        }
        self.outlet.pump();
    }

    fn lease_changed(&self, change: LeaseChange) {
        if let Some(on_lease) = self.on_lease.get() {
            on_lease(change);
        }
    }

    /// From now on the mount takes the lease when it is alone: `uploader` puts its data, `on_lease` hears of every change.
    pub(crate) fn want_lease(&self, uploader: Arc<dyn Uploader>, on_lease: impl Fn(LeaseChange) + Send + Sync + 'static) {
        let _ = self.on_lease.set(Box::new(on_lease));
        let _ = self.uploader.set(uploader);
        self.send_frame(&ClientFrame::WantLease);
    }

    /// Where the data of a file lies is asked anew by the next read.
    pub(crate) fn forget_extents(&self, ino: Ino) {
        let mut shared = self.shared.lock();
        let applied = shared.in_flight.outbox.acked();
        if let Mode::Local(local) = &mut shared.mode {
            local.replica.forget_extents(ino, applied);
        }
    }

    /// Queues frames in the order of their effects, which the lock on `shared` keeps.
    fn queue(&self, shared: &Shared, frames: &[ClientFrame]) {
        if shared.linked {
            frames.iter().filter_map(encoded).for_each(|frame| self.outlet.push(frame));
        }
    }

    /// One op.
    pub(crate) fn commit(self: &Arc<Self>, mutation: Mutation, done: impl FnOnce(Result<Box<Outcome>, Errno>) + Send + 'static) {
        self.send(|batch| batch.commit(mutation, done));
    }

    /// One question.
    pub(crate) fn ask(self: &Arc<Self>, request: Request, done: impl FnOnce(Result<Answer, Errno>) + Send + 'static) {
        self.send(|batch| batch.ask(request, done));
    }

    /// One question, for code that may wait.
    pub(crate) async fn answer(self: &Arc<Self>, request: Request) -> Result<Answer, Errno> {
        let (done, waiting) = tokio::sync::oneshot::channel();
        // Whoever asked may have gone by then.
        self.ask(request, |result| drop(done.send(result)));
        waiting.await.unwrap_or(Err(Errno::EIO))
    }

    /// Runs `then` as soon as the outbox has room for what it will commit.
    pub(crate) fn when_room(self: &Arc<Self>, then: impl FnOnce() + Send + 'static) {
        let mut shared = self.shared.lock();
        if shared.has_room() || shared.in_flight.interrupted().is_some() {
            drop(shared);
            then();
        } else {
            shared.room_waits.push_back(Box::new(then));
            drop(shared);
            self.send_decided();
        }
    }

    /// Gives `then` an inode number for a creation.
    pub(crate) fn with_ino(self: &Arc<Self>, then: impl FnOnce(Result<Ino, Errno>) + Send + 'static) {
        let mut shared = self.shared.lock();
        let taken = shared.supply.take();
        let should_ask = shared.supply.should_ask();
        match taken {
            Some(ino) => {
                drop(shared);
                then(Ok(ino));
            }
            None => {
                shared.supply.wait(Box::new(then));
                drop(shared);
            }
        }
        if should_ask {
            let session = Arc::clone(self);
            self.ask(Request::ReserveInodes, move |result| session.refilled(result));
        }
    }

    fn refilled(self: &Arc<Self>, result: Result<Answer, Errno>) {
        let (range, errno) = match result {
            Ok(Answer::Inodes(range)) if range.count > 0 => (Some(range), Errno::EIO),
            Ok(_) => (None, Errno::EIO),
            Err(errno) => (None, errno),
        };
        let waiting = self.shared.lock().supply.answered(range);
        for waiter in waiting {
            if range.is_some() { self.with_ino(waiter) } else { waiter(Err(errno)) }
        }
    }

    /// A handle on an inode is closed.
    pub(crate) fn closed(&self, ino: Ino) {
        let mut shared = self.shared.lock();
        let Shared { in_flight, mode, .. } = &mut *shared;
        let is_last = in_flight.open.close(ino);
        if let (true, Mode::Local(local) | Mode::Draining(local)) = (is_last, mode) {
            let last_seq = in_flight.outbox.last_seq();
            return local.closed(ino, &mut in_flight.open, last_seq);
        }
        let many = shared.in_flight.open.closed_len() >= CLOSED_AT_ONCE;
        drop(shared);
        if many {
            self.report_closed();
        }
    }

    fn report_closed(&self) {
        {
            let mut shared = self.shared.lock();
            if !shared.linked || shared.in_flight.open.closed_len() == 0 {
                return;
            }
            let inodes = shared.in_flight.open.take_closed();
            self.queue(&shared, &[ClientFrame::Closed { inodes }]);
        }
        self.outlet.pump();
    }

    /// The error that this inode's fsync or close must report.
    pub(crate) fn take_loss(&self, ino: Ino) -> Option<Errno> {
        self.shared.lock().in_flight.take_loss(ino)
    }

    /// What would be lost if the mount ended now, and the inodes whose errors nobody has been told.
    pub(crate) fn unsaved(&self) -> (Vec<NumberedOp>, Vec<Ino>) {
        let shared = self.shared.lock();
        let ops = if self.answers_for_its_ops() { shared.in_flight.unsaved() } else { Vec::new() };
        (ops, shared.in_flight.untold_losses())
    }

    /// Whether ops that are not known to be durable depend on this mount. After a revocation the node keeps what it
    /// has taken in, and calls that it has not answered have failed.
    fn answers_for_its_ops(&self) -> bool {
        matches!(self.gate.fenced(), None | Some(FenceReason::LeaseLost))
    }

    /// A frame has come.
    pub(super) fn receive(self: &Arc<Self>, frame: ServerFrame) {
        let mut ready = Vec::new();
        let mut room = Vec::new();
        match frame {
            ServerFrame::Reply { id, result } => self.shared.lock().in_flight.answered(id, result, &mut ready),
            ServerFrame::Applied(results) => {
                let lost = self.shared.lock().in_flight.applied(results, &mut ready);
                if lost {
                    // What this mount believes of the workspace is not so: it begins anew.
                    self.recalled();
                }
            }
            ServerFrame::Durable { seq } => {
                let mut shared = self.shared.lock();
                shared.in_flight.durable(seq, &mut ready);
                if shared.has_room() {
                    room.extend(shared.room_waits.drain(..));
                }
            }
            // A heartbeat that this mount has not sent yet proves nothing.
            ServerFrame::Proof { sent_ms } if sent_ms <= self.clock.boot_ms() => self.proven(sent_ms, || self.gate.prove(sent_ms)),
            ServerFrame::Proof { .. } => {}
            ServerFrame::Fenced(reason) => self.fenced(reason),
            // The connection has seen it and makes the stream anew.
            ServerFrame::Closing => {}
            ServerFrame::Lease { epoch, bytes, inodes } => self.granted(epoch, Limits { bytes, inodes, exceeded: Errno::EDQUOT }),
            ServerFrame::Recall { epoch } => self.recall(epoch),
            ServerFrame::LockSettled { id, result } => self.lock_settled(id, result),
        }
        ready.into_iter().for_each(Ready::run);
        // With very many waiting the bound is overshot by what they carry; each belongs to a program that waits.
        room.into_iter().for_each(|then| then());
    }

    /// The session stood at `asked_at_ms`: waits may begin again, and then the gate opens.
    fn proven(&self, asked_at_ms: u64, open_gate: impl FnOnce()) {
        self.proven_at_ms.fetch_max(asked_at_ms, Ordering::SeqCst);
        if self.interrupted.borrow().is_some() && self.gate.fenced().is_none() {
            {
                let mut shared = self.shared.lock();
                shared.in_flight.revive();
                // What was let go of meanwhile the node has not been told.
                self.queue(&shared, &[shared.locks.claims()]);
            }
            self.outlet.pump();
            self.interrupted.send_replace(None);
        }
        open_gate();
    }

    /// The heartbeat: asks for a proof, reports closed inodes.
    pub(super) fn beat(self: &Arc<Self>) {
        self.send_decided();
        self.report_closed();
        self.send_frame(&ClientFrame::Heartbeat { sent_ms: self.clock.boot_ms() });
    }

    fn send_frame(&self, frame: &ClientFrame) {
        {
            let shared = self.shared.lock();
            self.queue(&shared, std::slice::from_ref(frame));
        }
        self.outlet.pump();
    }

    /// Ends every wait with this errno, and every one that begins until the session is proven again.
    pub(crate) fn interrupt(&self, errno: Errno) {
        let (locks, ready, room) = {
            let mut shared = self.shared.lock();
            let locks = shared.locks.interrupt(errno);
            let mut ready = shared.in_flight.interrupt(errno);
            ready.extend(std::mem::take(&mut shared.held).into_iter().flat_map(|steps| steps.steps).map(|step| step.refused(errno)));
            (locks, ready, std::mem::take(&mut shared.room_waits))
        };
        self.interrupted.send_replace(Some(errno));
        locks.into_iter().for_each(|(done, result)| done(result));
        ready.into_iter().for_each(Ready::run);
        room.into_iter().for_each(|then| then());
    }

    /// Resolves once [`MountSession::interrupt`] has been called.
    pub(crate) async fn interruption(&self) -> Errno {
        let mut watch = self.interrupted.subscribe();
        match watch.wait_for(Option::is_some).await {
            Ok(errno) => errno.unwrap_or(Errno::EIO),
            Err(_) => Errno::EIO,
        }
    }

    /// Ends the waits that began before this instant.
    pub(crate) fn expire_waits(&self, before_ms: u64) {
        let ready = self.shared.lock().in_flight.expire(before_ms);
        if !ready.is_empty() {
            tracing::error!(count = ready.len(), "calls were not answered in time and failed");
        }
        ready.into_iter().for_each(Ready::run);
    }

    /// The session is over.
    pub(super) fn fenced(&self, reason: FenceReason) {
        let mut early = self.early_fence.lock();
        match self.on_fence.get() {
            Some(on_fence) => {
                drop(early);
                on_fence(reason);
            }
            None => *early = Some(reason),
        }
    }

    /// Names whom to tell of a fence, also of one that has come already.
    pub(crate) fn on_fence(&self, on_fence: impl Fn(FenceReason) + Send + Sync + 'static) {
        let mut early = self.early_fence.lock();
        let _ = self.on_fence.set(Box::new(on_fence));
        let reason = early.take();
        drop(early);
        if let (Some(reason), Some(on_fence)) = (reason, self.on_fence.get()) {
            on_fence(reason);
        }
    }

    /// Tells the node that every call fails and the caches are dropped.
    pub(crate) fn confirm_fence(&self) {
        self.send_frame(&ClientFrame::FenceConfirmed);
    }

    /// Tells the node that the mount ends, and the connection's task to end with the stream.
    pub(crate) fn say_goodbye(&self) {
        self.ending.store(true, Ordering::SeqCst);
        self.send_frame(&ClientFrame::Goodbye);
        self.outlet.wake();
    }

    /// Whether the stream is not to be made anew.
    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }

    /// The stream has ended and will not be made anew.
    pub(super) fn set_over(&self) {
        *self.is_over.lock() = true;
        self.over.notify_all();
    }

    /// Blocks until the stream has ended for good, for this long at the most.
    pub(crate) fn wait_until_over(&self, patience: Duration) {
        let mut is_over = self.is_over.lock();
        let _ = self.over.wait_while_for(&mut is_over, |is_over| !*is_over, patience);
    }

    /// The session's name at the node.
    pub(crate) fn id(&self) -> artifacts_core::SessionId {
        self.welcome.session
    }

    /// Where the stream goes to, or went last.
    pub(crate) fn endpoint(&self) -> Endpoint {
        self.endpoint.read().clone()
    }

    /// Numbers for people.
    pub(crate) fn vitals(&self) -> Vitals {
        let shared = self.shared.lock();
        let (ops, bytes) = if self.answers_for_its_ops() { shared.in_flight.unsaved_size() } else { (0, 0) };
        Vitals {
            unsaved_ops: ops as u64,
            unsaved_bytes: bytes as u64,
            open_files: shared.in_flight.open.handles(),
            proof_age_ms: self.clock.boot_ms().saturating_sub(self.proven_at_ms.load(Ordering::SeqCst)),
            connected: self.connected.load(Ordering::SeqCst),
            endpoint: self.endpoint().to_string(),
        }
    }
}

/// What comes of running steps.
#[derive(Default)]
struct Done {
    ready: Vec<Ready>,
    frames: Vec<ClientFrame>,
    uploads: Vec<Upload>,
    /// The data of a large write, and the steps that begin with it.
    alone: Option<(Upload, Steps)>,
}

/// Why a step cannot be done now.
enum Pause {
    /// The lease ends; it is the node's to decide.
    Drain(Step),
    /// The replica lacks something.
    Fetch(Step, Fetch),
    /// Its data has to be put first.
    Upload(artifacts_core::namespace::Op, OpDone),
}

/// Does a step that the node decides.
fn step_shared(shared: &mut Shared, step: Step, now_ms: u64, done: &mut Done) -> Result<(), Box<Pause>> {
    match step {
        Step::Commit(op, waiter) if is_oversized(&op.mutation) => return Err(Box::new(Pause::Upload(op, waiter))),
        Step::Commit(op, waiter) => match shared.in_flight.commit(op, waiter, now_ms) {
            Ok(frame) => done.frames.push(frame),
            Err((waiter, errno)) => done.ready.push(Ready::Applied(waiter, Err(errno))),
        },
        Step::Ask(request, waiter) => match shared.in_flight.ask(request, waiter, now_ms) {
            Ok(frame) => done.frames.push(frame),
            Err((waiter, errno)) => done.ready.push(Ready::Answered(waiter, Err(errno))),
        },
        Step::Durable(waiter) => wait_durable(shared, waiter, now_ms, done),
    }
    Ok(())
}

/// Does a step under the lease.
fn step_local(shared: &mut Shared, step: Step, now_ms: u64, done: &mut Done) -> Result<(), Box<Pause>> {
    let Mode::Local(local) = &mut shared.mode else { return Err(Box::new(Pause::Drain(step))) };
    let in_flight = &mut shared.in_flight;
    match step {
        Step::Commit(op, waiter) => match local.commit(&op, &mut in_flight.outbox, &mut in_flight.open) {
            Ok(outcome) => done.ready.push(Ready::Applied(waiter, Ok(Box::new(outcome)))),
            Err(Stop::Refused(errno)) => done.ready.push(Ready::Applied(waiter, Err(errno))),
            Err(Stop::Missing(missing)) => {
                let fetch = local.replica.fetch(&missing);
                return Err(Box::new(Pause::Fetch(Step::Commit(op, waiter), fetch)));
            }
        },
        Step::Ask(request, waiter) if is_local(&request) => match local.answer(&request, &mut in_flight.open) {
            Ok(answer) => done.ready.push(Ready::Answered(waiter, Ok(answer))),
            Err(Stop::Refused(errno)) => done.ready.push(Ready::Answered(waiter, Err(errno))),
            Err(Stop::Missing(missing)) => {
                let fetch = local.replica.fetch(&missing);
                return Err(Box::new(Pause::Fetch(Step::Ask(request, waiter), fetch)));
            }
        },
        Step::Ask(request, waiter) => {
            if matches!(request, Request::Unlock { .. }) {
                // What was written under the lock leaves before it, unless it waits for an upload: who gets the lock is
                // served nothing before this mount has given the lease back, and with it has sent all.
                done.uploads.extend(shared.cut(true));
                let decided = shared.decided();
                done.frames.extend(decided);
            }
            match shared.in_flight.ask(request, waiter, now_ms) {
                Ok(frame) => done.frames.push(frame),
                Err((waiter, errno)) => done.ready.push(Ready::Answered(waiter, Err(errno))),
            }
        }
        Step::Durable(waiter) => wait_durable(shared, waiter, now_ms, done),
    }
    Ok(())
}

/// Lets somebody wait until everything so far is durable. What was decided here is sent first.
fn wait_durable(shared: &mut Shared, waiter: Durable, now_ms: u64, done: &mut Done) {
    let seq = shared.in_flight.last_seq();
    match shared.in_flight.wait_durable(seq, waiter, now_ms) {
        Ok(None) => {}
        Ok(Some(flush)) if shared.in_flight.is_sent(seq) => done.frames.push(flush),
        Ok(Some(_)) => {
            if let Mode::Local(local) | Mode::Draining(local) = &mut shared.mode {
                local.want_flush(seq);
            }
            done.uploads.extend(shared.cut(true));
            let decided = shared.decided();
            done.frames.extend(decided);
        }
        Err((waiter, result)) => done.ready.push(Ready::Durable(waiter, result)),
    }
}

fn standing(welcome: &Welcome, asked_at_ms: u64) -> Standing {
    Standing::new(asked_at_ms, welcome.proof_ms, welcome.lease_ms, welcome.expires_in_ms)
}

/// A frame as bytes. What does not encode would be a bug of ours; its wait ends with its limit in time.
fn encoded(frame: &ClientFrame) -> Option<Bytes> {
    encode(frame).map(Bytes::from).inspect_err(|error| tracing::error!(%error, "a frame could not be sent")).ok()
}

impl std::fmt::Debug for MountSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MountSession").field("id", &self.welcome.session).finish_non_exhaustive()
    }
}
