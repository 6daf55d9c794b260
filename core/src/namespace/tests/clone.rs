use bytes::Bytes;

use super::super::clone::CLONE_EXTENTS;
use super::super::{Attr, Errno, Extent, FILE_MAX_BYTES, Ino, Limits, Mutation, NewNode, Position, Written, attr, usage};
use super::content::block;
use super::fixture::{Fixture, refused};

impl Fixture {
    fn copy(&mut self, from: (Ino, u64), to: (Ino, u64), len: u64) -> Result<Written, Errno> {
        let ((from, from_offset), (to, to_offset)) = (from, to);
        let clone = Mutation::Clone { from, from_offset, to, to_offset, len, kill_privileges: false };
        self.apply(clone).map(|outcome| outcome.written.unwrap())
    }
}

#[test]
fn a_copy_shares_the_blocks_of_the_original() {
    let mut fixture = Fixture::new();
    let segment = fixture.segment(1, 1000);
    let (from, to) = (fixture.file("a"), fixture.file("b"));
    fixture.write(from, Position::At(0), vec![block(segment, 0, 100), Extent::inline(Bytes::from_static(b"inline"))]).unwrap();
    fixture.write(from, Position::At(200), vec![block(segment, 500, 100)]).unwrap();
    assert_eq!(fixture.copy((from, 10), (to, 5), 1000), Ok(Written { offset: 5, len: 290 }));
    assert_eq!(fixture.content(to)[5..], fixture.content(from)[10..]);
    assert_eq!(fixture.layout(to), [(5, 90), (95, 6), (195, 100)], "holes stay holes");
    assert_eq!(fixture.live_bytes(segment), Some(390), "each reference counts");
    assert_eq!(usage(&fixture.view).unwrap().bytes, 206 + 196);
    fixture.unlink("a").unwrap();
    fixture.purge(from).unwrap();
    assert_eq!(fixture.live_bytes(segment), Some(190));
    fixture.unlink("b").unwrap();
    assert_eq!(fixture.purge(to).unwrap().0.dead_segments, [segment]);
}

#[test]
fn a_copy_replaces_what_was_there_holes_included() {
    let mut fixture = Fixture::new();
    let (from, to) = (fixture.file("a"), fixture.file("b"));
    fixture.write_text(from, 4, "data");
    fixture.write_text(to, 0, "0123456789abcdef");
    let before = fixture.attr(to);
    fixture.copy((from, 2), (to, 4), 6).unwrap();
    assert_eq!(fixture.content(to), b"0123\0\0dataabcdef");
    let after = fixture.attr(to);
    assert!(after.mtime > before.mtime && after.ctime == after.mtime && after.allocated_bytes == 14);
    assert_eq!(fixture.copy((from, 8), (to, 0), 9), Ok(Written { offset: 0, len: 0 }), "nothing lies past the end");
    assert_eq!(fixture.copy((from, 0), (to, 0), 0), Ok(Written { offset: 0, len: 0 }));
    assert_eq!(fixture.attr(to), after, "and then nothing changes");
}

#[test]
fn within_one_file_the_ranges_may_touch_and_not_overlap() {
    let mut fixture = Fixture::new();
    let file = fixture.file("a");
    fixture.write_text(file, 0, "0123456789");
    for (from, to, len, expected) in [(0, 5, 6, Err(Errno::EINVAL)), (5, 0, 6, Ok(5)), (0, 9, 10, Err(Errno::EINVAL)), (5, 10, 5, Ok(5))] {
        assert_eq!(fixture.copy((file, from), (file, to), len).map(|written| written.len), expected, "{len} from {from} to {to}");
    }
    assert_eq!(fixture.content(file), b"567895678956789");
}

#[test]
fn what_a_copy_refuses() {
    let mut fixture = Fixture::new();
    let (file, other, dir) = (fixture.file("a"), fixture.file("b"), fixture.dir("d"));
    let fifo = fixture.try_create("p", NewNode::Fifo, 0o600).unwrap();
    fixture.write_text(file, 0, "0123456789");
    for (what, from, to, len, errno) in [
        ("no such file", (Ino(999), 0), (file, 0), 1, Errno::ENOENT),
        ("nowhere", (file, 0), (Ino(999), 0), 1, Errno::ENOENT),
        ("a directory", (dir, 0), (file, 0), 1, Errno::EISDIR),
        ("into a directory", (file, 0), (dir, 0), 1, Errno::EISDIR),
        ("a pipe", (fifo, 0), (file, 0), 1, Errno::EINVAL),
        ("past all numbers", (file, 1), (other, 0), u64::MAX, Errno::EOVERFLOW),
        ("to past all numbers", (file, 0), (other, 1), u64::MAX, Errno::EOVERFLOW),
        ("past the largest file", (file, 0), (other, FILE_MAX_BYTES), 1, Errno::EFBIG),
    ] {
        let before = fixture.view.clone();
        assert_eq!(fixture.copy(from, to, len), Err(errno), "{what}");
        assert_eq!(fixture.view, before, "{what}");
    }
    assert_eq!(fixture.copy((file, 0), (other, FILE_MAX_BYTES - 3), 10).unwrap().len, 3, "up to the largest file");
    fixture.context.limits = Limits { bytes: Some(20), inodes: None, exceeded: Errno::EDQUOT };
    assert_eq!(fixture.copy((file, 0), (other, 0), 8), Err(Errno::EDQUOT));
    assert_eq!(fixture.copy((file, 0), (other, 0), 7).unwrap().len, 7);
}

#[test]
fn privileges_of_the_copy_fall_when_they_must() {
    for (kill_privileges, mode) in [(true, 0o755), (false, 0o6755)] {
        let mut fixture = Fixture::new();
        let (from, to) = (fixture.file("a"), fixture.try_create("b", NewNode::File, 0o6755).unwrap());
        fixture.write_text(from, 0, "x");
        let clone = Mutation::Clone { from, from_offset: 0, to, to_offset: 0, len: 1, kill_privileges };
        assert_eq!(fixture.apply(clone).unwrap().attr.unwrap().mode, mode);
    }
}

/// A file of so many extents of one byte.
fn scattered(fixture: &mut Fixture, path: &str, extents: usize) -> Ino {
    let ino = fixture.file(path);
    let bytes = (0..extents).map(|_| Extent::inline(Bytes::from_static(b"x"))).collect();
    fixture.write(ino, Position::At(0), bytes).unwrap();
    ino
}

/// One op does not stop everybody else for long; the caller asks for the rest.
#[test]
fn one_op_copies_and_replaces_so_many_extents() {
    let mut fixture = Fixture::new();
    let from = scattered(&mut fixture, "a", CLONE_EXTENTS + 5);
    let (to, smooth) = (fixture.file("b"), fixture.file("c"));
    let most = CLONE_EXTENTS as u64;
    assert_eq!(fixture.copy((from, 0), (to, 0), 5000).unwrap().len, most);
    assert_eq!(fixture.copy((from, most), (to, most), 5000).unwrap().len, 5);
    assert_eq!(fixture.content(to), fixture.content(from));
    fixture.truncate(smooth, 5000).unwrap();
    assert_eq!(fixture.copy((smooth, 0), (to, 0), 5000).unwrap().len, most, "what is replaced counts as well");
    assert_eq!(fixture.copy((smooth, 0), (to, most), 5000).unwrap().len, 5000);
    let large = fixture.file("d");
    let inline = |len: usize| Extent::inline(Bytes::from(vec![7; len]));
    fixture.write(large, Position::At(0), vec![inline(700_000), inline(700_000)]).unwrap();
    assert_eq!(fixture.copy((large, 0), (to, 0), 1_400_000).unwrap().len, 700_000, "so do bytes that travel inside");
}

#[test]
fn an_access_changes_the_time_of_last_access_and_nothing_else() {
    let mut fixture = Fixture::new();
    for ino in [fixture.file("a"), fixture.symlink("s", "x"), fixture.dir("d")] {
        let before = fixture.attr(ino);
        assert_eq!(fixture.apply(Mutation::Access { ino }), Ok(Default::default()));
        assert_eq!(fixture.attr(ino), Attr { atime: fixture.now, ..before });
    }
    assert_eq!(fixture.apply(Mutation::Access { ino: Ino(999) }), Err(Errno::ENOENT));
    assert_eq!(attr(&fixture.view, Ino(999)).map_err(refused), Err(Errno::ENOENT));
}
