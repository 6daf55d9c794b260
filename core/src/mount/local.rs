use std::collections::{BTreeSet, VecDeque};

use bytes::{Bytes, BytesMut};

use super::held_leases::HeldLeases;
use super::open_counts::OpenCounts;
use super::traces::Traces;
use crate::SegmentId;
use crate::leases::Kind;
use crate::namespace::{self, Errno, Extent, Ino, Key, Limits, Missing, Mutation, Op, Outcome, Source, Stop};
use crate::protocol::{Answer, ClientFrame, INLINE_MAX_BYTES, NumberedOp, Request};
use crate::replica::Replica;
use crate::session::Outbox;
use crate::trace::TraceContext;

/// The size of a segment, in bytes.
const SEGMENT_BYTES: usize = 8 << 20;
/// When so many ops wait to be sent, they are sent at once rather than with the next heartbeat.
const QUEUE_MAX: usize = 8 << 10;
/// How much one frame of ops carries at the most: so many ops, and so much data in bytes.
const FRAME_OPS: usize = 512;
const FRAME_BYTES: usize = 1 << 20;
/// The most pieces of a file in one answer.
const PIECES_MAX: usize = 1024;
/// How much data may be on its way to segments, in bytes; it is held twice until it has arrived.
const ON_ITS_WAY_MAX: usize = 48 << 20;
/// Memory for what is known of the workspace, in bytes.
const REPLICA_MAX_BYTES: usize = 96 << 20;

/// What a mount knows and decides under leases, on the whole workspace or on single inodes: a replica in which it decides by
/// itself, and what it has decided and not sent yet.
///
/// Always true:
/// - the replica knows something of those inodes only on which there is a lease;
/// - what waits to be sent leaves in the order in which it was numbered, ops without a gap, also those that the node decides;
/// - data leaves either inside its op, when there is little of it, or in a segment that is durable before the op is sent;
/// - the replica holds the bytes themselves until their segment is durable.
#[derive(Debug)]
pub(super) struct Local {
    pub(super) tenure: Tenure,
    pub(super) replica: Replica,
    limits: Limits,
    queue: VecDeque<Queued>,
    /// Data that the queue's ops carry, in bytes.
    queue_bytes: usize,
    parcels: VecDeque<Parcel>,
    /// Data of parcels whose segment is not durable yet, in bytes.
    on_its_way_bytes: usize,
    /// Somebody waits until this op is durable: the node is told so once the op is sent.
    flush_wanted: u64,
}

/// By what right.
#[derive(Debug)]
pub(super) enum Tenure {
    /// The lease of this number on the whole workspace.
    Whole(u64),
    /// Leases on single inodes.
    Inodes(HeldLeases),
}

/// Why an op cannot be decided here, or not yet.
#[derive(Debug)]
pub(super) enum Undecided {
    /// It is refused; that is the answer.
    Refused(Errno),
    /// The replica lacks something.
    Missing(Missing),
    /// It would change these inodes, and that takes leases on them.
    Unleased(Vec<Ino>),
}

impl From<Stop> for Undecided {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Refused(errno) => Self::Refused(errno),
            Stop::Missing(missing) => Self::Missing(missing),
        }
    }
}

/// What waits to be sent.
#[derive(Debug)]
enum Queued {
    /// An op that the node decides.
    Asked(u64),
    /// An op; where its data went, if it brings any.
    Op { seq: u64, written: Option<(Ino, u64)>, data_bytes: usize },
    /// An inode that is open loses its last link with the op behind this.
    Opened(Ino),
    /// An inode that the node knows to be open is not any more.
    Closed(Ino),
}

/// A part of the queue on its way.
#[derive(Debug)]
struct Parcel {
    items: Vec<Queued>,
    /// Where its data is going; `None` once that is durable.
    segment: Option<SegmentId>,
    moves: Vec<Move>,
}

/// Data that goes into a segment.
#[derive(Debug)]
struct Move {
    ino: Ino,
    at: u64,
    data: Bytes,
    block: Source,
}

/// A segment to be put.
#[derive(Debug)]
pub struct Upload {
    /// Its name.
    pub segment: SegmentId,
    /// All of it.
    pub data: Bytes,
    /// The first traced call whose data is in it.
    pub call: Option<TraceContext>,
}

impl Local {
    /// Holds the lease of this number, in a workspace with these quotas.
    pub(super) fn whole(epoch: u64, limits: Limits) -> Self {
        Self::new(Tenure::Whole(epoch), Replica::new(limits.clone()), limits)
    }

    /// Holds leases on single inodes.
    pub(super) fn of_inodes(leases: HeldLeases) -> Self {
        Self::new(Tenure::Inodes(leases), Replica::of_single_inodes(), Limits::default())
    }

    fn new(tenure: Tenure, replica: Replica, limits: Limits) -> Self {
        Self {
            tenure,
            replica,
            limits,
            queue: VecDeque::new(),
            queue_bytes: 0,
            parcels: VecDeque::new(),
            on_its_way_bytes: 0,
            flush_wanted: 0,
        }
    }

    /// The number of the lease on the whole workspace, if it is that.
    pub(super) fn epoch(&self) -> Option<u64> {
        match self.tenure {
            Tenure::Whole(epoch) => Some(epoch),
            Tenure::Inodes(_) => None,
        }
    }

    /// The leases on single inodes, if it is those.
    pub(super) fn leases(&mut self) -> Option<&mut HeldLeases> {
        match &mut self.tenure {
            Tenure::Whole(_) => None,
            Tenure::Inodes(leases) => Some(leases),
        }
    }

    /// Decides an op.
    ///
    /// # Errors
    /// Why it cannot be decided here.
    pub(super) fn commit(&mut self, op: &Op, now_ms: u64, outbox: &mut Outbox, open: &mut OpenCounts) -> Result<Outcome, Undecided> {
        let applied = self.replica.decide(op)?;
        if let Tenure::Inodes(leases) = &mut self.tenure {
            let changed: BTreeSet<Ino> = applied.changes.keys().filter_map(Key::owner).collect();
            let made = op.mutation.creates();
            let unleased: Vec<Ino> =
                changed.iter().copied().filter(|&ino| made != Some(ino) && leases.kind(ino) != Some(Kind::Write)).collect();
            if !unleased.is_empty() {
                return Err(Undecided::Unleased(unleased));
            }
            leases.decided(changed, now_ms);
            if let Some(made) = made {
                leases.made(made, now_ms);
            }
        }
        let seq = outbox.next_seq();
        let outcome = self.replica.take(applied, op, seq);
        for &ino in &outcome.orphaned {
            if !open.is_open(ino) {
                self.replica.purge(ino, seq);
            } else if open.tell(ino) {
                self.queue.push_back(Queued::Opened(ino));
            }
        }
        let written = match (&op.mutation, outcome.written) {
            (Mutation::Write { ino, .. }, Some(written)) if written.len > 0 => Some((*ino, written.offset)),
            _ => None,
        };
        let data_bytes = data_bytes(&op.mutation);
        outbox.push_applied(op.clone());
        self.queue.push_back(Queued::Op { seq, written, data_bytes });
        self.queue_bytes += data_bytes;
        Ok(outcome)
    }

    /// Answers a question to the namespace.
    ///
    /// # Errors
    /// [`Stop`], as the namespace's functions.
    pub(super) fn answer(&self, request: &Request, open: &mut OpenCounts) -> Result<Answer, Stop> {
        let view = &self.replica;
        Ok(match request {
            Request::Lookup { parent, name } => Answer::Attr(namespace::lookup(view, *parent, name)?),
            Request::Attr { ino } => Answer::Attr(namespace::attr(view, *ino)?),
            Request::Open { ino } => {
                let attr = namespace::attr(view, *ino)?;
                open.open(*ino);
                Answer::Attr(attr)
            }
            Request::ReadLink { ino } => Answer::Bytes(namespace::read_link(view, *ino)?),
            Request::ReadDir { dir, after, limit } => {
                Answer::Entries(namespace::read_dir(view, *dir, after.as_ref(), (*limit).max(1) as usize)?)
            }
            Request::Pieces { ino, offset, len } => {
                let (attr, pieces) = view.pieces(*ino, *offset, *len, PIECES_MAX)?;
                let more = pieces.len() == PIECES_MAX;
                Answer::Pieces { attr, pieces, more }
            }
            Request::Xattr { ino, name } => Answer::Bytes(namespace::xattr(view, *ino, name)?),
            Request::XattrNames { ino } => Answer::Names(namespace::xattr_names(view, *ino)?),
            Request::Usage => Answer::Usage { usage: namespace::usage(view)?, bytes: self.limits.bytes, inodes: self.limits.inodes },
            // Only the node can answer these; see `is_local`.
            Request::ReserveInodes
            | Request::Fetch(_)
            | Request::Learn { .. }
            | Request::Acquire { .. }
            | Request::Lock { .. }
            | Request::Unlock { .. }
            | Request::TestLock(_)
            | Request::CancelLock { .. } => return Err(Errno::EINVAL.into()),
        })
    }

    /// The last handle of an inode is closed.
    pub(super) fn closed(&mut self, ino: Ino, open: &mut OpenCounts, last_seq: u64) {
        if open.untell(ino) {
            self.queue.push_back(Queued::Closed(ino));
        }
        self.replica.purge(ino, last_seq);
    }

    /// An op was numbered that the node decides: it leaves behind what was decided here before.
    pub(super) fn asked(&mut self, seq: u64) {
        self.queue.push_back(Queued::Asked(seq));
    }

    /// Before what comes the node is told that these are open.
    pub(super) fn opened(&mut self, inodes: Vec<Ino>) {
        self.queue.extend(inodes.into_iter().map(Queued::Opened));
    }

    /// A new stream says what is open: of what was closed and opened again meanwhile the node does not hear that it was closed.
    pub(super) fn reopened(&mut self, is_open: impl Fn(Ino) -> bool) {
        let stays = |item: &Queued| !matches!(item, Queued::Closed(ino) if is_open(*ino));
        self.queue.retain(stays);
        self.parcels.iter_mut().for_each(|parcel| parcel.items.retain(stays));
    }

    /// Inodes that programs have closed and of which the node hears only behind ops that wait here: for these ops it has to
    /// take them for open.
    pub(super) fn closing(&self) -> Vec<Ino> {
        let items = self.queue.iter().chain(self.parcels.iter().flat_map(|parcel| &parcel.items));
        items.filter_map(|item| if let Queued::Closed(ino) = item { Some(*ino) } else { None }).collect()
    }

    /// Whether so much waits that it should leave now.
    pub(super) fn is_full(&self) -> bool {
        self.queue_bytes >= SEGMENT_BYTES || self.queue.len() >= QUEUE_MAX
    }

    /// Whether everything that was decided has been sent.
    pub(super) fn is_drained(&self) -> bool {
        self.queue.is_empty() && self.parcels.is_empty()
    }

    /// Whether more may be decided: the data of what was decided before is not too much to hold.
    pub(super) fn has_room(&self) -> bool {
        self.on_its_way_bytes < ON_ITS_WAY_MAX
    }

    /// Somebody waits until this op is durable.
    pub(super) fn want_flush(&mut self, seq: u64) {
        self.flush_wanted = self.flush_wanted.max(seq);
    }

    /// Puts what waits into parcels, all of it or as much as fills segments. Answers the segments that must be durable
    /// before their parcels may leave.
    pub(super) fn cut(
        &mut self,
        everything: bool,
        outbox: &mut Outbox,
        traces: &Traces,
        mut new_segment: impl FnMut() -> SegmentId,
    ) -> Vec<Upload> {
        if everything && self.queue_bytes <= INLINE_MAX_BYTES {
            if !self.queue.is_empty() {
                self.queue_bytes = 0;
                self.parcels.push_back(Parcel { items: self.queue.drain(..).collect(), segment: None, moves: Vec::new() });
            }
            return Vec::new();
        }
        let mut uploads = Vec::new();
        while !self.queue.is_empty() && (everything || self.is_full()) {
            uploads.extend(self.cut_one(outbox, traces, &mut new_segment));
        }
        uploads
    }

    /// One parcel, whose data is one segment.
    fn cut_one(&mut self, outbox: &mut Outbox, traces: &Traces, new_segment: &mut impl FnMut() -> SegmentId) -> Option<Upload> {
        let mut items = Vec::new();
        let mut bytes = 0;
        while let Some(item) = self.queue.front() {
            let more = if let Queued::Op { data_bytes, .. } = item { *data_bytes } else { 0 };
            if bytes > 0 && bytes + more > SEGMENT_BYTES {
                break;
            }
            bytes += more;
            items.extend(self.queue.pop_front());
        }
        self.queue_bytes = self.queue_bytes.saturating_sub(bytes);
        if bytes == 0 {
            self.parcels.push_back(Parcel { items, segment: None, moves: Vec::new() });
            return None;
        }
        let segment = new_segment();
        let mut data = BytesMut::with_capacity(bytes);
        let mut moves = Vec::new();
        for item in &items {
            let Queued::Op { seq, written: Some((ino, at)), .. } = *item else { continue };
            outbox.move_data(seq, |extents| {
                let mut at = at;
                for extent in extents {
                    let len = u64::from(extent.len);
                    if let Some(moved) = pack(segment, ino, at, extent, &mut data) {
                        moves.push(moved);
                    }
                    at += len;
                }
            });
        }
        let ops = items.iter().filter_map(|item| match item {
            Queued::Op { seq, data_bytes, .. } if *data_bytes > 0 => Some(*seq),
            _ => None,
        });
        let call = ops.filter_map(|seq| traces.call(seq)).next();
        self.parcels.push_back(Parcel { items, segment: Some(segment), moves });
        self.on_its_way_bytes += data.len();
        Some(Upload { segment, data: data.freeze(), call })
    }

    /// A segment is durable: its parcel may leave when it is its turn. Answers the blocks in it, to be kept for readers.
    pub(super) fn uploaded(&mut self, segment: SegmentId) -> Vec<(Source, Bytes)> {
        let Some(parcel) = self.parcels.iter_mut().find(|parcel| parcel.segment == Some(segment)) else { return Vec::new() };
        parcel.segment = None;
        let mut blocks = Vec::new();
        for Move { ino, at, data, block } in parcel.moves.drain(..) {
            self.on_its_way_bytes -= data.len();
            self.replica.repoint(ino, at, &data, &block);
            blocks.push((block, data));
        }
        blocks
    }

    /// The frames that may leave now, and the last op in them.
    pub(super) fn frames(&mut self, outbox: &Outbox) -> (Vec<ClientFrame>, Option<u64>) {
        let mut frames = Frames { acked: outbox.acked(), ..Frames::default() };
        while self.parcels.front().is_some_and(|parcel| parcel.segment.is_none())
            && let Some(parcel) = self.parcels.pop_front()
        {
            for item in parcel.items {
                match item {
                    Queued::Op { seq, .. } => frames.op(outbox.get(seq), outbox.is_decided(seq)),
                    Queued::Asked(seq) => frames.op(outbox.get(seq), false),
                    Queued::Opened(ino) => frames.other(ClientFrame::Opened { inodes: vec![ino] }),
                    Queued::Closed(ino) => frames.other(ClientFrame::Closed { inodes: vec![ino] }),
                }
            }
        }
        let last = frames.last;
        if self.flush_wanted > 0 && last.is_some_and(|last| last >= self.flush_wanted) {
            frames.other(ClientFrame::Flush { seq: self.flush_wanted });
            self.flush_wanted = 0;
        }
        frames.end_ops();
        (frames.frames, last)
    }

    /// Keeps the memory of the replica within its bound. The node has applied the ops up to `applied`.
    pub(super) fn trim(&mut self, applied: u64, open: &OpenCounts) {
        if self.replica.bytes() > REPLICA_MAX_BYTES {
            self.replica.evict(REPLICA_MAX_BYTES / 4 * 3, applied, |ino| open.is_open(ino));
        }
    }
}

/// Whether a question is one to the namespace, which the holder of the lease answers itself.
pub(super) fn is_local(request: &Request) -> bool {
    let is_fetched = matches!(request, Request::ReserveInodes | Request::Fetch(_) | Request::Learn { .. } | Request::Acquire { .. });
    !is_fetched && !request.is_about_locks()
}

/// The data that an op carries, in bytes.
fn data_bytes(mutation: &Mutation) -> usize {
    let Mutation::Write { extents, .. } = mutation else { return 0 };
    extents.iter().map(|extent| if let Source::Inline { data, .. } = &extent.source { data.len() } else { 0 }).sum()
}

/// Whether an op carries more data than the node takes inside an op.
pub(super) fn is_oversized(mutation: &Mutation) -> bool {
    data_bytes(mutation) > INLINE_MAX_BYTES
}

/// Moves the bytes of an extent into a segment.
fn pack(segment: SegmentId, ino: Ino, at: u64, extent: &mut Extent, into: &mut BytesMut) -> Option<Move> {
    let Source::Inline { data, checksums } = &extent.source else { return None };
    let (data, checksums) = (data.clone(), checksums.clone());
    let block = Source::Block { segment, block_offset: into.len() as u32, block_len: extent.len, checksums, skip: 0 };
    into.extend_from_slice(&data);
    extent.source = block.clone();
    Some(Move { ino, at, data, block })
}

/// Moves the data of a single op into a segment of its own.
pub(super) fn pack_alone(segment: SegmentId, mutation: &mut Mutation) -> Upload {
    let mut data = BytesMut::with_capacity(data_bytes(mutation));
    if let Mutation::Write { ino, extents, .. } = mutation {
        for extent in extents {
            pack(segment, *ino, 0, extent, &mut data);
        }
    }
    Upload { segment, data: data.freeze(), call: None }
}

/// A frame of ops.
pub(super) fn ops_frame(are_decided: bool, acked: u64, ops: Vec<NumberedOp>) -> ClientFrame {
    if are_decided { ClientFrame::Decided { acked, ops } } else { ClientFrame::Commit { acked, ops } }
}

/// Frames in the making.
#[derive(Default)]
struct Frames {
    frames: Vec<ClientFrame>,
    acked: u64,
    ops: Vec<NumberedOp>,
    /// Whether this mount has decided those.
    are_decided: bool,
    bytes: usize,
    last: Option<u64>,
}

impl Frames {
    fn op(&mut self, op: Option<&NumberedOp>, is_decided: bool) {
        let Some(op) = op else { return };
        let data_bytes = data_bytes(&op.op.mutation);
        if std::mem::replace(&mut self.are_decided, is_decided) != is_decided && !self.ops.is_empty() {
            self.end_ops_as(!is_decided);
        }
        if self.ops.len() >= FRAME_OPS || (self.bytes > 0 && self.bytes + data_bytes > FRAME_BYTES) {
            self.end_ops();
        }
        self.bytes += data_bytes;
        self.last = Some(op.seq);
        self.ops.push(op.clone());
    }

    fn other(&mut self, frame: ClientFrame) {
        self.end_ops();
        self.frames.push(frame);
    }

    fn end_ops(&mut self) {
        self.end_ops_as(self.are_decided);
    }

    fn end_ops_as(&mut self, are_decided: bool) {
        self.bytes = 0;
        if !self.ops.is_empty() {
            self.frames.push(ops_frame(are_decided, self.acked, std::mem::take(&mut self.ops)));
        }
    }
}

#[cfg(test)]
#[path = "local_tests.rs"]
mod tests;
