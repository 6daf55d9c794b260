use std::ops::Bound;

use bytes::Bytes;

use super::super::{
    Attr, Changes, Context, Errno, Extent, FileKind, Ino, Inode, Key, Missing, Mutation, NewNode, Op, Position, Record, RenameMode,
    SetAttr, Stop, View, XattrMode, apply, within,
};
use super::fixture::{Fixture, name};

fn is_within(fixture: &Fixture, ino: Ino, root: Ino) -> bool {
    within(&fixture.view, ino, root).unwrap()
}

#[test]
fn what_lies_below_a_directory_is_within_it() {
    let mut fixture = Fixture::new();
    let home = fixture.dir("home");
    let deep = fixture.dir("home/deep");
    let file = fixture.file("home/deep/file");
    let other = fixture.dir("other");
    for (ino, root, expected) in [
        (home, home, true),
        (deep, home, true),
        (file, home, true),
        (file, Ino::ROOT, true),
        (Ino::ROOT, Ino::ROOT, true),
        (Ino::ROOT, home, false),
        (home, deep, false),
        (other, home, false),
        (file, other, false),
        (Ino(999), home, false),
        (Ino(999), Ino(999), false),
        (home, Ino(999), false),
    ] {
        assert_eq!(is_within(&fixture, ino, root), expected, "{ino:?} in {root:?}");
    }
}

#[test]
fn a_file_is_within_by_any_of_its_links() {
    let mut fixture = Fixture::new();
    let (a, b, c) = (fixture.dir("a"), fixture.dir("b"), fixture.dir("c"));
    fixture.dir("a/deep");
    let file = fixture.file("a/deep/file");
    let reach = |fixture: &Fixture| [a, b, c].map(|dir| is_within(fixture, file, dir));
    assert_eq!(reach(&fixture), [true, false, false]);
    fixture.link(file, "b/file").unwrap();
    assert_eq!(reach(&fixture), [true, true, false]);
    fixture.rename("a/deep", "c/deep", RenameMode::NoReplace).unwrap();
    assert_eq!(reach(&fixture), [false, true, true], "a moved directory takes its files along");
    fixture.rename("b/file", "a/file", RenameMode::NoReplace).unwrap();
    assert_eq!(reach(&fixture), [true, false, true]);
    fixture.unlink("c/deep/file").unwrap();
    assert_eq!(reach(&fixture), [true, false, false]);
    fixture.unlink("a/file").unwrap();
    assert_eq!(reach(&fixture), [true, false, false], "an orphan lies where its last link stood");
}

#[test]
fn a_confined_session_can_name_only_what_is_within() {
    let mut fixture = Fixture::new();
    let home = fixture.dir("home");
    let inside = fixture.file("home/file");
    let outside = fixture.file("secret");
    let elsewhere = fixture.dir("elsewhere");
    fixture.context = Context { scope: home, ..Context::default() };
    let at = |text| name(text);
    let create = |parent, ino| Mutation::Create {
        parent,
        name: at("new"),
        ino: Ino(ino),
        node: NewNode::File,
        mode: 0o600,
        umask: 0,
        uid: 0,
        gid: 0,
    };
    let rename = |parent, from, new_parent| Mutation::Rename {
        parent,
        name: at(from),
        new_parent,
        new_name: at("moved"),
        mode: RenameMode::Replace,
    };
    let write = |ino| Mutation::Write {
        ino,
        position: Position::End,
        extents: vec![Extent::inline(Bytes::from_static(b"x"))],
        kill_privileges: false,
    };
    let set_xattr = |ino| Mutation::SetXattr { ino, name: "user.a".into(), value: "v".into(), mode: XattrMode::Any };
    let set = |ino| Mutation::SetAttr { ino, set: SetAttr { mode: Some(0o777), ..SetAttr::default() } };
    let punch = |ino| Mutation::Punch { ino, offset: 0, len: 1, extend: false };
    for mutation in [
        create(Ino::ROOT, 900),
        create(elsewhere, 900),
        Mutation::Link { ino: outside, parent: home, name: at("stolen") },
        Mutation::Link { ino: inside, parent: elsewhere, name: at("leaked") },
        Mutation::Unlink { parent: Ino::ROOT, name: at("secret") },
        Mutation::RemoveDir { parent: Ino::ROOT, name: at("elsewhere") },
        rename(Ino::ROOT, "secret", home),
        rename(home, "file", elsewhere),
        rename(Ino::ROOT, "home", home),
        set(outside),
        set(Ino::ROOT),
        write(outside),
        punch(outside),
        set_xattr(outside),
        Mutation::RemoveXattr { ino: outside, name: "user.a".into() },
    ] {
        assert_eq!(fixture.apply(mutation.clone()).unwrap_err(), Errno::ENOENT, "{mutation:?}");
    }
    for mutation in [
        create(home, 900),
        Mutation::Link { ino: inside, parent: home, name: at("link") },
        write(inside),
        punch(inside),
        set(inside),
        set(home),
        set_xattr(inside),
        Mutation::RemoveXattr { ino: inside, name: "user.a".into() },
        rename(home, "link", home),
        Mutation::Unlink { parent: home, name: at("moved") },
    ] {
        fixture.apply(mutation).unwrap();
    }
}

#[test]
fn a_directory_that_is_moved_out_is_out_of_reach() {
    let mut fixture = Fixture::new();
    let home = fixture.dir("home");
    let dir = fixture.dir("home/dir");
    let file = fixture.file("home/dir/file");
    let confined = Context { scope: home, ..Context::default() };
    let touch = Mutation::SetAttr { ino: file, set: SetAttr::default() };
    fixture.context = confined.clone();
    fixture.apply(touch.clone()).unwrap();
    fixture.context = Context::default();
    fixture.rename("home/dir", "dir", RenameMode::NoReplace).unwrap();
    fixture.context = confined;
    assert_eq!(fixture.apply(touch).unwrap_err(), Errno::ENOENT);
    assert_eq!(fixture.apply(Mutation::Unlink { parent: dir, name: name("file") }).unwrap_err(), Errno::ENOENT);
}

/// Directories without an end, of which each lies under whatever name in the one with the number before its own.
struct Shaft;

impl View for Shaft {
    fn get(&self, key: &Key) -> Result<Option<Record>, Missing> {
        let kind = FileKind::Directory;
        let ino = match key {
            Key::Inode(ino) => ino,
            Key::Dentry(dir, _) => return Ok(Some(Record::Dentry(Ino(dir.0 + 1), kind))),
            _ => return Ok(None),
        };
        let (uid, gid, rdev, atime, mtime, ctime) = Default::default();
        let attr = Attr { ino: *ino, kind, mode: 0o755, uid, gid, nlink: 3, size: 1, allocated_bytes: 0, rdev, atime, mtime, ctime };
        let parent = Ino(ino.0.saturating_sub(1).max(1));
        Ok(Some(Record::Inode(Inode::new(attr, parent))))
    }

    fn first_in(&self, _: Bound<&Key>, _: &[u8]) -> Result<Option<(Key, Record)>, Missing> {
        Ok(None)
    }
}

/// A million directories deep, a rename into the own subtree once was not seen and would have made a cycle.
#[test]
fn no_tree_is_too_deep_to_see_a_cycle() {
    let bottom = Ino((1 << 20) + 1000);
    assert_eq!(within(&Shaft, bottom, Ino(100)), Ok(true));
    let (from, to) = (name("below"), name("other"));
    let mutation = Mutation::Rename { parent: Ino(99), name: from, new_parent: bottom, new_name: to, mode: RenameMode::Replace };
    assert_eq!(apply(&Shaft, &Context::default(), &Op { mutation, time: 0 }).unwrap_err(), Stop::Refused(Errno::EINVAL));
}

/// A file with many links in one deep directory once was given up before its one link that counts was looked at.
#[test]
fn many_links_share_the_way_up() {
    let (depth, links) = (400, 3000);
    let mut fixture = Fixture::new();
    let home = fixture.dir("home");
    let file = fixture.file("home/file");
    let mut changes = Changes::from([(Key::Parent(file, home), Some(Record::Parent(1)))]);
    // A chain of directories, at whose bottom lie as many as there are links, each with one of them.
    for at in 0..depth + links {
        let ino = Ino(100 + at);
        let Ok(Some(Record::Inode(shaft))) = Shaft.get(&Key::Inode(ino)) else { panic!("it is everywhere") };
        let parent = if at == 0 { Ino::ROOT } else { Ino(100 + at.min(depth) - 1) };
        changes.insert(Key::Inode(ino), Some(Record::Inode(Inode { parent, ..shaft })));
        if at >= depth {
            changes.insert(Key::Parent(file, ino), Some(Record::Parent(1)));
        }
    }
    let Ok(Some(Record::Inode(mut inode))) = fixture.view.get(&Key::Inode(file)) else { panic!("it is there") };
    inode.attr.nlink = 1 + links as u32;
    changes.insert(Key::Inode(file), Some(Record::Inode(inode)));
    fixture.view.absorb(&changes);
    assert!(is_within(&fixture, file, home));
    assert!(is_within(&fixture, file, Ino(100)));
    assert!(!is_within(&fixture, file, Ino(99)));
}
