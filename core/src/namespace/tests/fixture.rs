//! A namespace under test, addressed by paths.

use bytes::Bytes;

use super::super::{
    Attr, Changes, Context, Errno, Extent, Ino, Key, MemoryView, Mutation, Name, Nanos, NewNode, Op, Outcome, Position, Record, RenameMode,
    SegmentRecord, SetAttr, Stop, apply, attr, check, format, lookup, purge,
};
use super::content::bytes_of;
use crate::SegmentId;

/// A namespace that checks its invariants after every op. Its clock moves one second an op.
pub(super) struct Fixture {
    pub(super) view: MemoryView,
    pub(super) context: Context,
    pub(super) now: Nanos,
    next_ino: u64,
}

/// One second.
pub(super) const SECOND: Nanos = 1_000_000_000;

pub(super) fn name(text: &str) -> Name {
    Name::new(text.to_owned()).unwrap()
}

impl Fixture {
    /// An empty workspace that belongs to 1000:1000.
    pub(super) fn new() -> Self {
        let mut view = MemoryView::default();
        view.absorb(&format(1000, 1000, 0o755, SECOND));
        Self { view, context: Context::default(), now: SECOND, next_ino: Ino::FIRST_LEASED.0 }
    }

    /// Applies a mutation one second after the last.
    pub(super) fn apply(&mut self, mutation: Mutation) -> Result<Outcome, Errno> {
        self.now += SECOND;
        self.apply_at(self.now, mutation)
    }

    pub(super) fn apply_at(&mut self, time: Nanos, mutation: Mutation) -> Result<Outcome, Errno> {
        let applied = apply(&self.view, &self.context, &Op { mutation, time }).map_err(refused)?;
        self.absorb(&applied.changes);
        Ok(applied.outcome)
    }

    pub(super) fn purge(&mut self, ino: Ino) -> Result<(Outcome, bool), Errno> {
        let (applied, rest) = purge(&self.view, ino, 0).map_err(refused)?;
        self.absorb(&applied.changes);
        Ok((applied.outcome, rest.is_some()))
    }

    fn absorb(&mut self, changes: &Changes) {
        self.view.absorb(changes);
        assert_eq!(check::check_invariants(&self.view), Ok(vec![]));
    }

    /// What stands at a path such as `a/b`; the root at the empty one.
    pub(super) fn ino(&self, path: &str) -> Ino {
        let parts = path.split('/').filter(|part| !part.is_empty());
        parts.fold(Ino::ROOT, |dir, part| lookup(&self.view, dir, &name(part)).unwrap().ino)
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        let (dir, name) = self.place(path);
        lookup(&self.view, dir, &name).is_ok()
    }

    pub(super) fn attr(&self, ino: Ino) -> Attr {
        attr(&self.view, ino).unwrap()
    }

    /// The directory of a path, which must exist, and the last name.
    pub(super) fn place(&self, path: &str) -> (Ino, Name) {
        let (dir, last) = path.rsplit_once('/').unwrap_or(("", path));
        (self.ino(dir), name(last))
    }

    pub(super) fn try_create(&mut self, path: &str, node: NewNode, mode: u16) -> Result<Ino, Errno> {
        let (parent, name) = self.place(path);
        let ino = Ino(self.next_ino);
        self.next_ino += 1;
        self.apply(Mutation::Create { parent, name, ino, node, mode, umask: 0, uid: 1000, gid: 1000 }).map(|_| ino)
    }

    pub(super) fn file(&mut self, path: &str) -> Ino {
        self.try_create(path, NewNode::File, 0o644).unwrap()
    }

    pub(super) fn dir(&mut self, path: &str) -> Ino {
        self.try_create(path, NewNode::Directory, 0o755).unwrap()
    }

    pub(super) fn symlink(&mut self, path: &str, target: &'static str) -> Ino {
        self.try_create(path, NewNode::Symlink(Bytes::from(target)), 0o777).unwrap()
    }

    pub(super) fn link(&mut self, ino: Ino, path: &str) -> Result<Outcome, Errno> {
        let (parent, name) = self.place(path);
        self.apply(Mutation::Link { ino, parent, name })
    }

    pub(super) fn unlink(&mut self, path: &str) -> Result<Outcome, Errno> {
        let (parent, name) = self.place(path);
        self.apply(Mutation::Unlink { parent, name })
    }

    pub(super) fn remove_dir(&mut self, path: &str) -> Result<Outcome, Errno> {
        let (parent, name) = self.place(path);
        self.apply(Mutation::RemoveDir { parent, name })
    }

    pub(super) fn rename(&mut self, from: &str, to: &str, mode: RenameMode) -> Result<Outcome, Errno> {
        let ((parent, name), (new_parent, new_name)) = (self.place(from), self.place(to));
        self.apply(Mutation::Rename { parent, name, new_parent, new_name, mode })
    }

    pub(super) fn set(&mut self, ino: Ino, set: SetAttr) -> Result<Attr, Errno> {
        self.apply(Mutation::SetAttr { ino, set }).map(|outcome| outcome.attr.unwrap())
    }

    pub(super) fn truncate(&mut self, ino: Ino, size: u64) -> Result<Attr, Errno> {
        self.set(ino, SetAttr { size: Some(size), ..SetAttr::default() })
    }

    pub(super) fn write(&mut self, ino: Ino, position: Position, extents: Vec<Extent>) -> Result<Outcome, Errno> {
        self.apply(Mutation::Write { ino, position, extents, kill_privileges: false })
    }

    pub(super) fn write_text(&mut self, ino: Ino, at: u64, text: &'static str) {
        self.write(ino, Position::At(at), vec![Extent::inline(Bytes::from(text))]).unwrap();
    }

    pub(super) fn punch(&mut self, ino: Ino, offset: u64, len: u64, extend: bool) -> Result<Outcome, Errno> {
        self.apply(Mutation::Punch { ino, offset, len, extend })
    }

    /// What the shell does when a segment was put.
    pub(super) fn segment(&mut self, bits: u128, len: u64) -> SegmentId {
        let id = SegmentId::from_bits(bits);
        self.absorb(&Changes::from([(Key::Segment(id), Some(Record::Segment(SegmentRecord { len, live_bytes: 0 })))]));
        id
    }

    /// The live bytes of a segment, if it is known.
    pub(super) fn live_bytes(&self, id: SegmentId) -> Option<u64> {
        self.view.records().find_map(|(key, record)| match record {
            Record::Segment(segment) if key == Key::Segment(id) => Some(segment.live_bytes),
            _ => None,
        })
    }

    /// A file's bytes, holes as zeros.
    pub(super) fn content(&self, ino: Ino) -> Vec<u8> {
        let mut content = vec![0; self.attr(ino).size as usize];
        for (at, byte) in bytes_of(&self.view, ino) {
            content[at as usize] = byte;
        }
        content
    }

    /// Offset and length of each extent of a file.
    pub(super) fn layout(&self, ino: Ino) -> Vec<(u64, u32)> {
        let of_ino = |(key, record): (Key, &Record)| match (key, record) {
            (Key::Extent(file, at), Record::Extent(extent)) if file == ino => Some((at, extent.len)),
            _ => None,
        };
        self.view.records().filter_map(of_ino).collect()
    }
}

/// The errno of a view that lacks nothing.
pub(super) fn refused(stop: Stop) -> Errno {
    match stop {
        Stop::Refused(errno) => errno,
        Stop::Missing(missing) => panic!("a whole view misses nothing, not {missing:?}"),
    }
}
