//! The namespace and the model side by side.

use std::collections::{BTreeMap, BTreeSet};

use super::super::tests::content::bytes_of;
use super::super::{
    ACL_ACCESS, ACL_DEFAULT, Attr, Errno, FileKind, Ino, Key, MemoryView, Name, Nanos, Outcome, Record, Usage, attr, check, lookup,
    read_dir, read_link, usage, xattr, xattr_names,
};
use super::model::{Answer, Body, Model, Node};

/// The times that each inode has had.
#[derive(Debug, Default)]
pub(super) struct History(BTreeMap<Ino, Seen>);

#[derive(Debug)]
struct Seen {
    touched: u32,
    changed: u32,
    attr: Attr,
    mtimes: BTreeSet<Nanos>,
}

/// Whether an event answered what it should.
pub(super) fn answers(answer: &Result<Outcome, Errno>, expected: &Result<Answer, Errno>, view: &MemoryView) -> Result<(), String> {
    let same = match (answer, expected) {
        (Ok(outcome), Ok(expected)) => {
            *outcome
                == Outcome {
                    attr: expected.attr_of.and_then(|ino| attr(view, ino).ok()),
                    written: expected.written,
                    orphaned: expected.orphaned.clone(),
                    // In whichever order they died.
                    dead_segments: outcome.dead_segments.clone(),
                }
                && outcome.dead_segments.len() == expected.dead_segments.len()
                && outcome.dead_segments.iter().all(|id| expected.dead_segments.contains(id))
        }
        (Err(errno), Err(expected)) => errno == expected,
        _ => false,
    };
    if same { Ok(()) } else { Err(format!("answered {answer:?}, expected {expected:?}")) }
}

/// Where the namespace is not as the model says, or breaks an invariant.
pub(super) fn states(view: &MemoryView, model: &Model, history: &mut History) -> Vec<String> {
    let mut differences = check::check_invariants(view).unwrap();
    history.0.retain(|ino, _| model.nodes.contains_key(ino));
    for (&ino, node) in &model.nodes {
        match attr(view, ino) {
            Ok(attr) => {
                inode(view, model, node, &attr, &mut differences);
                history.follow(node, &attr, &mut differences);
            }
            Err(stop) => differences.push(format!("{ino:?}: {stop:?}")),
        }
    }
    same("usage", usage(view).unwrap(), Usage { bytes: model.bytes(), inodes: model.nodes.len() as u64 }, &mut differences);
    let live = model.live_bytes();
    let expected: Vec<_> = model.segments.iter().map(|(id, len)| (*id, *len, live.get(id).copied().unwrap_or_default())).collect();
    let segments = view.records().filter_map(|(key, record)| match (key, record) {
        (Key::Segment(id), Record::Segment(segment)) => Some((id, segment.len, segment.live_bytes)),
        _ => None,
    });
    same("segments", segments.collect::<Vec<_>>(), expected, &mut differences);
    differences
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, is: T, expected: T, differences: &mut Vec<String>) {
    if is != expected {
        differences.push(format!("{what}: is {is:?}, expected {expected:?}"));
    }
}

fn inode(view: &MemoryView, model: &Model, node: &Node, attr: &Attr, differences: &mut Vec<String>) {
    let ino = attr.ino;
    let (size, allocated_bytes, rdev) = match &node.body {
        Body::File { size, cells } => (*size, cells.len() as u64, 0),
        Body::Directory(entries) => (entries.len() as u64, 0, 0),
        Body::Symlink(target) => (target.len() as u64, 0, 0),
        Body::Special(_, rdev) => (0, 0, *rdev),
    };
    let expected = Attr {
        ino,
        kind: node.kind(),
        mode: node.mode,
        uid: node.uid,
        gid: node.gid,
        nlink: model.nlink(ino),
        size,
        allocated_bytes,
        rdev,
        atime: node.atime.unwrap_or(attr.atime),
        mtime: node.mtime.unwrap_or(attr.mtime),
        ctime: attr.ctime,
    };
    same("attributes", attr, &expected, differences);
    let xattrs: BTreeMap<_, _> =
        xattr_names(view, ino).unwrap().into_iter().map(|name| (name.clone(), xattr(view, ino, &name).unwrap())).collect();
    let acls = [(ACL_ACCESS, &node.access), (ACL_DEFAULT, &node.default)];
    let acls = acls.into_iter().filter_map(|(name, acl)| Some((name, acl.as_ref()?.encode())));
    same("extended attributes", xattrs, node.xattrs.clone().into_iter().chain(acls).collect(), differences);
    match &node.body {
        Body::File { cells, .. } => {
            let bytes: BTreeMap<_, _> = cells.iter().map(|(at, (byte, _))| (*at, *byte)).collect();
            same("content", bytes_of(view, ino), bytes, differences);
        }
        Body::Directory(entries) => same("entries", listing(view, ino, differences), entries.clone(), differences),
        Body::Symlink(target) => same("target", &read_link(view, ino).unwrap(), target, differences),
        Body::Special(..) => {}
    }
}

/// A directory, read two entries at a time; each must be found by its name as well.
fn listing(view: &MemoryView, dir: Ino, differences: &mut Vec<String>) -> BTreeMap<Name, Ino> {
    let mut found = BTreeMap::new();
    let mut after: Option<Name> = None;
    loop {
        let some = read_dir(view, dir, after.as_ref(), 2).unwrap();
        for entry in &some {
            let named = lookup(view, dir, &entry.name).map(|attr| (attr.ino, attr.kind)).unwrap_or((Ino(0), FileKind::Fifo));
            same("an entry", named, (entry.ino, entry.kind), differences);
            found.insert(entry.name.clone(), entry.ino);
        }
        match some.last() {
            Some(last) if some.len() == 2 => after = Some(last.name.clone()),
            _ => return found,
        }
    }
}

impl History {
    /// mtime moves with the content and ctime with everything, each always to a value it has not had; neither moves
    /// else.
    fn follow(&mut self, node: &Node, attr: &Attr, differences: &mut Vec<String>) {
        let fresh = Seen { touched: node.touched, changed: node.changed, attr: attr.clone(), mtimes: BTreeSet::from([attr.mtime]) };
        let seen = match self.0.entry(attr.ino) {
            std::collections::btree_map::Entry::Vacant(vacant) => {
                vacant.insert(fresh);
                return;
            }
            std::collections::btree_map::Entry::Occupied(occupied) => occupied.into_mut(),
        };
        if node.touched == seen.touched {
            same("mtime at rest", attr.mtime, node.mtime.unwrap_or(seen.attr.mtime), differences);
        } else if node.mtime.is_none() && !seen.mtimes.insert(attr.mtime) {
            differences.push(format!("{:?}: had mtime {} before", attr.ino, attr.mtime));
        }
        match node.changed == seen.changed {
            true => same("ctime at rest", attr.ctime, seen.attr.ctime, differences),
            false if attr.ctime <= seen.attr.ctime => differences.push(format!("{:?}: ctime stands at {}", attr.ino, attr.ctime)),
            false => {}
        }
        same("atime", attr.atime, node.atime.unwrap_or(seen.attr.atime), differences);
        (seen.touched, seen.changed, seen.attr) = (node.touched, node.changed, attr.clone());
    }
}
