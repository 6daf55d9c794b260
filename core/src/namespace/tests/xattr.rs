use bytes::Bytes;

use super::super::{
    ACL_ACCESS, ACL_DEFAULT, Errno, Extent, Ino, Mutation, NAME_MAX_BYTES, Position, SetAttr, XATTR_MAX_BYTES, XattrMode, xattr,
    xattr_names,
};
use super::fixture::{Fixture, refused};

const NAME: Bytes = Bytes::from_static(b"user.mime");

fn set(ino: Ino, name: impl Into<Bytes>, value: impl Into<Bytes>, mode: XattrMode) -> Mutation {
    Mutation::SetXattr { ino, name: name.into(), value: value.into(), mode }
}

#[test]
fn create_and_replace_say_what_must_be_there() {
    let mut fixture = Fixture::new();
    let file = fixture.file("a");
    for (mode, value, expected) in [
        (XattrMode::Replace, "0", Err(Errno::ENODATA)),
        (XattrMode::Create, "1", Ok("1")),
        (XattrMode::Create, "2", Err(Errno::EEXIST)),
        (XattrMode::Replace, "3", Ok("3")),
        (XattrMode::Any, "", Ok("")),
    ] {
        let mtime = fixture.attr(file).mtime;
        let answer = fixture.apply(set(file, NAME, value, mode));
        match expected {
            Ok(value) => {
                let attr = answer.unwrap().attr.unwrap();
                assert_eq!((attr.ctime, attr.mtime), (fixture.now, mtime));
                assert_eq!(xattr(&fixture.view, file, &NAME).unwrap(), value);
            }
            Err(errno) => assert_eq!(answer.unwrap_err(), errno, "{mode:?} {value}"),
        }
    }
    let remove = Mutation::RemoveXattr { ino: file, name: NAME };
    assert_eq!(fixture.apply(remove.clone()).unwrap().attr.unwrap().ctime, fixture.now);
    assert_eq!(fixture.apply(remove).unwrap_err(), Errno::ENODATA);
}

#[test]
fn names_and_values_have_their_limits() {
    let mut fixture = Fixture::new();
    let file = fixture.file("a");
    for (what, mutation, expected) in [
        ("an empty name", set(file, "", "v", XattrMode::Any), Err(Errno::ERANGE)),
        ("a long name", set(file, vec![b'x'; NAME_MAX_BYTES + 1], "v", XattrMode::Any), Err(Errno::ERANGE)),
        ("a NUL", set(file, "a\0b", "v", XattrMode::Any), Err(Errno::ERANGE)),
        ("a long value", set(file, NAME, vec![0; XATTR_MAX_BYTES + 1], XattrMode::Any), Err(Errno::E2BIG)),
        ("no such inode", set(Ino(999), NAME, "v", XattrMode::Any), Err(Errno::ENOENT)),
        ("a list in disguise", set(file, ACL_ACCESS, "v", XattrMode::Any), Err(Errno::EOPNOTSUPP)),
        ("a list in disguise", Mutation::RemoveXattr { ino: file, name: ACL_DEFAULT }, Err(Errno::EOPNOTSUPP)),
        ("no such inode", Mutation::RemoveXattr { ino: Ino(999), name: NAME }, Err(Errno::ENOENT)),
        ("the longest name", set(file, vec![b'x'; NAME_MAX_BYTES], "v", XattrMode::Any), Ok(())),
        ("the longest value", set(file, NAME, vec![0; XATTR_MAX_BYTES], XattrMode::Any), Ok(())),
        ("a directory", set(Ino::ROOT, NAME, "v", XattrMode::Any), Ok(())),
    ] {
        assert_eq!(fixture.apply(mutation).map(|_| ()), expected, "{what}");
    }
}

#[test]
fn each_inode_has_its_own() {
    let mut fixture = Fixture::new();
    let (a, b) = (fixture.file("a"), fixture.file("b"));
    for (ino, name, value) in [(a, "user.b", "1"), (a, "user.a", "2"), (b, "user.c", "3"), (a, "user.\u{e9}", "4")] {
        fixture.apply(set(ino, name, value, XattrMode::Create)).unwrap();
    }
    assert_eq!(xattr_names(&fixture.view, a).unwrap(), ["user.a", "user.b", "user.\u{e9}"]);
    assert_eq!(xattr_names(&fixture.view, b).unwrap(), ["user.c"]);
    assert_eq!(xattr_names(&fixture.view, Ino::ROOT).unwrap(), [""; 0]);
    assert_eq!(xattr_names(&fixture.view, Ino(999)).map_err(refused), Err(Errno::ENOENT));
    assert_eq!(xattr(&fixture.view, b, &Bytes::from_static(b"user.a")).map_err(refused), Err(Errno::ENODATA));
    assert_eq!(xattr(&fixture.view, Ino(999), &NAME).map_err(refused), Err(Errno::ENOENT));
}

/// capabilities(7): they fall with every change of content or owner, whoever makes it.
#[test]
fn capabilities_fall_with_a_change_of_content_or_owner() {
    let capability = Bytes::from_static(b"security.capability");
    let chown = SetAttr { uid: Some(5), ..SetAttr::default() };
    let touched = SetAttr { mtime: Some(5), mode: Some(0o700), ..SetAttr::default() };
    let cut = SetAttr { size: Some(0), ..SetAttr::default() };
    let extents = vec![Extent::inline(Bytes::from_static(b"x"))];
    let mut fixture = Fixture::new();
    let (ino, from) = (fixture.file("a"), fixture.file("b"));
    fixture.write_text(from, 0, "content");
    for (mutation, falls) in [
        (Mutation::Write { ino, position: Position::End, extents, kill_privileges: false }, true),
        (Mutation::Write { ino, position: Position::End, extents: vec![], kill_privileges: false }, false),
        (Mutation::Punch { ino, offset: 0, len: 1, extend: false }, true),
        (Mutation::Clone { from, from_offset: 0, to: ino, to_offset: 0, len: 7, kill_privileges: false }, true),
        (Mutation::SetAttr { ino, set: cut }, true),
        (Mutation::SetAttr { ino, set: chown }, true),
        (Mutation::SetAttr { ino, set: touched }, false),
    ] {
        fixture.apply(set(ino, capability.clone(), "c", XattrMode::Any)).unwrap();
        fixture.apply(mutation.clone()).unwrap();
        assert_eq!(xattr_names(&fixture.view, ino).unwrap().is_empty(), falls, "{mutation:?}");
    }
}
