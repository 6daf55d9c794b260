use super::super::{Errno, Ino, Inode, Key, LINK_MAX, MemoryView, Mutation, NewNode, Op, Record, Stop, View, apply, read_link};
use super::fixture::{Fixture, name};

fn inode(view: &MemoryView, ino: Ino) -> Inode {
    match view.get(&Key::Inode(ino)) {
        Ok(Some(Record::Inode(inode))) => inode,
        other => panic!("{other:?}"),
    }
}

/// The directories that a file's links are counted in.
fn parents(view: &MemoryView, ino: Ino) -> Vec<(Ino, u32)> {
    let of_ino = |(key, record): (Key, &Record)| match (key, record) {
        (Key::Parent(file, dir), Record::Parent(count)) if file == ino => Some((dir, *count)),
        _ => None,
    };
    view.records().filter_map(of_ino).collect()
}

#[test]
fn a_link_is_one_more_name_for_the_same_inode() {
    let mut fixture = Fixture::new();
    let file = fixture.file("a");
    fixture.dir("d");
    let before = fixture.attr(file);
    let answer = fixture.link(file, "d/b").unwrap().attr.unwrap();
    assert_eq!(answer, fixture.attr(file));
    assert_eq!((answer.nlink, answer.mtime), (2, before.mtime));
    assert_eq!(answer.ctime, fixture.now);
    assert_eq!(fixture.ino("d/b"), file);
    let dir = fixture.attr(fixture.ino("d"));
    assert_eq!((dir.size, dir.nlink, dir.mtime, dir.ctime), (1, 2, fixture.now, fixture.now));
}

#[test]
fn anything_but_a_directory_can_have_several_links() {
    let mut fixture = Fixture::new();
    for (at, node) in [("fifo", NewNode::Fifo), ("socket", NewNode::Socket), ("null", NewNode::CharDevice(259))] {
        let ino = fixture.try_create(at, node, 0o600).unwrap();
        assert_eq!(fixture.link(ino, &format!("{at}-2")).unwrap().attr.unwrap().nlink, 2);
    }
    let symlink = fixture.symlink("symlink", "x");
    fixture.link(symlink, "symlink-2").unwrap();
    assert_eq!(read_link(&fixture.view, fixture.ino("symlink-2")).unwrap(), "x");
}

#[test]
fn what_link_refuses() {
    let mut fixture = Fixture::new();
    let file = fixture.file("a");
    let dir = fixture.dir("d");
    let orphan = fixture.file("orphan");
    fixture.unlink("orphan").unwrap();
    let gone = fixture.dir("gone");
    fixture.remove_dir("gone").unwrap();
    for (what, ino, parent, at, errno) in [
        ("no such file", Ino(999), Ino::ROOT, "b", Errno::ENOENT),
        ("no such directory", file, Ino(999), "b", Errno::ENOENT),
        ("into a removed directory", file, gone, "b", Errno::ENOENT),
        ("below a file", file, file, "b", Errno::ENOTDIR),
        ("a directory", dir, Ino::ROOT, "b", Errno::EPERM),
        ("the root", Ino::ROOT, Ino::ROOT, "b", Errno::EPERM),
        ("the name is taken", file, Ino::ROOT, "d", Errno::EEXIST),
        ("over itself", file, Ino::ROOT, "a", Errno::EEXIST),
        ("a directory over a name that is taken", dir, Ino::ROOT, "a", Errno::EEXIST),
        ("what has no link left", orphan, Ino::ROOT, "b", Errno::ENOENT),
    ] {
        assert_eq!(fixture.apply(Mutation::Link { ino, parent, name: name(at) }).unwrap_err(), errno, "{what}");
    }
}

#[test]
fn the_most_links_are_link_max() {
    let mut fixture = Fixture::new();
    let file = fixture.file("a");
    fixture.link(file, "b").unwrap();
    // As many links as that are too slow to make one by one with a check after each.
    let mut view = fixture.view.clone();
    let mut full = inode(&view, file);
    full.attr.nlink = LINK_MAX - 1;
    view.absorb(&[(Key::Inode(file), Some(Record::Inode(full)))].into());
    let link = |at: &str| Op { mutation: Mutation::Link { ino: file, parent: Ino::ROOT, name: name(at) }, time: 0 };
    let last = apply(&view, &fixture.context, &link("c")).unwrap();
    assert_eq!(last.outcome.attr.unwrap().nlink, LINK_MAX);
    view.absorb(&last.changes);
    assert_eq!(apply(&view, &fixture.context, &link("d")).unwrap_err(), Stop::Refused(Errno::EMLINK));
}

/// A file's directory is in its inode while it has one link, and counted once it has more.
#[test]
fn parents_are_counted_while_there_are_several_links() {
    let mut fixture = Fixture::new();
    let file = fixture.file("a");
    let d = fixture.dir("d");
    let e = fixture.dir("e");
    assert_eq!(parents(&fixture.view, file), []);
    fixture.link(file, "d/a").unwrap();
    assert_eq!(parents(&fixture.view, file), [(Ino::ROOT, 1), (d, 1)]);
    fixture.link(file, "d/b").unwrap();
    assert_eq!(parents(&fixture.view, file), [(Ino::ROOT, 1), (d, 2)]);
    fixture.rename("d/a", "e/a", super::super::RenameMode::NoReplace).unwrap();
    assert_eq!(parents(&fixture.view, file), [(Ino::ROOT, 1), (d, 1), (e, 1)]);
    fixture.unlink("a").unwrap();
    assert_eq!(parents(&fixture.view, file), [(d, 1), (e, 1)]);
    fixture.unlink("d/b").unwrap();
    assert_eq!(parents(&fixture.view, file), []);
    assert_eq!(inode(&fixture.view, file).parent, e);
    fixture.rename("e/a", "a", super::super::RenameMode::NoReplace).unwrap();
    assert_eq!(inode(&fixture.view, file).parent, Ino::ROOT);
    fixture.link(file, "b").unwrap();
    assert_eq!(parents(&fixture.view, file), [(Ino::ROOT, 2)]);
}
