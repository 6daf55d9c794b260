use bytes::Bytes;

use super::super::apply::PURGE_RECORDS;
use super::super::{
    Changes, Errno, Extent, Ino, Inode, Key, MemoryView, Mutation, Position, Record, Usage, View, XattrMode, check, purge, usage, within,
};
use super::content::block;
use super::fixture::{Fixture, refused};

/// Whether anything at all is recorded about an inode.
fn is_known(view: &MemoryView, ino: Ino) -> bool {
    let is_of = |key: Key| match key {
        Key::Inode(of) | Key::Dentry(of, _) | Key::Extent(of, _) | Key::Xattr(of, _) | Key::Parent(of, _) | Key::Orphan(of) => of == ino,
        Key::Segment(_) | Key::Usage => false,
    };
    view.records().any(|(key, _)| is_of(key))
}

#[test]
fn an_orphan_lives_until_it_is_purged() {
    let mut fixture = Fixture::new();
    let segment = fixture.segment(1, 100);
    let file = fixture.file("a");
    fixture.write(file, Position::End, vec![block(segment, 0, 100), Extent::inline(Bytes::from_static(b"tail"))]).unwrap();
    fixture.apply(Mutation::SetXattr { ino: file, name: "user.a".into(), value: "v".into(), mode: XattrMode::Any }).unwrap();
    assert_eq!(fixture.purge(file).unwrap_err(), Errno::EINVAL, "not while it has a name");
    assert_eq!(fixture.unlink("a").unwrap().dead_segments, []);
    assert_eq!(fixture.content(file).len(), 104);
    assert_eq!(usage(&fixture.view).unwrap(), Usage { bytes: 111, inodes: 2 });
    let (outcome, more) = fixture.purge(file).unwrap();
    assert_eq!((outcome.dead_segments, more), (vec![segment], false));
    assert_eq!(usage(&fixture.view).unwrap(), Usage { bytes: 0, inodes: 1 });
    assert!(!is_known(&fixture.view, file));
    assert_eq!(fixture.purge(file).unwrap_err(), Errno::EINVAL, "it is gone");
    assert_eq!(fixture.purge(Ino::ROOT).unwrap_err(), Errno::EINVAL);
}

#[test]
fn a_removed_directory_is_purged_too() {
    let mut fixture = Fixture::new();
    let dir = fixture.dir("d");
    fixture.apply(Mutation::SetXattr { ino: dir, name: "user.a".into(), value: "v".into(), mode: XattrMode::Any }).unwrap();
    fixture.remove_dir("d").unwrap();
    assert!(!fixture.purge(dir).unwrap().1);
    assert!(!is_known(&fixture.view, dir));
}

/// A session confined to a subtree must be able to tell where an open file lies, also when nothing has a name any more.
#[test]
fn a_removed_directory_stays_while_orphans_that_stood_in_it_do() {
    let mut fixture = Fixture::new();
    let (scope, dir) = (fixture.dir("s"), fixture.dir("s/d"));
    let inner = fixture.dir("s/d/e");
    let (file, other) = (fixture.file("s/d/e/a"), fixture.file("s/d/b"));
    for path in ["s/d/e/a", "s/d/b"] {
        fixture.unlink(path).unwrap();
    }
    for path in ["s/d/e", "s/d"] {
        fixture.remove_dir(path).unwrap();
    }
    for ino in [dir, inner] {
        assert_eq!(fixture.purge(ino).unwrap(), Default::default(), "an orphan stood in it");
    }
    assert_eq!(within(&fixture.view, file, scope), Ok(true));
    fixture.context.scope = scope;
    fixture.write_text(file, 0, "still here");
    assert_eq!(fixture.purge(other).unwrap().0.orphaned, [], "the directory waits for another");
    assert_eq!(fixture.purge(file).unwrap().0.orphaned, [inner]);
    assert_eq!(fixture.purge(inner).unwrap().0.orphaned, [dir]);
    assert_eq!(fixture.purge(dir).unwrap().0.orphaned, [], "its own directory is alive");
    assert_eq!(usage(&fixture.view).unwrap(), Usage { bytes: 0, inodes: 2 });
}

/// An orphan with so many extents and extended attributes, made at once: op by op it would take long.
fn huge_orphan(extents: usize, xattrs: usize) -> (MemoryView, Ino) {
    let mut fixture = Fixture::new();
    let ino = fixture.file("a");
    fixture.unlink("a").unwrap();
    let mut view = fixture.view;
    let Ok(Some(Record::Inode(inode))) = view.get(&Key::Inode(ino)) else { panic!("it is there") };
    let mut changes = Changes::new();
    for at in 0..extents as u64 {
        changes.insert(Key::Extent(ino, at), Some(Record::Extent(Extent::inline(Bytes::from_static(b"x")))));
    }
    for at in 0..xattrs {
        changes.insert(Key::Xattr(ino, format!("user.{at}").into()), Some(Record::Xattr(Bytes::new())));
    }
    let bytes = extents as u64;
    let xattr_bytes: u64 = (0..xattrs).map(|at| format!("user.{at}").len() as u64).sum();
    let mut attr = inode.attr.clone();
    (attr.size, attr.allocated_bytes) = (bytes, bytes);
    changes.insert(Key::Inode(ino), Some(Record::Inode(Inode { attr, xattrs: xattrs as u32, xattr_bytes, ..inode })));
    changes.insert(Key::Usage, Some(Record::Usage(Usage { bytes: bytes + xattr_bytes, inodes: 2 })));
    view.absorb(&changes);
    (view, ino)
}

#[test]
fn a_huge_orphan_goes_in_steps() {
    for (extents, xattrs, steps) in [
        (PURGE_RECORDS - 1, 0, 1),
        (PURGE_RECORDS, 0, 2),
        (PURGE_RECORDS * 2 + 5, 3, 3),
        (0, PURGE_RECORDS + 1, 2),
        (PURGE_RECORDS - 1, 1, 2),
    ] {
        let (mut view, ino) = huge_orphan(extents, xattrs);
        assert_eq!(check::check_invariants(&view), Ok(vec![]));
        let mut from = 0;
        for step in 1..=steps {
            let (applied, rest) = purge(&view, ino, from).map_err(refused).unwrap();
            assert!(applied.changes.len() <= PURGE_RECORDS + 4, "a step is short");
            view.absorb(&applied.changes);
            assert_eq!(check::check_invariants(&view), Ok(vec![]), "what is left is whole");
            from = rest.unwrap_or(0);
            assert_eq!((rest.is_some(), is_known(&view, ino)), (step < steps, step < steps), "{extents} extents, step {step}");
        }
    }
}
