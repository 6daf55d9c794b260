use bytes::Bytes;

use super::super::{
    Attr, Errno, FileKind, Ino, Inode, Key, MemoryView, Mutation, NewNode, Record, SYMLINK_MAX_BYTES, Usage, check, format, usage,
};
use super::fixture::{Fixture, SECOND, name};

fn create(parent: Ino, at: &str, ino: Ino, node: NewNode) -> Mutation {
    Mutation::Create { parent, name: name(at), ino, node, mode: 0o644, umask: 0, uid: 1000, gid: 1000 }
}

#[test]
fn a_fresh_workspace_is_a_root_and_nothing_else() {
    let mut view = MemoryView::default();
    view.absorb(&format(7, 8, 0o177_750, 5));
    let attr = Attr {
        ino: Ino::ROOT,
        kind: FileKind::Directory,
        mode: 0o7750,
        uid: 7,
        gid: 8,
        nlink: 2,
        size: 0,
        allocated_bytes: 0,
        rdev: 0,
        atime: 5,
        mtime: 5,
        ctime: 5,
    };
    let root = Inode { attr, parent: Ino::ROOT, target: Bytes::new(), xattrs: 0, orphans: 0 };
    let records: Vec<_> = view.records().map(|(key, record)| (key, record.clone())).collect();
    let expected = [(Key::Inode(Ino::ROOT), Record::Inode(root)), (Key::Usage, Record::Usage(Usage { bytes: 0, inodes: 1 }))];
    assert_eq!(records, expected);
    assert_eq!(check::check_invariants(&view), Ok(vec![]));
}

#[test]
fn each_kind_is_made_as_asked() {
    for (node, kind, mode, nlink, size, rdev) in [
        (NewNode::File, FileKind::File, 0o6751, 1, 0, 0),
        (NewNode::Directory, FileKind::Directory, 0o6751, 2, 0, 0),
        (NewNode::Symlink(Bytes::from_static(b"to/there")), FileKind::Symlink, 0o777, 1, 8, 0),
        (NewNode::Fifo, FileKind::Fifo, 0o6751, 1, 0, 0),
        (NewNode::Socket, FileKind::Socket, 0o6751, 1, 0, 0),
        (NewNode::CharDevice(0x0501), FileKind::CharDevice, 0o6751, 1, 0, 0x0501),
        (NewNode::BlockDevice(0x0802), FileKind::BlockDevice, 0o6751, 1, 0, 0x0802),
    ] {
        let mut fixture = Fixture::new();
        let ino = Ino(40);
        let mutation = Mutation::Create { parent: Ino::ROOT, name: name("a"), ino, node, mode: 0o176_751, umask: 0, uid: 3, gid: 4 };
        let answer = fixture.apply(mutation).unwrap().attr.unwrap();
        let now = 2 * SECOND;
        let expected = Attr { ino, kind, mode, uid: 3, gid: 4, nlink, size, allocated_bytes: 0, rdev, atime: now, mtime: now, ctime: now };
        assert_eq!(answer, expected);
        assert_eq!(fixture.attr(ino), expected);
        let root = fixture.attr(Ino::ROOT);
        assert_eq!((root.size, root.nlink), (1, if kind == FileKind::Directory { 3 } else { 2 }), "{kind:?}");
        assert_eq!((root.mtime, root.ctime), (now, now));
        assert_eq!(usage(&fixture.view).unwrap().inodes, 2);
    }
}

#[test]
fn what_create_refuses() {
    let mut fixture = Fixture::new();
    let file = fixture.file("file");
    let gone = fixture.dir("gone");
    fixture.remove_dir("gone").unwrap();
    let fresh = Ino(1000);
    let link = |bytes: Vec<u8>| NewNode::Symlink(Bytes::from(bytes));
    for (what, mutation, errno) in [
        ("the name is taken", create(Ino::ROOT, "file", fresh, NewNode::File), Errno::EEXIST),
        ("no such directory", create(Ino(999), "a", fresh, NewNode::File), Errno::ENOENT),
        ("below a file", create(file, "a", fresh, NewNode::File), Errno::ENOTDIR),
        ("in a directory that was removed", create(gone, "a", fresh, NewNode::File), Errno::ENOENT),
        ("the number is in use", create(Ino::ROOT, "a", file, NewNode::File), Errno::EINVAL),
        ("the number of an orphan", create(Ino::ROOT, "a", gone, NewNode::File), Errno::EINVAL),
        ("the root's number", create(Ino::ROOT, "a", Ino::ROOT, NewNode::File), Errno::EINVAL),
        ("a reserved number", create(Ino::ROOT, "a", Ino(15), NewNode::File), Errno::EINVAL),
        ("a symbolic link to nothing", create(Ino::ROOT, "a", fresh, link(vec![])), Errno::ENOENT),
        ("a long one", create(Ino::ROOT, "a", fresh, link(vec![b'x'; SYMLINK_MAX_BYTES + 1])), Errno::ENAMETOOLONG),
        ("one that no program could read", create(Ino::ROOT, "a", fresh, link(b"a\0b".to_vec())), Errno::EINVAL),
    ] {
        let before = fixture.view.clone();
        assert_eq!(fixture.apply(mutation).unwrap_err(), errno, "{what}");
        assert_eq!(fixture.view, before, "{what}: a refused op changes nothing");
    }
    fixture.apply(create(Ino::ROOT, "a", fresh, link(vec![b'x'; SYMLINK_MAX_BYTES]))).unwrap();
    fixture.apply(create(Ino::ROOT, "b", Ino::FIRST_LEASED, NewNode::File)).unwrap_err();
    fixture.apply(create(Ino::ROOT, "b", Ino(u64::MAX), NewNode::File)).unwrap();
}

/// inode(7): in a directory with set-group-id, files take its group and directories the bit as well.
#[test]
fn a_set_group_id_directory_hands_down_its_group() {
    for (dir_mode, node, gid, mode) in [
        (0o755, NewNode::File, 1000, 0o640),
        (0o755, NewNode::Directory, 1000, 0o640),
        (0o2755, NewNode::File, 50, 0o640),
        (0o2755, NewNode::Fifo, 50, 0o640),
        (0o2755, NewNode::Symlink(Bytes::from_static(b"x")), 50, 0o777),
        (0o2755, NewNode::Directory, 50, 0o2640),
    ] {
        let mut fixture = Fixture::new();
        let parent = Ino(90);
        let dir = Mutation::Create {
            parent: Ino::ROOT,
            name: name("d"),
            ino: parent,
            node: NewNode::Directory,
            mode: dir_mode,
            umask: 0,
            uid: 5,
            gid: 50,
        };
        fixture.apply(dir).unwrap();
        let made = fixture.try_create("d/a", node.clone(), 0o640).unwrap();
        let attr = fixture.attr(made);
        assert_eq!((attr.gid, attr.mode, attr.uid), (gid, mode, 1000), "{node:?} in {dir_mode:o}");
    }
}
