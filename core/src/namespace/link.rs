//! Directory entries and link counts: what Create, Link, Unlink, RemoveDir and Rename are made of.

use std::ops::Bound;

use super::apply::{Context, Outcome, Stop};
use super::transaction::Transaction;
use super::{Attr, Errno, FileKind, Ino, Inode, Key, LINK_MAX, Name, Nanos, NewNode, Record, RenameMode, SYMLINK_MAX_BYTES, View};

/// The new inode's identity and rights, as a Create op names them.
pub(super) struct NewInode<'a> {
    pub(super) ino: Ino,
    pub(super) node: &'a NewNode,
    pub(super) mode: u16,
    pub(super) umask: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl<V: View> Transaction<'_, V> {
    fn dentry(&self, dir: Ino, name: &Name) -> Result<Option<(Ino, FileKind)>, Stop> {
        match self.get(&Key::Dentry(dir, name.clone()))? {
            Some(Record::Dentry(ino, kind)) => Ok(Some((ino, kind))),
            _ => Ok(None),
        }
    }

    /// Puts an entry into a directory and accounts for it there.
    fn enter(&mut self, dir: &mut Inode, name: &Name, ino: Ino, kind: FileKind) {
        self.put(Key::Dentry(dir.attr.ino, name.clone()), Record::Dentry(ino, kind));
        dir.attr.size += 1;
        dir.attr.nlink += u32::from(kind == FileKind::Directory);
    }

    /// Takes an entry out of a directory and accounts for it there.
    fn leave(&mut self, dir: &mut Inode, name: &Name, kind: FileKind) {
        self.delete(Key::Dentry(dir.attr.ino, name.clone()));
        dir.attr.size = dir.attr.size.saturating_sub(1);
        dir.attr.nlink -= u32::from(kind == FileKind::Directory);
    }

    fn parent_count(&self, ino: Ino, dir: Ino) -> Result<u32, Stop> {
        match self.get(&Key::Parent(ino, dir))? {
            Some(Record::Parent(count)) => Ok(count),
            _ => Ok(0),
        }
    }

    fn set_parent_count(&mut self, ino: Ino, dir: Ino, count: u32) {
        match count {
            0 => self.delete(Key::Parent(ino, dir)),
            _ => self.put(Key::Parent(ino, dir), Record::Parent(count)),
        }
    }

    /// One more link of a file, in `dir`.
    fn add_parent(&mut self, inode: &Inode, dir: Ino) -> Result<(), Stop> {
        let ino = inode.attr.ino;
        if inode.attr.nlink == 1 {
            self.set_parent_count(ino, inode.parent, 1);
        }
        let count = self.parent_count(ino, dir)?;
        self.set_parent_count(ino, dir, count + 1);
        Ok(())
    }

    /// One link of a file less, in `dir`; its count of links has not been lowered yet.
    fn remove_parent(&mut self, inode: &mut Inode, dir: Ino) -> Result<(), Stop> {
        let ino = inode.attr.ino;
        if inode.attr.nlink < 2 {
            return Ok(());
        }
        let count = self.parent_count(ino, dir)?;
        self.set_parent_count(ino, dir, count.saturating_sub(1));
        if inode.attr.nlink == 2
            && let Some((Key::Parent(_, last), _)) = self.first_in(Bound::Included(&Key::Parent(ino, Ino(0))), &Key::parents_of(ino))?
        {
            self.delete(Key::Parent(ino, last));
            inode.parent = last;
        }
        Ok(())
    }

    /// Lowers the link count of a file whose entry in `dir` is gone; the last one makes an orphan.
    fn drop_link(&mut self, mut inode: Inode, dir: Ino, now: Nanos, outcome: &mut Outcome) -> Result<(), Stop> {
        self.remove_parent(&mut inode, dir)?;
        inode.attr.nlink = if inode.is_dir() { 0 } else { inode.attr.nlink.saturating_sub(1) };
        inode.change(now);
        if inode.attr.nlink == 0 {
            self.put(Key::Orphan(inode.attr.ino), Record::Orphan);
            outcome.orphaned.push(inode.attr.ino);
            let mut holder = self.inode(dir)?;
            holder.orphans += 1;
            self.put_inode(holder);
        }
        self.put_inode(inode);
        Ok(())
    }

    pub(super) fn create(&mut self, context: &Context, parent: Ino, name: &Name, new: NewInode<'_>, now: Nanos) -> Result<Attr, Stop> {
        let mut dir = self.dir(parent)?;
        if self.dentry(parent, name)?.is_some() {
            return Err(Errno::EEXIST.into());
        }
        if new.ino < Ino::FIRST_LEASED || self.get(&Key::Inode(new.ino))?.is_some() {
            return Err(Errno::EINVAL.into());
        }
        let mut usage = self.usage()?;
        usage.inodes += 1;
        if context.limits.inodes.is_some_and(|limit| usage.inodes > limit) {
            return Err(context.limits.exceeded.into());
        }
        let (kind, rdev, target) = match new.node {
            NewNode::File => (FileKind::File, 0, None),
            NewNode::Directory => (FileKind::Directory, 0, None),
            NewNode::Symlink(target) => (FileKind::Symlink, 0, Some(target.clone())),
            NewNode::Fifo => (FileKind::Fifo, 0, None),
            NewNode::Socket => (FileKind::Socket, 0, None),
            NewNode::CharDevice(rdev) => (FileKind::CharDevice, *rdev, None),
            NewNode::BlockDevice(rdev) => (FileKind::BlockDevice, *rdev, None),
        };
        let target = target.unwrap_or_default();
        if kind == FileKind::Symlink && target.is_empty() {
            return Err(Errno::ENOENT.into());
        }
        if target.len() > SYMLINK_MAX_BYTES {
            return Err(Errno::ENAMETOOLONG.into());
        }
        if target.contains(&0) {
            return Err(Errno::EINVAL.into());
        }
        // inode(7): in a directory with set-group-id, files take its group and directories the bit as well.
        let inherits = dir.attr.mode & 0o2000 != 0;
        let mut mode = new.mode & 0o7777;
        if inherits && kind == FileKind::Directory {
            mode |= 0o2000;
        }
        let before = usage.bytes;
        usage.bytes += target.len() as u64;
        self.put(Key::Usage, Record::Usage(usage));
        let attr = Attr {
            ino: new.ino,
            kind,
            mode: if kind == FileKind::Symlink { 0o777 } else { mode },
            uid: new.uid,
            gid: if inherits { dir.attr.gid } else { new.gid },
            nlink: if kind == FileKind::Directory { 2 } else { 1 },
            size: target.len() as u64,
            allocated_bytes: 0,
            rdev,
            atime: now,
            mtime: now,
            ctime: now,
        };
        let mut inode = Inode { target, ..Inode::new(attr, parent) };
        if kind != FileKind::Symlink {
            self.inherit_acl(&dir, &mut inode, new.umask)?;
        }
        self.check_quota(context, before)?;
        self.enter(&mut dir, name, new.ino, kind);
        dir.touch(now);
        self.put_inode(dir);
        let attr = inode.attr.clone();
        self.put_inode(inode);
        Ok(attr)
    }

    pub(super) fn link(&mut self, ino: Ino, parent: Ino, name: &Name, now: Nanos) -> Result<Attr, Stop> {
        let mut inode = self.inode(ino)?;
        let mut dir = self.dir(parent)?;
        if self.dentry(parent, name)?.is_some() {
            return Err(Errno::EEXIST.into());
        }
        if inode.is_dir() {
            return Err(Errno::EPERM.into());
        }
        if inode.attr.nlink == 0 {
            return Err(Errno::ENOENT.into());
        }
        if inode.attr.nlink >= LINK_MAX {
            return Err(Errno::EMLINK.into());
        }
        self.add_parent(&inode, parent)?;
        inode.attr.nlink += 1;
        inode.change(now);
        self.enter(&mut dir, name, ino, inode.attr.kind);
        dir.touch(now);
        self.put_inode(dir);
        let attr = inode.attr.clone();
        self.put_inode(inode);
        Ok(attr)
    }

    pub(super) fn unlink(&mut self, parent: Ino, name: &Name, now: Nanos, outcome: &mut Outcome) -> Result<(), Stop> {
        let mut dir = self.dir(parent)?;
        let (ino, kind) = self.dentry(parent, name)?.ok_or(Errno::ENOENT)?;
        if kind == FileKind::Directory {
            return Err(Errno::EISDIR.into());
        }
        self.leave(&mut dir, name, kind);
        dir.touch(now);
        self.put_inode(dir);
        let inode = self.inode(ino)?;
        self.drop_link(inode, parent, now, outcome)
    }

    pub(super) fn remove_dir(&mut self, parent: Ino, name: &Name, now: Nanos, outcome: &mut Outcome) -> Result<(), Stop> {
        let mut dir = self.dir(parent)?;
        let (ino, kind) = self.dentry(parent, name)?.ok_or(Errno::ENOENT)?;
        if kind != FileKind::Directory {
            return Err(Errno::ENOTDIR.into());
        }
        let removed = self.inode(ino)?;
        if removed.attr.size > 0 {
            return Err(Errno::ENOTEMPTY.into());
        }
        self.leave(&mut dir, name, kind);
        dir.touch(now);
        self.put_inode(dir);
        self.drop_link(removed, parent, now, outcome)
    }

    /// renameat2(2). The order of the checks is the kernel's own.
    pub(super) fn rename(
        &mut self,
        from: (Ino, &Name),
        to: (Ino, &Name),
        mode: RenameMode,
        now: Nanos,
        outcome: &mut Outcome,
    ) -> Result<(), Stop> {
        self.dir(from.0)?;
        self.dir(to.0)?;
        let (ino, kind) = self.dentry(from.0, from.1)?.ok_or(Errno::ENOENT)?;
        let target = self.dentry(to.0, to.1)?;
        match (mode, target) {
            (RenameMode::NoReplace, Some(_)) => return Err(Errno::EEXIST.into()),
            (RenameMode::Exchange, None) => return Err(Errno::ENOENT.into()),
            _ => {}
        }
        if kind == FileKind::Directory && self.is_below(to.0, ino)? {
            return Err(Errno::EINVAL.into());
        }
        if let Some((target_ino, FileKind::Directory)) = target
            && self.is_below(from.0, target_ino)?
        {
            return Err(if mode == RenameMode::Exchange { Errno::EINVAL } else { Errno::ENOTEMPTY }.into());
        }
        match target {
            Some((target_ino, _)) if target_ino == ino => return Ok(()),
            Some((target_ino, target_kind)) if mode == RenameMode::Exchange => {
                self.detach(from, ino, kind, now)?;
                self.detach(to, target_ino, target_kind, now)?;
                self.attach(to, ino, kind, now)?;
                return self.attach(from, target_ino, target_kind, now);
            }
            Some((target_ino, target_kind)) => {
                let target_inode = self.inode(target_ino)?;
                match (kind == FileKind::Directory, target_kind == FileKind::Directory) {
                    (true, false) => return Err(Errno::ENOTDIR.into()),
                    (false, true) => return Err(Errno::EISDIR.into()),
                    (true, true) if target_inode.attr.size > 0 => return Err(Errno::ENOTEMPTY.into()),
                    _ => {}
                }
                let mut dir = self.dir(to.0)?;
                self.leave(&mut dir, to.1, target_kind);
                self.put_inode(dir);
                self.drop_link(target_inode, to.0, now, outcome)?;
            }
            None => {}
        }
        self.detach(from, ino, kind, now)?;
        self.attach(to, ino, kind, now)
    }

    /// Whether `dir` is `ancestor` or lies below it.
    fn is_below(&self, dir: Ino, ancestor: Ino) -> Result<bool, Stop> {
        Ok(super::within(self, dir, ancestor)?)
    }

    /// Takes an inode out of one place of the tree, its link count unchanged.
    fn detach(&mut self, place: (Ino, &Name), ino: Ino, kind: FileKind, now: Nanos) -> Result<(), Stop> {
        let mut dir = self.dir(place.0)?;
        self.leave(&mut dir, place.1, kind);
        dir.touch(now);
        self.put_inode(dir);
        let inode = self.inode(ino)?;
        if inode.attr.nlink > 1 && !inode.is_dir() {
            let count = self.parent_count(ino, place.0)?;
            self.set_parent_count(ino, place.0, count.saturating_sub(1));
        }
        Ok(())
    }

    /// Puts an inode into another place of the tree, its link count unchanged.
    fn attach(&mut self, place: (Ino, &Name), ino: Ino, kind: FileKind, now: Nanos) -> Result<(), Stop> {
        let mut dir = self.dir(place.0)?;
        self.enter(&mut dir, place.1, ino, kind);
        dir.touch(now);
        self.put_inode(dir);
        let mut inode = self.inode(ino)?;
        if inode.attr.nlink > 1 && !inode.is_dir() {
            let count = self.parent_count(ino, place.0)?;
            self.set_parent_count(ino, place.0, count + 1);
        } else {
            inode.parent = place.0;
        }
        inode.change(now);
        self.put_inode(inode);
        Ok(())
    }
}
