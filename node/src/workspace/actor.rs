use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use artifacts_core::leases::{Kind, Wants};
use artifacts_core::namespace::{self, Applied, Errno, Ino, Limits, Mutation, Name, NewNode, Op, Outcome, Stop};
use artifacts_core::protocol::{ClientFrame, InodeRange};
use artifacts_core::session::{Absent, Inbox, LockClaims, OpenFiles, Progress, Recovery, WorkspaceLease};
use artifacts_core::{SegmentId, SessionId};
use bytes::Bytes;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use super::commit::Decider;
use super::flush::{Durably, Meta, encode};
use super::inode_leases::InodeLeases;
use super::keys::WorkspaceKeys;
use super::layers::{Failure, Layers};
use super::member::Member;
use super::message::{Attached, Attachment, FrameContext, Sealed, WorkspaceMessage};
use super::quotas;
use super::traces::UnflushedCalls;
use super::upkeep::{AbsentWriters, Upkeep};
use super::visitors::Visitors;
use crate::context::SharedContext;
use crate::locks::Locks;
use crate::records::WorkspaceRecord;
use crate::store::{Batch, Durability, KeyRange, StoreError};

/// How many inode numbers a session gets at a time.
const INODES_AT_A_TIME: u64 = 16 * 1024;
/// The orders of a new life of the actor lie this far above those of the one before, whose last may be unknown.
const ORDER_GAP: u64 = 1 << 32;
/// How often a flush begins if nobody waits for one: what a crash can cost a mount that dies with the node.
const FLUSH_EVERY: std::time::Duration = std::time::Duration::from_millis(100);
/// So many sessions that ended unsaved are forgotten at once; the rest with the next actor.
const UNSAVED_MAX: usize = 1024;
/// One session may hold so many files open.
pub(super) const OPEN_MAX: usize = 1 << 20;

/// In whose name the node looks at inodes and changes them by itself.
pub(super) const OUTSIDE: SessionId = SessionId::from_bits(0);

/// Owns one workspace; see the module.
pub(crate) struct WorkspaceActor;

/// What a [`WorkspaceActor`] starts from.
pub(crate) struct WorkspaceArguments {
    pub(crate) context: SharedContext,
    pub(crate) record: WorkspaceRecord,
    /// See [`WorkspaceState::writer`].
    pub(crate) writer: Arc<tokio::sync::Mutex<()>>,
    /// Sessions on record that may come back and send again what was not durable.
    pub(crate) on_record: Vec<SessionId>,
    /// Others were on record, and have lost their right since.
    pub(crate) has_missed: bool,
    /// All sessions on record that may come back, also those that had lapsed.
    pub(crate) known: Vec<SessionId>,
    /// The locks of all workspaces.
    pub(crate) locks: Locks,
    /// Ends a session that held the workspace's lease and cannot be waited for.
    pub(crate) fence: FenceSession,
    /// See [`Upkeep`].
    pub(crate) absent_writers: AbsentWriters,
}

/// Ends a session because what it held goes to somebody else.
pub(crate) type FenceSession = Arc<dyn Fn(SessionId) + Send + Sync>;

pub(crate) struct WorkspaceState {
    pub(super) context: SharedContext,
    pub(super) keys: WorkspaceKeys,
    pub(super) layers: Layers,
    pub(super) limits: Limits,
    /// There are to be quotas, and somebody may still decide without.
    pub(super) quotas_wait: bool,
    pub(super) meta: Meta,
    pub(super) members: BTreeMap<SessionId, Member>,
    /// Sessions that are over and whose progress is to be forgotten.
    pub(super) departed: Vec<SessionId>,
    /// Keys of [`WorkspaceKeys::unsaved`] that nobody has to know of any more after the next flush.
    pub(super) no_longer_unsaved: Vec<Bytes>,
    pub(super) open: OpenFiles,
    /// Segments that died since the last flush began.
    pub(super) dead_segments: Vec<SegmentId>,
    pub(super) upkeep: Upkeep,
    /// Held by whoever writes this workspace's keys, so that a new actor begins only after the last flush of the
    /// one before.
    pub(super) writer: Arc<tokio::sync::Mutex<()>>,
    /// Commits that wait because the store does not keep up.
    pub(super) held: VecDeque<WorkspaceMessage>,
    pub(super) tick_scheduled: bool,
    /// Set during the grace after a restart; everything but what recovery needs waits in `deferred`.
    pub(super) recovery: Option<Recovery>,
    pub(super) deferred: VecDeque<WorkspaceMessage>,
    pub(super) absent: Absent,
    /// Inodes without links are still to be looked for: some may be open on a mount that may come back.
    pub(super) orphans_wait: bool,
    /// Who may decide by itself; while somebody may, what others want waits in `waiting_for_lease`.
    pub(super) lease: WorkspaceLease,
    pub(super) waiting_for_lease: VecDeque<WorkspaceMessage>,
    pub(super) lease_released: bool,
    /// Who may believe and change single inodes, and what waits for that.
    pub(super) inode_leases: InodeLeases,
    pub(super) fence: FenceSession,
    pub(super) locks: Locks,
    pub(super) dirty: bool,
    pub(super) flush_wanted: bool,
    pub(super) flush_under_way: bool,
    /// Traced calls that the next flush makes durable.
    pub(super) unflushed_calls: UnflushedCalls,
    pub(super) drains: Vec<RpcReplyPort<Result<(), StoreError>>>,
    /// How many flushes have begun, and what waits for the end of which.
    pub(super) flushes_begun: u64,
    pub(super) until_flushed: Vec<(u64, Durably)>,
    /// Inode numbers that visits may use.
    pub(super) own_inodes: std::ops::Range<u64>,
    pub(super) visitors: Visitors,
}

impl Actor for WorkspaceActor {
    type Msg = WorkspaceMessage;
    type State = WorkspaceState;
    type Arguments = WorkspaceArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<WorkspaceMessage>,
        arguments: WorkspaceArguments,
    ) -> Result<WorkspaceState, ActorProcessingErr> {
        let WorkspaceArguments { context, record, writer, on_record, has_missed, known, locks, fence, absent_writers } = arguments;
        drop(writer.lock().await);
        let keys = WorkspaceKeys(record.id);
        let layers = Layers::new(keys, context.store.clone(), context.blobs.clone());
        let mut meta: Meta = match context.store.get(&keys.meta()).await? {
            Some(bytes) => postcard::from_bytes(&bytes)?,
            None => Meta { next_order: 0, next_ino: Ino::FIRST_LEASED.0 },
        };
        meta.next_order += ORDER_GAP;
        let in_effect = quotas::in_effect(&*context.store, &record).await?;
        if in_effect != record.quotas() {
            let _ = myself.cast(WorkspaceMessage::SetQuotas(record.quotas(), None));
        }
        let unsaved = context.store.scan(KeyRange::prefix(&keys.all_unsaved()), UNSAVED_MAX).await?;
        let recovery = Recovery::new(on_record).with_missed(has_missed || !unsaved.is_empty());
        let recovery = Some(recovery).filter(|recovery| !recovery.is_complete());
        let unpacked = context.store.get(&keys.unpacked()).await?.is_some();
        let mut lost = Vec::new();
        for session in &known {
            if context.store.get(&keys.outlived(*session)).await?.is_some() {
                lost.push(*session);
            }
        }
        let upkeep = Upkeep::new(absent_writers, &context.config.upkeep, context.clock.monotonic_ms(), unpacked);
        let mut state = WorkspaceState {
            context,
            keys,
            layers,
            limits: quotas::limits(in_effect),
            quotas_wait: false,
            meta,
            members: BTreeMap::new(),
            departed: Vec::new(),
            no_longer_unsaved: unsaved.into_iter().map(|(key, _)| key).collect(),
            open: OpenFiles::default(),
            dead_segments: Vec::new(),
            upkeep,
            writer,
            held: VecDeque::new(),
            tick_scheduled: false,
            recovery,
            deferred: VecDeque::new(),
            absent: Absent::new(known, lost),
            orphans_wait: false,
            lease: WorkspaceLease::new(meta.next_order),
            waiting_for_lease: VecDeque::new(),
            lease_released: false,
            inode_leases: InodeLeases::new(meta.next_order),
            locks,
            fence,
            dirty: false,
            flush_wanted: false,
            flush_under_way: false,
            unflushed_calls: UnflushedCalls::default(),
            drains: Vec::new(),
            flushes_begun: 0,
            until_flushed: Vec::new(),
            own_inodes: 0..0,
            visitors: Visitors::default(),
        };
        if state.recovery.is_none() {
            state.purge_orphans_if_all_are_back(&myself).await.map_err(|error| format!("{error}"))?;
        }
        state.schedule_upkeep(&myself);
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<WorkspaceMessage>,
        message: WorkspaceMessage,
        state: &mut WorkspaceState,
    ) -> Result<(), ActorProcessingErr> {
        state.route(&myself, message).await?;
        if state.recovery.as_ref().is_some_and(Recovery::is_complete) {
            state.recover(&myself).await?;
        }
        while !state.falls_behind()
            && let Some(message) = state.held.pop_front()
        {
            state.take(&myself, message).await?;
        }
        loop {
            if std::mem::take(&mut state.lease_released) {
                for message in std::mem::take(&mut state.waiting_for_lease) {
                    state.route(&myself, message).await?;
                }
            } else if let Some(message) = state.inode_leases.next_ready() {
                state.route(&myself, message).await?;
            } else {
                break;
            }
        }
        if state.dirty && !state.tick_scheduled {
            state.tick_scheduled = true;
            myself.send_after(FLUSH_EVERY, || WorkspaceMessage::Tick);
        }
        Ok(())
    }
}

impl WorkspaceState {
    pub(super) async fn take(&mut self, myself: &ActorRef<WorkspaceMessage>, message: WorkspaceMessage) -> Result<(), StoreError> {
        match message {
            WorkspaceMessage::Frame(session, frame, context) => return self.frame(myself, session, frame, context).await,
            WorkspaceMessage::Tick => {
                self.tick_scheduled = false;
                self.maybe_flush(myself, true);
            }
            WorkspaceMessage::Flushed(result) => return self.flushed(myself, result),
            WorkspaceMessage::Attach(attachment, reply) => {
                let session = attachment.session;
                let attached = self.attach(attachment).await;
                if attached.is_ok() {
                    let effects = self.lease.attach(session);
                    self.perform(myself, effects);
                }
                let _ = reply.send(attached);
            }
            WorkspaceMessage::ReserveInodes(reply) => {
                let _ = reply.send(self.reserve_inodes().await);
            }
            WorkspaceMessage::InodesAdded(session, range) => {
                if let Some(member) = self.members.get_mut(&session) {
                    member.inodes.add(range);
                }
            }
            WorkspaceMessage::ResolveRoot { path, reply } => {
                self.layers.begin_noting();
                let root = self.resolve_root(&path).await;
                let wants = Wants { reads: self.layers.end_noting(), ..Wants::default() };
                // Whatever directory was made would have to be seen by whoever believes to know the one above it.
                match root {
                    Ok(None) => self.wait_for_inodes(
                        myself,
                        OUTSIDE,
                        Wants { writes: wants.reads, ..Wants::default() },
                        WorkspaceMessage::ResolveRoot { path, reply },
                    ),
                    _ if !self.inode_leases.table.is_free(OUTSIDE, &wants) => {
                        self.wait_for_inodes(myself, OUTSIDE, wants, WorkspaceMessage::ResolveRoot { path, reply });
                    }
                    Ok(Some(root)) => drop(reply.send(Ok(root))),
                    Err(error) => drop(reply.send(Err(error))),
                }
            }
            WorkspaceMessage::Seal(session, reply) => {
                self.miss(session);
                self.settle_absent(session).await?;
                let member = self.members.remove(&session);
                if member.is_some() {
                    self.departed.push(session);
                    self.dirty = true;
                }
                let is_saved = member.as_ref().is_none_or(|member| member.inbox.applied() <= member.durable);
                let _ = reply.send(Sealed { is_saved });
                self.let_go(myself, session).await?;
                for ino in member.and_then(|member| member.resending).unwrap_or_default() {
                    self.purge_if_orphan(myself, ino).await?;
                }
                self.inodes_departed(myself, session);
                let effects = self.lease.depart(session);
                self.perform(myself, effects);
                self.purge_waiting_orphans(myself).await?;
            }
            WorkspaceMessage::Lapsed(session) => {
                self.miss(session);
                self.inodes_lapsed(myself, session);
                let effects = self.lease.lapse(session);
                self.perform(myself, effects);
            }
            WorkspaceMessage::Heard(session) => {
                self.lease.hear(session);
                self.inode_leases.table.hear(session);
            }
            WorkspaceMessage::LookAtLeases => self.look_at_leases(myself),
            WorkspaceMessage::RecallExpired(epoch) => {
                let effects = self.lease.recall_expired(epoch);
                self.perform(myself, effects);
            }
            WorkspaceMessage::SetQuotas(quotas, reply) => return self.set_quotas(myself, quotas, reply).await,
            WorkspaceMessage::Usage(reply) => {
                let usage = self.layers.ask(|view| namespace::usage(view)).await;
                let _ = reply.send(usage.map_err(store_error));
            }
            WorkspaceMessage::Visit(visit, reply) => return self.visit(myself, visit, reply).await,
            WorkspaceMessage::Leave(ino) => return self.leave(myself, ino).await,
            WorkspaceMessage::Upkeep(message) => return self.upkeep(myself, message).await,
            WorkspaceMessage::Drain(reply) => {
                self.drains.push(reply);
                if self.dirty || self.flush_under_way {
                    self.maybe_flush(myself, true);
                } else {
                    for reply in self.drains.drain(..) {
                        let _ = reply.send(Ok(()));
                    }
                }
            }
        }
        Ok(())
    }

    async fn attach(&mut self, attachment: Attachment) -> Result<Attached, StoreError> {
        let Attachment { session, mode, root, inodes, outbound, resumes } = attachment;
        if let Some(member) = self.members.get_mut(&session) {
            let durable_seq = member.durable;
            member.reconnect(outbound);
            member.resending.get_or_insert_default();
            // It asks again.
            self.inode_leases.reconnect(session);
            self.waiting_for_lease.retain(|message| !matches!(message, WorkspaceMessage::Frame(of, ..) if *of == session));
            return Ok(Attached { durable_seq });
        }
        let inbox = match self.context.store.get(&self.keys.progress(session)).await? {
            Some(bytes) if resumes => {
                let progress: Progress = postcard::from_bytes(&bytes).map_err(|error| StoreError::Corrupt { reason: error.to_string() })?;
                Inbox::resume(progress)
            }
            _ => Inbox::default(),
        };
        let mut member = Member::new(mode, root, inodes, inbox, outbound);
        member.resending = resumes.then(Vec::new);
        member.is_outlived = self.absent.is_outlived(session);
        let is_lost = resumes && self.absent.is_lost(session);
        let attached = Attached { durable_seq: member.durable };
        self.members.insert(session, member);
        self.absent.back(session);
        if is_lost {
            // What it held was given away, or not, by an actor that is no more.
            tracing::warn!(workspace = %self.keys.0, %session, "a session comes back that was away too long");
            self.miss(session);
            self.refuse(session);
        }
        Ok(attached)
    }

    /// Numbers are given out only once that is durable: nobody may get them again after a crash.
    pub(super) async fn reserve_inodes(&mut self) -> Result<InodeRange, StoreError> {
        let range = InodeRange { first: self.meta.next_ino, count: INODES_AT_A_TIME };
        let meta = Meta { next_ino: range.first + range.count, ..self.meta };
        let mut batch = Batch::new();
        batch.put(self.keys.meta(), encode(&meta)?);
        // Durable before anybody uses one: with the record of the session that gets them, which is written next.
        self.context.store.write(batch, Durability::Visible).await?;
        self.meta = meta;
        // A flush that is under way carries the older counter; one more puts that right.
        self.dirty = true;
        Ok(range)
    }

    /// Finds the directory that a subpath names. Like a mount of a subpath elsewhere, it makes what is missing.
    /// `None` when one is missing below a directory of which a mount believes to know what is in it.
    async fn resolve_root(&mut self, path: &[String]) -> Result<Option<Ino>, StoreError> {
        for len in 1..=path.len() {
            let Some((last, parents)) = path[..len].split_last() else { break };
            let parent = self
                .layers
                .ask(|view| namespace::resolve(view, Ino::ROOT, parents.iter().map(String::as_str)))
                .await
                .map_err(store_error)?;
            let name = Name::new(last.clone()).map_err(|errno| store_error(Failure::Refused(errno)))?;
            match self.layers.ask(|view| namespace::lookup(view, parent, &name)).await {
                Err(Failure::Refused(Errno::ENOENT)) => {
                    if !self.inode_leases.table.is_free(OUTSIDE, &Wants::lease(parent, Kind::Write)) {
                        return Ok(None);
                    }
                    let ino = Ino(self.reserve_inodes().await?.first);
                    let mutation = Mutation::Create { parent, name, ino, node: NewNode::Directory, mode: 0o777, umask: 0, uid: 0, gid: 0 };
                    let time = (self.context.clock.wall().unix_ms() as i64).saturating_mul(1_000_000);
                    let op = Op { mutation, time };
                    let context = namespace::Context::default();
                    self.run(|view| namespace::apply(view, &context, &op)).await.map_err(store_error)?;
                }
                found => {
                    found.map_err(store_error)?;
                }
            }
        }
        self.layers.ask(|view| namespace::resolve(view, Ino::ROOT, path.iter().map(String::as_str))).await.map(Some).map_err(store_error)
    }

    /// Applies a pure change and takes it in.
    pub(super) async fn run(
        &mut self,
        change: impl FnMut(&super::layers::LayeredView<'_>) -> Result<Applied, Stop>,
    ) -> Result<Outcome, Failure> {
        let applied = self.layers.ask(change).await?;
        Ok(self.take_in(applied))
    }

    /// Takes in what a pure change has come to.
    pub(super) fn take_in(&mut self, applied: Applied) -> Outcome {
        self.layers.absorb(applied.changes);
        self.dirty = true;
        self.dead_segments.extend(&applied.outcome.dead_segments);
        applied.outcome
    }

    async fn frame(
        &mut self,
        myself: &ActorRef<WorkspaceMessage>,
        session: SessionId,
        frame: ClientFrame,
        FrameContext { permit: _permit, traced }: FrameContext,
    ) -> Result<(), StoreError> {
        if self.members.get(&session).is_none_or(|member| member.is_refused) {
            // Sealed or about to be, or never attached: nothing of it is accepted.
            return Ok(());
        }
        match frame {
            ClientFrame::Commit { acked, ops } => self.commit(myself, session, Decider::Node, acked, ops, traced.as_deref()).await,
            ClientFrame::Decided { acked, ops } => self.commit(myself, session, Decider::Mount, acked, ops, traced.as_deref()).await,
            ClientFrame::Request { id, request } => self.request(myself, session, id, request, traced).await,
            ClientFrame::Flush { seq } => {
                // What is durable already the mount has been told, by the welcome or since.
                if self.members.get(&session).is_some_and(|member| member.durable < seq) {
                    // Else the flush that is under way is what they wait for.
                    if self.dirty {
                        self.unflushed_calls.add_waiting(traced.as_deref());
                    }
                    self.maybe_flush(myself, true);
                }
                Ok(())
            }
            ClientFrame::Closed { inodes } => {
                for ino in inodes {
                    if self.open.close(session, ino) {
                        self.purge_if_orphan(myself, ino).await?;
                    }
                }
                Ok(())
            }
            ClientFrame::ResendDone { open } => {
                let open: BTreeSet<Ino> = open.into_iter().take(OPEN_MAX).collect();
                if self.absent.is_outlived(session) && self.is_any_gone(&open).await? {
                    tracing::warn!(workspace = %self.keys.0, %session, "a session comes back, and a file that it has open was removed meanwhile");
                    self.refuse(session);
                    return Ok(());
                }
                self.settle_absent(session).await?;
                let member = self.members.get_mut(&session);
                let orphaned = member.and_then(|member| {
                    member.is_outlived = false;
                    member.resending.take()
                });
                let orphaned = orphaned.unwrap_or_default();
                for ino in self.open.replace(session, &open).into_iter().chain(orphaned) {
                    self.purge_if_orphan(myself, ino).await?;
                }
                self.inodes_resent(myself, session);
                self.settle(session);
                self.purge_waiting_orphans(myself).await
            }
            ClientFrame::Opened { inodes } => {
                let room = OPEN_MAX.saturating_sub(self.open.count(session));
                for ino in inodes.into_iter().take(room) {
                    self.open.open(session, ino);
                }
                Ok(())
            }
            ClientFrame::WantLease => {
                self.want_lease(myself, session);
                Ok(())
            }
            ClientFrame::ClaimLease { epoch } => {
                let effects = self.lease.claim(session, epoch);
                self.perform(myself, effects);
                Ok(())
            }
            ClientFrame::ReturnLease => {
                self.count_inode_holders();
                let effects = self.lease.give_back(session);
                self.perform(myself, effects);
                Ok(())
            }
            ClientFrame::GiveBack { leases, keep_read } => {
                self.inodes_given_back(myself, session, &leases, keep_read);
                Ok(())
            }
            ClientFrame::ClaimLeases { leases } => {
                self.inodes_claimed(myself, session, &leases);
                Ok(())
            }
            ClientFrame::ClaimLocks { held, asked, waiting } => self.claim_locks(session, LockClaims { held, asked, waiting }).await,
            ClientFrame::Heartbeat { .. } | ClientFrame::FenceConfirmed | ClientFrame::Goodbye | ClientFrame::Traced(_) => Ok(()),
        }
    }

    /// Whether one of these inodes has been removed for good.
    async fn is_any_gone(&mut self, inodes: &BTreeSet<Ino>) -> Result<bool, StoreError> {
        for &ino in inodes {
            match self.layers.ask(|view| namespace::attr(view, ino)).await {
                Ok(_) => {}
                Err(Failure::Refused(Errno::ENOENT | Errno::ESTALE)) => return Ok(true),
                Err(failure) => return Err(store_error(failure)),
            }
        }
        Ok(false)
    }
}

pub(super) fn store_error(failure: Failure) -> StoreError {
    match failure {
        Failure::Store(error) => error,
        Failure::Refused(errno) => StoreError::Corrupt { reason: format!("the namespace answers {errno}") },
    }
}
