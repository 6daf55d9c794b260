use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use artifacts_core::cluster::Region;
use artifacts_core::hosts::GuestBearer;
use artifacts_core::namespace::{self, Usage};
use artifacts_core::protocol::{FenceReason, InodeRange};
use artifacts_core::session::Phase;
use artifacts_core::ticket::Mode;
use artifacts_core::{AccountId, SessionId, TicketId, Timestamp, WorkspaceId};
use parking_lot::{Mutex, RwLock};
use ractor::{ActorRef, RpcReplyPort};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::authority::{Authority, LocalAuthority};
use super::handles::Handles;
use super::stays::Stays;
use super::turns::Turns;
use super::{Handle, SessionActor, SessionArguments, SessionMessage, Shared, keys};
use crate::actors::Family;
use crate::audit::Forwarder;
use crate::context::SharedContext;
use crate::locks::Locks;
use crate::records::{SessionRecord, WorkspaceRecord};
use crate::store::{Batch, Durability, KeyRange, StoreError};
use crate::workspace::{
    self, AbsentWriters, CheckOptions, CheckReport, FenceSession, Storage, WorkspaceActor, WorkspaceArguments, WorkspaceKeys,
    WorkspaceMessage,
};

/// What came of a fence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceReport {
    /// Sessions that the choice matched and that were not over yet.
    pub matched: u64,
    /// Those of which nothing is accepted any more.
    pub fenced: u64,
    /// Those whose mount has confirmed that every call fails, within the time allowed.
    pub confirmed: u64,
}

/// A session as it is now.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionStatus {
    /// What is on record.
    pub record: SessionRecord,
    /// Where it stands.
    pub phase: Phase,
    /// Whether its stream is up.
    pub connected: bool,
    /// When its agent was heard last.
    pub last_heard_at: Timestamp,
}

/// A handle to all sessions and workspaces in use on this node. Cheap to clone.
#[derive(Clone)]
pub struct Sessions(pub(super) Arc<Registry>);

pub(super) struct Registry {
    pub(super) context: SharedContext,
    workspaces: Family<WorkspaceId, WorkspaceMessage>,
    actors: Family<SessionId, SessionMessage>,
    handles: Arc<RwLock<Handles>>,
    /// Sessions of one ticket open one after the other, so that two never do at once.
    pub(super) opening: Turns,
    writers: Mutex<HashMap<WorkspaceId, Arc<tokio::sync::Mutex<()>>>>,
    connections: AtomicU64,
    /// Who uses a workspace without a session.
    pub(super) stays: Arc<Stays>,
    pub(super) locks: Locks,
    pub(super) authority: Arc<dyn Authority>,
    pub(super) forwarder: Forwarder,
}

/// How many records one step of a sweep reads.
const PAGE: usize = 512;

impl Sessions {
    /// Starts the families and puts the sessions on record back: each gets a whole lease to be heard.
    ///
    /// # Errors
    /// The store's.
    pub async fn start(context: SharedContext) -> Result<Self, StoreError> {
        let authority = Arc::new(LocalAuthority::new(context.clone()));
        Self::under(context, authority).await
    }

    /// As [`Sessions::start`], where accounts may be another node's.
    ///
    /// # Errors
    /// The store's.
    pub async fn under(context: SharedContext, authority: Arc<dyn Authority>) -> Result<Self, StoreError> {
        let handles: Arc<RwLock<Handles>> = Arc::default();
        let known = handles.clone();
        let drop_streams = move |workspace: WorkspaceId| {
            for handle in known.read().values().filter(|handle| handle.record.workspace == workspace) {
                let _ = handle.actor.cast(SessionMessage::DropConnection);
            }
        };
        let known = handles.clone();
        let forget = move |session: SessionId| {
            // Its lifecycle is lost with it; without one nothing of the session may be accepted.
            if let Some(handle) = known.write().remove(session) {
                handle.shared.refuse();
            }
        };
        let known = handles.clone();
        let fence_holder = move |session: SessionId| known.read().get(session).map(|handle| fence_lapsed(handle)).is_some();
        let (known, failed) = (handles.clone(), Arc::new(OnceLock::<Locks>::new()));
        let locks_of = failed.clone();
        let claim_anew = move |workspace: WorkspaceId| {
            for handle in known.read().values().filter(|handle| handle.record.workspace == workspace && handle.shared.accepts()) {
                if let Some(locks) = locks_of.get() {
                    locks.expect(workspace, handle.record.id, handle.shared.phase() == Phase::Live);
                }
                let _ = handle.actor.cast(SessionMessage::DropConnection);
            }
        };
        let locks = Locks::start(context.clone(), Arc::new(fence_holder), claim_anew).await?;
        let _ = failed.set(locks.clone());
        let unavailable = |error: ractor::SpawnErr| StoreError::Unavailable { reason: error.to_string() };
        let forwarder = Forwarder::start(context.clone(), authority.clone());
        let registry = Registry {
            context,
            workspaces: Family::start("workspace", drop_streams).await.map_err(unavailable)?,
            actors: Family::start("session", forget).await.map_err(unavailable)?,
            handles,
            opening: Turns::default(),
            writers: Mutex::default(),
            connections: AtomicU64::new(0),
            stays: Arc::default(),
            locks,
            authority,
            forwarder,
        };
        let sessions = Self(Arc::new(registry));
        sessions.restore().await?;
        Ok(sessions)
    }

    async fn restore(&self) -> Result<(), StoreError> {
        let context = &self.0.context;
        let now = context.clock.wall();
        let mut range = KeyRange::prefix(&keys::all());
        loop {
            let page = context.store.scan(range.clone(), PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            range = range.after(last);
            for (key, value) in page {
                let record: SessionRecord =
                    serde_json::from_slice(&value).map_err(|error| StoreError::Corrupt { reason: error.to_string() })?;
                let over = !matches!(record.phase, Phase::Live | Phase::Lapsed);
                let expired = record.expires_at.is_some_and(|at| at <= now);
                let old = record.ended_at.is_some_and(|at| now.since_ms(at) > 24 * 3600 * 1000);
                if over && record.is_going {
                    // The trail is to say when its mount is out.
                    self.adopt(record).await?;
                } else if over && (expired || old) {
                    let mut batch = Batch::new();
                    batch.delete(key);
                    context.store.write(batch, Durability::Visible).await?;
                } else if !over && !self.has_workspace(&record).await? {
                    tracing::warn!(session = %record.id, workspace = record.workspace_name, "a session is over whose workspace is another node's");
                    let mut batch = Batch::new();
                    batch.delete(key);
                    context.store.write(batch, Durability::Visible).await?;
                } else if !over {
                    self.0.locks.expect(record.workspace, record.id, record.phase == Phase::Live);
                    self.adopt(record).await?;
                }
            }
        }
    }

    /// Whether the workspace of a session on record is in the store. It is not if the session was opened before there were shards,
    /// and the workspace is in another's.
    async fn has_workspace(&self, record: &SessionRecord) -> Result<bool, StoreError> {
        let store = &self.0.context.store;
        let (home, of_workspace) = (store.shards().of(record.id), store.shards().of(record.workspace));
        if home == of_workspace {
            return Ok(true);
        }
        match store.vouch(of_workspace).await {
            Err(StoreError::Fenced) => Ok(false),
            outcome => outcome.map(|()| true),
        }
    }

    /// Starts the actor of a session and puts it into the registry.
    pub(super) async fn adopt(&self, record: SessionRecord) -> Result<Arc<Handle>, StoreError> {
        let shared = Arc::new(Shared::new(record.phase, self.0.context.clock.monotonic_ms()));
        let registry = Arc::downgrade(&self.0);
        let workspace = record.workspace;
        let (find_registry, noting_registry) = (registry.clone(), registry.clone());
        let arguments = SessionArguments {
            context: self.0.context.clone(),
            record: record.clone(),
            shared: shared.clone(),
            workspace: Arc::new(move || find_registry.upgrade()?.workspaces.get(&workspace)),
            locks: self.0.locks.clone(),
            on_noted: Arc::new(move || {
                if let Some(registry) = noting_registry.upgrade() {
                    registry.forwarder.wake();
                }
            }),
            on_over: Arc::new(move |id| {
                if let Some(registry) = registry.upgrade() {
                    registry.handles.write().remove(id);
                }
            }),
        };
        let id = record.id;
        let actor = self.0.actors.get_or_start(id, SessionActor, arguments).await;
        let actor = actor.map_err(|error| StoreError::Unavailable { reason: error.to_string() })?;
        let handle = Arc::new(Handle { record, shared, actor });
        self.0.handles.write().insert(handle.clone());
        Ok(handle)
    }

    /// The actor of a workspace, started if it does not run.
    pub(super) async fn workspace(&self, record: &WorkspaceRecord) -> Result<ActorRef<WorkspaceMessage>, StoreError> {
        if let Some(actor) = self.0.workspaces.get(&record.id) {
            return Ok(actor);
        }
        let writer = self.0.writers.lock().entry(record.id).or_default().clone();
        let of_workspace = |handle: &&Arc<Handle>| handle.record.workspace == record.id && handle.shared.accepts();
        let (known, on_record, has_missed) = {
            let handles = self.0.handles.read();
            let known: Vec<_> = handles.values().filter(of_workspace).collect();
            let live = known.iter().filter(|handle| handle.shared.phase() == Phase::Live).map(|handle| handle.record.id).collect();
            let is_missed = |handle: &Arc<Handle>| {
                handle.record.workspace == record.id && handle.record.phase == Phase::Live && !handle.shared.accepts()
            };
            let has_missed = handles.values().any(is_missed);
            (known.iter().map(|handle| handle.record.id).collect(), live, has_missed)
        };
        let arguments = WorkspaceArguments {
            context: self.0.context.clone(),
            record: record.clone(),
            writer,
            on_record,
            has_missed,
            known,
            locks: self.0.locks.clone(),
            fence: self.fence_session(),
            absent_writers: self.absent_writers(record.id),
        };
        let actor = self.0.workspaces.get_or_start(record.id, WorkspaceActor, arguments).await;
        actor.map_err(|error| StoreError::Unavailable { reason: error.to_string() })
    }

    /// Ends a session whose workspace gives what it held to somebody else. Does not wait: the workspace's actor is who asks.
    fn fence_session(&self) -> FenceSession {
        let handles = self.0.handles.clone();
        Arc::new(move |session| {
            if let Some(handle) = handles.read().get(session) {
                fence_lapsed(handle);
            }
        })
    }

    /// Whether a mount that may still send what it holds is away, unless it has been for longer than is asked.
    fn absent_writers(&self, workspace: WorkspaceId) -> AbsentWriters {
        let (handles, clock, stays) = (self.0.handles.clone(), self.0.context.clock.clone(), self.0.stays.clone());
        Arc::new(move |longest| {
            let now_ms = clock.monotonic_ms();
            // What is uploaded without a mount is named in the end.
            stays.are_any(workspace)
                || handles.read().values().any(|handle| {
                    handle.record.workspace == workspace
                        && handle.record.mode == Mode::Rw
                        && handle.shared.accepts()
                        && !handle.shared.connected()
                        && u128::from(now_ms.saturating_sub(handle.shared.heard_ms())) <= longest.as_millis()
                })
        })
    }

    /// The locks of all workspaces.
    pub fn locks(&self) -> &Locks {
        &self.0.locks
    }

    /// Whether a session may be vouched for.
    pub(crate) fn is_current(&self, session: &SessionRecord) -> bool {
        self.0.authority.is_current(session)
    }

    /// The accounts of all sessions that are not over, each with its region if that is another one.
    pub(crate) fn accounts(&self) -> BTreeSet<(Option<Region>, AccountId)> {
        let handles = self.0.handles.read();
        let standing = handles.values().filter(|handle| handle.shared.accepts());
        standing.map(|handle| (handle.record.account_region.clone(), handle.record.account)).collect()
    }

    /// A number for a new stream.
    pub(crate) fn next_connection(&self) -> u64 {
        self.0.connections.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn handle(&self, id: SessionId) -> Option<Arc<Handle>> {
        self.0.handles.read().get(id).cloned()
    }

    /// The session that a ticket was used for last, while it is known.
    pub(super) fn of_ticket(&self, ticket: TicketId) -> Option<Arc<Handle>> {
        self.0.handles.read().of_ticket(ticket).cloned()
    }

    pub(super) fn handles(&self) -> Vec<Arc<Handle>> {
        self.0.handles.read().values().cloned().collect()
    }

    /// A session that stands and whose secret this is; for the data endpoints.
    pub(crate) fn authenticate(&self, id: SessionId, secret: &str) -> Option<Arc<Handle>> {
        self.handle(id).filter(|handle| handle.shared.accepts() && crate::random::secret_matches(secret, &handle.record.secret_hash))
    }

    /// A session that stands and that this was made of; for guests of the mesh.
    pub(crate) fn guest(&self, bearer: &GuestBearer) -> Option<Arc<Handle>> {
        self.handle(bearer.session()).filter(|handle| handle.shared.accepts() && bearer.is_of(&handle.record.secret_hash))
    }

    /// Ends the sessions that `choice` picks. Returns once nothing of them is accepted and that is durable, or
    /// later: after each mount has confirmed or `wait` has passed.
    pub async fn fence(&self, choice: impl Fn(&SessionRecord) -> bool + Send + Sync, reason: FenceReason, wait: Duration) -> FenceReport {
        let mut report = FenceReport::default();
        let mut confirmations = Vec::new();
        let mut seals = Vec::new();
        for handle in self.handles() {
            if !handle.shared.accepts() || !choice(&handle.record) {
                continue;
            }
            report.matched += 1;
            let (sealed, is_sealed) = oneshot::channel();
            let (confirmed, is_confirmed) = oneshot::channel();
            if handle.actor.cast(SessionMessage::Fence { reason, sealed, confirmed }).is_ok() {
                seals.push(is_sealed);
                confirmations.push(is_confirmed);
            }
        }
        for sealed in seals {
            report.fenced += u64::from(sealed.await.is_ok());
        }
        let mut confirmed = 0;
        let all = async {
            for confirmation in confirmations {
                confirmed += u64::from(confirmation.await.is_ok());
            }
        };
        let _ = tokio::time::timeout(wait, all).await;
        report.confirmed = confirmed;
        report
    }

    fn status(&self, handle: &Handle) -> SessionStatus {
        let clock = &self.0.context.clock;
        let silent_ms = clock.monotonic_ms().saturating_sub(handle.shared.heard_ms());
        SessionStatus {
            record: handle.record.clone(),
            phase: handle.shared.phase(),
            connected: handle.shared.connected(),
            last_heard_at: Timestamp::from_unix_ms(clock.wall().unix_ms().saturating_sub(silent_ms)),
        }
    }

    /// All sessions that are not over.
    pub fn list(&self) -> Vec<SessionStatus> {
        self.handles().iter().filter(|handle| handle.shared.accepts()).map(|handle| self.status(handle)).collect()
    }

    /// One session, if it is not over.
    pub fn get(&self, id: SessionId) -> Option<SessionStatus> {
        self.handle(id).filter(|handle| handle.shared.accepts()).map(|handle| self.status(&handle))
    }

    /// Inode numbers for a session, on its record and its workspace's before anybody uses one.
    pub(crate) async fn reserve_inodes(&self, handle: &Handle, workspace: &ActorRef<WorkspaceMessage>) -> Result<InodeRange, StoreError> {
        let range = ask(workspace, WorkspaceMessage::ReserveInodes).await??;
        ask(&handle.actor, |reply| SessionMessage::AddInodes(range, reply)).await??;
        let _ = workspace.cast(WorkspaceMessage::InodesAdded(handle.record.id, range));
        Ok(range)
    }

    /// Makes the root directory of a new workspace, durably. Everybody may write in it: who may reach it at all is
    /// what grants decide.
    ///
    /// # Errors
    /// The store's.
    pub async fn format(&self, workspace: &WorkspaceRecord) -> Result<(), StoreError> {
        let keys = WorkspaceKeys(workspace.id);
        let now = (workspace.created_at.unix_ms() as i64).saturating_mul(1_000_000);
        let mut batch = Batch::new();
        for (key, record) in namespace::format(0, 0, 0o777, now) {
            let Some(record) = record else { continue };
            let value = postcard::to_stdvec(&record).map_err(|error| StoreError::Corrupt { reason: error.to_string() })?;
            batch.put(keys.namespace(&key.encode()), value);
        }
        batch.put(keys.quotas(), crate::workspace::encode_quotas(workspace.quotas())?);
        let context = &self.0.context;
        context.data_keys.draw(&mut batch, workspace.id, &context.entropy).await?;
        self.0.context.store.write(batch, Durability::Durable).await
    }

    /// From when this returns a workspace's quotas are those of its record, for every mount.
    ///
    /// # Errors
    /// The store's.
    pub async fn set_quotas(&self, record: &WorkspaceRecord) -> Result<(), StoreError> {
        let actor = self.workspace(record).await?;
        ask(&actor, |reply| WorkspaceMessage::SetQuotas(record.quotas(), Some(reply))).await?
    }

    /// What a workspace holds.
    ///
    /// # Errors
    /// The store's.
    pub async fn usage(&self, workspace: WorkspaceId) -> Result<Usage, StoreError> {
        if let Some(actor) = self.0.workspaces.get(&workspace) {
            return ask(&actor, WorkspaceMessage::Usage).await?;
        }
        let key = WorkspaceKeys(workspace).namespace(&namespace::Key::Usage.encode());
        let stored = self.0.context.store.get(&key).await?;
        let record = stored.map(|bytes| postcard::from_bytes(&bytes)).transpose();
        match record.map_err(|error| StoreError::Corrupt { reason: error.to_string() })? {
            Some(namespace::Record::Usage(usage)) => Ok(usage),
            _ => Ok(Usage::default()),
        }
    }

    /// What a workspace takes in the store and in objects.
    ///
    /// # Errors
    /// The store's.
    pub async fn storage(&self, workspace: WorkspaceId) -> Result<Storage, StoreError> {
        let usage = self.usage(workspace).await?;
        workspace::storage(&*self.0.context.store, workspace, usage).await
    }

    /// Proves that a workspace's metadata and data agree, while it is in use.
    ///
    /// # Errors
    /// The store's, when another check is under way, and when the workspace changes too fast.
    pub async fn check(&self, record: &WorkspaceRecord, options: CheckOptions) -> Result<CheckReport, StoreError> {
        let actor = self.workspace(record).await?;
        workspace::check(&self.0.context, record.id, &actor, options).await
    }

    /// Removes all records and blobs of a workspace whose sessions have been fenced. Can be repeated.
    ///
    /// # Errors
    /// The store's.
    pub async fn destroy(&self, workspace: WorkspaceId) -> Result<(), StoreError> {
        let stays = self.0.stays.of(workspace);
        let _alone = stays.write().await;
        if let Some(actor) = self.0.workspaces.get(&workspace) {
            let _ = ask(&actor, WorkspaceMessage::Drain).await;
            let _ = actor.stop_and_wait(None, None).await;
        }
        self.0.locks.remove(workspace).await;
        workspace::remove(&self.0.context, workspace).await?;
        self.0.writers.lock().remove(&workspace);
        self.0.stays.forget(workspace);
        Ok(())
    }

    /// Makes everything that was applied durable and stops all actors.
    ///
    /// # Errors
    /// The store's.
    pub async fn stop(&self) -> Result<(), StoreError> {
        for (_, workspace) in self.0.workspaces.all() {
            ask(&workspace, WorkspaceMessage::Drain).await??;
        }
        self.0.actors.stop().await;
        self.0.workspaces.stop().await;
        self.0.locks.stop().await;
        Ok(())
    }
}

/// Ends a session that has lapsed and holds what somebody wants. Does not wait.
fn fence_lapsed(handle: &Handle) {
    let ((sealed, _), (confirmed, _)) = (oneshot::channel(), oneshot::channel());
    let _ = handle.actor.cast(SessionMessage::Fence { reason: FenceReason::LeaseLost, sealed, confirmed });
}

/// Asks an actor; one that is gone makes the caller come again.
pub(crate) async fn ask<M: ractor::Message, T: Send + 'static>(
    actor: &ActorRef<M>,
    message: impl FnOnce(RpcReplyPort<T>) -> M,
) -> Result<T, StoreError> {
    match actor.call(message, None).await {
        Ok(ractor::rpc::CallResult::Success(answer)) => Ok(answer),
        _ => Err(StoreError::Unavailable { reason: "the actor has stopped".to_owned() }),
    }
}
