use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use artifacts_core::SegmentId;
use artifacts_core::mount::{LeaseEnd, Locks, Mount, Note, Settled, Upload, touched};
use artifacts_core::namespace::{Errno, Ino, Mutation, Outcome, Source};
use artifacts_core::protocol::{Answer, ClientFrame, FenceReason, NumberedOp, Request, ServerFrame, Welcome, encode};
use artifacts_core::session::Standing;
use artifacts_core::trace::TraceContext;
use bytes::Bytes;
use parking_lot::{Condvar, Mutex, RwLock};
use tokio::sync::watch;

use super::batch::{Answered, Batch, Durable, Effects, OpDone};
use super::beliefs::Beliefs;
use super::carriers::Carriers;
use super::inode_supply::InodeSupply;
use super::locking::LockDone;
use super::opening::Opened;
use super::outlet::Outlet;
use crate::data::BlockId;
use crate::gate::Gate;
use crate::random::segment_id;
use crate::time::SharedClock;
use crate::transport::Endpoint;

/// The machine, and who waits for what in it.
type Machine = Mount<OpDone, Answered, Durable>;
/// Goes on once there is room.
type RoomWaiter = Box<dyn FnOnce() + Send>;
type InoWaiter = Box<dyn FnOnce(Result<Ino, Errno>) + Send>;

/// Puts segments that ops are going to name.
pub(crate) trait Uploader: Send + Sync {
    /// Puts a segment, however long it takes; `done` runs once it is durable, and never when the session is over.
    /// It is put for this call, if that is traced.
    fn upload(&self, segment: SegmentId, data: Bytes, call: Option<TraceContext>, done: Box<dyn FnOnce() + Send>);

    /// Keeps blocks that were just written for readers.
    fn keep(&self, blocks: Vec<(BlockId, Bytes)>);
}

/// What one lock guards.
pub(super) struct Shared {
    pub(super) mount: Machine,
    pub(super) locks: Locks<LockDone>,
    carriers: Carriers,
    supply: InodeSupply<InoWaiter>,
    /// Mutations that wait for room in the outbox.
    room_waits: VecDeque<RoomWaiter>,
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
    /// Other nodes, as the node of the last stream knew them.
    peers: RwLock<Vec<String>>,
    connected: AtomicBool,
    /// Whether the node of the last stream lets guests into the mesh.
    admits_guests: AtomicBool,
    /// Grows whenever there is another stream.
    relinked: watch::Sender<u64>,
    proven_at_ms: AtomicU64,
    renewed_at_ms: AtomicU64,
    /// The node that gives proofs as well.
    second: RwLock<Option<Endpoint>>,
    interrupted: watch::Sender<Option<Errno>>,
    on_fence: OnceLock<Box<dyn Fn(FenceReason) + Send + Sync>>,
    pub(super) on_lease_end: OnceLock<Box<dyn Fn(LeaseEnd) + Send + Sync>>,
    pub(super) uploader: OnceLock<Arc<dyn Uploader>>,
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
    /// How old the newest proof of the workspace's owner is.
    pub(crate) lease_age_ms: u64,
    pub(crate) connected: bool,
    pub(crate) endpoint: String,
    pub(crate) second_endpoint: Option<String>,
    pub(crate) reconnects: u64,
}

impl MountSession {
    /// The session that was just opened, its stream up.
    pub(super) fn new(clock: SharedClock, opened: Opened) -> Arc<Self> {
        let Opened { socket, welcome, asked_at_ms, endpoint } = opened;
        let gate = Arc::new(Gate::new(Arc::clone(&clock), standing(&welcome, asked_at_ms)));
        let mut shared = Shared {
            mount: Mount::new(segment_id),
            locks: Locks::default(),
            carriers: Carriers::default(),
            supply: InodeSupply::new(welcome.inodes),
            room_waits: VecDeque::new(),
        };
        shared.carriers.relink(welcome.wants_traces);
        let peers = RwLock::new(welcome.peers.clone());
        let admits_guests = AtomicBool::new(welcome.admits_guests);
        let session = Self {
            welcome,
            gate,
            clock,
            outlet: Outlet::default(),
            beliefs: Beliefs::default(),
            shared: Mutex::new(shared),
            endpoint: RwLock::new(endpoint),
            peers,
            connected: AtomicBool::new(true),
            admits_guests,
            relinked: watch::Sender::new(0),
            proven_at_ms: AtomicU64::new(asked_at_ms),
            renewed_at_ms: AtomicU64::new(asked_at_ms),
            second: RwLock::default(),
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
        self.peers.write().clone_from(&welcome.peers);
        self.admits_guests.store(welcome.admits_guests, Ordering::SeqCst);
        let now_ms = self.clock.boot_ms();
        let (effects, room) = {
            let mut shared = self.shared.lock();
            shared.carriers.relink(welcome.wants_traces);
            let locks = shared.locks.claims();
            let first = shared.mount.relink(welcome.durable_seq, locks, self.gate.has_lapsed(), now_ms);
            self.outlet.attach(socket, first.iter().filter_map(encoded).collect::<Vec<_>>());
            self.leave(&mut shared, now_ms)
        };
        self.connected.store(true, Ordering::SeqCst);
        self.outlet.pump();
        self.proven(asked_at_ms, || self.gate.renew(standing(&welcome, asked_at_ms)));
        self.finish(effects, room);
        self.relinked.send_modify(|count| *count += 1);
    }

    /// Hears of other streams than the present one, to this node or another.
    pub(crate) fn relinks(&self) -> watch::Receiver<u64> {
        self.relinked.subscribe()
    }

    /// The stream is gone.
    pub(super) fn unlink(&self) {
        self.connected.store(false, Ordering::SeqCst);
        let mut shared = self.shared.lock();
        shared.mount.unlink();
        self.outlet.detach();
    }

    /// Lets something enter the machine, and does what comes of it.
    pub(super) fn enter<T>(self: &Arc<Self>, enters: impl FnOnce(&mut Machine, u64) -> T) -> T {
        self.enter_with(|shared, now_ms| enters(&mut shared.mount, now_ms))
    }

    fn enter_with<T>(self: &Arc<Self>, enters: impl FnOnce(&mut Shared, u64) -> T) -> T {
        let now_ms = self.clock.boot_ms();
        let (answer, (effects, room)) = {
            let mut shared = self.shared.lock();
            let answer = enters(&mut shared, now_ms);
            (answer, self.leave(&mut shared, now_ms))
        };
        self.finish(effects, room);
        answer
    }

    /// Before anything else enters the machine: what may be believed, and the frames in the order of their effects. The rest is
    /// left to [`MountSession::finish`], with what has waited for room, if there is some. With very many waiting the bound is
    /// overshot by what they carry; each belongs to a program that waits.
    fn leave(&self, shared: &mut Shared, now_ms: u64) -> (Effects, VecDeque<RoomWaiter>) {
        let mut effects = shared.mount.take_effects();
        self.beliefs.change(effects.beliefs.drain(..));
        let mut traced = None;
        for frame in &effects.frames {
            if let ClientFrame::Traced(of_next) = frame {
                traced = Some(of_next.clone());
                continue;
            }
            let told = traced.take().and_then(|traced| shared.carriers.leaves(traced, frame));
            told.iter().chain([frame]).filter_map(encoded).for_each(|frame| self.outlet.push(frame));
        }
        let has_room = !shared.room_waits.is_empty() && shared.mount.has_room(now_ms);
        (effects, if has_room { std::mem::take(&mut shared.room_waits) } else { VecDeque::new() })
    }

    /// What is left to do once no lock is held.
    fn finish(self: &Arc<Self>, effects: Effects, room: VecDeque<RoomWaiter>) {
        let Effects { frames, settled, uploads, alone, written, ends, notes, .. } = effects;
        if !frames.is_empty() {
            self.outlet.pump();
        }
        notes.into_iter().for_each(tell);
        settled.into_iter().for_each(settle);
        for upload in uploads {
            let (session, segment) = (Arc::clone(self), upload.segment);
            self.upload(upload, move || session.enter(|mount, now_ms| mount.uploaded(segment, now_ms)));
        }
        for (upload, steps) in alone {
            let session = Arc::clone(self);
            self.upload(upload, move || session.enter(|mount, now_ms| mount.run(steps, now_ms)));
        }
        if let (Some(uploader), false) = (self.uploader.get(), written.is_empty()) {
            uploader.keep(written.into_iter().filter_map(named).collect());
        }
        if let Some(on_lease_end) = self.on_lease_end.get() {
            ends.into_iter().for_each(on_lease_end);
        }
        room.into_iter().for_each(|then| then());
    }

    fn upload(&self, Upload { segment, data, call }: Upload, then: impl FnOnce() + Send + 'static) {
        if let Some(uploader) = self.uploader.get() {
            uploader.upload(segment, data, call, Box::new(then));
        }
    }

    /// Does several things one after the other.
    pub(crate) fn send(self: &Arc<Self>, build: impl FnOnce(&mut Batch)) {
        let mut batch = Batch::new(self.clock.wall_ns());
        build(&mut batch);
        self.enter(|mount, now_ms| mount.run(batch.into_steps(), now_ms));
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
        if shared.mount.has_room(self.clock.boot_ms()) || shared.mount.interrupted().is_some() {
            drop(shared);
            then();
        } else {
            shared.room_waits.push_back(Box::new(then));
            drop(shared);
            self.enter(Mount::send_decided);
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
        self.shared.lock().mount.close(ino);
    }

    /// The error that this inode's fsync or close must report.
    pub(crate) fn take_loss(&self, ino: Ino) -> Option<Errno> {
        self.shared.lock().mount.take_loss(ino)
    }

    /// What would be lost if the mount ended now, and the inodes whose errors nobody has been told.
    pub(crate) fn unsaved(&self) -> (Vec<NumberedOp>, Vec<Ino>) {
        let shared = self.shared.lock();
        let ops = if self.answers_for_its_ops() { shared.mount.unsaved() } else { Vec::new() };
        (ops, shared.mount.untold_losses())
    }

    /// Whether ops that are not known to be durable depend on this mount. After a revocation the node keeps what it
    /// has taken in, and calls that it has not answered have failed.
    fn answers_for_its_ops(&self) -> bool {
        matches!(self.gate.fenced(), None | Some(FenceReason::LeaseLost))
    }

    /// A frame has come.
    pub(super) fn receive(self: &Arc<Self>, frame: ServerFrame) {
        match frame {
            // A heartbeat that this mount has not sent yet proves nothing.
            ServerFrame::Proof { sent_ms } if sent_ms <= self.clock.boot_ms() => self.proven(sent_ms, || self.gate.prove(sent_ms)),
            ServerFrame::Proof { .. } => {}
            ServerFrame::Fenced(reason) => self.fenced(reason),
            // The connection has seen it and makes the stream anew.
            ServerFrame::Closing => {}
            ServerFrame::LockSettled { id, result } => self.lock_settled(id, result),
            frame => self.enter_with(|shared, now_ms| {
                shared.carriers.answered(&frame);
                shared.mount.receive(frame, now_ms);
            }),
        }
    }

    /// The session stood at `asked_at_ms`: waits may begin again, and then the gate opens.
    fn proven(self: &Arc<Self>, asked_at_ms: u64, open_gate: impl FnOnce()) {
        self.proven_at_ms.fetch_max(asked_at_ms, Ordering::SeqCst);
        self.renewed_at_ms.fetch_max(asked_at_ms, Ordering::SeqCst);
        if self.interrupted.borrow().is_some() && self.gate.fenced().is_none() {
            self.enter_with(|shared, now_ms| {
                shared.mount.revive(now_ms);
                // What was let go of meanwhile the node has not been told.
                let locks = shared.locks.claims();
                shared.mount.say(locks);
            });
            self.interrupted.send_replace(None);
        }
        open_gate();
    }

    /// Another node than the workspace's owner, or the mesh, says that the right stood at `asked_at_ms`.
    pub(crate) fn witnessed(&self, asked_at_ms: u64) {
        // As above: what was not asked yet proves nothing.
        if asked_at_ms <= self.clock.boot_ms() {
            self.proven_at_ms.fetch_max(asked_at_ms, Ordering::SeqCst);
            self.gate.witness(asked_at_ms);
        }
    }

    /// The node that gives proofs as well has changed.
    pub(super) fn set_second(&self, second: Option<Endpoint>) {
        *self.second.write() = second;
    }

    /// Nodes that may give proofs besides the one that serves this session.
    pub(crate) fn peers(&self) -> Vec<Endpoint> {
        let (serving, peers) = (self.endpoint(), self.peers.read());
        let peers = peers.iter().filter_map(|peer| peer.parse().ok());
        // What was kept secret on the way to the one stays so on the way to the other.
        peers.filter(|peer: &Endpoint| *peer != serving && (peer.is_tls() || !serving.is_tls())).collect()
    }

    /// The heartbeat.
    pub(super) fn beat(self: &Arc<Self>) {
        self.enter(Mount::beat);
    }

    /// Ends every wait with this errno, and every one that begins until the session is proven again.
    pub(crate) fn interrupt(self: &Arc<Self>, errno: Errno) {
        let now_ms = self.clock.boot_ms();
        let (locks, effects, room) = {
            let mut shared = self.shared.lock();
            let locks = shared.locks.interrupt(errno);
            shared.mount.interrupt(errno, now_ms);
            let room = std::mem::take(&mut shared.room_waits);
            (locks, self.leave(&mut shared, now_ms).0, room)
        };
        self.interrupted.send_replace(Some(errno));
        locks.into_iter().for_each(|(done, result)| done(result));
        self.finish(effects, room);
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
    pub(crate) fn expire_waits(self: &Arc<Self>, before_ms: u64) {
        let has_expired = self.enter(|mount, now_ms| mount.expire(before_ms, now_ms));
        if has_expired {
            tracing::error!("calls were not answered in time and failed");
        }
    }

    /// The session is over.
    pub(crate) fn fenced(&self, reason: FenceReason) {
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
    pub(crate) fn confirm_fence(self: &Arc<Self>) {
        self.enter(|mount, _| mount.say(ClientFrame::FenceConfirmed));
    }

    /// Tells the node that the mount ends, and the connection's task to end with the stream.
    pub(crate) fn say_goodbye(self: &Arc<Self>) {
        self.ending.store(true, Ordering::SeqCst);
        self.enter(|mount, _| mount.say(ClientFrame::Goodbye));
        self.outlet.wake();
    }

    /// Whether the mesh lets the mount in with its session.
    pub(crate) fn admits_guests(&self) -> bool {
        self.admits_guests.load(Ordering::SeqCst)
    }

    /// Whether the stream is not to be made anew.
    pub(crate) fn is_ending(&self) -> bool {
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
        let (ops, bytes) = if self.answers_for_its_ops() { shared.mount.unsaved_size() } else { (0, 0) };
        let now_ms = self.clock.boot_ms();
        Vitals {
            unsaved_ops: ops as u64,
            unsaved_bytes: bytes as u64,
            open_files: shared.mount.handles(),
            proof_age_ms: now_ms.saturating_sub(self.proven_at_ms.load(Ordering::SeqCst)),
            lease_age_ms: now_ms.saturating_sub(self.renewed_at_ms.load(Ordering::SeqCst)),
            connected: self.connected.load(Ordering::SeqCst),
            endpoint: self.endpoint().to_string(),
            second_endpoint: self.second.read().as_ref().map(ToString::to_string),
            reconnects: *self.relinked.borrow(),
        }
    }
}

fn standing(welcome: &Welcome, asked_at_ms: u64) -> Standing {
    Standing::new(asked_at_ms, welcome.proof_ms, welcome.lease_ms, welcome.expires_in_ms)
}

/// Tells the one who waits. Never under a lock.
fn settle(settled: Settled<OpDone, Answered, Durable>) {
    match settled {
        Settled::Applied(done, result) => done(result),
        Settled::Answered(done, result) => done(result),
        Settled::Durable(done, result) => done(result),
    }
}

fn tell(note: Note) {
    match note {
        Note::Alone(epoch) => tracing::info!(epoch, "this mount is alone and decides by itself"),
        Note::Lost(op, errno) => {
            let ino = op.creates().or(touched(&op).first().copied());
            tracing::error!(?errno, ?ino, "an op that was answered came to nothing");
        }
        Note::Endless(request) => tracing::error!(?request, "the node answers, and still something is missing"),
    }
}

/// The name of a block, with its data.
fn named((source, data): (Source, Bytes)) -> Option<(BlockId, Bytes)> {
    let Source::Block { segment, block_offset, block_len, checksums, .. } = source else { return None };
    Some((BlockId::new(segment, block_offset, block_len, &checksums), data))
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
