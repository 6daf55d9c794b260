//! Changes that are the node's alone: where bytes lie, and counts that a [check](super::check) has found wrong.
//!
//! Neither is an op. Nothing that a mount can see changes: no byte, no attribute, no time, no usage that was right. So
//! the node may make them whenever it likes, between any two ops, and a mount that has not heard of them is not wrong.

use super::apply::{Applied, Outcome, Stop};
use super::transaction::Transaction;
use super::{ChecksumsOf, Errno, Extent, Ino, Key, Record, Source, View};
use crate::SegmentId;

/// A stretch of a file whose bytes have been copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relocation {
    /// The file.
    pub ino: Ino,
    /// Where the stretch begins.
    pub offset: u64,
    /// The extents that held it when it was copied: in order, without a gap between them, at least one.
    pub from: Vec<Extent>,
    /// The block that holds the same bytes, in a segment that this workspace has.
    pub to: Extent,
}

/// Lets a stretch of a file lie elsewhere, if it still lies where it was copied from. Of inline extents the machine sees
/// for itself that the block holds the same bytes; of blocks whoever copied them has checked it.
///
/// # Errors
/// [`Stop::Refused`] with ESTALE when the stretch has changed since, with EINVAL when the new place cannot be it, and no
/// change; [`Stop::Missing`] as for [`apply`](super::apply()).
pub fn repoint(view: &impl View, relocation: &Relocation) -> Result<Applied, Stop> {
    let Relocation { ino, offset, from, to } = relocation;
    if !holds_the_same(from, to) {
        return Err(Errno::EINVAL.into());
    }
    let mut tx = Transaction::new(view);
    let mut outcome = Outcome::default();
    let mut at = *offset;
    for extent in from {
        match tx.get(&Key::Extent(*ino, at))? {
            Some(Record::Extent(current)) if current == *extent => at += u64::from(extent.len),
            _ => return Err(Errno::ESTALE.into()),
        }
    }
    // Of this copy nothing is put: in the end the inode has what it had.
    let mut inode = tx.inode(*ino)?;
    at = *offset;
    for extent in from {
        tx.remove_extent(&mut inode, at, extent, &mut outcome)?;
        at += u64::from(extent.len);
    }
    tx.add_extent(&mut inode, *offset, to.clone())?;
    tx.changes.remove(&Key::Usage);
    Ok(tx.finish(outcome))
}

fn holds_the_same(from: &[Extent], to: &Extent) -> bool {
    let Source::Block { block_len, checksums, skip, .. } = &to.source else { return false };
    let len: u64 = from.iter().map(|extent| u64::from(extent.len)).sum();
    if from.is_empty() || len != u64::from(to.len) || !to.is_sound() {
        return false;
    }
    let mut sum = ChecksumsOf::default();
    for extent in from {
        match &extent.source {
            Source::Inline { data, .. } => sum.append(data),
            Source::Block { .. } => return true,
        }
    }
    *skip == 0 && *block_len == to.len && sum.finish() == *checksums
}

/// A correction of what can be counted anew without losing anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amendment {
    /// [`Key::Usage`] is off by so much.
    Usage {
        /// What to add to the bytes.
        bytes: i64,
        /// What to add to the inodes.
        inodes: i64,
    },
    /// A segment's live bytes are off by so much, or it is not known although extents lie in it.
    LiveBytes {
        /// The segment.
        segment: SegmentId,
        /// What to add.
        bytes: i64,
    },
    /// Whether the inode is an orphan is recorded wrongly.
    OrphanMark(Ino),
}

/// Makes a correction. It says how far off a count was when somebody looked, so ops applied since do not matter.
///
/// # Errors
/// [`Stop::Refused`] with EINVAL for a segment that this workspace does not have; [`Stop::Missing`] as for
/// [`apply`](super::apply()).
pub fn amend(view: &impl View, amendment: &Amendment) -> Result<Applied, Stop> {
    let mut tx = Transaction::new(view);
    let mut outcome = Outcome::default();
    match amendment {
        Amendment::Usage { bytes, inodes } => {
            let mut usage = tx.usage()?;
            usage.bytes = usage.bytes.saturating_add_signed(*bytes);
            usage.inodes = usage.inodes.saturating_add_signed(*inodes);
            tx.put(Key::Usage, Record::Usage(usage));
        }
        Amendment::LiveBytes { segment, bytes } => {
            let mut record = tx.segment(*segment)?.ok_or(Errno::EINVAL)?;
            record.live_bytes = record.live_bytes.saturating_add_signed(*bytes);
            tx.put(Key::Segment(*segment), Record::Segment(record));
            outcome.dead_segments.push(*segment);
        }
        Amendment::OrphanMark(ino) => {
            let inode = tx.get(&Key::Inode(*ino))?;
            if matches!(inode, Some(Record::Inode(inode)) if inode.attr.nlink == 0) {
                tx.put(Key::Orphan(*ino), Record::Orphan);
                outcome.orphaned.push(*ino);
            } else {
                tx.delete(Key::Orphan(*ino));
            }
        }
    }
    Ok(tx.finish(outcome))
}
