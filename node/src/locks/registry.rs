use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use artifacts_core::revocation::Target;
use artifacts_core::{SessionId, TicketId, WorkspaceId};
use parking_lot::Mutex;

use super::actor::{LockActor, LockArguments};
use super::handle::LockHandle;
use super::journal::Writer;
use super::message::LockMessage;
use crate::actors::Family;
use crate::context::SharedContext;
use crate::server::Shutdown;
use crate::store::StoreError;

/// Ends a session because what it holds goes to somebody else. Does not wait. False if there is no such session.
pub type FenceSession = Arc<dyn Fn(SessionId) -> bool + Send + Sync>;

/// A session that may hold locks which no actor knows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Absent {
    pub(super) session: SessionId,
    workspace: WorkspaceId,
    /// Whether it may be back soon. Nobody is given a lock on a file before.
    pub(super) is_awaited: bool,
}

/// The locks of all workspaces in use on this node. Cheap to clone.
#[derive(Clone)]
pub struct Locks(Arc<Registry>);

struct Registry {
    context: SharedContext,
    fence: FenceSession,
    actors: Family<WorkspaceId, LockMessage>,
    /// Who has a handle: an actor ends only when nobody does.
    uses: Mutex<HashMap<WorkspaceId, Arc<()>>>,
    writers: Mutex<HashMap<WorkspaceId, Writer>>,
    /// Sessions that may hold locks which no actor knows.
    absent: Mutex<BTreeMap<SessionId, Absent>>,
    closing: Shutdown,
}

impl Locks {
    /// Starts without any actor. `on_failure` hears of workspaces whose actor has panicked: their mounts have to say
    /// again what they hold.
    ///
    /// # Errors
    /// Only if the runtime is shutting down.
    pub async fn start(
        context: SharedContext,
        fence: FenceSession,
        on_failure: impl Fn(WorkspaceId) + Send + Sync + 'static,
    ) -> Result<Self, StoreError> {
        let actors = Family::start("locks", on_failure).await.map_err(unavailable)?;
        Ok(Self(Arc::new(Registry {
            context,
            fence,
            actors,
            uses: Mutex::default(),
            writers: Mutex::default(),
            absent: Mutex::default(),
            closing: Shutdown::new(),
        })))
    }

    /// The locks of a workspace; their actor is started if it does not run.
    ///
    /// # Errors
    /// The store's.
    pub async fn of(&self, workspace: WorkspaceId) -> Result<LockHandle, StoreError> {
        // Counted before the actor is looked for: from here on it does not end.
        let usage = self.0.uses.lock().entry(workspace).or_default().clone();
        let absent: Vec<Absent> = self.0.absent.lock().values().filter(|absent| absent.workspace == workspace).copied().collect();
        let registry = Arc::downgrade(&self.0);
        let arguments = LockArguments {
            context: self.0.context.clone(),
            workspace,
            writer: self.0.writers.lock().entry(workspace).or_default().clone(),
            absent: absent.clone(),
            fence: self.0.fence.clone(),
            retire: Arc::new(move || registry.upgrade().is_none_or(|registry| registry.retire(workspace))),
        };
        let actor = self.0.actors.get_or_start(workspace, LockActor, arguments).await.map_err(unavailable)?;
        for Absent { session, is_awaited, .. } in absent {
            // What came while the actor started it has not heard of.
            match self.0.absent.lock().get(&session) {
                None => drop(actor.cast(LockMessage::Settled(session))),
                Some(absent) if is_awaited && !absent.is_awaited => drop(actor.cast(LockMessage::Lapsed(session))),
                Some(_) => {}
            }
        }
        Ok(LockHandle::new(actor, usage, self.0.context.entropy.clone(), self.0.closing.clone()))
    }

    /// A session on record may hold locks on files that it has not claimed yet.
    pub(crate) fn expect(&self, workspace: WorkspaceId, session: SessionId, is_awaited: bool) {
        self.0.absent.lock().insert(session, Absent { session, workspace, is_awaited });
    }

    /// A session has claimed what it holds.
    pub(crate) fn claimed(&self, session: SessionId) {
        self.0.absent.lock().remove(&session);
    }

    /// A session holds nothing that the actor does not know: it is new.
    pub(crate) fn settle(&self, workspace: WorkspaceId, session: SessionId) {
        if self.0.absent.lock().remove(&session).is_some() {
            self.tell(workspace, LockMessage::Settled(session));
        }
    }

    /// A session has not been heard for its lease.
    pub(crate) fn lapsed(&self, workspace: WorkspaceId, session: SessionId) {
        if let Some(absent) = self.0.absent.lock().get_mut(&session) {
            absent.is_awaited = false;
        }
        self.tell(workspace, LockMessage::Lapsed(session));
    }

    /// A session that may have lapsed is heard again.
    pub(crate) fn heard(&self, workspace: WorkspaceId, session: SessionId) {
        self.tell(workspace, LockMessage::Heard(session));
    }

    /// Nothing of a session is accepted any more.
    pub(crate) fn gone(&self, workspace: WorkspaceId, session: SessionId) {
        self.0.absent.lock().remove(&session);
        self.tell(workspace, LockMessage::Gone(session));
    }

    /// Tells an actor that runs; one that does not has nothing to do with it.
    fn tell(&self, workspace: WorkspaceId, message: LockMessage) {
        if let Some(actor) = self.0.actors.get(&workspace) {
            let _ = actor.cast(message);
        }
    }

    /// Frees the named locks that were taken by rights which have ended: those of `targets`, and those of tickets whose
    /// session in that workspace was ended. Returns when that is durable.
    pub async fn revoke(&self, targets: &[Target], tickets: &[(WorkspaceId, TicketId)]) {
        for &(workspace, _) in tickets {
            // It may be on record without an actor.
            if let Err(error) = self.of(workspace).await {
                tracing::warn!(%workspace, %error, "locks of a session that has ended may be held until they run out");
            }
        }
        let tickets: Vec<TicketId> = tickets.iter().map(|&(_, ticket)| ticket).collect();
        let revocations = self.0.actors.all().into_iter().map(|(_, actor)| {
            let (targets, tickets) = (targets.to_vec(), tickets.clone());
            async move { actor.call(|reply| LockMessage::Revoke { targets, tickets, reply }, None).await }
        });
        futures_util::future::join_all(revocations).await;
    }

    /// Ends the actor of a workspace that is no more.
    pub(crate) async fn remove(&self, workspace: WorkspaceId) {
        if let Some(actor) = self.0.actors.get(&workspace) {
            let _ = actor.call(LockMessage::Drain, None).await;
            let _ = actor.stop_and_wait(None, None).await;
        }
        self.0.writers.lock().remove(&workspace);
    }

    /// Ends every wait and every stream of events: the node is to stop.
    pub fn close(&self) {
        self.0.closing.start();
    }

    /// Makes durable what was answered and stops all actors.
    pub async fn stop(&self) {
        self.close();
        for (_, actor) in self.0.actors.all() {
            let _ = actor.call(LockMessage::Drain, None).await;
        }
        self.0.actors.stop().await;
    }
}

impl Registry {
    /// Forgets an actor that has nothing to do, unless somebody has a handle to it.
    fn retire(&self, workspace: WorkspaceId) -> bool {
        let mut uses = self.uses.lock();
        if uses.get(&workspace).is_some_and(|usage| Arc::strong_count(usage) > 1) {
            return false;
        }
        uses.remove(&workspace);
        self.actors.forget(&workspace);
        true
    }
}

fn unavailable(error: ractor::SpawnErr) -> StoreError {
    StoreError::Unavailable { reason: error.to_string() }
}
