//! copy_file_range(2) as a share of extents: the copy refers to the blocks of the original, and their segments count
//! them once more.

use std::ops::Bound;

use super::apply::{Context, Outcome, Stop};
use super::transaction::Transaction;
use super::{EXTENT_MAX_BYTES, Errno, Extent, FILE_MAX_BYTES, Ino, Key, Nanos, Record, Source, View, Written};

/// How many extents one op copies, and how many it replaces, at most: it must not stop everybody else for long.
pub(super) const CLONE_EXTENTS: usize = 1024;
/// How many bytes that travel inside extents it copies at most, unless a single extent holds more.
const CLONE_INLINE_BYTES: usize = 1 << 20;

/// What a Clone op names: inodes with offsets, and a length.
#[derive(Debug, Clone, Copy)]
pub(super) struct CloneRange {
    pub(super) from: (Ino, u64),
    pub(super) to: (Ino, u64),
    pub(super) len: u64,
}

impl<V: View> Transaction<'_, V> {
    /// The checks are those of the kernel's `generic_copy_file_checks`, in its order.
    pub(super) fn clone_range(
        &mut self,
        context: &Context,
        range: CloneRange,
        kill_privileges: bool,
        now: Nanos,
        outcome: &mut Outcome,
    ) -> Result<(), Stop> {
        let ((from, from_offset), (to, to_offset)) = (range.from, range.to);
        let source = self.file(from)?;
        let mut inode = self.file(to)?;
        let offsets_fit = from_offset.checked_add(range.len).is_some() && to_offset.checked_add(range.len).is_some();
        if !offsets_fit {
            return Err(Errno::EOVERFLOW.into());
        }
        if to_offset >= FILE_MAX_BYTES {
            return Err(Errno::EFBIG.into());
        }
        let len = range.len.min(source.attr.size.saturating_sub(from_offset)).min(FILE_MAX_BYTES - to_offset);
        if from == to && from_offset < to_offset + len && to_offset < from_offset + len {
            return Err(Errno::EINVAL.into());
        }
        let len = self.replaceable(to, to_offset, len)?;
        let (copies, len) = self.copies(from, from_offset, len)?;
        if len == 0 {
            outcome.attr = Some(inode.attr);
            outcome.written = Some(Written { offset: to_offset, len: 0 });
            return Ok(());
        }
        let before = self.usage()?.bytes;
        let end = to_offset + len;
        self.clear(&mut inode, to_offset, end, outcome)?;
        for (at, extent) in copies {
            self.add_extent(&mut inode, to_offset + at, extent)?;
        }
        inode.touch(now);
        if kill_privileges {
            inode.kill_privileges();
        }
        self.finish_write(context, inode, Written { offset: to_offset, len }, before, outcome)
    }

    /// The part of a length behind which the first [`CLONE_EXTENTS`] extents of the target end.
    fn replaceable(&self, ino: Ino, offset: u64, len: u64) -> Result<u64, Stop> {
        let mut found = 0;
        self.each_extent(ino, offset, len, |at, _| {
            found += 1;
            (found > CLONE_EXTENTS).then(|| at - offset)
        })
        .map(|end| end.unwrap_or(len))
    }

    /// The extents within a range, cut to it and placed relative to its beginning, and how much of it they stand for.
    fn copies(&self, ino: Ino, offset: u64, len: u64) -> Result<(Vec<(u64, Extent)>, u64), Stop> {
        let mut copies = Vec::new();
        let mut inline_bytes = 0;
        let end = self.each_extent(ino, offset, len, |at, extent| {
            let start = at.max(offset);
            let end = (at + u64::from(extent.len)).min(offset + len);
            if let Source::Inline { .. } = &extent.source {
                inline_bytes += (end - start) as usize;
            }
            if !copies.is_empty() && (copies.len() == CLONE_EXTENTS || inline_bytes > CLONE_INLINE_BYTES) {
                return Some(start - offset);
            }
            copies.push((start - offset, extent.slice((start - at) as u32, (end - start) as u32)));
            None
        })?;
        Ok((copies, end.unwrap_or(len)))
    }

    /// Shows the extents that reach into a range, in order, until `look` answers something.
    fn each_extent<T>(&self, ino: Ino, offset: u64, len: u64, mut look: impl FnMut(u64, &Extent) -> Option<T>) -> Result<Option<T>, Stop> {
        let prefix = Key::extents_of(ino);
        let mut from = Key::Extent(ino, offset.saturating_sub(u64::from(EXTENT_MAX_BYTES) - 1));
        let mut bound = Bound::Included(&from);
        while let Some((Key::Extent(_, at), Record::Extent(extent))) = self.first_in(bound, &prefix)? {
            if at >= offset + len {
                break;
            }
            if at + u64::from(extent.len) > offset
                && let Some(answer) = look(at, &extent)
            {
                return Ok(Some(answer));
            }
            from = Key::Extent(ino, at);
            bound = Bound::Excluded(&from);
        }
        Ok(None)
    }
}
