use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use artifacts_core::SegmentId;
use artifacts_core::leases::Lease;
use artifacts_core::namespace::{Errno, Ino, Limits, Mutation, Outcome};
use artifacts_core::protocol::{Answer, ClientFrame, FenceReason, NumberedOp, Request, ServerFrame, Welcome, encode};
use artifacts_core::session::Standing;
use bytes::Bytes;
use parking_lot::{Condvar, Mutex, RwLock};
use tokio::sync::watch;

use super::batch::{Answered, Batch, Durable, OpDone, Ready, Steps};
use super::beliefs::Beliefs;
use super::held_leases::HeldLeases;
use super::in_flight::InFlight;
use super::inode_supply::InodeSupply;
use super::local::{Local, Tenure, Upload, pack_alone};
use super::locking::LockDone;
use super::locks::Locks;
use super::opening::Opened;
use super::outlet::Outlet;
use super::steps::{Done, Pause, step_by_inode, step_local};
use crate::data::BlockId;
use crate::gate::Gate;
use crate::random::segment_id;
use crate::time::SharedClock;
use crate::transport::Endpoint;

type InoWaiter = Box<dyn FnOnce(Result<Ino, Errno>) + Send>;

/// What leases are to end: everything that was decided under them has been sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LeaseEnd {
    /// That on the whole workspace. Once the kernel's caches are dropped, [`MountSession::return_lease`].
    Whole,
    /// These on single inodes. Once the kernel's caches of them are dropped, [`MountSession::give_back`].
    Inodes(Vec<Lease>),
}

/// Puts segments that ops are going to name.
pub(crate) trait Uploader: Send + Sync {
    /// Puts a segment, however long it takes; `done` runs once it is durable, and never when the session is over.
    fn upload(&self, segment: SegmentId, data: Bytes, done: Box<dyn FnOnce() + Send>);

    /// Keeps blocks that were just written for readers.
    fn keep(&self, blocks: Vec<(BlockId, Bytes)>);
}

/// Who decides.
pub(super) enum Mode {
    /// The node, and this mount where it holds leases on single inodes.
    Shared(Box<Local>),
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
    pub(super) mode: Mode,
    /// What waits until something else is out of the way: see [`Pause::Wait`].
    pub(super) held: VecDeque<Steps>,
    /// What waits to be told to come again, by the op that was refused.
    pub(super) come_again: BTreeMap<u64, Steps>,
    /// The lease that will be given back once the kernel's caches are dropped.
    pub(super) returning: Option<u64>,
    /// The lease on the whole workspace that begins once everything that was decided before has been sent.
    pub(super) coming: Option<(u64, Limits)>,
    /// What the node said that ops have changed was lost with a stream; it is forgotten once their results are here.
    pub(super) is_stale: bool,
}

impl Shared {
    /// The frames that may leave now under the lease.
    pub(super) fn decided(&mut self, now_ms: u64) -> Vec<ClientFrame> {
        let (Mode::Shared(local) | Mode::Local(local) | Mode::Draining(local)) = &mut self.mode;
        let (frames, last) = local.frames(&self.in_flight.outbox);
        if let Some(last) = last {
            self.in_flight.sent(last, now_ms);
        }
        frames
    }

    /// Whether another mutation may begin: what was decided and is not durable takes a bounded amount of memory.
    fn has_room(&self, now_ms: u64) -> bool {
        self.local().has_room() && self.in_flight.has_room(now_ms)
    }

    /// What has waited for room, if there is some. With very many waiting the bound is overshot by what they carry; each belongs
    /// to a program that waits.
    fn take_room_waits(&mut self, now_ms: u64) -> VecDeque<Box<dyn FnOnce() + Send>> {
        if self.has_room(now_ms) { std::mem::take(&mut self.room_waits) } else { VecDeque::new() }
    }

    pub(super) fn local(&self) -> &Local {
        let (Mode::Shared(local) | Mode::Local(local) | Mode::Draining(local)) = &self.mode;
        local
    }

    /// Puts what waits under the lease on its way.
    pub(super) fn cut(&mut self, everything: bool) -> Vec<Upload> {
        let (Mode::Shared(local) | Mode::Local(local) | Mode::Draining(local)) = &mut self.mode;
        local.cut(everything, &mut self.in_flight.outbox, segment_id)
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
    /// What the kernel may be shown to be believed.
    pub(crate) beliefs: Beliefs,
    pub(super) shared: Mutex<Shared>,
    endpoint: RwLock<Endpoint>,
    connected: AtomicBool,
    proven_at_ms: AtomicU64,
    interrupted: watch::Sender<Option<Errno>>,
    on_fence: OnceLock<Box<dyn Fn(FenceReason) + Send + Sync>>,
    on_lease_end: OnceLock<Box<dyn Fn(LeaseEnd) + Send + Sync>>,
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
            mode: Mode::Shared(Box::new(Local::of_inodes(HeldLeases::none()))),
            held: VecDeque::new(),
            come_again: BTreeMap::new(),
            returning: None,
            coming: None,
            is_stale: false,
        };
        let session = Self {
            welcome,
            gate,
            clock,
            outlet: Outlet::default(),
            beliefs: Beliefs::default(),
            shared: Mutex::new(shared),
            endpoint: RwLock::new(endpoint),
            connected: AtomicBool::new(true),
            proven_at_ms: AtomicU64::new(asked_at_ms),
            interrupted: watch::Sender::new(None),
            on_fence: OnceLock::new(),
            on_lease_end: OnceLock::new(),
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
    pub(super) fn relink(self: &Arc<Self>, opened: Opened) {
        let Opened { socket, welcome, asked_at_ms, endpoint } = opened;
        *self.endpoint.write() = endpoint;
        let mut ready = Vec::new();
        let refused = {
            let mut shared = self.shared.lock();
            shared.in_flight.durable(welcome.durable_seq, &mut ready);
            let frames = self.resume(&mut shared);
            self.outlet.attach(socket, frames.iter().filter_map(encoded).collect::<Vec<_>>());
            shared.linked = true;
            shared.is_stale = shared.in_flight.has_undecided();
            // That they may come again was perhaps said over the stream that broke.
            std::mem::take(&mut shared.come_again)
        };
        self.connected.store(true, Ordering::SeqCst);
        self.outlet.pump();
        self.proven(asked_at_ms, || self.gate.renew(standing(&welcome, asked_at_ms)));
        ready.into_iter().for_each(Ready::run);
        refused.into_values().for_each(|steps| self.run(steps));
    }

    /// What a new stream of this session begins with.
    fn resume(&self, shared: &mut Shared) -> Vec<ClientFrame> {
        let mut frames = Vec::new();
        let (held, closing) = match &mut shared.mode {
            Mode::Local(local) | Mode::Draining(local) => (local.epoch(), local.closing()),
            Mode::Shared(local) => {
                let leases = local.leases().map(|leases| leases.claims()).unwrap_or_default();
                frames.push(ClientFrame::ClaimLeases { leases });
                (shared.returning, local.closing())
            }
        };
        shared.coming = None;
        let locks = shared.locks.claims();
        frames.extend(shared.in_flight.resume(held, &closing, locks));
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
    pub(super) fn run(self: &Arc<Self>, mut steps: Steps) {
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
                    Mode::Shared(_) => step_by_inode(&mut shared, &self.beliefs, step, now_ms, &mut done),
                    Mode::Local(_) => step_local(&mut shared, step, now_ms, &mut done),
                    Mode::Draining(_) => Err(Box::new(Pause::Wait(step))),
                };
                let Err(pause) = stop else { continue };
                match *pause {
                    Pause::Wait(step) => {
                        steps.steps.push_front(step);
                        shared.held.push_back(steps);
                    }
                    Pause::Ask(step, request) => {
                        steps.steps.push_front(step);
                        self.learn(&mut shared, steps, request, now_ms, &mut done);
                    }
                    Pause::Upload(mut op, waiter) => {
                        let upload = pack_alone(segment_id(), &mut op.mutation);
                        steps.steps.push_front(super::batch::Step::Commit(op, waiter));
                        done.alone = Some((upload, steps));
                    }
                    Pause::Commit(op, waiter) => self.commit_at_node(&mut shared, op, waiter, steps, now_ms, &mut done),
                }
                break;
            }
            if shared.local().is_full() {
                done.uploads.extend(shared.cut(false));
                let decided = shared.decided(self.clock.boot_ms());
                done.frames.extend(decided);
            }
            self.queue(&shared, &done.frames);
        }
        self.finish(done);
    }

    /// What is left to do once no lock is held.
    pub(super) fn finish(self: &Arc<Self>, done: Done) {
        let Done { ready, frames, uploads, alone } = done;
        if !frames.is_empty() {
            self.outlet.pump();
        }
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
            let (Mode::Shared(local) | Mode::Local(local) | Mode::Draining(local)) = &mut shared.mode;
            let blocks = local.uploaded(segment);
            let frames = shared.decided(self.clock.boot_ms());
            self.queue(&shared, &frames);
            (blocks, shared.take_room_waits(self.clock.boot_ms()))
        };
        self.outlet.pump();
        if let Some(uploader) = self.uploader.get() {
            uploader.keep(blocks);
        }
        self.all_sent();
        room.into_iter().for_each(|then| then());
    }

    /// Sends everything that was decided under the lease.
    pub(super) fn send_decided(self: &Arc<Self>) {
        let uploads = {
            let mut shared = self.shared.lock();
            let uploads = shared.cut(true);
            let frames = shared.decided(self.clock.boot_ms());
            self.queue(&shared, &frames);
            let applied = shared.in_flight.outbox.acked();
            let Shared { mode, in_flight, .. } = &mut *shared;
            if let Mode::Shared(local) | Mode::Local(local) = mode {
                local.trim(applied, &in_flight.open);
            }
            uploads
        };
        self.outlet.pump();
        self.start(uploads);
        self.all_sent();
    }

    /// The lease on the whole workspace, while this mount decides under it.
    pub(crate) fn whole_lease(&self) -> Option<u64> {
        if let Mode::Local(local) = &self.shared.lock().mode { local.epoch() } else { None }
    }

    /// The node has granted the lease. It begins once what was decided under leases on single inodes has been sent.
    fn granted(self: &Arc<Self>, epoch: u64, limits: Limits) {
        {
            let mut shared = self.shared.lock();
            if !matches!(shared.mode, Mode::Shared(_)) || shared.returning.is_some() || self.uploader.get().is_none() {
                return;
            }
            shared.coming = Some((epoch, limits));
        }
        self.send_decided();
    }

    /// Somebody waits for the end of this lease.
    fn recall(self: &Arc<Self>, epoch: u64) {
        let is_held = {
            let mut shared = self.shared.lock();
            let Shared { mode, coming, returning, .. } = &mut *shared;
            match mode {
                Mode::Local(local) => local.epoch() == Some(epoch),
                Mode::Draining(_) => false,
                Mode::Shared(local) if coming.take_if(|coming| coming.0 == epoch).is_some() => {
                    // The node has taken the leases on single inodes for it, so all that is known goes with it.
                    local.tenure = Tenure::Whole(epoch);
                    let local = std::mem::replace(local, Box::new(Local::of_inodes(HeldLeases::to_be_asked_for())));
                    *mode = Mode::Local(local);
                    true
                }
                Mode::Shared(_) => {
                    if returning.is_none() {
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
        {
            let mut shared = self.shared.lock();
            if !matches!(shared.mode, Mode::Local(_)) {
                return;
            }
            self.beliefs.revoke_all();
            let nothing = Mode::Shared(Box::new(Local::of_inodes(HeldLeases::to_be_asked_for())));
            if let Mode::Local(local) = std::mem::replace(&mut shared.mode, nothing) {
                shared.mode = Mode::Draining(local);
            }
        }
        self.send_decided();
    }

    /// Perhaps everything that was decided has been sent: then leases end that are to end, and that on the whole workspace
    /// begins if it is to begin.
    pub(super) fn all_sent(self: &Arc<Self>) {
        let mut ends = Vec::new();
        let held = {
            let mut shared = self.shared.lock();
            if !shared.local().is_drained() {
                return;
            }
            let Shared { mode, in_flight, returning, coming, held, .. } = &mut *shared;
            let mut frames = Vec::new();
            match mode {
                Mode::Local(_) => return,
                Mode::Draining(local) => {
                    *returning = local.epoch();
                    *mode = Mode::Shared(Box::new(Local::of_inodes(HeldLeases::to_be_asked_for())));
                    let inodes = in_flight.open.tell_all();
                    if !inodes.is_empty() {
                        frames.push(ClientFrame::Opened { inodes });
                    }
                    ends.push(LeaseEnd::Whole);
                }
                Mode::Shared(local) => {
                    let leaving = local.leases().map(HeldLeases::take_leaving).unwrap_or_default();
                    let begins = coming.is_some() && !in_flight.has_undecided();
                    if leaving.is_empty() && !begins && held.is_empty() {
                        return;
                    }
                    self.end_inode_leases(leaving, &mut in_flight.open, &mut frames, &mut ends);
                    if begins && let Some((epoch, limits)) = coming.take() {
                        *mode = Mode::Local(Box::new(Local::whole(epoch, limits)));
                        self.beliefs.revoke_all();
                        self.beliefs.got_everything();
                        tracing::info!(epoch, "this mount is alone and decides by itself");
                    }
                }
            }
            self.queue(&shared, &frames);
            std::mem::take(&mut shared.held)
        };
        self.outlet.pump();
        held.into_iter().for_each(|steps| self.run(steps));
        if let Some(on_lease_end) = self.on_lease_end.get() {
            ends.into_iter().for_each(on_lease_end);
        }
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

    /// From now on the mount takes leases: `uploader` puts its data, `on_lease_end` drops what the kernel caches when one is
    /// to end.
    pub(crate) fn want_lease(&self, uploader: Arc<dyn Uploader>, on_lease_end: impl Fn(LeaseEnd) + Send + Sync + 'static) {
        let _ = self.on_lease_end.set(Box::new(on_lease_end));
        let _ = self.uploader.set(uploader);
        if let Mode::Shared(local) = &mut self.shared.lock().mode {
            local.tenure = Tenure::Inodes(HeldLeases::to_be_asked_for());
        }
        self.send_frame(&ClientFrame::WantLease);
    }

    /// Where the data of a file lies is asked anew by the next read.
    pub(crate) fn forget_extents(&self, ino: Ino) {
        let mut shared = self.shared.lock();
        let applied = shared.in_flight.outbox.acked();
        if let Mode::Shared(local) | Mode::Local(local) = &mut shared.mode {
            local.replica.forget_extents(ino, applied);
        }
    }

    /// Queues frames in the order of their effects, which the lock on `shared` keeps.
    pub(super) fn queue(&self, shared: &Shared, frames: &[ClientFrame]) {
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
        if shared.has_room(self.clock.boot_ms()) || shared.in_flight.interrupted().is_some() {
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
        if in_flight.open.close(ino) {
            let last_seq = in_flight.outbox.last_seq();
            let (Mode::Shared(local) | Mode::Local(local) | Mode::Draining(local)) = mode;
            if matches!(local.tenure, Tenure::Whole(_)) || !local.is_drained() {
                return local.closed(ino, &mut in_flight.open, last_seq);
            }
            // It is told with others, unless it is opened again before.
            local.replica.purge(ino, last_seq);
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
        let mut room = VecDeque::new();
        match frame {
            ServerFrame::Reply { id, result } => self.shared.lock().in_flight.answered(id, result, &mut ready),
            ServerFrame::Applied(results) => {
                let lost = self.shared.lock().in_flight.applied(results, &mut ready);
                if lost {
                    // What this mount believes of the workspace is not so: it begins anew.
                    self.recalled();
                    self.give_up_inodes();
                }
                self.decided_at_node(&mut ready);
                room = self.shared.lock().take_room_waits(self.clock.boot_ms());
            }
            ServerFrame::Durable { seq } => {
                let mut shared = self.shared.lock();
                shared.in_flight.durable(seq, &mut ready);
                room = shared.take_room_waits(self.clock.boot_ms());
            }
            // A heartbeat that this mount has not sent yet proves nothing.
            ServerFrame::Proof { sent_ms } if sent_ms <= self.clock.boot_ms() => self.proven(sent_ms, || self.gate.prove(sent_ms)),
            ServerFrame::Proof { .. } => {}
            ServerFrame::Fenced(reason) => self.fenced(reason),
            // The connection has seen it and makes the stream anew.
            ServerFrame::Closing => {}
            ServerFrame::Lease { epoch, bytes, inodes } => self.granted(epoch, Limits { bytes, inodes, exceeded: Errno::EDQUOT }),
            ServerFrame::Recall { epoch } => self.recall(epoch),
            ServerFrame::RecallLeases { leases, keep_read } => self.recall_inodes(leases, keep_read),
            ServerFrame::Changed { inodes } => self.changed(&inodes),
            ServerFrame::ComeAgain { seq } => self.come_again(seq),
            ServerFrame::LockSettled { id, result } => self.lock_settled(id, result),
        }
        ready.into_iter().for_each(Ready::run);
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
        self.stop_idle();
        self.send_decided();
        self.report_closed();
        self.send_frame(&ClientFrame::Heartbeat { sent_ms: self.clock.boot_ms() });
    }

    pub(super) fn send_frame(&self, frame: &ClientFrame) {
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
            let waiting = std::mem::take(&mut shared.held).into_iter().chain(std::mem::take(&mut shared.come_again).into_values());
            ready.extend(waiting.flat_map(|steps| steps.steps).map(|step| step.refused(errno)));
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
