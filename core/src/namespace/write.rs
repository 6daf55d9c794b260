//! File content: what Write, Punch and a change of length do to extents, and the accounts they keep.

use std::ops::Bound;

use super::apply::{Context, Outcome, Stop};
use super::transaction::Transaction;
use super::{
    EXTENT_MAX_BYTES, Errno, Extent, FILE_MAX_BYTES, FileKind, Ino, Inode, Key, Nanos, Position, Record, SegmentRecord, SetAttr, Source,
    View, Written,
};
use crate::SegmentId;

/// What a Write op brings.
pub(super) struct NewData<'a> {
    pub(super) position: Position,
    pub(super) extents: &'a [Extent],
    pub(super) kill_privileges: bool,
}

impl<V: View> Transaction<'_, V> {
    pub(super) fn file(&self, ino: Ino) -> Result<Inode, Stop> {
        let inode = self.inode(ino)?;
        match inode.attr.kind {
            FileKind::File => Ok(inode),
            FileKind::Directory => Err(Errno::EISDIR.into()),
            _ => Err(Errno::EINVAL.into()),
        }
    }

    pub(super) fn write(&mut self, context: &Context, ino: Ino, data: NewData<'_>, now: Nanos, outcome: &mut Outcome) -> Result<(), Stop> {
        let NewData { position, extents, kill_privileges } = data;
        let mut inode = self.file(ino)?;
        let offset = match position {
            Position::At(offset) => offset,
            Position::End => inode.attr.size,
        };
        if extents.is_empty() {
            // write(2) of nothing has no other effect, not even on the time or, past the end, on the size.
            outcome.attr = Some(inode.attr);
            outcome.written = Some(Written { offset, len: 0 });
            return Ok(());
        }
        if extents.iter().any(|extent| !extent.is_sound()) {
            return Err(Errno::EINVAL.into());
        }
        let len = extents.iter().map(|extent| u64::from(extent.len)).sum();
        let end = offset.checked_add(len).filter(|&end| end <= FILE_MAX_BYTES).ok_or(Errno::EFBIG)?;
        let before = self.usage()?.bytes;
        self.clear(&mut inode, offset, end, outcome)?;
        let mut at = offset;
        for extent in extents {
            self.add_extent(&mut inode, at, extent.clone())?;
            at += u64::from(extent.len);
        }
        inode.touch(now);
        if kill_privileges {
            inode.kill_privileges();
        }
        self.finish_write(context, inode, Written { offset, len }, before, outcome)
    }

    /// What every write ends with, once the extents are there. `before` is how many bytes were used until then.
    pub(super) fn finish_write(
        &mut self,
        context: &Context,
        mut inode: Inode,
        written: Written,
        before: u64,
        outcome: &mut Outcome,
    ) -> Result<(), Stop> {
        inode.attr.size = inode.attr.size.max(written.offset + written.len);
        self.kill_capability(&mut inode)?;
        self.check_quota(context, before)?;
        outcome.attr = Some(inode.attr.clone());
        outcome.written = Some(written);
        self.put_inode(inode);
        Ok(())
    }

    pub(super) fn punch(&mut self, ino: Ino, offset: u64, len: u64, extend: bool, now: Nanos, outcome: &mut Outcome) -> Result<(), Stop> {
        let mut inode = self.file(ino)?;
        let end = offset.checked_add(len).filter(|&end| end <= FILE_MAX_BYTES).ok_or(Errno::EFBIG)?;
        self.clear(&mut inode, offset, end, outcome)?;
        if extend {
            inode.attr.size = inode.attr.size.max(end);
        }
        inode.touch(now);
        self.kill_capability(&mut inode)?;
        outcome.attr = Some(inode.attr.clone());
        self.put_inode(inode);
        Ok(())
    }

    pub(super) fn set_attr(&mut self, ino: Ino, set: &SetAttr, now: Nanos, outcome: &mut Outcome) -> Result<(), Stop> {
        let mut inode = self.inode(ino)?;
        if let Some(size) = set.size {
            if inode.attr.kind != FileKind::File {
                return Err(if inode.is_dir() { Errno::EISDIR } else { Errno::EINVAL }.into());
            }
            if size > FILE_MAX_BYTES {
                return Err(Errno::EFBIG.into());
            }
            self.clear(&mut inode, size, FILE_MAX_BYTES, outcome)?;
            inode.attr.size = size;
            inode.touch(now);
        } else {
            inode.change(now);
        }
        let changes_owner = set.uid.is_some() || set.gid.is_some();
        if changes_owner || set.kill_privileges {
            inode.kill_privileges();
        }
        if changes_owner || set.kill_privileges || set.size.is_some() {
            self.kill_capability(&mut inode)?;
        }
        inode.attr.uid = set.uid.unwrap_or(inode.attr.uid);
        inode.attr.gid = set.gid.unwrap_or(inode.attr.gid);
        if let Some(mode) = set.mode {
            self.set_mode(&mut inode, mode & 0o7777)?;
        }
        inode.attr.atime = set.atime.unwrap_or(inode.attr.atime);
        inode.attr.mtime = set.mtime.unwrap_or(inode.attr.mtime);
        outcome.attr = Some(inode.attr.clone());
        self.put_inode(inode);
        Ok(())
    }

    /// Makes `[start, end)` a hole: extents inside go, extents across an edge keep what lies outside.
    pub(super) fn clear(&mut self, inode: &mut Inode, start: u64, end: u64, outcome: &mut Outcome) -> Result<(), Stop> {
        let ino = inode.attr.ino;
        let prefix = Key::extents_of(ino);
        // Nothing lies past the size, so an append need not look at what is there.
        let end = end.min(inode.attr.size);
        // No extent that begins earlier can reach `start`.
        let mut from = Key::Extent(ino, start.saturating_sub(u64::from(EXTENT_MAX_BYTES) - 1));
        let mut bound = Bound::Included(&from);
        while start < end
            && let Some((key, Record::Extent(extent))) = self.first_in(bound, &prefix)?
        {
            let Key::Extent(_, at) = key else { break };
            let extent_end = at + u64::from(extent.len);
            if at >= end {
                break;
            }
            if extent_end > start {
                self.remove_extent(inode, at, &extent, outcome)?;
                if at < start {
                    self.add_extent(inode, at, extent.slice(0, (start - at) as u32))?;
                }
                if extent_end > end {
                    let cut = (end - at) as u32;
                    self.add_extent(inode, end, extent.slice(cut, extent.len - cut))?;
                }
            }
            from = Key::Extent(ino, at);
            bound = Bound::Excluded(&from);
        }
        Ok(())
    }

    pub(super) fn add_extent(&mut self, inode: &mut Inode, at: u64, extent: Extent) -> Result<(), Stop> {
        let len = u64::from(extent.len);
        if let Source::Block { segment, block_offset, block_len, .. } = extent.source {
            let mut record = self.segment(segment)?.ok_or(Errno::EINVAL)?;
            if u64::from(block_offset) + u64::from(block_len) > record.len {
                return Err(Errno::EINVAL.into());
            }
            record.live_bytes += len;
            self.put(Key::Segment(segment), Record::Segment(record));
        }
        inode.attr.allocated_bytes += len;
        let mut usage = self.usage()?;
        usage.bytes += len;
        self.put(Key::Usage, Record::Usage(usage));
        self.put(Key::Extent(inode.attr.ino, at), Record::Extent(extent));
        Ok(())
    }

    pub(super) fn remove_extent(&mut self, inode: &mut Inode, at: u64, extent: &Extent, outcome: &mut Outcome) -> Result<(), Stop> {
        let len = u64::from(extent.len);
        if let Source::Block { segment, .. } = extent.source
            && let Some(mut record) = self.segment(segment)?
        {
            record.live_bytes = record.live_bytes.saturating_sub(len);
            self.put(Key::Segment(segment), Record::Segment(record));
            if record.live_bytes == 0 && !outcome.dead_segments.contains(&segment) {
                outcome.dead_segments.push(segment);
            }
        }
        inode.attr.allocated_bytes = inode.attr.allocated_bytes.saturating_sub(len);
        let mut usage = self.usage()?;
        usage.bytes = usage.bytes.saturating_sub(len);
        self.put(Key::Usage, Record::Usage(usage));
        self.delete(Key::Extent(inode.attr.ino, at));
        Ok(())
    }

    pub(super) fn segment(&self, id: SegmentId) -> Result<Option<SegmentRecord>, Stop> {
        match self.get(&Key::Segment(id))? {
            Some(Record::Segment(record)) => Ok(Some(record)),
            _ => Ok(None),
        }
    }
}
