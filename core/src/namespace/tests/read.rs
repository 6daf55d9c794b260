use bytes::Bytes;

use super::super::{Errno, Extent, FileKind, Ino, Name, NewNode, Position, attr, lookup, orphans, pieces, read_dir, read_link, resolve};
use super::fixture::{Fixture, name, refused};

#[test]
fn lookup_finds_one_entry() {
    let mut fixture = Fixture::new();
    let dir = fixture.dir("d");
    let file = fixture.file("d/a");
    let view = &fixture.view;
    for (parent, at, expected) in [
        (dir, "a", Ok(file)),
        (Ino::ROOT, "d", Ok(dir)),
        (Ino::ROOT, "a", Err(Errno::ENOENT)),
        (file, "a", Err(Errno::ENOTDIR)),
        (Ino(999), "a", Err(Errno::ENOENT)),
    ] {
        assert_eq!(lookup(view, parent, &name(at)).map(|attr| attr.ino).map_err(refused), expected, "{at} in {parent:?}");
    }
    assert_eq!(attr(view, Ino(999)).map_err(refused), Err(Errno::ENOENT));
}

#[test]
fn resolve_walks_down_directories() {
    let mut fixture = Fixture::new();
    fixture.dir("d");
    let deep = fixture.dir("d/deep");
    fixture.file("d/file");
    fixture.symlink("d/link", "deep");
    for (path, expected) in [
        (&[][..], Ok(Ino::ROOT)),
        (&["d", "deep"], Ok(deep)),
        (&["d", "none"], Err(Errno::ENOENT)),
        (&["d", "file"], Err(Errno::ENOTDIR)),
        (&["d", "file", "x"], Err(Errno::ENOTDIR)),
        (&["d", "link"], Err(Errno::ENOTDIR)),
        (&["d", ".."], Err(Errno::EINVAL)),
    ] {
        assert_eq!(resolve(&fixture.view, Ino::ROOT, path.iter().copied()).map_err(refused), expected, "{path:?}");
    }
}

#[test]
fn read_dir_pages_through_names_in_order() {
    let mut fixture = Fixture::new();
    let file = fixture.file("m");
    let odd = Name::new(&b"\xff\xfe"[..]).unwrap();
    let parent = Ino::ROOT;
    fixture.apply(super::super::Mutation::Link { ino: file, parent, name: odd.clone() }).unwrap();
    fixture.apply(super::super::Mutation::Link { ino: file, parent, name: Name::first() }).unwrap();
    fixture.dir("b");
    fixture.file("b/elsewhere");
    fixture.symlink("ba", "x");
    let names = |after: Option<&Name>, limit| {
        let entries = read_dir(&fixture.view, Ino::ROOT, after, limit).unwrap();
        entries.into_iter().map(|entry| entry.name).collect::<Vec<_>>()
    };
    let all = [Name::first(), name("b"), name("ba"), name("m"), odd.clone()];
    assert_eq!(names(None, 100), all);
    assert_eq!(names(None, 2), all[..2]);
    assert_eq!(names(Some(&all[1]), 2), all[2..4]);
    assert_eq!(names(Some(&name("bb")), 100), all[3..], "the name to go on behind need not be there any more");
    assert_eq!(names(Some(&odd), 100), []);
    assert_eq!(names(None, 0), []);
    let kinds: Vec<_> = read_dir(&fixture.view, Ino::ROOT, None, 100).unwrap().iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, [FileKind::File, FileKind::Directory, FileKind::Symlink, FileKind::File, FileKind::File]);
    for (ino, errno) in [(file, Errno::ENOTDIR), (Ino(999), Errno::ENOENT)] {
        assert_eq!(read_dir(&fixture.view, ino, None, 1).map_err(refused), Err(errno));
    }
}

#[test]
fn orphans_are_told_a_part_at_a_time() {
    let mut fixture = Fixture::new();
    let dir = fixture.dir("d");
    let file = fixture.file("f");
    assert_eq!(orphans(&fixture.view, None, 9).unwrap(), []);
    fixture.unlink("f").unwrap();
    fixture.remove_dir("d").unwrap();
    assert_eq!(orphans(&fixture.view, None, 9).unwrap(), [dir, file]);
    assert_eq!(orphans(&fixture.view, None, 1).unwrap(), [dir]);
    assert_eq!(orphans(&fixture.view, Some(dir), 9).unwrap(), [file]);
    fixture.purge(file).unwrap();
    assert_eq!(orphans(&fixture.view, None, 9).unwrap(), [dir]);
}

#[test]
fn read_link_reads_symbolic_links_only() {
    let mut fixture = Fixture::new();
    let symlink = fixture.symlink("s", "some/where");
    let file = fixture.file("f");
    assert_eq!(read_link(&fixture.view, symlink).unwrap(), "some/where");
    for (ino, errno) in [(file, Errno::EINVAL), (Ino::ROOT, Errno::EINVAL), (Ino(999), Errno::ENOENT)] {
        assert_eq!(read_link(&fixture.view, ino).map_err(refused), Err(errno));
    }
}

#[test]
fn pieces_are_those_that_touch_the_range() {
    let mut fixture = Fixture::new();
    let file = fixture.file("a");
    let fifo = fixture.try_create("fifo", NewNode::Fifo, 0o600).unwrap();
    for at in [0, 4, 20] {
        fixture.write(file, Position::At(at), vec![Extent::inline(Bytes::from_static(b"abcd"))]).unwrap();
    }
    fixture.truncate(file, 30).unwrap();
    for (offset, len, limit, expected) in [
        (0, u64::MAX, 10, &[0, 4, 20][..]),
        (0, 30, 2, &[0, 4]),
        (3, 1, 10, &[0]),
        (3, 2, 10, &[0, 4]),
        (4, 4, 10, &[4]),
        (8, 12, 10, &[]),
        (8, 13, 10, &[20]),
        (23, 100, 10, &[20]),
        (24, 100, 10, &[]),
        (u64::MAX, u64::MAX, 10, &[]),
        (0, 0, 10, &[]),
        (0, 30, 0, &[]),
    ] {
        let (attr, found) = pieces(&fixture.view, file, offset, len, limit).unwrap();
        assert_eq!(attr.size, 30);
        assert_eq!(found.iter().map(|piece| piece.offset).collect::<Vec<_>>(), expected, "{len} at {offset}");
        assert!(found.iter().all(|piece| piece.extent.len == 4));
    }
    for (ino, errno) in [(Ino::ROOT, Errno::EISDIR), (fifo, Errno::EINVAL), (Ino(999), Errno::ENOENT)] {
        assert_eq!(pieces(&fixture.view, ino, 0, 1, 1).map_err(refused), Err(errno));
    }
}
