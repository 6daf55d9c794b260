//! Steps at random, and what they become in the namespace at hand.

use std::collections::BTreeSet;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::tests::content::{block, deposit, extent_bytes};
use super::super::{
    AclKind, Changes, Checksums, Extent, FILE_MAX_BYTES, FileKind, Ino, Key, MemoryView, Mutation, Name, Nanos, NewNode, Op, Position,
    Record, Relocation, RenameMode, SegmentRecord, SetAttr, Source, XattrMode,
};
use super::model_acl::ModelAcl;
use crate::SegmentId;

/// The longest list of steps of one case.
const STEPS: usize = 60;

/// One step of a case. It names inodes by where they stand in a [`Census`], so it fits any namespace.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Op {
        scope: Option<Pick>,
        tick: Nanos,
        action: Action,
    },
    Purge(Pick),
    Put {
        len: u64,
    },
    /// The node copies up to `count` extents of a file from some extent on into a new segment.
    Move {
        file: Pick,
        first: usize,
        count: usize,
    },
}

/// An inode: usually one that can be meant, sometimes any, alive or not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pick {
    index: usize,
    any: bool,
}

/// A name in a directory: one of the dentries there are, or any.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    dir: Pick,
    name: Name,
    taken: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Action {
    Create { at: Spot, stale: Option<Pick>, node: NewNode, mode: u16, umask: u16, gid: u32 },
    Link { ino: Pick, at: Spot },
    Unlink { at: Spot },
    RemoveDir { at: Spot },
    Rename { from: Spot, to: Spot, mode: RenameMode },
    SetAttr { ino: Pick, set: SetAttr },
    Resize { ino: Pick, set: SetAttr },
    Write { ino: Pick, position: Position, data: Vec<Data>, kill_privileges: bool },
    Punch { ino: Pick, offset: u64, len: u64, extend: bool },
    SetXattr { ino: Pick, name: Name, value: Bytes, mode: XattrMode },
    RemoveXattr { ino: Pick, name: Name },
    SetAcl { ino: Pick, kind: AclKind, acl: Option<ModelAcl>, kill_set_group_id: bool },
    Access { ino: Pick },
    Clone { from: Pick, to: Option<Pick>, from_offset: u64, to_offset: u64, len: u64, kill_privileges: bool },
}

#[derive(Debug, Clone)]
pub(super) enum Data {
    Inline(Vec<u8>),
    Block { segment: usize, offset: u32, len: u32 },
    Unsound,
}

/// A step made concrete.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// A session that is confined to `scope` asks for an op.
    Op { scope: Ino, op: Op },
    /// Nobody has the inode open any more.
    Purge(Ino),
    /// A segment of that length is put.
    Put(SegmentId, u64),
    /// A segment of that length is put, and a stretch of a file lies in it from now on.
    Move(Relocation, u64),
}

/// The records that make a segment known.
pub(super) fn put(id: SegmentId, len: u64) -> Changes {
    Changes::from([(Key::Segment(id), Some(Record::Segment(SegmentRecord { len, live_bytes: 0 })))])
}

/// All names of files there are.
pub(super) fn names() -> impl Iterator<Item = Name> {
    ["a", "b", "c", "\u{e9}"].into_iter().map(|text| Name::new(text).unwrap())
}

/// The extended attribute that goes by a name; one of them is what a change of content takes away.
pub(super) fn xattr_name(name: &Name) -> Bytes {
    if name.as_bytes() == b"b" {
        return Bytes::from_static(b"security.capability");
    }
    [b"user.", name.as_bytes()].concat().into()
}

/// What has ever been seen in a namespace.
#[derive(Debug, Default)]
pub(super) struct Census {
    now: Nanos,
    segments: u128,
    /// All that ever were.
    inodes: BTreeSet<Ino>,
    alive: Vec<Ino>,
    directories: Vec<Ino>,
    files: Vec<Ino>,
    orphans: Vec<Ino>,
    dentries: Vec<(Ino, Name)>,
}

impl Census {
    /// Every inode that there is or was, and some that never were.
    pub(super) fn known(&self) -> Vec<Ino> {
        let never = [Ino(0), Ino(3), Ino(15)];
        self.inodes.iter().copied().chain(never).collect()
    }

    /// Takes stock and says what a step means here.
    pub(super) fn take(&mut self, view: &MemoryView, step: &Step) -> Event {
        let Self { now, segments, inodes, .. } = std::mem::take(self);
        *self = Self { now, segments, inodes, ..Self::default() };
        for (key, record) in view.records() {
            if let Key::Dentry(dir, name) = key {
                self.dentries.push((dir, name));
            }
            let Record::Inode(inode) = record else { continue };
            let ino = inode.attr.ino;
            self.inodes.insert(ino);
            self.alive.push(ino);
            match inode.attr.kind {
                FileKind::Directory => self.directories.push(ino),
                FileKind::File => self.files.push(ino),
                _ => {}
            }
            if inode.attr.nlink == 0 {
                self.orphans.push(ino);
            }
        }
        match step {
            Step::Op { scope, tick, action } => {
                self.now += tick;
                let scope = scope.map_or(Ino::ROOT, |pick| self.inode(pick, &self.directories));
                Event::Op { scope, op: Op { mutation: self.mutation(action), time: self.now } }
            }
            Step::Purge(pick) => Event::Purge(self.inode(*pick, &self.orphans)),
            Step::Put { len } => self.put(*len),
            Step::Move { file, first, count } => self.relocation(view, self.inode(*file, &self.files), *first, *count),
        }
    }

    fn put(&mut self, len: u64) -> Event {
        self.segments += 1;
        let id = SegmentId::from_bits(self.segments);
        deposit(id, None);
        Event::Put(id, len)
    }

    fn relocation(&mut self, view: &MemoryView, ino: Ino, first: usize, count: usize) -> Event {
        const BEFORE: u32 = 5;
        let extents: Vec<(u64, Extent)> = view
            .records()
            .filter_map(|(key, record)| match (key, record) {
                (Key::Extent(of, at), Record::Extent(extent)) if of == ino => Some((at, extent.clone())),
                _ => None,
            })
            .collect();
        if extents.is_empty() {
            return self.put(60);
        }
        let mut bytes = vec![0; BEFORE as usize];
        let mut from = Vec::new();
        let offset = extents[first % extents.len()].0;
        let mut end = offset;
        for (at, extent) in extents.into_iter().skip_while(|(at, _)| *at < offset).take(count) {
            if at != end {
                break;
            }
            end += u64::from(extent.len);
            bytes.extend(extent_bytes(&extent));
            from.push(extent);
        }
        let Event::Put(id, len) = self.put(bytes.len() as u64) else { unreachable!("a put is a put") };
        deposit(id, Some(bytes.into()));
        Event::Move(Relocation { ino, offset, from, to: block(id, BEFORE, (end - offset) as u32) }, len)
    }

    fn inode(&self, pick: Pick, meant: &[Ino]) -> Ino {
        if pick.any || meant.is_empty() {
            let known = self.known();
            known[pick.index % known.len()]
        } else {
            meant[pick.index % meant.len()]
        }
    }

    fn spot(&self, spot: &Spot) -> (Ino, Name) {
        if spot.taken && !self.dentries.is_empty() {
            self.dentries[spot.dir.index % self.dentries.len()].clone()
        } else {
            (self.inode(spot.dir, &self.directories), spot.name.clone())
        }
    }

    fn mutation(&self, action: &Action) -> Mutation {
        let any = |pick: &Pick| self.inode(*pick, &self.alive);
        let file = |pick: &Pick| self.inode(*pick, &self.files);
        match action.clone() {
            Action::Create { at, stale, node, mode, umask, gid } => {
                let fresh = self.inodes.last().map_or(Ino::FIRST_LEASED, |last| Ino::FIRST_LEASED.max(Ino(last.0 + 1)));
                let ino = stale.map_or(fresh, |pick| self.inode(Pick { any: true, ..pick }, &[]));
                let (parent, name) = self.spot(&at);
                Mutation::Create { parent, name, ino, node, mode, umask, uid: 1, gid }
            }
            Action::Link { ino, at } => {
                let (parent, name) = self.spot(&at);
                Mutation::Link { ino: file(&ino), parent, name }
            }
            Action::Unlink { at } => {
                let (parent, name) = self.spot(&at);
                Mutation::Unlink { parent, name }
            }
            Action::RemoveDir { at } => {
                let (parent, name) = self.spot(&at);
                Mutation::RemoveDir { parent, name }
            }
            Action::Rename { from, to, mode } => {
                let ((parent, name), (new_parent, new_name)) = (self.spot(&from), self.spot(&to));
                Mutation::Rename { parent, name, new_parent, new_name, mode }
            }
            Action::SetAttr { ino, set } => Mutation::SetAttr { ino: any(&ino), set },
            Action::Resize { ino, set } => Mutation::SetAttr { ino: file(&ino), set },
            Action::Write { ino, position, data, kill_privileges } => {
                let extents = data.iter().map(|data| self.extent(data)).collect();
                Mutation::Write { ino: file(&ino), position, extents, kill_privileges }
            }
            Action::Punch { ino, offset, len, extend } => Mutation::Punch { ino: file(&ino), offset, len, extend },
            Action::SetXattr { ino, name, value, mode } => Mutation::SetXattr { ino: any(&ino), name: xattr_name(&name), value, mode },
            Action::RemoveXattr { ino, name } => Mutation::RemoveXattr { ino: any(&ino), name: xattr_name(&name) },
            Action::SetAcl { ino, kind, acl, kill_set_group_id } => {
                // Only directories hand anything down.
                let meant = if kind == AclKind::Default { &self.directories } else { &self.alive };
                Mutation::SetAcl { ino: self.inode(ino, meant), kind, acl: acl.map(|acl| acl.encode()), kill_set_group_id }
            }
            Action::Access { ino } => Mutation::Access { ino: any(&ino) },
            Action::Clone { from, to, from_offset, to_offset, len, kill_privileges } => {
                let from = file(&from);
                Mutation::Clone { from, from_offset, to: to.map_or(from, |to| file(&to)), to_offset, len, kill_privileges }
            }
        }
    }

    fn extent(&self, data: &Data) -> Extent {
        match data {
            Data::Inline(bytes) => Extent::inline(Bytes::from(bytes.clone())),
            // The newest segments are the likeliest to be alive; the one after the newest does not exist.
            Data::Block { segment, offset, len } => {
                block(SegmentId::from_bits((self.segments + 1).saturating_sub(*segment as u128)), *offset, *len)
            }
            Data::Unsound => {
                Extent { len: 3, source: Source::Inline { data: Bytes::from_static(b"bad"), checksums: Checksums::of(b"good") } }
            }
        }
    }
}

fn pick() -> impl Strategy<Value = Pick> {
    (0..64usize, proptest::bool::weighted(0.05)).prop_map(|(index, any)| Pick { index, any })
}

fn name() -> impl Strategy<Value = Name> {
    proptest::sample::select(names().collect::<Vec<_>>())
}

/// Fewer than there are names, so that one is often set twice.
fn xattr() -> impl Strategy<Value = Name> {
    proptest::sample::select(names().take(2).collect::<Vec<_>>())
}

/// A place of which `taken` says how likely it is to be one where something stands.
fn spot(taken: f64) -> impl Strategy<Value = Spot> {
    (pick(), name(), proptest::bool::weighted(taken)).prop_map(|(dir, name, taken)| Spot { dir, name, taken })
}

fn node() -> impl Strategy<Value = NewNode> {
    prop_oneof![
        6 => Just(NewNode::File),
        6 => Just(NewNode::Directory),
        1 => Just(NewNode::Symlink(Bytes::from_static(b"a/b"))),
        1 => Just(NewNode::Fifo),
        1 => Just(NewNode::CharDevice(7)),
    ]
}

fn data() -> impl Strategy<Value = Data> {
    prop_oneof![
        20 => vec(1..=255u8, 1..20).prop_map(Data::Inline),
        20 => (1..4usize, 0..30u32, 1..20u32).prop_map(|(segment, offset, len)| Data::Block { segment, offset, len }),
        1 => (0..8usize, 0..80u32, 1..25u32).prop_map(|(segment, offset, len)| Data::Block { segment, offset, len }),
        1 => Just(Data::Unsound),
    ]
}

fn position() -> impl Strategy<Value = Position> {
    prop_oneof![
        12 => (0..60u64).prop_map(Position::At),
        6 => Just(Position::End),
        1 => (0..40u64).prop_map(|back| Position::At(FILE_MAX_BYTES - back)),
        1 => Just(Position::At(u64::MAX)),
    ]
}

fn size() -> impl Strategy<Value = u64> {
    prop_oneof![20 => 0..90u64, 1 => Just(FILE_MAX_BYTES), 1 => Just(FILE_MAX_BYTES + 1)]
}

fn attributes() -> impl Strategy<Value = SetAttr> {
    let mode = proptest::option::of(0..=0o17_777u16);
    let (uid, gid) = (proptest::option::of(0..3u32), proptest::option::of(0..3u32));
    let (atime, mtime) = (proptest::option::of(-9..0i64), proptest::option::weighted(0.2, -9..0i64));
    (mode, uid, gid, atime, mtime, any::<bool>()).prop_map(|(mode, uid, gid, atime, mtime, kill_privileges)| SetAttr {
        mode,
        uid,
        gid,
        size: None,
        atime,
        mtime,
        kill_privileges,
    })
}

fn resize() -> impl Strategy<Value = SetAttr> {
    (size(), any::<bool>(), proptest::option::weighted(0.1, attributes())).prop_map(|(size, kill_privileges, more)| match more {
        Some(more) => SetAttr { size: Some(size), ..more },
        None => SetAttr { size: Some(size), kill_privileges, ..SetAttr::default() },
    })
}

fn create() -> impl Strategy<Value = Action> {
    let mode = prop_oneof![2 => Just(0o644), 1 => Just(0o6755), 1 => Just(0o2755)];
    let umask = prop_oneof![2 => Just(0), 1 => Just(0o027)];
    let new = (node(), mode, umask, 0..3u32);
    (spot(0.05), proptest::option::weighted(0.03, pick()), new).prop_map(|(at, stale, (node, mode, umask, gid))| Action::Create {
        at,
        stale,
        node,
        mode,
        umask,
        gid,
    })
}

fn action() -> impl Strategy<Value = Action> {
    let rename_mode = prop_oneof![3 => Just(RenameMode::Replace), 1 => Just(RenameMode::NoReplace), 2 => Just(RenameMode::Exchange)];
    let acl_kind = prop_oneof![Just(AclKind::Access), Just(AclKind::Default)];
    let xattr_mode = prop_oneof![3 => Just(XattrMode::Any), 1 => Just(XattrMode::Create), 1 => Just(XattrMode::Replace)];
    prop_oneof![
        16 => create(),
        10 => (pick(), spot(0.1)).prop_map(|(ino, at)| Action::Link { ino, at }),
        10 => spot(0.9).prop_map(|at| Action::Unlink { at }),
        8 => spot(0.9).prop_map(|at| Action::RemoveDir { at }),
        24 => (spot(0.9), spot(0.5), rename_mode).prop_map(|(from, to, mode)| Action::Rename { from, to, mode }),
        3 => (pick(), attributes()).prop_map(|(ino, set)| Action::SetAttr { ino, set }),
        6 => (pick(), resize()).prop_map(|(ino, set)| Action::Resize { ino, set }),
        20 => (pick(), position(), vec(data(), 0..4), any::<bool>())
            .prop_map(|(ino, position, data, kill_privileges)| Action::Write { ino, position, data, kill_privileges }),
        6 => (pick(), 0..80u64, 0..50u64, any::<bool>())
            .prop_map(|(ino, offset, len, extend)| Action::Punch { ino, offset, len, extend }),
        5 => (pick(), xattr(), vec(any::<u8>(), 0..3), xattr_mode)
            .prop_map(|(ino, name, value, mode)| Action::SetXattr { ino, name, value: value.into(), mode }),
        3 => (pick(), xattr()).prop_map(|(ino, name)| Action::RemoveXattr { ino, name }),
        5 => (pick(), acl_kind, proptest::option::weighted(0.8, acl()), any::<bool>())
            .prop_map(|(ino, kind, acl, kill_set_group_id)| Action::SetAcl { ino, kind, acl, kill_set_group_id }),
        2 => pick().prop_map(|ino| Action::Access { ino }),
        10 => (pick(), proptest::option::weighted(0.7, pick()), offset(), offset(), length(), any::<bool>()).prop_map(
            |(from, to, from_offset, to_offset, len, kill_privileges)| Action::Clone { from, to, from_offset, to_offset, len, kill_privileges }
        ),
    ]
}

fn acl() -> impl Strategy<Value = ModelAcl> {
    let perm = || 0..8u16;
    (perm(), perm(), perm(), perm(), perm()).prop_map(|(user, named, group, mask, other)| ModelAcl { user, named, group, mask, other })
}

fn offset() -> impl Strategy<Value = u64> {
    prop_oneof![20 => 0..60u64, 1 => (0..40u64).prop_map(|back| FILE_MAX_BYTES - back), 1 => Just(u64::MAX)]
}

fn length() -> impl Strategy<Value = u64> {
    prop_oneof![20 => 0..60u64, 1 => Just(u64::MAX)]
}

fn op(action: impl Strategy<Value = Action>) -> impl Strategy<Value = Step> {
    // Clocks stand still, and those of two mounts are never quite the same.
    let tick = prop_oneof![4 => Just(0), 2 => Just(1), 2 => Just(-1), 2 => Just(1_000_000), 1 => Just(-900_000)];
    let scope = proptest::option::weighted(0.1, pick());
    (scope, tick, action).prop_map(|(scope, tick, action)| Step::Op { scope, tick, action })
}

/// A case: something to begin with, then anything.
pub(super) fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let put = || (50..80u64).prop_map(|len| Step::Put { len });
    let relocate = (pick(), 0..8usize, 1..4usize).prop_map(|(file, first, count)| Step::Move { file, first, count });
    let beginning = prop_oneof![3 => op(create()), 1 => put()];
    let step = prop_oneof![20 => op(action()), 1 => pick().prop_map(Step::Purge), 1 => put(), 3 => relocate];
    (vec(beginning, 0..=STEPS / 5), vec(step, 1..=STEPS * 4 / 5)).prop_map(|(beginning, rest)| [beginning, rest].concat())
}
