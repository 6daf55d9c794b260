use artifacts_core::locks::{Grant, Holder, LockTable, Mode};
use artifacts_core::name::LockName;
use artifacts_core::revocation::Target;
use artifacts_core::{SessionId, Timestamp, WorkspaceId};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::sync::Arc;
use std::time::Duration;

use super::event::{EventKind, Events, LockEvent};
use super::files::MountLocks;
use super::journal::{Commit, Journal, Writer};
use super::message::LockMessage;
use super::named::NamedLocks;
use super::record::{LockRecord, LockRight};
use super::registry::{Absent, FenceSession};
use super::view;
use crate::context::SharedContext;
use crate::store::{Batch, Durability, KeyRange, StoreError};
use crate::workspace::WorkspaceKeys;

/// How often the actor looks at the clock when nothing else wakes it.
const TICK: Duration = Duration::from_secs(1);
/// After so many ticks without anything to do the actor ends.
const IDLE_TICKS: u32 = 60;
/// So many tokens are put on record at a time, before they are given.
const TOKENS_AT_A_TIME: u64 = 1 << 16;
const PAGE: usize = 512;

/// Owns the locks of one workspace; see the module.
pub(crate) struct LockActor;

/// What a [`LockActor`] starts from.
pub(crate) struct LockArguments {
    pub(crate) context: SharedContext,
    pub(crate) workspace: WorkspaceId,
    pub(crate) writer: Writer,
    /// Sessions that may hold locks on files from before.
    pub(crate) absent: Vec<Absent>,
    pub(crate) fence: FenceSession,
    /// Asks the registry to forget the actor. False if somebody has a handle to it.
    pub(crate) retire: Arc<dyn Fn() -> bool + Send + Sync>,
}

pub(crate) struct LockState {
    pub(super) context: SharedContext,
    pub(super) workspace: WorkspaceId,
    pub(super) keys: WorkspaceKeys,
    pub(super) table: LockTable,
    pub(super) named: NamedLocks,
    pub(super) files: MountLocks,
    pub(super) events: Events,
    /// What the message at hand has to make durable.
    pub(super) commit: Commit,
    journal: Journal,
    /// Tokens up to this one are on record as given.
    reserved: u64,
    /// Tokens up to this one will be.
    reserving: u64,
    wake_at_ms: Option<u64>,
    idle_ticks: u32,
    retire: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// One moment by both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) wall: Timestamp,
    pub(super) monotonic_ms: u64,
}

impl Now {
    pub(super) fn of(context: &SharedContext) -> Self {
        Self { wall: context.clock.wall(), monotonic_ms: context.clock.monotonic_ms() }
    }

    /// When that is by the wall clock.
    pub(super) fn wall_of(self, monotonic_ms: u64) -> Timestamp {
        self.wall.plus_ms(monotonic_ms.saturating_sub(self.monotonic_ms))
    }

    /// When that is by the monotonic clock; now, if it has passed.
    pub(super) fn monotonic_of(self, wall: Timestamp) -> u64 {
        self.monotonic_ms.saturating_add(wall.since_ms(self.wall))
    }
}

impl Actor for LockActor {
    type Msg = LockMessage;
    type State = LockState;
    type Arguments = LockArguments;

    async fn pre_start(&self, myself: ActorRef<LockMessage>, arguments: LockArguments) -> Result<LockState, ActorProcessingErr> {
        let LockArguments { context, workspace, writer, absent, fence, retire } = arguments;
        let writer = writer.lock_owned().await;
        let keys = WorkspaceKeys(workspace);
        let last_token = match context.store.get(&keys.lock_tokens()).await? {
            Some(bytes) => u64::from_be_bytes(bytes.as_ref().try_into()?),
            None => 0,
        };
        let reserved = last_token + TOKENS_AT_A_TIME;
        let mut batch = Batch::new();
        batch.put(keys.lock_tokens(), reserved.to_be_bytes().to_vec());
        let mut state = LockState {
            workspace,
            keys,
            table: LockTable::new(last_token),
            named: NamedLocks::default(),
            files: MountLocks::new(absent, fence),
            events: Events::new(last_token),
            commit: Commit::default(),
            journal: Journal::start(context.clone(), writer),
            reserved,
            reserving: reserved,
            wake_at_ms: None,
            idle_ticks: 0,
            retire,
            context,
        };
        state.restore(&mut batch).await?;
        state.context.store.write(batch, Durability::Durable).await?;
        myself.send_interval(TICK, || LockMessage::Tick);
        Ok(state)
    }

    async fn handle(&self, myself: ActorRef<LockMessage>, message: LockMessage, state: &mut LockState) -> Result<(), ActorProcessingErr> {
        let now = Now::of(&state.context);
        // What has run out is not there for whoever asks now.
        state.expire(&myself, now);
        state.take(&myself, message, now);
        state.fence_who_is_in_the_way(&myself, now);
        state.reserve_tokens(&myself);
        state.journal.append(std::mem::take(&mut state.commit));
        state.wake_for_the_next(&myself, now);
        Ok(())
    }
}

impl LockState {
    /// Takes what was held before from the records, but for what has ended since.
    async fn restore(&mut self, batch: &mut Batch) -> Result<(), StoreError> {
        let now = Now::of(&self.context);
        let mut range = KeyRange::prefix(&self.keys.all_named_locks());
        loop {
            let page = self.context.store.scan(range.clone(), PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            range = range.after(last);
            for (key, value) in page {
                let record: LockRecord =
                    serde_json::from_slice(&value).map_err(|error| StoreError::Corrupt { reason: error.to_string() })?;
                let left_ms = record.left_ms(now.wall);
                if left_ms == 0 || self.is_revoked(&record.right) {
                    batch.delete(key);
                    continue;
                }
                let holder = record.holder(record.until.map(|until| now.monotonic_of(until)));
                let age_ms = now.wall.since_ms(record.acquired_at);
                let (since_ms, expires_ms) = (now.monotonic_ms.saturating_sub(age_ms), now.monotonic_ms + left_ms);
                let expires_ms = holder.until_ms.map_or(expires_ms, |until_ms| until_ms.min(expires_ms));
                self.table.restore(record.name.clone(), holder, record.mode, record.fencing_token, since_ms, expires_ms);
                self.named.restore(record);
            }
        }
    }

    fn take(&mut self, myself: &ActorRef<LockMessage>, message: LockMessage, now: Now) {
        match message {
            LockMessage::File(message) => {
                let grants = self.files.take(&mut self.table, message, now.monotonic_ms);
                self.pass_on(myself, grants, now);
            }
            LockMessage::Lapsed(session) => {
                let grants = self.files.lapse(&mut self.table, session, now.monotonic_ms);
                self.pass_on(myself, grants, now);
            }
            LockMessage::Heard(session) => self.files.hear(session),
            LockMessage::Gone(session) => self.depart(myself, session, now),
            LockMessage::Settled(session) => {
                let grants = self.files.settle(&mut self.table, session, now.monotonic_ms);
                self.pass_on(myself, grants, now);
            }
            LockMessage::Acquire(acquire) => self.acquire(myself, *acquire, now),
            LockMessage::Withdraw(lock, reply) => {
                let _ = reply.send(self.withdraw(myself, lock, now));
            }
            LockMessage::GiveUp(lock) => self.give_up(myself, lock, now),
            LockMessage::Renew { which, ttl_ms, reply } => self.renew(&which, ttl_ms, reply, now),
            LockMessage::Release { which, reply } => self.release(myself, &which, reply, now),
            LockMessage::Revoke { targets, tickets, reply } => {
                self.revoke(myself, &targets, &tickets, now);
                self.commit.answers.push(Box::new(move |_| drop(reply.send(()))));
            }
            LockMessage::List(reply) => {
                let _ = reply.send(view::list(&self.table, |lock| self.named.right_of(lock), now.monotonic_ms));
            }
            LockMessage::Subscribe(after, reply) => {
                let _ = reply.send(self.events.subscribe(after));
            }
            LockMessage::Reserved(token) => self.reserved = self.reserved.max(token),
            LockMessage::Tick => self.tick(myself),
            LockMessage::Drain(reply) => self.commit.answers.push(Box::new(move |_| drop(reply.send(())))),
        }
    }

    /// Tells those who have waited that they have it now.
    pub(super) fn pass_on(&mut self, myself: &ActorRef<LockMessage>, grants: Vec<Grant>, now: Now) {
        for grant in grants {
            match grant.holder {
                Holder::Named(_) => self.granted(myself, &grant, now),
                Holder::File(_) => match self.files.push(&self.table, &grant) {
                    Some(push) if grant.fencing_token <= self.reserved => push(),
                    Some(push) => self.commit.answers.push(Box::new(move |_| push())),
                    None => {}
                },
            }
        }
    }

    fn depart(&mut self, myself: &ActorRef<LockMessage>, session: SessionId, now: Now) {
        let grants = self.files.depart(&mut self.table, session, now.monotonic_ms);
        self.pass_on(myself, grants, now);
    }

    fn fence_who_is_in_the_way(&mut self, myself: &ActorRef<LockMessage>, now: Now) {
        for session in self.files.fence_who_is_in_the_way(&self.table) {
            self.depart(myself, session, now);
        }
    }

    pub(super) fn is_revoked(&self, right: &LockRight) -> bool {
        let revocations = self.context.revocations.read();
        !right.stands(&revocations) || revocations.revoked(Target::Workspace(self.workspace)).is_some()
    }

    #[allow(clippy::too_many_arguments, reason = "an event's fields")]
    pub(super) fn tell_of(
        &mut self,
        kind: EventKind,
        lock: LockName,
        mode: Mode,
        owner: Option<String>,
        note: Option<String>,
        fencing_token: Option<u64>,
        now: Now,
    ) {
        let id = self.events.last();
        self.events.tell(LockEvent { id, kind, lock, mode, owner, note, fencing_token, at: now.wall });
    }

    /// Keeps what is on record well above what is given.
    fn reserve_tokens(&mut self, myself: &ActorRef<LockMessage>) {
        let last = self.table.last_token();
        if last + TOKENS_AT_A_TIME / 2 < self.reserving {
            return;
        }
        let reserving = last + TOKENS_AT_A_TIME;
        self.reserving = reserving;
        self.commit.batch.put(self.keys.lock_tokens(), reserving.to_be_bytes().to_vec());
        let actor = myself.clone();
        self.commit.answers.push(Box::new(move |written| {
            if written {
                let _ = actor.cast(LockMessage::Reserved(reserving));
            }
        }));
    }

    fn wake_for_the_next(&mut self, myself: &ActorRef<LockMessage>, now: Now) {
        let next = self.table.next_expiry_ms();
        if next == self.wake_at_ms {
            return;
        }
        self.wake_at_ms = next;
        if let Some(wait_ms) = next.map(|at_ms| at_ms.saturating_sub(now.monotonic_ms)).filter(|&wait_ms| wait_ms < TICK.as_millis() as u64)
        {
            myself.send_after(Duration::from_millis(wait_ms), || LockMessage::Tick);
        }
    }

    fn tick(&mut self, myself: &ActorRef<LockMessage>) {
        // The next expiry may have come near.
        self.wake_at_ms = None;
        let idle = self.table.is_empty() && self.files.is_idle() && !self.events.are_heard();
        self.idle_ticks = if idle { self.idle_ticks + 1 } else { 0 };
        if self.idle_ticks > IDLE_TICKS && (self.retire)() {
            myself.stop(None);
        }
    }
}
