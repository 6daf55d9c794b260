use std::ops::Bound;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::clone::CloneRange;
use super::link::NewInode;
use super::transaction::Transaction;
use super::write::NewData;
use super::xattr::{AclChange, NewXattr};
use super::{Attr, Changes, Errno, FileKind, Ino, Inode, Key, Missing, Mutation, Nanos, Op, Record, Usage, View, Written, within};
use crate::SegmentId;

/// What is not in the op and not in the state: who asks, and what the workspace may hold.
#[derive(Debug, Clone)]
pub struct Context {
    /// The directory that the session sees as its root; nothing outside it can be named.
    pub scope: Ino,
    /// Hard quotas.
    pub limits: Limits,
}

/// Hard quotas of a workspace; absent means none.
#[derive(Debug, Clone)]
pub struct Limits {
    /// On [`Usage::bytes`].
    pub bytes: Option<u64>,
    /// On [`Usage::inodes`].
    pub inodes: Option<u64>,
    /// What exceeding one answers: EDQUOT or ENOSPC.
    pub exceeded: Errno,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: None, inodes: None, exceeded: Errno::ENOSPC }
    }
}

impl Default for Context {
    fn default() -> Self {
        Self { scope: Ino::ROOT, limits: Limits::default() }
    }
}

/// An op that took effect.
#[derive(Debug, Clone, Default)]
pub struct Applied {
    /// The records it changes.
    pub changes: Changes,
    /// What the caller and the shell want to know.
    pub outcome: Outcome,
}

/// What an op answers, and what it left for the shell to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The attributes of the inode it made or changed.
    pub attr: Option<Attr>,
    /// Where a write went.
    pub written: Option<Written>,
    /// Inodes without a link that can be [`purge`]d once nobody has them open.
    #[serde(skip)]
    pub orphaned: Vec<Ino>,
    /// Segments in which nothing lives any more.
    #[serde(skip)]
    pub dead_segments: Vec<SegmentId>,
}

/// Why an op did not take effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// It is refused; this is the answer.
    Refused(Errno),
    /// The view lacks something; fetch it and ask again.
    Missing(Missing),
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Self {
        Self::Refused(errno)
    }
}

impl From<Missing> for Stop {
    fn from(missing: Missing) -> Self {
        Self::Missing(missing)
    }
}

/// Applies one op to a view.
///
/// # Errors
/// [`Stop::Refused`] with the errno of the system call, and no change; [`Stop::Missing`] when the view must first
/// fetch something.
pub fn apply(view: &impl View, context: &Context, op: &Op) -> Result<Applied, Stop> {
    let mut tx = Transaction::new(view);
    let mut outcome = Outcome::default();
    let now = op.time;
    if context.scope != Ino::ROOT {
        for ino in op.mutation.names() {
            if !within(view, ino, context.scope)? {
                return Err(Errno::ENOENT.into());
            }
        }
    }
    match &op.mutation {
        Mutation::Create { parent, name, ino, node, mode, umask, uid, gid } => {
            let new = NewInode { ino: *ino, node, mode: *mode, umask: *umask, uid: *uid, gid: *gid };
            outcome.attr = Some(tx.create(context, *parent, name, new, now)?);
        }
        Mutation::Link { ino, parent, name } => outcome.attr = Some(tx.link(*ino, *parent, name, now)?),
        Mutation::Unlink { parent, name } => tx.unlink(*parent, name, now, &mut outcome)?,
        Mutation::RemoveDir { parent, name } => tx.remove_dir(*parent, name, now, &mut outcome)?,
        Mutation::Rename { parent, name, new_parent, new_name, mode } => {
            tx.rename((*parent, name), (*new_parent, new_name), *mode, now, &mut outcome)?;
        }
        Mutation::SetAttr { ino, set } => tx.set_attr(*ino, set, now, &mut outcome)?,
        Mutation::Write { ino, position, extents, kill_privileges } => {
            let data = NewData { position: *position, extents, kill_privileges: *kill_privileges };
            tx.write(context, *ino, data, now, &mut outcome)?;
        }
        Mutation::Punch { ino, offset, len, extend } => tx.punch(*ino, *offset, *len, *extend, now, &mut outcome)?,
        Mutation::SetXattr { ino, name, value, mode } => {
            tx.set_xattr(context, *ino, NewXattr { name, value, mode: *mode }, now, &mut outcome)?
        }
        Mutation::RemoveXattr { ino, name } => tx.remove_xattr(*ino, name, now, &mut outcome)?,
        Mutation::SetAcl { ino, kind, acl, kill_set_group_id } => {
            let change = AclChange { kind: *kind, acl: acl.as_ref(), kill_set_group_id: *kill_set_group_id };
            tx.set_acl(context, *ino, change, now, &mut outcome)?;
        }
        Mutation::Access { ino } => tx.access(*ino, now)?,
        Mutation::Clone { from, from_offset, to, to_offset, len, kill_privileges } => {
            let range = CloneRange { from: (*from, *from_offset), to: (*to, *to_offset), len: *len };
            tx.clone_range(context, range, *kill_privileges, now, &mut outcome)?;
        }
    }
    Ok(tx.finish(outcome))
}

/// Applies ops one after the other, all or none. Each is as [`apply`] alone would do it; the outcome is that of all together, with
/// the attributes that the last one brought.
///
/// # Errors
/// Those of the first op that fails.
pub fn apply_all(view: &impl View, context: &Context, ops: &[Op]) -> Result<Applied, Stop> {
    let mut whole = Transaction::new(view);
    let mut outcome = Outcome::default();
    for op in ops {
        let Applied { changes, outcome: one } = apply(&whole, context, op)?;
        whole.changes.extend(changes);
        outcome.attr = one.attr.or(outcome.attr);
        outcome.orphaned.extend(one.orphaned);
        outcome.dead_segments.extend(one.dead_segments);
    }
    Ok(Applied { changes: whole.changes, outcome })
}

/// The records of an empty workspace: a root directory that belongs to `uid` and `gid`.
pub fn format(uid: u32, gid: u32, mode: u16, now: Nanos) -> Changes {
    let attr = Attr {
        ino: Ino::ROOT,
        kind: FileKind::Directory,
        mode: mode & 0o7777,
        uid,
        gid,
        nlink: 2,
        size: 0,
        allocated_bytes: 0,
        rdev: 0,
        atime: now,
        mtime: now,
        ctime: now,
    };
    let root = Inode::new(attr, Ino::ROOT);
    Changes::from([(Key::Inode(Ino::ROOT), Some(Record::Inode(root))), (Key::Usage, Some(Record::Usage(Usage { bytes: 0, inodes: 1 })))])
}

/// How many extents and extended attributes one [`purge`] removes, so that the end of a huge file does not stop
/// everybody else.
pub(super) const PURGE_RECORDS: usize = 512;

/// Removes an orphan that nobody has open, or a part of it: then it says from which offset on it is to be called again
/// for the rest, so that what was removed is not looked through again. The first call begins at 0. A directory in which
/// orphans stood stays as long as they do; the outcome of the last one's end names it again.
///
/// # Errors
/// [`Stop::Refused`] with EINVAL if the inode is no orphan; [`Stop::Missing`] as for [`apply`].
pub fn purge(view: &impl View, ino: Ino, offset: u64) -> Result<(Applied, Option<u64>), Stop> {
    let mut tx = Transaction::new(view);
    let mut outcome = Outcome::default();
    if tx.get(&Key::Orphan(ino))?.is_none() {
        return Err(Errno::EINVAL.into());
    }
    let mut inode = tx.inode(ino)?;
    if inode.attr.nlink > 0 {
        // A mark that is wrong must not cost a file.
        return Err(Errno::EINVAL.into());
    }
    if inode.orphans > 0 {
        return Ok((tx.finish(outcome), None));
    }
    let mut removed = 0;
    let mut reached = offset;
    let mut from = Key::Extent(ino, offset);
    let mut bound = Bound::Included(&from);
    while removed < PURGE_RECORDS
        && let Some((Key::Extent(_, at), Record::Extent(extent))) = tx.first_in(bound, &Key::extents_of(ino))?
    {
        tx.remove_extent(&mut inode, at, &extent, &mut outcome)?;
        removed += 1;
        reached = at + u64::from(extent.len);
        from = Key::Extent(ino, at);
        bound = Bound::Excluded(&from);
    }
    from = Key::Xattr(ino, Bytes::new());
    bound = Bound::Included(&from);
    while removed < PURGE_RECORDS
        && let Some((key, Record::Xattr(value))) = tx.first_in(bound, &Key::xattrs_of(ino))?
    {
        let Key::Xattr(_, name) = &key else { break };
        tx.erase_xattr(&mut inode, name, &value)?;
        removed += 1;
        from = key;
        bound = Bound::Excluded(&from);
    }
    let rest = (removed == PURGE_RECORDS).then_some(reached);
    if rest.is_some() {
        tx.put_inode(inode);
    } else {
        tx.forget(&inode, &mut outcome)?;
    }
    Ok((tx.finish(outcome), rest))
}

impl<V: View> Transaction<'_, V> {
    /// Removes the record of an orphan that holds nothing any more, and its place in the directory it stood in.
    fn forget(&mut self, inode: &Inode, outcome: &mut Outcome) -> Result<(), Stop> {
        self.delete(Key::Inode(inode.attr.ino));
        self.delete(Key::Orphan(inode.attr.ino));
        let mut usage = self.usage()?;
        usage.inodes = usage.inodes.saturating_sub(1);
        usage.bytes = usage.bytes.saturating_sub(inode.target.len() as u64);
        self.put(Key::Usage, Record::Usage(usage));
        let mut dir = self.inode(inode.parent)?;
        dir.orphans = dir.orphans.saturating_sub(1);
        if dir.orphans == 0 && dir.attr.nlink == 0 {
            outcome.orphaned.push(dir.attr.ino);
        }
        self.put_inode(dir);
        Ok(())
    }

    fn access(&mut self, ino: Ino, now: Nanos) -> Result<(), Stop> {
        let mut inode = self.inode(ino)?;
        inode.attr.atime = now;
        self.put_inode(inode);
        Ok(())
    }

    /// Whether an op that began with `before` bytes in the workspace ends within the quota. Quotas are hard, and
    /// what frees or only overwrites goes on above a lowered one.
    pub(super) fn check_quota(&self, context: &Context, before: u64) -> Result<(), Stop> {
        let after = self.usage()?.bytes;
        if after > before && context.limits.bytes.is_some_and(|limit| after > limit) {
            return Err(context.limits.exceeded.into());
        }
        Ok(())
    }

    /// Settles which segments are dead in the end: one that lost and regained bytes within the op is not.
    pub(super) fn finish(mut self, mut outcome: Outcome) -> Applied {
        let changes = &mut self.changes;
        outcome.dead_segments.retain(|segment| {
            let key = Key::Segment(*segment);
            let dead = matches!(changes.get(&key), Some(Some(Record::Segment(record))) if record.live_bytes == 0);
            if dead {
                changes.insert(key, None);
            }
            dead
        });
        Applied { changes: self.changes, outcome }
    }
}
