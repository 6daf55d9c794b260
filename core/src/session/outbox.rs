use std::collections::VecDeque;

use crate::namespace::{Errno, Extent, Mutation, Op, Outcome, Source};
use crate::protocol::{NumberedOp, OpResult};

/// What a result means for the mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// Somebody waits for it: hand it over.
    Answer(Result<Outcome, Errno>),
    /// The op had been answered as done, was sent again after a crash of the node, and no longer applies. The
    /// next fsync of the inodes it touched must report this.
    LostAfterAnswer(Box<Op>, Errno),
    /// Nothing new.
    Nothing,
}

/// Every op of a session that is not yet known to be durable, in order.
///
/// An op leaves only when the node says that it is durable, so whatever the node forgets in a crash is still here.
#[derive(Debug, Default)]
pub struct Outbox {
    entries: VecDeque<Entry>,
    next_seq: u64,
    acked: u64,
    durable: u64,
    bytes: usize,
    /// The newest place in the workspace's order that this mount has been told of, with an op or with a lease.
    seen: u64,
}

#[derive(Debug)]
struct Entry {
    op: NumberedOp,
    /// Whoever made the op has an answer.
    answered: bool,
    /// The node's result is here.
    settled: bool,
    refused: bool,
    /// The mount has decided it.
    decided: bool,
    bytes: usize,
}

/// What an op costs here besides its data.
const ENTRY_BYTES: usize = 256;

impl Outbox {
    /// Numbers an op and keeps it. The caller sends the clone it gets.
    pub fn push(&mut self, op: Op) -> NumberedOp {
        let numbered = NumberedOp { seq: self.next_seq(), order: None, op };
        self.keep(numbered.clone(), false);
        numbered
    }

    /// Numbers an op that the mount has applied by itself and answered, and keeps it.
    pub fn push_applied(&mut self, op: Op) -> u64 {
        let seq = self.next_seq();
        self.keep(NumberedOp { seq, order: Some(self.seen.max(NumberedOp::FIRST)), op }, true);
        seq
    }

    /// A lease of this number has been got: whatever happened before has a lower place, and what comes later a higher one.
    pub fn saw(&mut self, number: u64) {
        self.seen = self.seen.max(number);
    }

    fn keep(&mut self, op: NumberedOp, answered: bool) {
        self.next_seq = op.seq;
        let bytes = ENTRY_BYTES + inline_bytes(&op.op);
        self.bytes += bytes;
        self.entries.push_back(Entry { op, answered, settled: false, refused: false, decided: answered, bytes });
    }

    /// The number that the next op gets.
    pub fn next_seq(&self) -> u64 {
        self.next_seq.max(self.durable) + 1
    }

    /// An op that is kept.
    pub fn get(&self, seq: u64) -> Option<&NumberedOp> {
        self.find(seq).map(|entry| &entry.op)
    }

    fn find(&self, seq: u64) -> Option<&Entry> {
        let first = self.entries.front()?.op.seq;
        self.entries.get(usize::try_from(seq.checked_sub(first)?).ok()?)
    }

    /// Whether the mount has decided this op by itself.
    pub fn is_decided(&self, seq: u64) -> bool {
        self.find(seq).is_some_and(|entry| entry.decided)
    }

    /// An op that was refused because it came too early is sent anew under another number. Should this one ever be applied
    /// again, it is to change nothing.
    pub fn void(&mut self, seq: u64) {
        if let Some(entry) = self.entry(seq) {
            entry.op.op.mutation = Mutation::Punch { ino: crate::namespace::Ino::ROOT, offset: 0, len: 0, extend: false };
            let before = std::mem::replace(&mut entry.bytes, ENTRY_BYTES);
            self.bytes = self.bytes - before + ENTRY_BYTES;
        }
    }

    /// Changes where the data of an op that was not sent yet is: it has moved into a segment.
    pub fn move_data(&mut self, seq: u64, change: impl FnOnce(&mut Vec<Extent>)) {
        let Some(entry) = self.entry(seq) else { return };
        if let Mutation::Write { extents, .. } = &mut entry.op.op.mutation {
            change(extents);
        }
        let bytes = ENTRY_BYTES + inline_bytes(&entry.op.op);
        let before = std::mem::replace(&mut entry.bytes, bytes);
        self.bytes = self.bytes - before + bytes;
    }

    /// The number of the last op; 0 before the first.
    pub const fn last_seq(&self) -> u64 {
        self.next_seq
    }

    /// All results up to this op are here.
    pub const fn acked(&self) -> u64 {
        self.acked
    }

    /// Every op up to this one is durable.
    pub const fn durable(&self) -> u64 {
        self.durable
    }

    /// Memory held by ops that are not durable yet, in bytes.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many ops are not durable yet.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether all ops are durable.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A result has come.
    pub fn applied(&mut self, result: &OpResult) -> Disposition {
        self.saw(result.order);
        let Some(entry) = self.entry(result.seq) else { return Disposition::Nothing };
        let again = entry.answered;
        let was_refused = entry.refused;
        entry.op.order = Some(result.order);
        entry.answered = true;
        entry.settled = true;
        // For good: a node that has forgotten the answer says that it has taken effect.
        entry.refused |= result.result.is_err();
        let disposition = match &result.result {
            _ if !again => Disposition::Answer(result.result.clone()),
            Err(errno) if !was_refused => Disposition::LostAfterAnswer(Box::new(entry.op.op.clone()), *errno),
            _ => Disposition::Nothing,
        };
        self.advance_acked();
        disposition
    }

    fn entry(&mut self, seq: u64) -> Option<&mut Entry> {
        let first = self.entries.front()?.op.seq;
        self.entries.get_mut(usize::try_from(seq.checked_sub(first)?).ok()?)
    }

    fn advance_acked(&mut self) {
        while let Some(entry) = self.entry(self.acked.max(self.durable) + 1)
            && entry.settled
        {
            self.acked = entry.op.seq;
        }
    }

    /// The node has made everything up to `seq` durable. What was not answered yet has its result on the way.
    pub fn set_durable(&mut self, seq: u64) {
        while let Some(entry) = self.entries.front()
            && entry.op.seq <= seq
            && entry.settled
        {
            self.durable = entry.op.seq;
            self.acked = self.acked.max(entry.op.seq);
            self.bytes -= entry.bytes;
            self.entries.pop_front();
        }
    }

    /// All ops up to this one that the node may have forgotten, to be sent over a new connection. The node answers
    /// those it has not forgotten as it did before.
    pub fn resend(&self, sent: u64) -> Vec<NumberedOp> {
        self.entries.iter().map(|entry| &entry.op).take_while(|op| op.seq <= sent).cloned().collect()
    }

    /// All ops that are not durable.
    pub fn unsaved(&self) -> impl Iterator<Item = &NumberedOp> {
        self.entries.iter().map(|entry| &entry.op)
    }
}

fn inline_bytes(op: &Op) -> usize {
    let data = |extent: &Extent| match &extent.source {
        Source::Inline { data, .. } => data.len(),
        Source::Block { .. } => 0,
    };
    match &op.mutation {
        Mutation::Write { extents, .. } => extents.iter().map(data).sum(),
        Mutation::SetXattr { value, .. } => value.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::{Ino, Mutation};

    fn op(ino: u64) -> Op {
        Op { mutation: Mutation::Punch { ino: Ino(ino), offset: 0, len: 1, extend: false }, time: 0 }
    }

    fn result(seq: u64, order: u64, result: Result<Outcome, Errno>) -> OpResult {
        OpResult { seq, order, result }
    }

    #[test]
    fn ops_stay_until_they_are_durable() {
        let mut outbox = Outbox::default();
        for ino in 1..=3 {
            outbox.push(op(ino));
        }
        assert_eq!(outbox.applied(&result(1, 10, Ok(Outcome::default()))), Disposition::Answer(Ok(Outcome::default())));
        assert_eq!(outbox.applied(&result(2, 11, Err(Errno::ENOENT))), Disposition::Answer(Err(Errno::ENOENT)));
        assert_eq!(outbox.acked(), 2);
        outbox.set_durable(1);
        assert_eq!(outbox.durable(), 1);
        let resent: Vec<_> = outbox.resend(3).iter().map(|op| (op.seq, op.order)).collect();
        assert_eq!(resent, [(2, Some(11)), (3, None)]);
        assert_eq!(outbox.push(op(4)).seq, 4);
    }

    #[test]
    fn an_op_that_the_mount_answered_itself_stays_until_the_node_has_it_and_is_reported_if_refused() {
        let mut outbox = Outbox::default();
        assert_eq!((outbox.push_applied(op(1)), outbox.push_applied(op(2)), outbox.push_applied(op(3))), (1, 2, 3));
        outbox.set_durable(3);
        assert_eq!((outbox.acked(), outbox.len()), (0, 3), "no result is here");
        assert_eq!(outbox.resend(2).len(), 2, "the third was never sent");
        assert_eq!(outbox.applied(&result(1, 1, Ok(Outcome::default()))), Disposition::Nothing);
        assert_eq!(outbox.applied(&result(2, 2, Err(Errno::ENOENT))), Disposition::LostAfterAnswer(Box::new(op(2)), Errno::ENOENT));
        assert_eq!(outbox.acked(), 2);
        outbox.set_durable(2);
        assert_eq!((outbox.durable(), outbox.len()), (2, 1));
    }

    /// Refused because it came too early, and replaced by one that changes nothing; the next owner knows of neither.
    #[test]
    fn an_op_that_was_refused_and_is_then_said_to_have_taken_effect_is_not_lost() {
        let mut outbox = Outbox::default();
        outbox.push(op(1));
        assert_eq!(outbox.applied(&result(1, 10, Err(Errno::EBUSY))), Disposition::Answer(Err(Errno::EBUSY)));
        outbox.void(1);
        assert_eq!(outbox.applied(&result(1, 10, Ok(Outcome::default()))), Disposition::Nothing);
        assert_eq!(outbox.applied(&result(1, 20, Err(Errno::EISDIR))), Disposition::Nothing);
    }

    #[test]
    fn data_that_has_moved_into_a_segment_takes_no_room() {
        use crate::namespace::Position;
        let mut outbox = Outbox::default();
        let extents = vec![Extent::inline(vec![1; 5_000].into())];
        let mutation = Mutation::Write { ino: Ino(1), position: Position::At(0), extents, kill_privileges: false };
        let seq = outbox.push_applied(Op { mutation, time: 0 });
        assert!(outbox.bytes() > 5_000);
        let source = Source::Block {
            segment: crate::SegmentId::from_bits(1),
            block_offset: 0,
            block_len: 5_000,
            checksums: crate::namespace::Checksums::of(&[]),
            skip: 0,
        };
        outbox.move_data(seq, |extents| extents[0].source = source);
        assert_eq!(outbox.bytes(), ENTRY_BYTES);
    }

    #[test]
    fn an_op_that_came_too_early_does_nothing_when_it_is_sent_again() {
        let mut outbox = Outbox::default();
        let write = Mutation::Write {
            ino: Ino(1),
            position: crate::namespace::Position::End,
            extents: vec![Extent::inline(vec![1; 5_000].into())],
            kill_privileges: false,
        };
        let seq = outbox.push(Op { mutation: write, time: 0 }).seq;
        outbox.applied(&result(seq, 1, Err(Errno::EBUSY)));
        outbox.void(seq);
        assert_eq!(outbox.bytes(), ENTRY_BYTES);
        let resent = outbox.resend(seq);
        assert!(matches!(resent[0].op.mutation, Mutation::Punch { ino: Ino::ROOT, len: 0, extend: false, .. }), "EISDIR, always");
        assert!(!outbox.is_decided(seq));
    }

    #[test]
    fn a_durable_op_whose_result_is_missing_waits_for_it() {
        let mut outbox = Outbox::default();
        outbox.push(op(1));
        outbox.set_durable(1);
        assert_eq!((outbox.durable(), outbox.len()), (0, 1), "its result was lost with a connection");
        assert_eq!(outbox.applied(&result(1, 5, Ok(Outcome::default()))), Disposition::Answer(Ok(Outcome::default())));
        outbox.set_durable(1);
        assert!(outbox.is_empty());
        assert_eq!(outbox.bytes(), 0);
        assert_eq!(outbox.push(op(2)).seq, 2);
    }

    #[test]
    fn an_answered_op_that_no_longer_applies_is_reported() {
        let mut outbox = Outbox::default();
        outbox.push(op(1));
        outbox.push(op(2));
        outbox.applied(&result(1, 1, Ok(Outcome::default())));
        outbox.applied(&result(2, 2, Err(Errno::EEXIST)));
        assert_eq!(outbox.applied(&result(1, 7, Ok(Outcome::default()))), Disposition::Nothing);
        assert_eq!(outbox.applied(&result(1, 7, Err(Errno::ENOENT))), Disposition::LostAfterAnswer(Box::new(op(1)), Errno::ENOENT));
        assert_eq!(outbox.applied(&result(2, 8, Err(Errno::EEXIST))), Disposition::Nothing, "it never counted as done");
        assert_eq!(outbox.applied(&result(9, 9, Err(Errno::EIO))), Disposition::Nothing, "an unknown number");
    }
}
