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
        let handle = |actor| LockHandle::new(actor, usage.clone(), self.0.context.entropy.clone(), self.0.closing.clone());
        if let Some(actor) = self.0.actors.get(&workspace) {
            return Ok(handle(actor));
        }
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
        Ok(handle(actor))
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

    /// Waits until [`Locks::close`].
    pub async fn closing(&self) {
        self.0.closing.started().await;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use artifacts_core::locks::Mode;
    use artifacts_core::{GrantId, TicketId};

    use super::*;
    use crate::blob::MemoryBlobs;
    use crate::catalog::Catalog;
    use crate::config::NodeConfig;
    use crate::context::Context;
    use crate::locks::{AcquireRefusal, Lease, LockRight, Wish};
    use crate::random::SystemEntropy;
    use crate::store::MemoryStore;
    use crate::time::SystemClock;

    const WORKSPACE: WorkspaceId = WorkspaceId::from_bits(1);
    /// More than it takes to end an actor without anything to do.
    const MANY_TICKS: u32 = 100;

    async fn locks() -> Locks {
        let store = Arc::new(MemoryStore::new());
        let context = Arc::new(Context {
            config: NodeConfig::default(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            catalog: Catalog::new(store.clone()),
            store,
            blobs: Arc::new(MemoryBlobs::default()),
            key_ring: Arc::default(),
            revocations: Arc::default(),
            log: parking_lot::Mutex::default(),
            audit: crate::audit::Trail::default(),
            data_keys: Arc::default(),
            admin_token_hash: Arc::default(),
            is_home: true,
            endpoints: Arc::default(),
            peers: Arc::default(),
            regions: artifacts_core::cluster::Regions::one("local"),
            abroad: Arc::default(),
            homes: Default::default(),
        });
        Locks::start(context, Arc::new(|_| false), |_| {}).await.unwrap()
    }

    /// Acquires for good, or is refused.
    async fn acquire(locks: &Locks) -> Result<Lease, AcquireRefusal> {
        let right = LockRight::Ticket { ticket: TicketId::from_bits(1), grant: GrantId::from_bits(1), issue: None };
        let name = "a".parse().unwrap();
        let wish = Wish { name, mode: Mode::Exclusive, ttl_ms: 60_000, wait: false, note: None, owner: None, right, until: None };
        let (lease, claim) = locks.of(WORKSPACE).await.unwrap().acquire(wish, Duration::ZERO).await.unwrap()?;
        claim.keep();
        Ok(lease)
    }

    async fn release(locks: &Locks, lease: Lease) {
        let which = crate::locks::Which { name: "a".parse().unwrap(), lock_id: lease.lock_id, taken_by: None };
        locks.of(WORKSPACE).await.unwrap().release(which).await.unwrap().unwrap();
    }

    /// Lets so much time pass for the actor, and says whether it still runs.
    async fn outlives_ticks(locks: &Locks) -> bool {
        let Some(actor) = locks.0.actors.get(&WORKSPACE) else { return false };
        for _ in 0..MANY_TICKS {
            locks.tell(WORKSPACE, LockMessage::Tick);
        }
        let _ = actor.call(LockMessage::Drain, None).await;
        locks.0.actors.get(&WORKSPACE).is_some()
    }

    #[tokio::test]
    async fn an_actor_that_nobody_needs_ends_and_its_tokens_do_not_come_again() {
        let locks = locks().await;
        let first = acquire(&locks).await.unwrap();
        assert!(outlives_ticks(&locks).await, "something is held");
        release(&locks, first).await;
        let handle = locks.of(WORKSPACE).await.unwrap();
        assert!(outlives_ticks(&locks).await, "somebody has a handle");
        drop(handle);
        assert!(!outlives_ticks(&locks).await);
        let second = acquire(&locks).await.unwrap();
        assert!(second.fencing_token > first.fencing_token);
    }

    #[tokio::test]
    async fn an_actor_begins_with_what_the_one_before_had_put_on_record() {
        let locks = locks().await;
        let lease = acquire(&locks).await.unwrap();
        locks.0.actors.get(&WORKSPACE).unwrap().kill_and_wait(None).await.unwrap();
        locks.0.actors.forget(&WORKSPACE);
        match acquire(&locks).await {
            Err(AcquireRefusal::Held(Some(held))) => assert_eq!(held.fencing_token, lease.fencing_token),
            other => panic!("{other:?}"),
        }
        release(&locks, lease).await;
        assert!(acquire(&locks).await.is_ok());
    }
}
