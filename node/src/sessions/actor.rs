use std::sync::Arc;
use std::time::Duration;

use artifacts_core::SessionId;
use artifacts_core::protocol::{FenceReason, InodeRange, ServerFrame};
use artifacts_core::session::{Lifecycle, LifecycleEffect, Out, Phase};
use ractor::rpc::CallResult;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::sync::oneshot;

use super::handle::Shared;
use super::{ending, keys};
use crate::audit::outbox;
use crate::context::SharedContext;
use crate::locks::Locks;
use crate::records::SessionRecord;
use crate::server::Shutdown;
use crate::store::{Batch, Durability, StoreError};
use crate::workspace::{Outbound, Sealed, WorkspaceKeys, WorkspaceMessage};

/// How long a session that stands may go without a look at the clock. There may be thousands, so it is not shorter.
const LOOK_EVERY_MS: u64 = 1_000;
/// How often one looks that waits for its agent, or for its end.
const LOOK_OFTEN_MS: u64 = 250;
/// How long the node waits for a mount to confirm its fence before it drops its stream.
const CONFIRM_WITHIN_MS: u64 = 5_000;
/// A session without an expiry is given up when its agent has not been heard for so long.
const FORGET_AFTER_MS: u64 = 24 * 3600 * 1000;

/// Owns one session; see the module.
pub(crate) struct SessionActor;

/// A stream, as its session holds it.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    /// Tells it from others.
    pub(crate) id: u64,
    /// Where its frames go.
    pub(crate) outbound: Outbound,
    /// Ends it.
    pub(crate) end: Shutdown,
}

/// What a session is told.
#[derive(Debug)]
pub(crate) enum SessionMessage {
    /// A stream is up. It takes the place of one before it.
    Connected(Connection),
    /// A stream has ended.
    Disconnected { connection: u64 },
    /// Drop the stream: the agent has to attach anew.
    DropConnection,
    /// Inode numbers were leased to it.
    AddInodes(InodeRange, RpcReplyPort<Result<(), StoreError>>),
    /// Access ends now. The first answer comes when nothing is accepted any more and that is durable, the second
    /// when the mount has confirmed.
    Fence { reason: FenceReason, sealed: oneshot::Sender<()>, confirmed: oneshot::Sender<()> },
    /// The mount fails every call.
    Confirmed,
    /// The mount ends in good order.
    Goodbye(RpcReplyPort<()>),
    /// Time has passed.
    Tick,
}

/// Finds the actor of the session's workspace, if it runs: without one there is nothing to seal.
pub(crate) type FindWorkspace = Arc<dyn Fn() -> Option<ActorRef<WorkspaceMessage>> + Send + Sync>;

/// What a [`SessionActor`] starts from.
pub(crate) struct SessionArguments {
    pub(crate) context: SharedContext,
    pub(crate) record: SessionRecord,
    pub(crate) shared: Arc<Shared>,
    pub(crate) workspace: FindWorkspace,
    pub(crate) locks: Locks,
    /// Called when an entry of an audit trail waits to be passed on.
    pub(crate) on_noted: Arc<dyn Fn() + Send + Sync>,
    /// Called once when the session needs no actor any more.
    pub(crate) on_over: Arc<dyn Fn(SessionId) + Send + Sync>,
}

pub(crate) struct SessionState {
    arguments: SessionArguments,
    lifecycle: Lifecycle,
    connection: Option<Connection>,
    confirm_waiters: Vec<oneshot::Sender<()>>,
    over_since_ms: Option<u64>,
    /// It ended while something that it had done was not durable.
    is_unsaved: bool,
}

impl Actor for SessionActor {
    type Msg = SessionMessage;
    type State = SessionState;
    type Arguments = SessionArguments;

    async fn pre_start(&self, myself: ActorRef<SessionMessage>, arguments: SessionArguments) -> Result<SessionState, ActorProcessingErr> {
        let now_ms = arguments.context.clock.monotonic_ms();
        let wall = arguments.context.clock.wall();
        let expires_at_ms = arguments.record.expires_at.map(|at| now_ms.saturating_add(at.since_ms(wall)));
        let lifecycle = Lifecycle::new(arguments.record.phase, arguments.context.config.session_lease_ms, now_ms, expires_at_ms);
        let state =
            SessionState { arguments, lifecycle, connection: None, confirm_waiters: Vec::new(), over_since_ms: None, is_unsaved: false };
        state.look_again(&myself);
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<SessionMessage>,
        message: SessionMessage,
        state: &mut SessionState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SessionMessage::Connected(connection) => {
                state.drop_connection();
                state.connection = Some(connection);
            }
            SessionMessage::Disconnected { connection } => {
                state.connection.take_if(|current| current.id == connection);
            }
            SessionMessage::DropConnection => state.drop_connection(),
            SessionMessage::AddInodes(range, reply) => {
                state.arguments.record.inodes.add(range);
                let _ = reply.send(state.persist().await);
            }
            SessionMessage::Fence { reason, sealed, confirmed } => {
                // Its lease counts from there.
                state.listen();
                let effects = state.lifecycle.fence(reason);
                state.perform(effects).await?;
                let _ = sealed.send(());
                if state.lifecycle.confirmed() {
                    let _ = confirmed.send(());
                } else {
                    state.confirm_waiters.push(confirmed);
                }
            }
            SessionMessage::Confirmed => {
                let effects = state.lifecycle.confirm();
                state.perform(effects).await?;
            }
            SessionMessage::Goodbye(reply) => {
                let effects = state.lifecycle.goodbye();
                state.perform(effects).await?;
                let _ = reply.send(());
            }
            SessionMessage::Tick => {
                state.tick().await?;
                state.look_again(&myself);
            }
        }
        if state.is_parted() {
            state.drop_connection();
            // What has not come will not.
            state.confirm_waiters.clear();
        }
        if state.is_finished() {
            (state.arguments.on_over)(state.arguments.record.id);
            myself.stop(None);
        }
        Ok(())
    }
}

impl SessionState {
    fn drop_connection(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.end.start();
        }
    }

    /// Sees to the next look at the clock: in time for what time alone will change.
    fn look_again(&self, myself: &ActorRef<SessionMessage>) {
        let now_ms = self.arguments.context.clock.monotonic_ms();
        let longest_ms = if self.lifecycle.phase() == Phase::Live { LOOK_EVERY_MS } else { LOOK_OFTEN_MS };
        let due_in_ms = self.lifecycle.due_at_ms().map_or(longest_ms, |at| at.saturating_sub(now_ms));
        myself.send_after(Duration::from_millis(due_in_ms.clamp(1, longest_ms)), || SessionMessage::Tick);
    }

    /// Takes note of when its agent was heard last.
    fn listen(&mut self) {
        let heard_ms = self.arguments.shared.heard_ms();
        if heard_ms > self.lifecycle.heard_at_ms() {
            self.lifecycle.hear(heard_ms);
        }
    }

    async fn tick(&mut self) -> Result<(), StoreError> {
        let now_ms = self.arguments.context.clock.monotonic_ms();
        let before = self.lifecycle.phase();
        self.listen();
        let effects = self.lifecycle.tick(now_ms);
        self.perform(effects).await?;
        let after = self.lifecycle.phase();
        if before != after && self.lifecycle.accepts() {
            self.arguments.shared.set_phase(after);
            self.arguments.record.phase = after;
            tracing::info!(session = %self.arguments.record.id, phase = ?after, "session");
            self.persist().await?;
            if let Some(workspace) = (self.arguments.workspace)() {
                let session = self.arguments.record.id;
                let news = if after == Phase::Lapsed { WorkspaceMessage::Lapsed(session) } else { WorkspaceMessage::Heard(session) };
                let _ = workspace.cast(news);
            }
            let (locks, of, session) = (&self.arguments.locks, self.arguments.record.workspace, self.arguments.record.id);
            if after == Phase::Lapsed { locks.lapsed(of, session) } else { locks.heard(of, session) }
        }
        let silent_ms = now_ms.saturating_sub(self.lifecycle.heard_at_ms());
        if after == Phase::Lapsed && self.arguments.record.expires_at.is_none() && silent_ms > FORGET_AFTER_MS {
            let effects = self.lifecycle.fence(FenceReason::LeaseLost);
            self.perform(effects).await?;
        }
        Ok(())
    }

    async fn perform(&mut self, effects: Vec<LifecycleEffect>) -> Result<(), StoreError> {
        for effect in effects {
            match effect {
                LifecycleEffect::Seal => {
                    self.arguments.shared.refuse();
                    self.arguments.shared.set_phase(self.lifecycle.phase());
                    if let Some(workspace) = (self.arguments.workspace)() {
                        let session = self.arguments.record.id;
                        let sealed = workspace.call(|reply| WorkspaceMessage::Seal(session, reply), None).await;
                        self.is_unsaved = matches!(sealed, Ok(CallResult::Success(Sealed { is_saved: false })));
                    }
                }
                LifecycleEffect::PushFence(reason) => {
                    tracing::info!(session = %self.arguments.record.id, reason = reason.text(), "session fenced");
                    metrics::counter!("artifacts_sessions_fenced_total").increment(1);
                    if let Some(connection) = &self.connection {
                        let _ = connection.outbound.send(ServerFrame::Fenced(reason));
                    }
                }
                LifecycleEffect::Release => {
                    self.over_since_ms = Some(self.arguments.context.clock.monotonic_ms());
                    self.arguments.record.phase = self.lifecycle.phase();
                    self.arguments.record.ended_at = Some(self.arguments.context.clock.wall());
                    self.arguments.record.is_going = self.lifecycle.phase() != Phase::Ended;
                    self.persist_end().await?;
                    // Only now: whoever gets its locks must not see what it still sends, nor may it be back after a crash.
                    self.arguments.locks.gone(self.arguments.record.workspace, self.arguments.record.id);
                }
                LifecycleEffect::Confirmed => {
                    for waiter in self.confirm_waiters.drain(..) {
                        let _ = waiter.send(());
                    }
                }
                LifecycleEffect::Out(how) => self.persist_out(how).await?,
            }
        }
        Ok(())
    }

    /// Puts the end on record, and into the audit trail.
    async fn persist_end(&self) -> Result<(), StoreError> {
        let SessionArguments { context, record, .. } = &self.arguments;
        let mut batch = Batch::new();
        outbox::put(&mut batch, record, ending::over(context, record));
        self.persist_with(batch).await?;
        (self.arguments.on_noted)();
        Ok(())
    }

    /// Puts into the audit trail that the mount is out. Nobody waits for it: if the node dies before it is durable, the session is
    /// found going again, and is out when its lease is over.
    async fn persist_out(&mut self, how: Out) -> Result<(), StoreError> {
        let SessionArguments { context, record, .. } = &mut self.arguments;
        record.is_going = false;
        tracing::info!(session = %record.id, ?how, "mount out");
        let mut batch = Batch::new();
        keys::put(&mut batch, record)?;
        outbox::put(&mut batch, record, ending::out(context, record, how));
        context.store.write(batch, Durability::Visible).await?;
        (self.arguments.on_noted)();
        Ok(())
    }

    async fn persist(&self) -> Result<(), StoreError> {
        self.persist_with(Batch::new()).await
    }

    /// A session that ended in good order is forgotten; a fenced one stays on record, so that its agent learns why.
    async fn persist_with(&self, mut batch: Batch) -> Result<(), StoreError> {
        if self.lifecycle.phase() == Phase::Ended {
            batch.delete(keys::record_key(self.arguments.record.id));
        } else {
            keys::put(&mut batch, &self.arguments.record)?;
        }
        if self.is_unsaved {
            batch.put(WorkspaceKeys(self.arguments.record.workspace).unsaved(self.arguments.record.id), Vec::new());
        }
        self.arguments.context.store.write(batch, Durability::Durable).await
    }

    /// Whether it is over, and its mount has said all that it will.
    fn is_parted(&self) -> bool {
        let now_ms = self.arguments.context.clock.monotonic_ms();
        let has_waited = || self.over_since_ms.is_none_or(|since_ms| now_ms.saturating_sub(since_ms) > CONFIRM_WITHIN_MS);
        match self.lifecycle.phase() {
            Phase::Live | Phase::Lapsed => false,
            Phase::Ended => true,
            Phase::Fenced(_) => self.lifecycle.confirmed() || self.connection.is_none() || has_waited(),
        }
    }

    /// Whether nobody needs its actor any more.
    fn is_finished(&self) -> bool {
        self.is_parted() && (self.lifecycle.phase() == Phase::Ended || self.lifecycle.is_out())
    }
}
