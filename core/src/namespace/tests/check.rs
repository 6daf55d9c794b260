use bytes::Bytes;

use super::super::{
    ACL_ACCESS, ACL_DEFAULT, Attr, Changes, Extent, FileKind, Ino, Inode, Key, Missing, Position, Record, SegmentRecord, Usage, View, check,
};
use super::acl::acl;
use super::content::block;
use super::fixture::{Fixture, name};
use super::lazy_view::LazyView;
use crate::SegmentId;

/// `d/`, `d/e/`, `f` (with a block, and linked as `d/g`), `s` (symbolic link), and an orphan.
fn sound() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.dir("d");
    fixture.dir("d/e");
    let segment = fixture.segment(1, 100);
    let file = fixture.file("f");
    fixture.write(file, Position::At(0), vec![block(segment, 0, 10), Extent::inline(Bytes::from_static(b"tail"))]).unwrap();
    fixture.link(file, "d/g").unwrap();
    fixture.symlink("s", "f");
    fixture.file("orphan");
    fixture.unlink("orphan").unwrap();
    fixture
}

fn inode(fixture: &Fixture, ino: Ino) -> Inode {
    match fixture.view.get(&Key::Inode(ino)) {
        Ok(Some(Record::Inode(inode))) => inode,
        other => panic!("{other:?}"),
    }
}

/// The change of one inode's attributes.
fn edit(fixture: &Fixture, ino: Ino, change: impl FnOnce(&mut Attr)) -> (Key, Option<Record>) {
    let mut inode = inode(fixture, ino);
    change(&mut inode.attr);
    (Key::Inode(ino), Some(Record::Inode(inode)))
}

#[test]
fn each_invariant_is_seen_when_it_breaks() {
    let fixture = sound();
    assert_eq!(check::check_invariants(&fixture.view), Ok(vec![]));
    let (d, e, f, s) = (fixture.ino("d"), fixture.ino("d/e"), fixture.ino("f"), fixture.ino("s"));
    let orphan = Ino(s.0 + 1);
    let absent = Ino(999);
    let segment = SegmentId::from_bits(1);
    let dentry = |dir, at: &str, ino, kind| (Key::Dentry(dir, name(at)), Some(Record::Dentry(ino, kind)));
    let moved = |ino, parent| (Key::Inode(ino), Some(Record::Inode(Inode { parent, ..inode(&fixture, ino) })));
    let gone = |key| (key, None);
    let extent = |at, text: &'static str| (Key::Extent(f, at), Some(Record::Extent(Extent::inline(Bytes::from(text)))));
    let recounted = |ino, xattrs, orphans| (Key::Inode(ino), Some(Record::Inode(Inode { xattrs, orphans, ..inode(&fixture, ino) })));
    let acl = |ino, name: &Bytes, perm| {
        (Key::Xattr(ino, name.clone()), Some(Record::Xattr(acl(&[(1, perm, 0), (2, 6, 9), (4, 4, 0), (0x10, perm, 0), (0x20, perm, 0)]))))
    };
    let kind = |ino, kind| edit(&fixture, ino, |attr| attr.kind = kind);
    for (what, changes, finding) in [
        ("a dentry that dangles", vec![dentry(d, "x", absent, FileKind::File)], "names #999, which does not exist"),
        ("an entry of nothing", vec![dentry(absent, "x", f, FileKind::File)], "#999: has an entry but does not exist"),
        ("an entry of a file", vec![dentry(f, "x", s, FileKind::Symlink)], "has an entry but is no directory"),
        ("another kind", vec![dentry(Ino::ROOT, "f", f, FileKind::Fifo)], "kind in a dentry"),
        ("a name lost", vec![gone(Key::Dentry(d, name("g")))], "links: recorded 2, counted 1"),
        ("two names of a directory", vec![dentry(Ino::ROOT, "e", e, FileKind::Directory)], "a directory that 2 dentries name"),
        ("a name of the root", vec![dentry(d, "r", Ino::ROOT, FileKind::Directory)], "#1: a directory that 1 dentries name"),
        ("links of a file", vec![edit(&fixture, f, |attr| attr.nlink = 3)], "links: recorded 3, counted 2"),
        ("links of a directory", vec![edit(&fixture, d, |attr| attr.nlink = 2)], "links: recorded 2, counted 3"),
        ("entries", vec![edit(&fixture, d, |attr| attr.size = 3)], "entries: recorded 3, counted 2"),
        ("the parent of a directory", vec![moved(e, Ino::ROOT)], "parent: recorded"),
        ("the parent of a file", vec![moved(s, d)], "parent: recorded"),
        ("the parent of the root", vec![moved(Ino::ROOT, d)], "#1: parent: recorded"),
        ("a parent count", vec![(Key::Parent(f, d), Some(Record::Parent(2)))], "parent counts"),
        ("a parent count lost", vec![gone(Key::Parent(f, d))], "parent counts"),
        ("a parent count too many", vec![(Key::Parent(s, Ino::ROOT), Some(Record::Parent(1)))], "parent counts"),
        ("a parent count of nothing", vec![(Key::Parent(absent, d), Some(Record::Parent(1)))], "#999: has parent counts"),
        ("no root", vec![gone(Key::Inode(Ino::ROOT))], "there is no root directory"),
        ("a cycle", vec![gone(Key::Dentry(Ino::ROOT, name("d"))), dentry(e, "d", d, FileKind::Directory)], "cannot be reached"),
        ("an orphan not recorded", vec![gone(Key::Orphan(orphan))], "recorded as an orphan: false"),
        ("an orphan with a link", vec![(Key::Orphan(s), Some(Record::Orphan))], "has 1 links, recorded as an orphan: true"),
        ("an orphan of nothing", vec![(Key::Orphan(absent), Some(Record::Orphan))], "#999: recorded as an orphan but"),
        ("an overlap", vec![extent(9, "x")], "the extent at 9 overlaps"),
        ("past the size", vec![edit(&fixture, f, |attr| attr.size = 13)], "the extent at 10 lies past the size"),
        ("data of nothing", vec![gone(Key::Inode(f))], "has an extent but does not exist"),
        ("data of a fifo", vec![kind(f, FileKind::Fifo)], "has an extent but is no file"),
        ("an unsound extent", vec![(Key::Extent(f, 10), Some(Record::Extent(block(segment, 0, 0))))], "the extent at 10 is unsound"),
        ("allocated bytes", vec![edit(&fixture, f, |attr| attr.allocated_bytes = 13)], "allocated bytes: recorded 13, counted 14"),
        ("an attribute of nothing", vec![(Key::Xattr(absent, "user.a".into()), Some(Record::Xattr(Bytes::new())))], "extended attribute"),
        ("attributes", vec![recounted(d, 1, 0)], "extended attributes and their bytes: recorded (1, 0), counted (0, 0)"),
        ("orphans", vec![recounted(d, 0, 1)], "orphans that stood in it: recorded 1, counted 0"),
        ("where an orphan stood", vec![moved(orphan, absent)], "#999: orphans stood in it but it does not exist"),
        ("another mode in a list", vec![acl(f, &ACL_ACCESS, 7)], "mode in the access control list: recorded 511, counted 420"),
        ("a list of a symbolic link", vec![acl(s, &ACL_ACCESS, 6)], "has the access control list"),
        ("a list to hand down", vec![acl(f, &ACL_DEFAULT, 6)], "has the access control list"),
        ("a list that is none", vec![(Key::Xattr(f, ACL_ACCESS), Some(Record::Xattr("x".into())))], "has the access control list"),
        ("usage", vec![(Key::Usage, Some(Record::Usage(Usage { bytes: 13, inodes: 6 })))], "usage: recorded"),
        ("no usage", vec![gone(Key::Usage)], "usage: recorded None"),
        ("an unknown segment", vec![gone(Key::Segment(segment))], "it is not known"),
        ("live bytes", vec![known(segment, 100, 9)], "live bytes: recorded 9, counted 10"),
        ("live bytes of nobody", vec![known(SegmentId::from_bits(2), 100, 1)], "live bytes: recorded 1, counted 0"),
        ("a short segment", vec![known(segment, 9, 10)], "a block ends past its end"),
        ("the mode", vec![edit(&fixture, f, |attr| attr.mode = 0o100_644)], "mode 100644"),
        ("the number", vec![edit(&fixture, f, |attr| attr.ino = s)], "number: recorded"),
        ("the length of a link", vec![edit(&fixture, s, |attr| attr.size = 2)], "size: recorded 2, counted 1"),
        ("a target", vec![kind(s, FileKind::File)], "has a target but is no symbolic link"),
        ("no target", vec![kind(orphan, FileKind::Symlink)], "a symbolic link to 0 bytes"),
        ("the length of a file", vec![edit(&fixture, f, |attr| attr.size = u64::MAX)], "longer than a file may be"),
        ("another record", vec![(Key::Orphan(orphan), Some(Record::Parent(1)))], "holds a record of another kind"),
    ] {
        let mut view = fixture.view.clone();
        view.absorb(&Changes::from_iter(changes));
        let findings = check::check_invariants(&view).unwrap();
        assert!(findings.iter().any(|text| text.contains(finding)), "{what}: {findings:?}");
    }
}

fn known(id: SegmentId, len: u64, live_bytes: u64) -> (Key, Option<Record>) {
    (Key::Segment(id), Some(Record::Segment(SegmentRecord { len, live_bytes })))
}

#[test]
fn a_view_that_lacks_records_is_asked_until_it_has_them() {
    let fixture = sound();
    assert_eq!(LazyView::ask(&fixture.view, |view| Ok(check::check_invariants(view)?)), Ok(vec![]));
    struct Blind;
    impl View for Blind {
        fn get(&self, key: &Key) -> Result<Option<Record>, Missing> {
            Err(Missing::Key(key.clone()))
        }
        fn first_in(&self, _: std::ops::Bound<&Key>, prefix: &[u8]) -> Result<Option<(Key, Record)>, Missing> {
            Err(Missing::From { start: Vec::new(), prefix: prefix.to_vec() })
        }
    }
    assert!(check::check_invariants(&Blind).is_err(), "nothing known is not nothing wrong");
}
