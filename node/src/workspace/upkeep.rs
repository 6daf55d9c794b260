//! What a workspace's actor does beside ops: packing small data, rewriting sparse segments, deleting dead ones, collecting
//! objects that nothing names. `docs/design/0006` says why it is done so.
//!
//! What always holds:
//! - The actor never waits for an object. Reading, packing and putting go on in one errand at a time, a task that sends
//!   back what it wants changed; what the actor then does is small and between two ops.
//! - An object is deleted only when the store says that nothing lies in it, a grace has passed in which every writer was
//!   connected, and no check is under way (`collection.rs`).
//! - Nothing here is needed for correctness: what fails is tried again, and a node that dies at any point leaves objects
//!   that the next life collects.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use artifacts_core::SegmentId;
use artifacts_core::namespace::{Amendment, Ino, Relocation};
use ractor::{ActorRef, RpcReplyPort};
use tokio::task::AbortHandle;

use super::actor::WorkspaceState;
use super::message::WorkspaceMessage;
use super::snapshot::Snapshot;
use super::visit::VisitReply;
use crate::store::StoreError;

/// When the node tidies up.
#[derive(Debug, Clone)]
pub struct UpkeepRules {
    /// How often it looks whether there is something to do.
    pub tick: Duration,
    /// Small data that has not changed for so long is packed...
    pub settle: Duration,
    /// ... when there is so much of it, in bytes,
    pub pack_bytes: u64,
    /// or when it has waited for so long.
    pub pack_after: Duration,
    /// How often sparse segments are looked for.
    pub compact_every: Duration,
    /// How many dead bytes in sparse segments make it worth to read all extents.
    pub reclaim_bytes: u64,
    /// How long a dead segment is kept for readers that have just learnt where it is.
    pub grace: Duration,
    /// How often objects are listed.
    pub list_every: Duration,
    /// How long nothing may have named an object before it is deleted.
    pub orphan_age: Duration,
    /// A writer that has been away for longer than this is not waited for.
    pub absence_max: Duration,
}

impl Default for UpkeepRules {
    fn default() -> Self {
        Self {
            tick: Duration::from_secs(1),
            settle: Duration::from_secs(2),
            pack_bytes: 1 << 20,
            pack_after: Duration::from_secs(30),
            compact_every: Duration::from_secs(600),
            reclaim_bytes: 8 << 20,
            grace: Duration::from_secs(60),
            list_every: Duration::from_secs(900),
            orphan_age: Duration::from_secs(3600),
            absence_max: Duration::from_secs(24 * 3600),
        }
    }
}

/// Whether a session that may write is not connected, other than those that have been away for longer than this.
pub(crate) type AbsentWriters = Arc<dyn Fn(Duration) -> bool + Send + Sync>;

/// What the actor is told about upkeep.
#[derive(Debug)]
pub(crate) enum UpkeepMessage {
    /// Time to look.
    Tick,
    /// The dead segments that earlier lives left on record.
    Left(Vec<SegmentId>),
    /// A segment was put; these stretches lie in it from now on, unless they have changed. Answers how many do.
    Relocate { segment: SegmentId, left: VecDeque<Relocation>, moved: u64, reply: RpcReplyPort<Result<u64, StoreError>> },
    /// The errand is over.
    ErrandDone(Errand, Result<(), StoreError>),
    /// Blocks of these segments do not match their checksums.
    Rotten(Vec<SegmentId>),
    /// All objects have been listed; these are named by no record.
    Unnamed(Vec<SegmentId>),
    /// The objects of these segments are gone, or are not (`false`).
    Deleted(Vec<(SegmentId, bool)>),
    /// Go on removing orphans.
    Purge,
    /// Those that lost their last link a while ago may go.
    EndLingering,
    /// A check begins: what is stored now stays readable.
    OpenSnapshot(RpcReplyPort<Result<Arc<Snapshot>, StoreError>>),
    /// It is over.
    CloseSnapshot,
    /// Put a count right.
    Amend(Amendment, RpcReplyPort<Result<bool, StoreError>>),
    /// Which of these objects have been named by nothing for so long that they may go.
    Overdue(Vec<SegmentId>, RpcReplyPort<Vec<SegmentId>>),
    /// Delete those of them that may go now; answers which are being deleted.
    Collect(Vec<SegmentId>, RpcReplyPort<Vec<SegmentId>>),
}

/// What goes on in the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Errand {
    /// Reading what earlier lives left.
    Recall,
    /// Packing small data of which the actor knows.
    Pack,
    /// Reading all extents for small data that nobody remembers.
    PackAll,
    /// Rewriting sparse segments.
    Compact,
    /// Listing objects.
    List,
}

/// The actor's memory of upkeep. Times are the node's monotonic clock.
pub(super) struct Upkeep {
    pub(super) absent_writers: AbsentWriters,
    /// The last moment at which a writer was away or ops waited.
    pub(super) restless_ms: u64,
    due_ms: Option<u64>,
    pub(super) errand: Option<(Errand, AbortHandle)>,
    /// No errand begins before.
    pub(super) not_before_ms: u64,
    pub(super) recalled: bool,
    /// Small data in the store: since when, and how long it is.
    pub(super) unpacked: BTreeMap<(Ino, u64), (u64, u32)>,
    /// What the errand under way packs of it.
    pub(super) packing: BTreeMap<(Ino, u64), (u64, u32)>,
    /// There may be small data that is not remembered.
    pub(super) pack_all: bool,
    /// Whether the store has the mark that small data waits.
    pub(super) marked: bool,
    pub(super) changed: bool,
    pub(super) compact_due_ms: u64,
    /// Segments with a block that does not match its checksum; they are left alone.
    pub(super) rotten: BTreeSet<SegmentId>,
    /// Died in the flush under way.
    pub(super) dying: Vec<SegmentId>,
    /// Dead, and since when.
    pub(super) graves: BTreeMap<SegmentId, u64>,
    /// To be taken off the record with the next flush.
    pub(super) exhumed: Vec<SegmentId>,
    /// Objects that nothing names, and since when that is known.
    pub(super) suspects: BTreeMap<SegmentId, u64>,
    pub(super) list_due_ms: u64,
    /// Inodes that may be orphans nobody has open.
    pub(super) purging: VecDeque<(Ino, u64)>,
    pub(super) purge_scheduled: bool,
    /// Those that lost their last link lately, the younger and the elder.
    pub(super) lingering: [Vec<Ino>; 2],
    pub(super) linger_scheduled: bool,
    pub(super) snapshot: Option<Arc<Snapshot>>,
    pub(super) snapshot_wanted: Vec<RpcReplyPort<Result<Arc<Snapshot>, StoreError>>>,
    /// Who wants to copy the workspace, and waits for the end of another snapshot.
    pub(super) waiting_to_freeze: Vec<VisitReply>,
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        if let Some((_, task)) = &self.errand {
            task.abort();
        }
    }
}

impl Upkeep {
    /// `unpacked`: whether the store has the mark that small data waits.
    pub(super) fn new(absent_writers: AbsentWriters, rules: &UpkeepRules, now_ms: u64, unpacked: bool) -> Self {
        Self {
            absent_writers,
            restless_ms: now_ms,
            due_ms: None,
            errand: None,
            not_before_ms: 0,
            recalled: false,
            unpacked: BTreeMap::new(),
            packing: BTreeMap::new(),
            pack_all: unpacked,
            marked: unpacked,
            changed: false,
            compact_due_ms: now_ms + millis(rules.compact_every),
            rotten: BTreeSet::new(),
            dying: Vec::new(),
            graves: BTreeMap::new(),
            exhumed: Vec::new(),
            suspects: BTreeMap::new(),
            list_due_ms: now_ms + millis(rules.list_every),
            purging: VecDeque::new(),
            purge_scheduled: false,
            lingering: Default::default(),
            linger_scheduled: false,
            snapshot: None,
            snapshot_wanted: Vec::new(),
            waiting_to_freeze: Vec::new(),
        }
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

/// How much longer than a tick it is until the next look when nothing is urgent.
const IDLE_TICKS: u32 = 30;
/// How many ticks long no errand begins after one that failed.
const AFTER_FAILURE_TICKS: u32 = 10;

impl WorkspaceState {
    pub(super) fn rules(&self) -> &UpkeepRules {
        &self.context.config.upkeep
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.context.clock.monotonic_ms()
    }

    /// Sees to it that the next look comes in time.
    pub(super) fn schedule_upkeep(&mut self, myself: &ActorRef<WorkspaceMessage>) {
        let upkeep = &self.upkeep;
        let urgent = !upkeep.recalled || upkeep.pack_all || !upkeep.unpacked.is_empty() || !upkeep.graves.is_empty();
        if !urgent && upkeep.suspects.is_empty() && !upkeep.changed && self.members.is_empty() {
            return;
        }
        let tick = self.rules().tick;
        let pause = if urgent { tick } else { tick * IDLE_TICKS };
        let due_ms = self.now_ms() + millis(pause);
        if self.upkeep.due_ms.is_none_or(|known| known > due_ms) {
            self.upkeep.due_ms = Some(due_ms);
            myself.send_after(pause, || WorkspaceMessage::Upkeep(UpkeepMessage::Tick));
        }
    }

    /// Works off one message. What fails here is logged and tried again; it never stops the actor.
    pub(super) async fn upkeep(&mut self, myself: &ActorRef<WorkspaceMessage>, message: UpkeepMessage) -> Result<(), StoreError> {
        match message {
            UpkeepMessage::Tick => self.look(myself).await,
            UpkeepMessage::Left(dead) => self.remember(dead),
            UpkeepMessage::Relocate { segment, left, moved, reply } => self.relocate(myself, segment, left, moved, reply).await,
            UpkeepMessage::ErrandDone(errand, result) => self.errand_done(errand, &result),
            UpkeepMessage::Rotten(segments) => self.upkeep.rotten.extend(segments),
            UpkeepMessage::Unnamed(segments) => self.suspect(segments).await,
            UpkeepMessage::Deleted(outcomes) => self.deleted(outcomes),
            UpkeepMessage::Purge => {
                self.upkeep.purge_scheduled = false;
                self.purge_some(myself).await?;
            }
            UpkeepMessage::EndLingering => self.end_lingering(myself).await?,
            UpkeepMessage::OpenSnapshot(reply) => {
                self.upkeep.snapshot_wanted.push(reply);
                self.open_snapshot();
            }
            UpkeepMessage::CloseSnapshot => self.close_snapshot(myself),
            UpkeepMessage::Amend(amendment, reply) => {
                let amended = self.amend(myself, &amendment).await;
                let _ = reply.send(amended);
            }
            UpkeepMessage::Overdue(segments, reply) => {
                let overdue = segments.into_iter().filter(|segment| self.is_overdue(*segment)).collect();
                let _ = reply.send(overdue);
            }
            UpkeepMessage::Collect(segments, reply) => {
                let collected = self.collect_unnamed(myself, segments).await;
                let _ = reply.send(collected);
            }
        }
        self.schedule_upkeep(myself);
        Ok(())
    }

    async fn look(&mut self, myself: &ActorRef<WorkspaceMessage>) {
        self.upkeep.due_ms = None;
        let now_ms = self.now_ms();
        let something_may_go = !self.upkeep.graves.is_empty() || !self.upkeep.suspects.is_empty();
        let is_restless = || self.recovery.is_some() || self.has_held_back() || (self.upkeep.absent_writers)(self.rules().absence_max);
        if something_may_go && is_restless() {
            self.upkeep.restless_ms = now_ms;
        }
        self.collect_dead(myself).await;
        self.collect_overdue(myself).await;
        if self.upkeep.errand.is_some() || now_ms < self.upkeep.not_before_ms || self.recovery.is_some() || self.falls_behind() {
            return;
        }
        if !self.upkeep.recalled {
            self.begin_recall(myself);
        } else if self.upkeep.pack_all {
            self.begin_packing_all(myself);
        } else if !self.begin_packing(myself) {
            if self.upkeep.changed && now_ms >= self.upkeep.compact_due_ms {
                self.begin_compaction(myself);
            } else if now_ms >= self.upkeep.list_due_ms {
                self.begin_listing(myself);
            }
        }
    }

    /// Runs an errand in the background.
    pub(super) fn begin(
        &mut self,
        myself: &ActorRef<WorkspaceMessage>,
        errand: Errand,
        work: impl Future<Output = Result<(), StoreError>> + Send + 'static,
    ) {
        let actor = myself.clone();
        let task = tokio::spawn(async move {
            let result = work.await;
            let _ = actor.cast(WorkspaceMessage::Upkeep(UpkeepMessage::ErrandDone(errand, result)));
        });
        self.upkeep.errand = Some((errand, task.abort_handle()));
    }

    fn errand_done(&mut self, errand: Errand, result: &Result<(), StoreError>) {
        let now_ms = self.now_ms();
        self.upkeep.errand = None;
        if let Err(error) = result {
            tracing::warn!(workspace = %self.keys.0, ?errand, %error, "upkeep failed and is tried again");
            metrics::counter!("artifacts_upkeep_failures_total").increment(1);
            self.upkeep.not_before_ms = now_ms + millis(self.rules().tick * AFTER_FAILURE_TICKS);
        }
        let failed = result.is_err();
        match errand {
            Errand::Recall => self.upkeep.recalled = !failed,
            Errand::Pack => self.packed(failed),
            Errand::PackAll => self.upkeep.pack_all |= failed,
            Errand::Compact => self.upkeep.changed |= failed,
            Errand::List => {}
        }
    }
}
