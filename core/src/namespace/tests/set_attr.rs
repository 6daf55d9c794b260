use bytes::Bytes;

use super::super::{Errno, Extent, FILE_MAX_BYTES, Ino, Mutation, NewNode, Position, SetAttr};
use super::fixture::{Fixture, refused};

#[test]
fn what_is_left_out_stays() {
    let mut fixture = Fixture::new();
    let file = fixture.file("a");
    fixture.write_text(file, 0, "hello");
    let before = fixture.attr(file);
    for (set, expected) in [
        (SetAttr { mode: Some(0o170_600), ..SetAttr::default() }, (0o600, 1000, 1000, before.atime, before.mtime, 5)),
        (SetAttr { uid: Some(1), ..SetAttr::default() }, (0o600, 1, 1000, before.atime, before.mtime, 5)),
        (SetAttr { gid: Some(2), ..SetAttr::default() }, (0o600, 1, 2, before.atime, before.mtime, 5)),
        (SetAttr { atime: Some(-7), ..SetAttr::default() }, (0o600, 1, 2, -7, before.mtime, 5)),
        (SetAttr { mtime: Some(9), ..SetAttr::default() }, (0o600, 1, 2, -7, 9, 5)),
        (SetAttr { size: Some(3), mtime: Some(11), ..SetAttr::default() }, (0o600, 1, 2, -7, 11, 3)),
    ] {
        let attr = fixture.set(file, set.clone()).unwrap();
        assert_eq!((attr.mode, attr.uid, attr.gid, attr.atime, attr.mtime, attr.size), expected, "{set:?}");
        assert_eq!(attr.ctime, fixture.now, "{set:?}");
        assert_eq!(attr, fixture.attr(file));
    }
}

#[test]
fn only_files_have_a_length_to_set() {
    let mut fixture = Fixture::new();
    let file = fixture.file("a");
    let fifo = fixture.try_create("fifo", NewNode::Fifo, 0o600).unwrap();
    let symlink = fixture.symlink("symlink", "target");
    for (ino, size, expected) in [
        (file, FILE_MAX_BYTES, Ok(FILE_MAX_BYTES)),
        (file, FILE_MAX_BYTES + 1, Err(Errno::EFBIG)),
        (file, u64::MAX, Err(Errno::EFBIG)),
        (file, 0, Ok(0)),
        (Ino::ROOT, 0, Err(Errno::EISDIR)),
        (fifo, 0, Err(Errno::EINVAL)),
        (symlink, 0, Err(Errno::EINVAL)),
        (Ino(999), 0, Err(Errno::ENOENT)),
    ] {
        assert_eq!(fixture.truncate(ino, size).map(|attr| attr.size), expected, "{ino:?} to {size}");
    }
    assert_eq!(fixture.set(Ino(999), SetAttr::default()), Err(Errno::ENOENT));
}

/// chown(2), truncate(2) and write(2) take set-user-id away, and set-group-id from what its group may execute.
#[test]
fn privileges_fall_when_they_must() {
    let chown = SetAttr { uid: Some(1), ..SetAttr::default() };
    let chgrp = SetAttr { gid: Some(1), ..SetAttr::default() };
    let chmod_too = SetAttr { gid: Some(1), mode: Some(0o6755), ..SetAttr::default() };
    let cut = |kill_privileges| SetAttr { size: Some(0), kill_privileges, ..SetAttr::default() };
    let touched = SetAttr { mtime: Some(5), ..SetAttr::default() };
    for (node, mode, set, expected) in [
        (NewNode::File, 0o6755, chown.clone(), 0o755),
        (NewNode::File, 0o6755, chgrp.clone(), 0o755),
        (NewNode::File, 0o6745, chown.clone(), 0o2745),
        (NewNode::File, 0o1755, chown.clone(), 0o1755),
        (NewNode::File, 0o6755, chmod_too, 0o6755),
        (NewNode::File, 0o6755, cut(true), 0o755),
        (NewNode::File, 0o6755, cut(false), 0o6755),
        (NewNode::File, 0o6755, touched, 0o6755),
        (NewNode::Fifo, 0o6755, chown.clone(), 0o755),
        (NewNode::CharDevice(1), 0o6755, chgrp, 0o755),
        (NewNode::Directory, 0o6755, chown, 0o6755),
    ] {
        let mut fixture = Fixture::new();
        let ino = fixture.try_create("a", node.clone(), mode).unwrap();
        assert_eq!(fixture.set(ino, set.clone()).unwrap().mode, expected, "{node:?} {mode:o}, {set:?}");
    }
    for (mode, kill_privileges, expected) in [(0o6755, true, 0o755), (0o6745, true, 0o2745), (0o6755, false, 0o6755)] {
        let mut fixture = Fixture::new();
        let ino = fixture.try_create("a", NewNode::File, mode).unwrap();
        let extents = vec![Extent::inline(Bytes::from_static(b"x"))];
        let write = Mutation::Write { ino, position: Position::End, extents, kill_privileges };
        assert_eq!(fixture.apply(write).unwrap().attr.unwrap().mode, expected, "{mode:o}, {kill_privileges}");
    }
}

#[test]
fn an_orphan_can_still_be_changed() {
    let mut fixture = Fixture::new();
    let file = fixture.file("a");
    fixture.unlink("a").unwrap();
    fixture.write_text(file, 0, "late");
    assert_eq!(fixture.truncate(file, 2).unwrap().size, 2);
    assert_eq!(fixture.content(file), b"la");
    fixture.purge(file).unwrap();
    assert_eq!(super::super::attr(&fixture.view, file).map_err(refused), Err(Errno::ENOENT));
}
