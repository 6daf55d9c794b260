use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use artifacts_core::cluster::Shard;
use artifacts_core::protocol::{
    Answer, ClientFrame, FRAME_MAX_BYTES, FenceReason, Hello, HelloAnswer, Refusal, Request, ServerFrame, Traced, decode, encode,
};
use artifacts_core::session::Phase;
use artifacts_core::{ErrorCode, namespace::Errno};
use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};

use super::{FindServer, StreamState};
use crate::server::Shutdown;
use crate::sessions::{Connection, Opened, SessionMessage};
use crate::store::{Store, StoreError};
use crate::time::pause;
use crate::workspace::{FrameContext, WorkspaceMessage};

/// How long an agent may take to say hello.
pub(crate) const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// How many frames of one stream may wait for their answers to be written; one more is not read before. An answer
/// holds about a megabyte at the most, so a peer that asks and never reads costs a bounded amount.
pub(super) const QUESTIONS_MAX: usize = 256;
/// How many proofs of standing may wait to be written; then no more heartbeats are read. Not one of the above: a heartbeat never
/// waits for what was asked before it.
const PROOFS_MAX: usize = 16;
/// How much may have been read of a stream that waits for its turn, in bytes. Heartbeats behind more than that are not seen.
const BACKLOG_MAX_BYTES: usize = FRAME_MAX_BYTES;
/// How many frames are written with one flush at the most.
const FLUSH_AFTER: usize = 256;

/// Why the node ends a stream.
struct Close {
    code: u16,
    reason: &'static str,
}

/// Another node serves the workspace, or will soon. The mount begins its search with the others.
const ELSEWHERE: Close = Close { code: close_code::AWAY, reason: "another node may own the workspace" };

/// Serves one stream from its hello to its end. `find` says by whom it is served.
pub(super) async fn serve(socket: WebSocket, remote: SocketAddr, find: impl FindServer) {
    let (mut sink, mut stream) = socket.split();
    let hello = match tokio::time::timeout(HELLO_WITHIN, read_hello(&mut stream)).await {
        Err(_) => Err(refuse(ErrorCode::InvalidRequest, "the stream begins with a hello, within 5 seconds")),
        Ok(hello) => hello,
    };
    let found = match hello {
        Ok(hello) => tokio::select! {
            biased;
            found = find(hello.clone()) => found.map(|state| (hello, state)),
            // By now it asks again over another stream, whose place this one must not take.
            () = hung_up(&mut stream) => return,
        },
        Err(refusal) => Err(refusal),
    };
    match found {
        Ok((hello, state)) => serve_hello(state, sink, stream, remote, &hello).await,
        Err(refusal) => {
            let text = serde_json::to_string(&HelloAnswer::Refused(refusal)).unwrap_or_default();
            let _ = sink.send(Message::Text(text.into())).await;
            let _ = close(&mut sink, &Close { code: close_code::POLICY, reason: "refused" }).await;
        }
    }
}

/// Returns when an agent that waits for the answer to its hello does so no more.
async fn hung_up(stream: &mut SplitStream<WebSocket>) {
    while let Some(Ok(Message::Ping(_) | Message::Pong(_))) = stream.next().await {}
}

async fn serve_hello(
    state: StreamState,
    mut sink: SplitSink<WebSocket, Message>,
    mut stream: SplitStream<WebSocket>,
    remote: SocketAddr,
    hello: &Hello,
) {
    let (outbound, frames) = mpsc::unbounded_channel();
    let connection = Connection { id: state.sessions.next_connection(), outbound: outbound.clone(), end: Shutdown::new() };
    let speaks = *state.speaks.read();
    // Boxed: what an opening needs would be kept for as long as the stream is up.
    let opened = Box::pin(state.sessions.open(speaks, hello, remote, connection.clone())).await;
    let answer = match &opened {
        Ok(opened) => HelloAnswer::Welcome(opened.welcome.clone()),
        Err(refusal) => HelloAnswer::Refused(refusal.clone()),
    };
    let text = serde_json::to_string(&answer).unwrap_or_default();
    let sent = sink.send(Message::Text(text.into())).await;
    let Ok(opened) = opened else {
        let _ = close(&mut sink, &Close { code: close_code::POLICY, reason: "refused" }).await;
        return;
    };
    opened.handle.shared.connection_changed(true);
    if sent.is_ok() {
        let permits = Arc::new(Permits::default());
        let (end, ended) = mpsc::channel(1);
        let owner = Owner::of(&state, &opened);
        let given = permits.clone();
        let writer = tokio::spawn(async move {
            write_frames(sink, frames, &given, ended, owner).await;
            // No answer is written any more, so nobody waits for one.
            given.questions.close();
            given.proofs.close();
        });
        let owner = Owner::of(&state, &opened);
        let session = Stream { state: &state, opened: &opened, outbound, permits, owner, end: connection.end.clone() };
        let reason = session.read_frames(&mut stream).await;
        let _ = end.send(reason).await;
        drop(end);
        drop(session);
        let _ = tokio::time::timeout(HELLO_WITHIN, writer).await;
    }
    opened.handle.shared.connection_changed(false);
    let _ = opened.handle.actor.cast(SessionMessage::Disconnected { connection: connection.id });
}

/// Reads the first message of a stream.
pub(crate) async fn read_hello(stream: &mut SplitStream<WebSocket>) -> Result<Hello, Refusal> {
    loop {
        match stream.next().await {
            Some(Ok(Message::Text(text))) => {
                return serde_json::from_str(&text)
                    .map_err(|error| refuse(ErrorCode::InvalidRequest, format!("the hello is not valid: {error}")));
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(_)) => return Err(refuse(ErrorCode::InvalidRequest, "the stream begins with a hello as JSON text")),
            Some(Err(_)) | None => return Err(refuse(ErrorCode::InvalidRequest, "the stream ended before its hello")),
        }
    }
}

fn refuse(code: ErrorCode, message: impl Into<String>) -> Refusal {
    Refusal::new(code, message)
}

/// How much of a stream may be under way, and what else the reading half has the writing half do.
struct Permits {
    questions: Arc<Semaphore>,
    proofs: Semaphore,
    /// Shows the mount that it is served here, though nothing can be told at the moment.
    sign_of_life: Notify,
}

impl Default for Permits {
    fn default() -> Self {
        Self { questions: Arc::new(Semaphore::new(QUESTIONS_MAX)), proofs: Semaphore::new(PROOFS_MAX), sign_of_life: Notify::new() }
    }
}

impl Permits {
    /// Waits until the stream may ask one more thing. The writer gives the permit back with the answer.
    async fn take(of: &Semaphore) {
        if let Ok(permit) = of.acquire().await {
            permit.forget();
        }
    }

    /// A frame goes out.
    fn give_back(&self, frame: &ServerFrame) {
        match frame {
            ServerFrame::Proof { .. } => self.proofs.add_permits(1),
            ServerFrame::Reply { .. } | ServerFrame::Applied(_) => self.questions.add_permits(1),
            _ => {}
        }
    }
}

/// A frame that waits for its turn, and its room in the backlog.
type Waiting = (ClientFrame, OwnedSemaphorePermit);

/// An open stream's reading half.
struct Stream<'a> {
    state: &'a StreamState,
    opened: &'a Opened,
    outbound: mpsc::UnboundedSender<ServerFrame>,
    permits: Arc<Permits>,
    owner: Owner,
    /// On when the session's actor ends the connection: a fence was confirmed, another stream took over, or the
    /// workspace starts anew.
    end: Shutdown,
}

impl Stream<'_> {
    /// Hands frames on until the stream ends. The answer says why, if the node ends it.
    async fn read_frames(&self, stream: &mut SplitStream<WebSocket>) -> Option<Close> {
        let (backlog, waiting) = mpsc::unbounded_channel();
        let exchange = async {
            let (mut reading, mut taking) = (std::pin::pin!(self.read(stream, backlog)), std::pin::pin!(self.take_frames(waiting)));
            tokio::select! {
                // What came before the end still counts.
                close = &mut reading => taking.await.or(close),
                close = &mut taking => close,
            }
        };
        tokio::select! {
            close = exchange => close,
            () = self.end.started() => Some(Close { code: close_code::AGAIN, reason: "reconnect" }),
            () = self.state.shutdown.started() => {
                let _ = self.outbound.send(ServerFrame::Closing);
                Some(Close { code: close_code::AWAY, reason: "the node shuts down" })
            }
        }
    }

    /// Answers heartbeats as they come, and puts everything else behind what waits.
    async fn read(&self, stream: &mut SplitStream<WebSocket>, backlog: mpsc::UnboundedSender<Waiting>) -> Option<Close> {
        let room = Arc::new(Semaphore::new(BACKLOG_MAX_BYTES));
        loop {
            let bytes = match stream.next().await {
                Some(Ok(Message::Binary(bytes))) => bytes,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Text(_))) => return Some(Close { code: close_code::UNSUPPORTED, reason: "frames are binary" }),
                Some(Err(error)) if is_too_long(&error) => return Some(Close { code: close_code::SIZE, reason: "a frame is too long" }),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
            };
            let frame = match decode::<ClientFrame>(&bytes) {
                Ok(frame) => frame,
                Err(error) => {
                    tracing::warn!(session = %self.opened.welcome.session, %error, "a stream sent what is no frame");
                    metrics::counter!("artifacts_malformed_frames_total").increment(1);
                    return Some(Close { code: close_code::PROTOCOL, reason: "a frame does not decode in the version that was agreed" });
                }
            };
            self.opened.handle.shared.hear(self.state.context.clock.monotonic_ms());
            match frame {
                ClientFrame::Heartbeat { .. } if self.owner.store.is_doubtful(self.owner.shard) => return Some(ELSEWHERE),
                ClientFrame::Heartbeat { sent_ms } => {
                    Permits::take(&self.permits.proofs).await;
                    self.prove(sent_ms);
                }
                ClientFrame::FenceConfirmed => {
                    let _ = self.opened.handle.actor.cast(SessionMessage::Confirmed);
                }
                frame => {
                    // The shortest frame takes some room, too.
                    let taken = (bytes.len() + size_of::<Waiting>()).min(BACKLOG_MAX_BYTES);
                    let permits = u32::try_from(taken).unwrap_or(u32::MAX);
                    let place = Arc::clone(&room).acquire_many_owned(permits).await.ok()?;
                    // An error: the other half has ended, and says why.
                    backlog.send((frame, place)).ok()?;
                }
            }
        }
    }

    /// Hands on what was read, in order, each when it may be.
    async fn take_frames(&self, mut waiting: mpsc::UnboundedReceiver<Waiting>) -> Option<Close> {
        let mut traced = None;
        while let Some((frame, place)) = waiting.recv().await {
            if let ClientFrame::Traced(of_next) = frame {
                traced = artifacts_trace::is_on().then(|| Box::new(of_next));
                continue;
            }
            // What a mount says that ends is taken whether or not it is known what was revoked.
            if !matches!(frame, ClientFrame::Goodbye) {
                self.becomes_current().await;
            }
            // Another stream has taken over meanwhile, where all of this is said again.
            if self.end.is_started() {
                return None;
            }
            if self.take(frame, traced.take()).await.is_err() {
                return Some(Close { code: close_code::AGAIN, reason: "the workspace starts anew" });
            }
            drop(place);
        }
        None
    }

    async fn take(&self, frame: ClientFrame, traced: Option<Box<Traced>>) -> Result<(), ()> {
        let session = self.opened.welcome.session;
        match frame {
            ClientFrame::Request { id, request: Request::ReserveInodes } => {
                Permits::take(&self.permits.questions).await;
                let (sessions, handle, workspace) =
                    (self.state.sessions.clone(), self.opened.handle.clone(), self.opened.workspace.clone());
                let outbound = self.outbound.clone();
                tokio::spawn(async move {
                    let range = sessions.reserve_inodes(&handle, &workspace).await;
                    let _ = outbound.send(ServerFrame::Reply { id, result: range.map(Answer::Inodes).map_err(|_| Errno::EIO) });
                });
            }
            ClientFrame::Goodbye => {
                let _ = self.opened.handle.actor.call(SessionMessage::Goodbye, None).await;
            }
            frame if self.opened.handle.shared.accepts() => {
                let permit = if matches!(frame, ClientFrame::Request { .. } | ClientFrame::Commit { .. } | ClientFrame::Decided { .. }) {
                    Permits::take(&self.permits.questions).await;
                    None
                } else {
                    self.permits.questions.clone().acquire_owned().await.ok()
                };
                let message = WorkspaceMessage::Frame(session, frame, FrameContext { permit, traced });
                return self.opened.workspace.cast(message).map_err(|_| ());
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether it is known what was revoked in the session's account.
    fn is_current(&self) -> bool {
        self.state.sessions.is_current(&self.opened.handle.record)
    }

    /// Nothing of a session is taken that may have been revoked.
    async fn becomes_current(&self) {
        let mut wait = VOUCH_PAUSE_MIN;
        while !self.is_current() {
            pause(wait).await;
            wait = (2 * wait).min(VOUCH_PAUSE);
        }
    }

    /// Answers a heartbeat if the session stands.
    fn prove(&self, sent_ms: u64) {
        let shared = &self.opened.handle.shared;
        if !shared.accepts() {
            self.permits.proofs.add_permits(1);
            if matches!(shared.phase(), Phase::Live | Phase::Lapsed) {
                // Its actor failed: over the next stream it starts anew.
                self.end.start();
            }
            return;
        }
        if !self.is_current() {
            // What was revoked is known to a node that cannot be asked. The mount stalls, and asks again; elsewhere nobody knows more.
            self.permits.proofs.add_permits(1);
            self.permits.sign_of_life.notify_one();
            return;
        }
        if self.state.context.revocations.read().stands(&self.opened.standing) {
            let _ = self.outbound.send(ServerFrame::Proof { sent_ms });
            return;
        }
        // The revocation came by another way than the fence; it counts all the same.
        self.permits.proofs.add_permits(1);
        let (sessions, session) = (self.state.sessions.clone(), self.opened.welcome.session);
        tokio::spawn(async move { sessions.fence(|record| record.id == session, FenceReason::Revoked, Duration::ZERO).await });
    }
}

/// The library says so only in words.
fn is_too_long(error: &axum::Error) -> bool {
    error.to_string().contains("too long")
}

/// What a stream tells is told by the owner of the workspace's shard, or by nobody.
struct Owner {
    store: Arc<dyn Store>,
    shard: Shard,
}

/// How long a stream waits before it asks again whether this node is the owner, and whether what was revoked is known; the
/// latter at first more often.
const VOUCH_PAUSE: Duration = Duration::from_millis(100);
const VOUCH_PAUSE_MIN: Duration = Duration::from_millis(2);

impl Owner {
    fn of(state: &StreamState, opened: &Opened) -> Self {
        let store = state.context.store.clone();
        let shard = store.shards().of(opened.handle.record.workspace);
        Self { store, shard }
    }

    fn holds(&self) -> bool {
        self.store.holds(self.shard)
    }

    /// Waits until it is certain that this node owns the shard, or that it does not.
    async fn vouch(&self) -> bool {
        loop {
            match self.store.vouch(self.shard).await {
                Ok(()) => return true,
                Err(StoreError::Fenced | StoreError::Closed) => return false,
                Err(error) => tracing::debug!(%error, "a stream waits for the store"),
            }
            pause(VOUCH_PAUSE).await;
        }
    }
}

/// Writes frames as they come, many with one flush when many wait.
async fn write_frames(
    mut sink: SplitSink<WebSocket, Message>,
    mut frames: mpsc::UnboundedReceiver<ServerFrame>,
    permits: &Permits,
    mut ended: mpsc::Receiver<Option<Close>>,
    owner: Owner,
) {
    loop {
        let first = tokio::select! {
            biased;
            frame = frames.recv() => frame,
            () = permits.sign_of_life.notified() => {
                if owner.holds() && sink.send(Message::Ping(bytes::Bytes::new())).await.is_err() {
                    return;
                }
                continue;
            }
            reason = ended.recv() => {
                while owner.holds() && let Ok(frame) = frames.try_recv() {
                    let _ = feed(&mut sink, frame, permits).await;
                }
                let reason = reason.flatten().unwrap_or(Close { code: close_code::NORMAL, reason: "" });
                let _ = close(&mut sink, &reason).await;
                return;
            }
        };
        let Some(first) = first else { return };
        if !owner.holds() {
            let vouched = tokio::select! {
                vouched = owner.vouch() => vouched,
                _ = ended.recv() => false,
            };
            if !vouched {
                let _ = close(&mut sink, &ELSEWHERE).await;
                return;
            }
        }
        if feed(&mut sink, first, permits).await.is_err() {
            return;
        }
        for _ in 0..FLUSH_AFTER {
            let Ok(frame) = frames.try_recv() else { break };
            if feed(&mut sink, frame, permits).await.is_err() {
                return;
            }
        }
        if sink.flush().await.is_err() {
            return;
        }
    }
}

async fn feed(sink: &mut SplitSink<WebSocket, Message>, frame: ServerFrame, permits: &Permits) -> Result<(), axum::Error> {
    permits.give_back(&frame);
    let encoded = encode(&frame).or_else(|error| {
        tracing::error!(%error, "an answer is too long for a frame");
        match frame {
            ServerFrame::Reply { id, .. } => encode(&ServerFrame::Reply { id, result: Err(Errno::EIO) }),
            _ => Err(error),
        }
    });
    match encoded {
        Ok(bytes) => sink.feed(Message::Binary(bytes.into())).await,
        Err(_) => Ok(()),
    }
}

async fn close(sink: &mut SplitSink<WebSocket, Message>, reason: &Close) -> Result<(), axum::Error> {
    let frame = CloseFrame { code: reason.code, reason: reason.reason.into() };
    sink.send(Message::Close(Some(frame))).await
}
