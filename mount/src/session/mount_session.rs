use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use artifacts_core::namespace::{Errno, Ino, Mutation, Outcome};
use artifacts_core::protocol::{Answer, ClientFrame, FenceReason, NumberedOp, Request, ServerFrame, Welcome, encode};
use artifacts_core::session::Standing;
use bytes::Bytes;
use parking_lot::{Condvar, Mutex, RwLock};
use tokio::sync::watch;

use super::batch::{Answered, Batch, Durable, OpDone, Ready};
use super::in_flight::InFlight;
use super::inode_supply::InodeSupply;
use super::opening::Opened;
use super::outlet::Outlet;
use crate::gate::Gate;
use crate::time::SharedClock;
use crate::transport::Endpoint;

/// So many closed inodes are reported at once rather than with the next heartbeat.
const CLOSED_AT_ONCE: usize = 64;

type InoWaiter = Box<dyn FnOnce(Result<Ino, Errno>) + Send>;

/// What one lock guards.
pub(super) struct Shared {
    pub(super) in_flight: InFlight<OpDone, Answered, Durable>,
    supply: InodeSupply<InoWaiter>,
    /// Mutations that wait for room in the outbox.
    room_waits: VecDeque<Box<dyn FnOnce() + Send>>,
    linked: bool,
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
    shared: Mutex<Shared>,
    endpoint: RwLock<Endpoint>,
    connected: AtomicBool,
    proven_at_ms: AtomicU64,
    interrupted: watch::Sender<Option<Errno>>,
    on_fence: OnceLock<Box<dyn Fn(FenceReason) + Send + Sync>>,
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
        let shared =
            Shared { in_flight: InFlight::default(), supply: InodeSupply::new(welcome.inodes), room_waits: VecDeque::new(), linked: true };
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
            let frames: Vec<_> = shared.in_flight.resume().iter().filter_map(encoded).collect();
            self.outlet.attach(socket, frames);
            shared.linked = true;
        }
        self.connected.store(true, Ordering::SeqCst);
        self.outlet.pump();
        self.proven(asked_at_ms, || self.gate.renew(standing(&welcome, asked_at_ms)));
        ready.into_iter().for_each(Ready::run);
    }

    /// The stream is gone.
    pub(super) fn unlink(&self) {
        self.connected.store(false, Ordering::SeqCst);
        let mut shared = self.shared.lock();
        shared.linked = false;
        self.outlet.detach();
    }

    /// Sends several things in one go.
    pub(crate) fn send(&self, build: impl FnOnce(&mut Batch<'_>)) {
        let (now_ms, wall_ns) = (self.clock.boot_ms(), self.clock.wall_ns());
        let ready = {
            let mut shared = self.shared.lock();
            let mut batch = Batch { shared: &mut shared, now_ms, wall_ns, frames: Vec::new(), ready: Vec::new() };
            build(&mut batch);
            let Batch { frames, ready, .. } = batch;
            self.queue(&shared, &frames);
            ready
        };
        self.outlet.pump();
        ready.into_iter().for_each(Ready::run);
    }

    /// Queues frames in the order of their effects, which the lock on `shared` keeps.
    fn queue(&self, shared: &Shared, frames: &[ClientFrame]) {
        if shared.linked {
            frames.iter().filter_map(encoded).for_each(|frame| self.outlet.push(frame));
        }
    }

    /// One op.
    pub(crate) fn commit(&self, mutation: Mutation, done: impl FnOnce(Result<Box<Outcome>, Errno>) + Send + 'static) {
        self.send(|batch| batch.commit(mutation, done));
    }

    /// One question.
    pub(crate) fn ask(&self, request: Request, done: impl FnOnce(Result<Answer, Errno>) + Send + 'static) {
        self.send(|batch| batch.ask(request, done));
    }

    /// One question, for code that may wait.
    pub(crate) async fn answer(&self, request: Request) -> Result<Answer, Errno> {
        let (done, waiting) = tokio::sync::oneshot::channel();
        // Whoever asked may have gone by then.
        self.ask(request, |result| drop(done.send(result)));
        waiting.await.unwrap_or(Err(Errno::EIO))
    }

    /// Runs `then` as soon as the outbox has room for what it will commit.
    pub(crate) fn when_room(&self, then: impl FnOnce() + Send + 'static) {
        let mut shared = self.shared.lock();
        if shared.in_flight.has_room() || shared.in_flight.interrupted().is_some() {
            drop(shared);
            then();
        } else {
            shared.room_waits.push_back(Box::new(then));
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
        shared.in_flight.open.close(ino);
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
    pub(super) fn receive(&self, frame: ServerFrame) {
        let mut ready = Vec::new();
        let mut room = Vec::new();
        match frame {
            ServerFrame::Reply { id, result } => self.shared.lock().in_flight.answered(id, result, &mut ready),
            ServerFrame::Applied(results) => self.shared.lock().in_flight.applied(results, &mut ready),
            ServerFrame::Durable { seq } => {
                let mut shared = self.shared.lock();
                shared.in_flight.durable(seq, &mut ready);
                if shared.in_flight.has_room() {
                    room.extend(shared.room_waits.drain(..));
                }
            }
            // A heartbeat that this mount has not sent yet proves nothing.
            ServerFrame::Proof { sent_ms } if sent_ms <= self.clock.boot_ms() => self.proven(sent_ms, || self.gate.prove(sent_ms)),
            ServerFrame::Proof { .. } => {}
            ServerFrame::Fenced(reason) => self.fenced(reason),
            // The connection has seen it and makes the stream anew.
            ServerFrame::Closing => {}
        }
        ready.into_iter().for_each(Ready::run);
        // With very many waiting the bound is overshot by what they carry; each belongs to a program that waits.
        room.into_iter().for_each(|then| then());
    }

    /// The session stood at `asked_at_ms`: waits may begin again, and then the gate opens.
    fn proven(&self, asked_at_ms: u64, open_gate: impl FnOnce()) {
        self.proven_at_ms.fetch_max(asked_at_ms, Ordering::SeqCst);
        if self.interrupted.borrow().is_some() && self.gate.fenced().is_none() {
            self.shared.lock().in_flight.revive();
            self.interrupted.send_replace(None);
        }
        open_gate();
    }

    /// The heartbeat: asks for a proof, reports closed inodes.
    pub(super) fn beat(&self) {
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
        let (ready, room) = {
            let mut shared = self.shared.lock();
            (shared.in_flight.interrupt(errno), std::mem::take(&mut shared.room_waits))
        };
        self.interrupted.send_replace(Some(errno));
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
