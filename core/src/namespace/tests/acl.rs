use bytes::{BufMut as _, Bytes, BytesMut};

use super::super::{ACL_ACCESS, ACL_DEFAULT, AclKind, Errno, Ino, Mutation, NewNode, Outcome, SetAttr, xattr, xattr_names};
use super::fixture::{Fixture, refused};

/// A list in the kernel's format: tag, permissions and id of each entry.
pub(super) fn acl(entries: &[(u16, u16, u32)]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u32_le(2);
    for &(tag, perm, id) in entries {
        bytes.put_u16_le(tag);
        bytes.put_u16_le(perm);
        bytes.put_u32_le(if matches!(tag, 2 | 8) { id } else { u32::MAX });
    }
    bytes.freeze()
}

/// The owner, user 9, the group, the mask, others.
fn named(owner: u16, user: u16, group: u16, mask: u16, other: u16) -> Bytes {
    acl(&[(1, owner, 0), (2, user, 9), (4, group, 0), (0x10, mask, 0), (0x20, other, 0)])
}

fn trivial(owner: u16, group: u16, other: u16) -> Bytes {
    acl(&[(1, owner, 0), (4, group, 0), (0x20, other, 0)])
}

impl Fixture {
    fn set_acl(&mut self, ino: Ino, kind: AclKind, acl: Option<Bytes>) -> Result<Outcome, Errno> {
        self.apply(Mutation::SetAcl { ino, kind, acl, kill_set_group_id: false })
    }

    fn acl(&self, ino: Ino, name: &Bytes) -> Option<Bytes> {
        xattr(&self.view, ino, name).ok()
    }
}

#[test]
fn an_access_list_and_the_mode_are_kept_in_step() {
    let mut fixture = Fixture::new();
    let file = fixture.try_create("a", NewNode::File, 0o4644).unwrap();
    let mtime = fixture.attr(file).mtime;
    let attr = fixture.set_acl(file, AclKind::Access, Some(named(6, 7, 4, 5, 1))).unwrap().attr.unwrap();
    assert_eq!((attr.mode, attr.mtime, attr.ctime), (0o4651, mtime, fixture.now));
    assert_eq!(fixture.acl(file, &ACL_ACCESS), Some(named(6, 7, 4, 5, 1)));
    fixture.set(file, SetAttr { mode: Some(0o720), ..SetAttr::default() }).unwrap();
    assert_eq!(fixture.acl(file, &ACL_ACCESS), Some(named(7, 7, 4, 2, 0)), "chmod(2) sets the mask");
    fixture.set(file, SetAttr { gid: Some(3), ..SetAttr::default() }).unwrap();
    assert_eq!(fixture.acl(file, &ACL_ACCESS), Some(named(7, 7, 4, 2, 0)));
    fixture.set_acl(file, AclKind::Access, Some(trivial(6, 4, 0))).unwrap();
    assert_eq!((fixture.attr(file).mode, fixture.acl(file, &ACL_ACCESS)), (0o640, None), "a mode says as much");
    assert_eq!(xattr_names(&fixture.view, file).unwrap(), [""; 0]);
    fixture.set_acl(file, AclKind::Access, Some(named(6, 7, 4, 5, 1))).unwrap();
    for _ in 0..2 {
        fixture.set_acl(file, AclKind::Access, None).unwrap();
        assert_eq!((fixture.attr(file).mode, fixture.acl(file, &ACL_ACCESS)), (0o651, None), "what there is not is removed as well");
    }
}

#[test]
fn set_group_id_falls_for_somebody_outside_the_group() {
    for (kill_set_group_id, expected) in [(true, 0o651), (false, 0o2651)] {
        let mut fixture = Fixture::new();
        let ino = fixture.try_create("a", NewNode::File, 0o2644).unwrap();
        fixture.apply(Mutation::SetAcl { ino, kind: AclKind::Access, acl: Some(named(6, 7, 4, 5, 1)), kill_set_group_id }).unwrap();
        assert_eq!(fixture.attr(ino).mode, expected);
    }
}

#[test]
fn what_is_no_list_or_has_no_place_is_refused() {
    let mut fixture = Fixture::new();
    let (file, symlink, dir) = (fixture.file("a"), fixture.symlink("s", "a"), fixture.dir("d"));
    let list = || Some(named(6, 7, 4, 5, 1));
    for (what, ino, kind, acl, expected) in [
        ("no mask", file, AclKind::Access, Some(acl(&[(1, 6, 0), (2, 6, 9), (4, 4, 0), (0x20, 4, 0)])), Err(Errno::EINVAL)),
        ("half an entry", file, AclKind::Access, list().map(|list| list.slice(..9)), Err(Errno::EINVAL)),
        ("too long", file, AclKind::Access, Some(vec![0; 5000].into()), Err(Errno::E2BIG)),
        ("another version", file, AclKind::Access, Some(Bytes::from_static(&[3, 0, 0, 0])), Err(Errno::EOPNOTSUPP)),
        ("a symbolic link", symlink, AclKind::Access, list(), Err(Errno::EOPNOTSUPP)),
        ("a file hands nothing down", file, AclKind::Default, list(), Err(Errno::EACCES)),
        ("and has nothing to remove", file, AclKind::Default, None, Ok(())),
        ("no such inode", Ino(999), AclKind::Access, list(), Err(Errno::ENOENT)),
        ("a directory", dir, AclKind::Default, list(), Ok(())),
        ("an empty list removes", dir, AclKind::Default, Some(Bytes::from_static(&[2, 0, 0, 0])), Ok(())),
    ] {
        assert_eq!(fixture.set_acl(ino, kind, acl).map(|_| ()), expected, "{what}");
    }
    assert_eq!(fixture.acl(dir, &ACL_DEFAULT), None);
}

#[test]
fn a_directory_hands_its_default_list_down() {
    let mut fixture = Fixture::new();
    let dir = fixture.dir("d");
    fixture.set_acl(dir, AclKind::Default, Some(named(7, 6, 5, 7, 4))).unwrap();
    assert_eq!(fixture.attr(dir).mode, 0o755, "its own permissions are as they were");
    for (node, path, mode, access, default) in [
        (NewNode::File, "d/file", 0o664, Some(named(6, 6, 5, 6, 4)), None),
        (NewNode::Fifo, "d/fifo", 0o664, Some(named(6, 6, 5, 6, 4)), None),
        (NewNode::Directory, "d/dir", 0o664, Some(named(6, 6, 5, 6, 4)), Some(named(7, 6, 5, 7, 4))),
        (NewNode::Symlink(Bytes::from_static(b"x")), "d/symlink", 0o777, None, None),
    ] {
        let ino = fixture.try_create(path, node, 0o666).unwrap();
        let found = (fixture.attr(ino).mode, fixture.acl(ino, &ACL_ACCESS), fixture.acl(ino, &ACL_DEFAULT));
        assert_eq!(found, (mode, access, default), "{path}");
    }
    fixture.set_acl(dir, AclKind::Default, Some(trivial(6, 4, 0))).unwrap();
    let ino = fixture.try_create("d/plain", NewNode::File, 0o666).unwrap();
    assert_eq!((fixture.attr(ino).mode, fixture.acl(ino, &ACL_ACCESS)), (0o640, None));
}

#[test]
fn the_umask_counts_where_nothing_is_handed_down() {
    let mut fixture = Fixture::new();
    let dir = fixture.dir("d");
    let (parent, name) = fixture.place("d/a");
    let create = |ino, umask| Mutation::Create {
        parent,
        name: name.clone(),
        ino: Ino(ino),
        node: NewNode::File,
        mode: 0o4666,
        umask,
        uid: 1,
        gid: 1,
    };
    for (ino, umask, has_default, mode) in [(900, 0o027, false, 0o4640), (901, 0o7027, false, 0o4640), (902, 0o777, true, 0o4664)] {
        if has_default {
            fixture.set_acl(dir, AclKind::Default, Some(named(7, 6, 5, 7, 4))).unwrap();
        }
        assert_eq!(fixture.apply(create(ino, umask)).unwrap().attr.unwrap().mode, mode);
        fixture.unlink("d/a").unwrap();
    }
    assert_eq!(xattr(&fixture.view, dir, &ACL_ACCESS).map_err(refused), Err(Errno::ENODATA));
}
