//! A namespace without counts, keys or extents.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::super::tests::content::extent_bytes;
use super::super::{
    ACL_ACCESS, ACL_DEFAULT, AclKind, Context, EXTENT_MAX_BYTES, Errno, Extent, FILE_MAX_BYTES, FileKind, Ino, Limits, Mutation, Name,
    Nanos, NewNode, Position, Relocation, RenameMode, SetAttr, Source, Written, XattrMode,
};
use super::model_acl::ModelAcl;
use super::step::Event;
use crate::SegmentId;

/// A byte of a file, and the segment it lies in unless it is inline.
type Cell = (u8, Option<SegmentId>);

/// What an inode is, and holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    /// The bytes that are not holes.
    File {
        size: u64,
        cells: BTreeMap<u64, Cell>,
    },
    Directory(BTreeMap<Name, Ino>),
    Symlink(Bytes),
    Special(FileKind, u32),
}

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) body: Body,
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) xattrs: BTreeMap<Bytes, Bytes>,
    /// Its access control list, as a mode for everybody whom it names: see [`ModelAcl`].
    pub(super) access: Option<ModelAcl>,
    /// What it hands down.
    pub(super) default: Option<ModelAcl>,
    /// How often its content has changed (mtime) and how often anything of it (ctime).
    pub(super) touched: u32,
    pub(super) changed: u32,
    /// Set by hand or by an access.
    pub(super) atime: Option<Nanos>,
    /// The mtime that was set by hand and stands.
    pub(super) mtime: Option<Nanos>,
    /// Where its last link stood.
    last_dir: Ino,
}

/// What an event answers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) attr_of: Option<Ino>,
    pub(super) written: Option<Written>,
    pub(super) orphaned: Vec<Ino>,
    pub(super) dead_segments: BTreeSet<SegmentId>,
}

#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) nodes: BTreeMap<Ino, Node>,
    /// The segments that are known, and their lengths.
    pub(super) segments: BTreeMap<SegmentId, u64>,
}

impl Node {
    fn new(body: Body, mode: u16, uid: u32, gid: u32, dir: Ino) -> Self {
        let xattrs = BTreeMap::new();
        Self { body, mode, uid, gid, xattrs, access: None, default: None, touched: 0, changed: 0, atime: None, mtime: None, last_dir: dir }
    }

    pub(super) fn kind(&self) -> FileKind {
        match &self.body {
            Body::File { .. } => FileKind::File,
            Body::Directory(_) => FileKind::Directory,
            Body::Symlink(_) => FileKind::Symlink,
            Body::Special(kind, _) => *kind,
        }
    }

    pub(super) fn entries(&self) -> Option<&BTreeMap<Name, Ino>> {
        if let Body::Directory(entries) = &self.body { Some(entries) } else { None }
    }

    fn is_dir(&self) -> bool {
        self.entries().is_some()
    }

    fn touch(&mut self) {
        self.touched += 1;
        self.changed += 1;
        self.mtime = None;
    }

    /// The bytes it counts besides those of its content.
    fn extra_bytes(&self) -> u64 {
        let target = if let Body::Symlink(target) = &self.body { target.len() } else { 0 };
        let acls = [(&ACL_ACCESS, &self.access), (&ACL_DEFAULT, &self.default)];
        let acls = acls.into_iter().filter_map(|(name, acl)| Some(name.len() + acl.as_ref()?.encode().len()));
        let xattrs = self.xattrs.iter().map(|(name, value)| name.len() + value.len());
        (target + acls.sum::<usize>() + xattrs.sum::<usize>()) as u64
    }

    /// Capabilities fall with any change of content.
    fn kill_capability(&mut self) {
        if !self.is_dir() {
            self.xattrs.remove(&b"security.capability"[..]);
        }
    }

    fn set_mode(&mut self, mode: u16) {
        self.mode = mode;
        if let Some(acl) = &mut self.access {
            (acl.user, acl.mask, acl.other) = (mode >> 6 & 7, mode >> 3 & 7, mode & 7);
        }
    }

    fn kill_privileges(&mut self) {
        if !self.is_dir() {
            self.mode &= if self.mode & 0o010 == 0 { !0o4000 } else { !0o6000 };
        }
    }
}

impl Model {
    pub(super) fn new() -> Self {
        let root = Node::new(Body::Directory(BTreeMap::new()), 0o755, 0, 0, Ino::ROOT);
        Self { nodes: BTreeMap::from([(Ino::ROOT, root)]), segments: BTreeMap::new() }
    }

    /// Does what an event says, or nothing.
    pub(super) fn happen(&mut self, event: &Event, limits: &Limits) -> Result<Answer, Errno> {
        let mut next = self.clone();
        let mut answer = match event {
            Event::Op { scope, op } => next.apply(&op.mutation, op.time, &Context { scope: *scope, limits: limits.clone() })?,
            Event::Purge(ino) => next.purge(*ino)?,
            Event::Move(relocation, len) => {
                next.relocate(relocation, *len);
                Answer::default()
            }
            Event::Put(id, len) => {
                next.segments.insert(*id, *len);
                Answer::default()
            }
        };
        let alive = next.live_bytes();
        answer.dead_segments = self.live_bytes().into_keys().filter(|id| !alive.contains_key(id)).collect();
        next.segments.retain(|id, _| !answer.dead_segments.contains(id));
        *self = next;
        Ok(answer)
    }

    /// Lets a stretch of a file lie in another segment, and nothing else.
    fn relocate(&mut self, relocation: &Relocation, segment_len: u64) {
        let Source::Block { segment, .. } = relocation.to.source else { return };
        self.segments.insert(segment, segment_len);
        let Some(Node { body: Body::File { cells, .. }, .. }) = self.nodes.get_mut(&relocation.ino) else { return };
        for (_, cell) in cells.range_mut(relocation.offset..relocation.offset + u64::from(relocation.to.len)) {
            cell.1 = Some(segment);
        }
    }

    /// The directories in which an inode has links, one for each.
    fn links(&self, ino: Ino) -> Vec<Ino> {
        let named = |node: &Node| node.entries().map_or(0, |entries| entries.values().filter(|&&named| named == ino).count());
        self.nodes.iter().flat_map(|(&dir, node)| std::iter::repeat_n(dir, named(node))).collect()
    }

    fn is_orphan(&self, ino: Ino) -> bool {
        ino != Ino::ROOT && self.links(ino).is_empty()
    }

    /// What stat(2) calls the link count.
    pub(super) fn nlink(&self, ino: Ino) -> u32 {
        match self.nodes[&ino].entries() {
            _ if self.is_orphan(ino) => 0,
            Some(entries) => 2 + entries.values().filter(|named| self.nodes[named].is_dir()).count() as u32,
            None => self.links(ino).len() as u32,
        }
    }

    /// The bytes of files that lie in each segment, if any do.
    pub(super) fn live_bytes(&self) -> BTreeMap<SegmentId, u64> {
        let mut live = BTreeMap::new();
        for node in self.nodes.values() {
            let Body::File { cells, .. } = &node.body else { continue };
            for segment in cells.values().filter_map(|(_, segment)| *segment) {
                *live.entry(segment).or_default() += 1;
            }
        }
        live
    }

    /// The bytes of all files that are not holes, and what else counts.
    pub(super) fn bytes(&self) -> u64 {
        let len = |node: &Node| node.extra_bytes() + if let Body::File { cells, .. } = &node.body { cells.len() as u64 } else { 0 };
        self.nodes.values().map(len).sum()
    }

    fn is_within(&self, ino: Ino, root: Ino) -> bool {
        let Some(node) = self.nodes.get(&ino) else { return false };
        let mut above = self.links(ino);
        if self.is_orphan(ino) {
            above.push(node.last_dir);
        }
        ino == root || above.into_iter().any(|dir| self.is_within(dir, root))
    }

    fn node(&self, ino: Ino) -> Result<&Node, Errno> {
        self.nodes.get(&ino).ok_or(Errno::ENOENT)
    }

    fn node_mut(&mut self, ino: Ino) -> Result<&mut Node, Errno> {
        self.nodes.get_mut(&ino).ok_or(Errno::ENOENT)
    }

    fn dir(&self, ino: Ino) -> Result<&BTreeMap<Name, Ino>, Errno> {
        let entries = self.node(ino)?.entries().ok_or(Errno::ENOTDIR)?;
        if self.is_orphan(ino) { Err(Errno::ENOENT) } else { Ok(entries) }
    }

    fn entry(&self, dir: Ino, name: &Name) -> Result<Option<Ino>, Errno> {
        Ok(self.dir(dir)?.get(name).copied())
    }

    fn file(&self, ino: Ino) -> Result<(u64, &BTreeMap<u64, Cell>), Errno> {
        match &self.node(ino)?.body {
            Body::File { size, cells } => Ok((*size, cells)),
            Body::Directory(_) => Err(Errno::EISDIR),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Puts an entry, or takes it away.
    fn set_entry(&mut self, dir: Ino, name: &Name, ino: Option<Ino>) {
        let node = self.nodes.get_mut(&dir).unwrap();
        let Body::Directory(entries) = &mut node.body else { panic!("{dir:?} is a directory") };
        match ino {
            Some(ino) => entries.insert(name.clone(), ino),
            None => entries.remove(name),
        };
        node.touch();
    }

    /// A link in `dir` is gone; perhaps it was the last.
    fn lose_link(&mut self, ino: Ino, dir: Ino, answer: &mut Answer) {
        let orphan = self.is_orphan(ino);
        let node = self.nodes.get_mut(&ino).unwrap();
        node.changed += 1;
        if orphan {
            node.last_dir = dir;
            answer.orphaned.push(ino);
        }
    }

    fn apply(&mut self, mutation: &Mutation, now: Nanos, context: &Context) -> Result<Answer, Errno> {
        if context.scope != Ino::ROOT && !mutation.names().into_iter().all(|ino| self.is_within(ino, context.scope)) {
            return Err(Errno::ENOENT);
        }
        let mut answer = Answer::default();
        match mutation {
            Mutation::Create { parent, name, ino, node, mode, umask, uid, gid } => {
                self.create((*parent, name), *ino, node, (*mode, *umask), (*uid, *gid), &context.limits)?;
                answer.attr_of = Some(*ino);
            }
            Mutation::Link { ino, parent, name } => {
                self.node(*ino)?;
                if self.entry(*parent, name)?.is_some() {
                    return Err(Errno::EEXIST);
                }
                if self.node(*ino)?.is_dir() {
                    return Err(Errno::EPERM);
                }
                if self.is_orphan(*ino) {
                    return Err(Errno::ENOENT);
                }
                self.set_entry(*parent, name, Some(*ino));
                self.node_mut(*ino)?.changed += 1;
                answer.attr_of = Some(*ino);
            }
            Mutation::Unlink { parent, name } => {
                let ino = self.entry(*parent, name)?.ok_or(Errno::ENOENT)?;
                if self.node(ino)?.is_dir() {
                    return Err(Errno::EISDIR);
                }
                self.set_entry(*parent, name, None);
                self.lose_link(ino, *parent, &mut answer);
            }
            Mutation::RemoveDir { parent, name } => {
                let ino = self.entry(*parent, name)?.ok_or(Errno::ENOENT)?;
                if !self.node(ino)?.entries().ok_or(Errno::ENOTDIR)?.is_empty() {
                    return Err(Errno::ENOTEMPTY);
                }
                self.set_entry(*parent, name, None);
                self.lose_link(ino, *parent, &mut answer);
            }
            Mutation::Rename { parent, name, new_parent, new_name, mode } => {
                self.rename((*parent, name), (*new_parent, new_name), *mode, &mut answer)?;
            }
            Mutation::SetAttr { ino, set } => {
                self.set_attr(*ino, set)?;
                answer.attr_of = Some(*ino);
            }
            Mutation::Write { ino, position, extents, kill_privileges } => {
                answer.written = Some(self.write(*ino, *position, extents, *kill_privileges, &context.limits)?);
                answer.attr_of = Some(*ino);
            }
            Mutation::Punch { ino, offset, len, extend } => {
                let (size, cells) = self.file(*ino)?;
                let end = offset.checked_add(*len).filter(|end| *end <= FILE_MAX_BYTES).ok_or(Errno::EFBIG)?;
                let cells = cells.iter().map(|(at, cell)| (*at, *cell)).filter(|(at, _)| !(*offset..end).contains(at)).collect();
                let node = self.node_mut(*ino)?;
                node.body = Body::File { size: if *extend { size.max(end) } else { size }, cells };
                node.touch();
                node.kill_capability();
                answer.attr_of = Some(*ino);
            }
            Mutation::SetXattr { ino, name, value, mode } => {
                let before = self.bytes();
                let node = self.node_mut(*ino)?;
                match mode {
                    XattrMode::Create if node.xattrs.contains_key(name) => return Err(Errno::EEXIST),
                    XattrMode::Replace if !node.xattrs.contains_key(name) => return Err(Errno::ENODATA),
                    _ => node.xattrs.insert(name.clone(), value.clone()),
                };
                node.changed += 1;
                self.check_quota(before, &context.limits)?;
                answer.attr_of = Some(*ino);
            }
            Mutation::SetAcl { ino, kind, acl, kill_set_group_id } => {
                let before = self.bytes();
                self.set_acl(*ino, *kind, acl.as_ref().map(ModelAcl::decode), *kill_set_group_id)?;
                self.check_quota(before, &context.limits)?;
                answer.attr_of = Some(*ino);
            }
            Mutation::Access { ino } => self.node_mut(*ino)?.atime = Some(now),
            Mutation::Clone { from, from_offset, to, to_offset, len, kill_privileges } => {
                let before = self.bytes();
                let written = self.copy((*from, *from_offset), (*to, *to_offset), *len)?;
                if written.len > 0 {
                    let node = self.node_mut(*to)?;
                    node.touch();
                    if *kill_privileges {
                        node.kill_privileges();
                    }
                    node.kill_capability();
                }
                self.check_quota(before, &context.limits)?;
                answer.written = Some(written);
                answer.attr_of = Some(*to);
            }
            Mutation::RemoveXattr { ino, name } => {
                let node = self.node_mut(*ino)?;
                node.xattrs.remove(name).ok_or(Errno::ENODATA)?;
                node.changed += 1;
                answer.attr_of = Some(*ino);
            }
        }
        Ok(answer)
    }

    fn check_quota(&self, before: u64, limits: &Limits) -> Result<(), Errno> {
        let after = self.bytes();
        if after > before && limits.bytes.is_some_and(|limit| after > limit) { Err(limits.exceeded) } else { Ok(()) }
    }

    fn set_acl(&mut self, ino: Ino, kind: AclKind, acl: Option<ModelAcl>, kill_set_group_id: bool) -> Result<(), Errno> {
        let node = self.node_mut(ino)?;
        match (kind, &acl) {
            _ if node.kind() == FileKind::Symlink => return Err(Errno::EOPNOTSUPP),
            (AclKind::Default, Some(_)) if !node.is_dir() => return Err(Errno::EACCES),
            (AclKind::Default, _) => node.default = acl,
            (AclKind::Access, Some(given)) => {
                node.mode = node.mode & if kill_set_group_id { 0o5000 } else { 0o7000 } | given.mode();
                node.access = acl;
            }
            (AclKind::Access, None) => node.access = None,
        }
        node.changed += 1;
        Ok(())
    }

    fn copy(&mut self, from: (Ino, u64), to: (Ino, u64), len: u64) -> Result<Written, Errno> {
        let (from_size, from_cells) = self.file(from.0)?;
        let (to_size, to_cells) = self.file(to.0)?;
        if from.1.checked_add(len).is_none() || to.1.checked_add(len).is_none() {
            return Err(Errno::EOVERFLOW);
        }
        if to.1 >= FILE_MAX_BYTES {
            return Err(Errno::EFBIG);
        }
        let len = len.min(from_size.saturating_sub(from.1)).min(FILE_MAX_BYTES - to.1);
        if from.0 == to.0 && from.1 < to.1 + len && to.1 < from.1 + len {
            return Err(Errno::EINVAL);
        }
        let written = Written { offset: to.1, len };
        if len > 0 {
            let mut cells = to_cells.clone();
            cells.retain(|at, _| !(to.1..to.1 + len).contains(at));
            cells.extend(from_cells.range(from.1..from.1 + len).map(|(at, cell)| (at - from.1 + to.1, *cell)));
            self.node_mut(to.0)?.body = Body::File { size: to_size.max(to.1 + len), cells };
        }
        Ok(written)
    }

    fn create(
        &mut self,
        at: (Ino, &Name),
        ino: Ino,
        new: &NewNode,
        modes: (u16, u16),
        owner: (u32, u32),
        limits: &Limits,
    ) -> Result<(), Errno> {
        let ((parent, name), (mode, umask)) = (at, modes);
        let before = self.bytes();
        if self.entry(parent, name)?.is_some() {
            return Err(Errno::EEXIST);
        }
        if ino < Ino::FIRST_LEASED || self.nodes.contains_key(&ino) {
            return Err(Errno::EINVAL);
        }
        if limits.inodes.is_some_and(|limit| self.nodes.len() as u64 >= limit) {
            return Err(limits.exceeded);
        }
        let body = match new {
            NewNode::File => Body::File { size: 0, cells: BTreeMap::new() },
            NewNode::Directory => Body::Directory(BTreeMap::new()),
            NewNode::Symlink(target) => Body::Symlink(target.clone()),
            NewNode::Fifo => Body::Special(FileKind::Fifo, 0),
            NewNode::Socket => Body::Special(FileKind::Socket, 0),
            NewNode::CharDevice(rdev) => Body::Special(FileKind::CharDevice, *rdev),
            NewNode::BlockDevice(rdev) => Body::Special(FileKind::BlockDevice, *rdev),
        };
        let dir = self.node(parent)?;
        let inherits = dir.mode & 0o2000 == 0o2000;
        let gid = if inherits { dir.gid } else { owner.1 };
        let mode = match new {
            NewNode::Symlink(_) => 0o777,
            NewNode::Directory if inherits => mode | 0o2000,
            _ => mode,
        };
        let handed_down = dir.default.clone().filter(|_| !matches!(new, NewNode::Symlink(_)));
        let mut node = Node::new(body, mode, owner.0, gid, parent);
        match handed_down {
            Some(default) => {
                let restricted = default.restricted(mode);
                node.mode = mode & 0o7000 | restricted.mode();
                node.access = Some(restricted);
                node.default = Some(default).filter(|_| node.is_dir());
            }
            None if matches!(new, NewNode::Symlink(_)) => {}
            None => node.mode = mode & !umask,
        }
        self.nodes.insert(ino, node);
        self.set_entry(parent, name, Some(ino));
        self.check_quota(before, limits)
    }

    fn rename(&mut self, from: (Ino, &Name), to: (Ino, &Name), mode: RenameMode, answer: &mut Answer) -> Result<(), Errno> {
        self.dir(from.0)?;
        let target = self.entry(to.0, to.1)?;
        let ino = self.entry(from.0, from.1)?.ok_or(Errno::ENOENT)?;
        match mode {
            RenameMode::NoReplace if target.is_some() => return Err(Errno::EEXIST),
            RenameMode::Exchange if target.is_none() => return Err(Errno::ENOENT),
            _ => {}
        }
        // Neither may end up below itself; whatever is above the source is not empty.
        if self.node(ino)?.is_dir() && self.is_within(to.0, ino) {
            return Err(Errno::EINVAL);
        }
        if let Some(target) = target
            && self.node(target)?.is_dir()
            && self.is_within(from.0, target)
        {
            return Err(if mode == RenameMode::Exchange { Errno::EINVAL } else { Errno::ENOTEMPTY });
        }
        if target == Some(ino) {
            return Ok(());
        }
        if mode != RenameMode::Exchange
            && let Some(target) = target
        {
            match (self.node(ino)?.is_dir(), self.node(target)?.entries()) {
                (true, None) => return Err(Errno::ENOTDIR),
                (false, Some(_)) => return Err(Errno::EISDIR),
                (true, Some(entries)) if !entries.is_empty() => return Err(Errno::ENOTEMPTY),
                _ => {}
            }
        }
        self.set_entry(from.0, from.1, None);
        self.set_entry(to.0, to.1, Some(ino));
        self.node_mut(ino)?.changed += 1;
        match target {
            Some(target) if mode == RenameMode::Exchange => {
                self.set_entry(from.0, from.1, Some(target));
                self.node_mut(target)?.changed += 1;
            }
            Some(target) => self.lose_link(target, to.0, answer),
            None => {}
        }
        Ok(())
    }

    fn set_attr(&mut self, ino: Ino, set: &SetAttr) -> Result<(), Errno> {
        self.node(ino)?;
        if let Some(new_size) = set.size {
            self.file(ino)?;
            if new_size > FILE_MAX_BYTES {
                return Err(Errno::EFBIG);
            }
            let node = self.node_mut(ino)?;
            if let Body::File { size, cells } = &mut node.body {
                *size = new_size;
                cells.retain(|at, _| *at < new_size);
            }
            node.touch();
        }
        let node = self.node_mut(ino)?;
        node.changed += 1;
        if set.kill_privileges || set.uid.is_some() || set.gid.is_some() {
            node.kill_privileges();
        }
        if set.kill_privileges || set.uid.is_some() || set.gid.is_some() || set.size.is_some() {
            node.kill_capability();
        }
        if let Some(mode) = set.mode {
            node.set_mode(mode & 0o7777);
        }
        node.uid = set.uid.unwrap_or(node.uid);
        node.gid = set.gid.unwrap_or(node.gid);
        node.atime = set.atime.or(node.atime);
        node.mtime = set.mtime.or(node.mtime);
        Ok(())
    }

    fn write(
        &mut self,
        ino: Ino,
        position: Position,
        extents: &[Extent],
        kill_privileges: bool,
        limits: &Limits,
    ) -> Result<Written, Errno> {
        let (size, cells) = self.file(ino)?;
        let offset = if let Position::At(offset) = position { offset } else { size };
        if extents.is_empty() {
            return Ok(Written { offset, len: 0 });
        }
        if !extents.iter().all(is_sound) {
            return Err(Errno::EINVAL);
        }
        let len: u64 = extents.iter().map(|extent| u64::from(extent.len)).sum();
        let end = offset.checked_add(len).filter(|end| *end <= FILE_MAX_BYTES).ok_or(Errno::EFBIG)?;
        let mut cells = cells.clone();
        let mut at = offset;
        for extent in extents {
            let segment = match &extent.source {
                Source::Inline { .. } => None,
                Source::Block { segment, block_offset, block_len, .. } => {
                    let known = self.segments.get(segment).ok_or(Errno::EINVAL)?;
                    if u64::from(*block_offset) + u64::from(*block_len) > *known {
                        return Err(Errno::EINVAL);
                    }
                    Some(*segment)
                }
            };
            cells.extend((at..).zip(extent_bytes(extent).iter().map(|byte| (*byte, segment))));
            at += u64::from(extent.len);
        }
        let before = self.bytes();
        let node = self.node_mut(ino)?;
        node.body = Body::File { size: size.max(end), cells };
        node.touch();
        if kill_privileges {
            node.kill_privileges();
        }
        node.kill_capability();
        self.check_quota(before, limits)?;
        Ok(Written { offset, len })
    }

    fn purge(&mut self, ino: Ino) -> Result<Answer, Errno> {
        if !self.nodes.contains_key(&ino) || !self.is_orphan(ino) {
            return Err(Errno::EINVAL);
        }
        // A directory stays while orphans that stood in it do, and may go with the last of them.
        if self.stood_in(ino) {
            return Ok(Answer::default());
        }
        let dir = self.nodes.remove(&ino).map_or(Ino::ROOT, |node| node.last_dir);
        let mut answer = Answer::default();
        if self.is_orphan(dir) && !self.stood_in(dir) {
            answer.orphaned.push(dir);
        }
        Ok(answer)
    }

    /// Whether orphans stood in a directory when they lost their last link.
    fn stood_in(&self, dir: Ino) -> bool {
        self.nodes.iter().any(|(&ino, node)| node.last_dir == dir && self.is_orphan(ino))
    }
}

fn is_sound(extent: &Extent) -> bool {
    let fits = match &extent.source {
        Source::Inline { data, checksums } => data.len() as u64 == u64::from(extent.len) && checksums.match_bytes(data),
        Source::Block { block_len, skip, .. } => u64::from(*skip) + u64::from(extent.len) <= u64::from(*block_len),
    };
    fits && (1..=EXTENT_MAX_BYTES).contains(&extent.len)
}
