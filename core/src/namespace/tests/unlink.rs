use super::super::{Errno, Ino, Mutation, Usage, usage};
use super::fixture::{Fixture, name};

#[test]
fn unlink_takes_one_name_and_the_last_one_makes_an_orphan() {
    let mut fixture = Fixture::new();
    let file = fixture.file("a");
    fixture.link(file, "b").unwrap();
    let before = fixture.attr(file);
    let first = fixture.unlink("a").unwrap();
    assert_eq!((first.orphaned, first.attr), (vec![], None));
    assert!(!fixture.exists("a") && fixture.exists("b"));
    let after = fixture.attr(file);
    assert_eq!((after.nlink, after.ctime, after.mtime), (1, fixture.now, before.mtime));
    let root = fixture.attr(Ino::ROOT);
    assert_eq!((root.size, root.nlink, root.mtime, root.ctime), (1, 2, fixture.now, fixture.now));
    assert_eq!(fixture.unlink("b").unwrap().orphaned, [file]);
    assert_eq!(fixture.attr(file).nlink, 0);
    assert_eq!(usage(&fixture.view).unwrap(), Usage { bytes: 0, inodes: 2 }, "an orphan counts until it is purged");
}

#[test]
fn remove_dir_takes_an_empty_directory() {
    let mut fixture = Fixture::new();
    let dir = fixture.dir("d");
    assert_eq!(fixture.attr(Ino::ROOT).nlink, 3);
    assert_eq!(fixture.remove_dir("d").unwrap().orphaned, [dir]);
    let root = fixture.attr(Ino::ROOT);
    assert_eq!((root.size, root.nlink, root.mtime, root.ctime), (0, 2, fixture.now, fixture.now));
    assert_eq!(fixture.attr(dir).nlink, 0);
}

#[test]
fn what_unlink_and_remove_dir_refuse() {
    let mut fixture = Fixture::new();
    let file = fixture.file("file");
    fixture.dir("full");
    fixture.file("full/a");
    fixture.dir("nest");
    fixture.dir("nest/d");
    let gone = fixture.dir("gone");
    fixture.remove_dir("gone").unwrap();
    let unlink = |parent, at| Mutation::Unlink { parent, name: name(at) };
    let remove = |parent, at| Mutation::RemoveDir { parent, name: name(at) };
    for (what, mutation, errno) in [
        ("no such name", unlink(Ino::ROOT, "x"), Errno::ENOENT),
        ("no such directory", unlink(Ino(999), "x"), Errno::ENOENT),
        ("in a removed directory", unlink(gone, "x"), Errno::ENOENT),
        ("below a file", unlink(file, "x"), Errno::ENOTDIR),
        ("unlink of a directory", unlink(Ino::ROOT, "full"), Errno::EISDIR),
        ("no such name", remove(Ino::ROOT, "x"), Errno::ENOENT),
        ("no such directory", remove(Ino(999), "x"), Errno::ENOENT),
        ("in a removed directory", remove(gone, "x"), Errno::ENOENT),
        ("below a file", remove(file, "x"), Errno::ENOTDIR),
        ("rmdir of a file", remove(Ino::ROOT, "file"), Errno::ENOTDIR),
        ("a directory with a file", remove(Ino::ROOT, "full"), Errno::ENOTEMPTY),
        ("a directory with a directory", remove(Ino::ROOT, "nest"), Errno::ENOTEMPTY),
    ] {
        assert_eq!(fixture.apply(mutation).unwrap_err(), errno, "{what}");
    }
}
