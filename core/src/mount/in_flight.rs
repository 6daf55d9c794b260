use std::collections::BTreeMap;

use super::lag::Lag;
use super::local::ops_frame;
use super::open_counts::OpenCounts;
use crate::hashing::HashMap;
use crate::namespace::{Errno, Ino, Mutation, Op, Outcome};
use crate::protocol::{Answer, ClientFrame, NumberedOp, OpResult, Request};
use crate::session::{Disposition, Outbox};

/// The outbox takes no more above this, until something in it is durable. In bytes.
const OUTBOX_MAX_BYTES: usize = 64 << 20;
/// Nor above so many ops.
const OUTBOX_MAX_OPS: usize = 64 << 10;
/// Nor above so many ops that have not been sent.
const UNSENT_MAX_OPS: u64 = 16 << 10;
/// How much one frame of a resend carries, far below the limit on frames.
const RESEND_BYTES: usize = 1 << 20;
const RESEND_OPS: usize = 512;

/// A wait that has come to its end.
#[derive(Debug)]
pub enum Settled<O, R, D> {
    /// An op has been applied or refused.
    Applied(O, Result<Box<Outcome>, Errno>),
    /// A request has been answered.
    Answered(R, Result<Answer, Errno>),
    /// Everything up to some op is durable, or will not be known to be.
    Durable(D, Result<(), Errno>),
}

#[derive(Debug)]
struct Waiting<W> {
    since_ms: u64,
    waiter: W,
}

#[derive(Debug)]
struct Asked<R> {
    since_ms: u64,
    request: Request,
    waiter: R,
}

/// The inodes that an op may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MayChange {
    These(Vec<Ino>),
    Any,
}

/// Everything that is under way between the mount and the node, whichever stream carries it. `O` waits for ops, `R`
/// for requests, `D` for durability.
///
/// What waits is settled exactly once: by the node's answer, by [`InFlight::interrupt`], or by
/// [`InFlight::expire`]. An op whose waiter was sent away stays in the outbox and may still take effect.
#[derive(Debug)]
pub(super) struct InFlight<O, R, D> {
    pub(super) outbox: Outbox,
    /// The last op that was sent; those behind it were decided under the lease and wait.
    sent: u64,
    lag: Lag,
    /// Ops that the node has still to decide, and what each may change.
    undecided: BTreeMap<u64, MayChange>,
    /// The newest watermark the node has named; the outbox follows it as results come in.
    node_durable: u64,
    flush_asked: u64,
    ops: HashMap<u64, Waiting<O>>,
    /// By number, which is their order.
    requests: BTreeMap<u32, Asked<R>>,
    next_request: u32,
    durable: BTreeMap<u64, Vec<Waiting<D>>>,
    /// Which inodes are open.
    pub(super) open: OpenCounts,
    /// Errors that the next fsync or close of an inode reports.
    losses: BTreeMap<Ino, Errno>,
    interrupted: Option<Errno>,
}

impl<O, R, D> Default for InFlight<O, R, D> {
    fn default() -> Self {
        Self {
            outbox: Outbox::default(),
            sent: 0,
            lag: Lag::default(),
            undecided: BTreeMap::new(),
            node_durable: 0,
            flush_asked: 0,
            ops: HashMap::default(),
            requests: BTreeMap::new(),
            next_request: 0,
            durable: BTreeMap::new(),
            open: OpenCounts::default(),
            losses: BTreeMap::new(),
            interrupted: None,
        }
    }
}

impl<O, R, D> InFlight<O, R, D> {
    /// Whether the outbox takes another op: what is not durable takes a bounded amount of memory, and whoever recalls a lease
    /// waits a bounded time until the node has all that was decided under it.
    pub(super) fn has_room(&self, now_ms: u64) -> bool {
        self.outbox.bytes() < OUTBOX_MAX_BYTES
            && self.outbox.len() < OUTBOX_MAX_OPS
            && self.outbox.last_seq() - self.sent < UNSENT_MAX_OPS
            && !self.lag.is_long(now_ms)
    }

    /// An op is numbered that the node is to decide. It is to be sent when it is its turn ([`InFlight::sent`]).
    ///
    /// # Errors
    /// The waiter comes back when nothing may wait now.
    pub(super) fn commit(&mut self, op: Op, may_change: MayChange, waiter: O, now_ms: u64) -> Result<u64, (O, Errno)> {
        if let Some(errno) = self.interrupted {
            return Err((waiter, errno));
        }
        let seq = self.outbox.push(op).seq;
        self.undecided.insert(seq, may_change);
        self.ops.insert(seq, Waiting { since_ms: now_ms, waiter });
        Ok(seq)
    }

    /// Whether the node has still to decide an op of this mount.
    pub(super) fn has_undecided(&self) -> bool {
        !self.undecided.is_empty()
    }

    /// Whether the node has not said yet what came of this op.
    pub(super) fn is_undecided(&self, seq: u64) -> bool {
        self.undecided.contains_key(&seq)
    }

    /// Whether an op that the node has still to decide may change this inode: then another mount may see it as it will be.
    pub(super) fn may_change(&self, ino: Ino) -> bool {
        self.undecided.values().any(|may_change| match may_change {
            MayChange::These(inodes) => inodes.contains(&ino),
            MayChange::Any => true,
        })
    }

    /// A request is to be sent. One that opens an inode counts it as open, unless it fails.
    ///
    /// # Errors
    /// As for [`InFlight::commit`].
    pub(super) fn ask(&mut self, request: Request, waiter: R, now_ms: u64) -> Result<ClientFrame, (R, Errno)> {
        if let Some(errno) = self.interrupted {
            return Err((waiter, errno));
        }
        if let Request::Open { ino } = request {
            self.open.open_told(ino);
        }
        while self.requests.contains_key(&self.next_request) {
            self.next_request = self.next_request.wrapping_add(1);
        }
        let id = self.next_request;
        self.next_request = id.wrapping_add(1);
        self.requests.insert(id, Asked { since_ms: now_ms, request: request.clone(), waiter });
        Ok(ClientFrame::Request { id, request })
    }

    /// Somebody wants everything up to `seq` to be durable. Answers what to send, if anything; the waiter comes
    /// back when there is nothing to wait for or nothing may wait.
    pub(super) fn wait_durable(&mut self, seq: u64, waiter: D, now_ms: u64) -> Result<Option<ClientFrame>, (D, Result<(), Errno>)> {
        if let Some(errno) = self.interrupted {
            return Err((waiter, Err(errno)));
        }
        if seq <= self.outbox.durable() || self.outbox.is_empty() {
            return Err((waiter, Ok(())));
        }
        self.durable.entry(seq).or_default().push(Waiting { since_ms: now_ms, waiter });
        let ask = seq > self.flush_asked;
        self.flush_asked = self.flush_asked.max(seq);
        Ok(ask.then_some(ClientFrame::Flush { seq }))
    }

    /// Ops that were decided under the lease have been sent, up to this one.
    pub(super) fn sent(&mut self, seq: u64, now_ms: u64) {
        if seq > self.sent {
            self.sent = seq;
            self.lag.sent(seq, now_ms);
        }
    }

    /// Whether this op has been sent.
    pub(super) fn is_sent(&self, seq: u64) -> bool {
        seq <= self.sent
    }

    /// The last op that has been sent.
    pub(super) fn last_sent(&self) -> u64 {
        self.sent
    }

    /// The number of the last op.
    pub(super) fn last_seq(&self) -> u64 {
        self.outbox.last_seq()
    }

    /// Results of ops have come. Answers those ops that came to nothing although they had been answered.
    pub(super) fn applied(&mut self, results: Vec<OpResult>, settled: &mut Vec<Settled<O, R, D>>) -> Vec<(Op, Errno)> {
        let mut lost = Vec::new();
        for result in results {
            self.undecided.remove(&result.seq);
            let disposition = self.outbox.applied(&result);
            match disposition {
                Disposition::Answer(result_of_op) => {
                    if let Some(waiting) = self.ops.remove(&result.seq) {
                        settled.push(Settled::Applied(waiting.waiter, result_of_op.map(Box::new)));
                    }
                }
                Disposition::LostAfterAnswer(op, errno) => {
                    for ino in touched(&op.mutation) {
                        self.losses.insert(ino, errno);
                    }
                    lost.push((*op, errno));
                }
                Disposition::Nothing => {}
            }
        }
        self.lag.applied(self.outbox.acked());
        self.advance(settled);
        lost
    }

    /// The node says that everything up to `seq` is durable.
    pub(super) fn durable(&mut self, seq: u64, settled: &mut Vec<Settled<O, R, D>>) {
        self.node_durable = self.node_durable.max(seq);
        self.advance(settled);
    }

    fn advance(&mut self, settled: &mut Vec<Settled<O, R, D>>) {
        self.outbox.set_durable(self.node_durable);
        let reached = self.outbox.durable();
        while let Some(entry) = self.durable.first_entry()
            && *entry.key() <= reached
        {
            settled.extend(entry.remove().into_iter().map(|waiting| Settled::Durable(waiting.waiter, Ok(()))));
        }
    }

    /// A request has been answered. An answer to none is ignored: its waiter was sent away.
    pub(super) fn answered(&mut self, id: u32, result: Result<Answer, Errno>, settled: &mut Vec<Settled<O, R, D>>) {
        let Some(asked) = self.requests.remove(&id) else { return };
        if let (Request::Open { ino }, Err(_)) = (&asked.request, &result) {
            self.open.close(*ino);
        }
        settled.push(Settled::Answered(asked.waiter, result));
    }

    /// What a new stream of this session begins with, on a mount that holds the lease of this number, or none, and these
    /// locks. Inodes that are `closing` were closed, and ops on them are still to be sent.
    ///
    /// A mount that holds no lease says so last. The node may not know it (the stream broke before `ReturnLease` arrived), and
    /// goes on with what waited as soon as it does: by then it has to have all that was decided, and all that is open.
    pub(super) fn resume(&mut self, lease: Option<u64>, closing: &[Ino], locks: ClientFrame) -> Vec<ClientFrame> {
        let acked = self.outbox.acked();
        // Whatever else is closed by now is simply not in the list.
        let mut open = self.open.tell_anew();
        open.extend(closing);
        let mut frames = Vec::new();
        if let Some(epoch) = lease {
            // Ops that are sent again may take the last link of what is open here.
            frames.extend([ClientFrame::ClaimLease { epoch }, ClientFrame::Opened { inodes: open.clone() }]);
        }
        frames.push(locks);
        let mut ops: Vec<NumberedOp> = Vec::new();
        let (mut bytes, mut are_decided) = (0, false);
        for op in self.outbox.resend(self.sent) {
            let op_bytes = data_bytes(&op.op.mutation);
            let is_decided = self.outbox.is_decided(op.seq);
            if !ops.is_empty() && (bytes + op_bytes > RESEND_BYTES || ops.len() == RESEND_OPS || is_decided != are_decided) {
                frames.push(ops_frame(are_decided, acked, std::mem::take(&mut ops)));
                bytes = 0;
            }
            bytes += op_bytes;
            are_decided = is_decided;
            ops.push(op);
        }
        if !ops.is_empty() {
            frames.push(ops_frame(are_decided, acked, ops));
        }
        frames.push(ClientFrame::ResendDone { open });
        frames.extend(self.requests.iter().map(|(&id, asked)| ClientFrame::Request { id, request: asked.request.clone() }));
        if let Some((&seq, _)) = self.durable.last_key_value() {
            frames.push(ClientFrame::Flush { seq });
        }
        if lease.is_none() {
            frames.push(ClientFrame::ReturnLease);
        }
        frames
    }

    /// Ends every wait with this errno, and every one that begins from now on.
    pub(super) fn interrupt(&mut self, errno: Errno) -> Vec<Settled<O, R, D>> {
        self.interrupted = Some(errno);
        self.end_waits(|_| true, errno)
    }

    /// Waits may begin again.
    pub(super) fn revive(&mut self) {
        self.interrupted = None;
    }

    /// What [`InFlight::interrupt`] said, until [`InFlight::revive`].
    pub(super) fn interrupted(&self) -> Option<Errno> {
        self.interrupted
    }

    /// Ends the waits that began before this instant.
    pub(super) fn expire(&mut self, before_ms: u64) -> Vec<Settled<O, R, D>> {
        self.end_waits(|since_ms| since_ms < before_ms, Errno::EIO)
    }

    fn end_waits(&mut self, ends: impl Fn(u64) -> bool, errno: Errno) -> Vec<Settled<O, R, D>> {
        let mut settled = Vec::new();
        settled.extend(
            self.ops.extract_if(|_, waiting| ends(waiting.since_ms)).map(|(_, waiting)| Settled::Applied(waiting.waiter, Err(errno))),
        );
        let (ended, requests) = std::mem::take(&mut self.requests).into_iter().partition(|(_, asked)| ends(asked.since_ms));
        self.requests = requests;
        let ended: BTreeMap<u32, Asked<R>> = ended;
        for asked in ended.into_values() {
            if let Request::Open { ino } = asked.request {
                self.open.close(ino);
            }
            settled.push(Settled::Answered(asked.waiter, Err(errno)));
        }
        for waits in self.durable.values_mut() {
            settled
                .extend(waits.extract_if(.., |waiting| ends(waiting.since_ms)).map(|waiting| Settled::Durable(waiting.waiter, Err(errno))));
        }
        self.durable.retain(|_, waits| !waits.is_empty());
        settled
    }

    /// The error that this inode's next fsync or close must report; it is reported once.
    pub(super) fn take_loss(&mut self, ino: Ino) -> Option<Errno> {
        self.losses.remove(&ino)
    }

    /// Ops that are not durable, in order.
    pub(super) fn unsaved(&self) -> Vec<NumberedOp> {
        self.outbox.unsaved().cloned().collect()
    }

    /// Inodes whose errors nobody has been told.
    pub(super) fn untold_losses(&self) -> Vec<Ino> {
        self.losses.keys().copied().collect()
    }

    /// How many ops, and memory for them in bytes, are not durable.
    pub(super) fn unsaved_size(&self) -> (usize, usize) {
        (self.outbox.len(), self.outbox.bytes())
    }
}

fn data_bytes(mutation: &Mutation) -> usize {
    use crate::namespace::{NewNode, Source};
    match mutation {
        Mutation::Write { extents, .. } => extents
            .iter()
            .map(|extent| match &extent.source {
                Source::Inline { data, .. } => data.len(),
                Source::Block { .. } => 64,
            })
            .sum(),
        Mutation::SetXattr { value, .. } => value.len(),
        Mutation::SetAcl { acl: Some(acl), .. } => acl.len(),
        Mutation::Create { node: NewNode::Symlink(target), .. } => target.len(),
        _ => 64,
    }
}

/// The inodes whose programs must hear that an op came to nothing.
pub fn touched(mutation: &Mutation) -> Vec<Ino> {
    match mutation {
        Mutation::Create { parent, ino, .. } => vec![*ino, *parent],
        Mutation::Link { ino, parent, .. } => vec![*ino, *parent],
        Mutation::Unlink { parent, .. } | Mutation::RemoveDir { parent, .. } => vec![*parent],
        Mutation::Rename { parent, new_parent, .. } => vec![*parent, *new_parent],
        Mutation::SetAttr { ino, .. }
        | Mutation::Write { ino, .. }
        | Mutation::Punch { ino, .. }
        | Mutation::SetXattr { ino, .. }
        | Mutation::RemoveXattr { ino, .. }
        | Mutation::SetAcl { ino, .. } => vec![*ino],
        Mutation::Clone { to, .. } => vec![*to],
        // Nobody waits for it, and a time of access that is lost is no loss.
        Mutation::Access { .. } => vec![],
    }
}

#[cfg(test)]
#[path = "in_flight_tests.rs"]
mod tests;
