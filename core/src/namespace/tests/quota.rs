use bytes::Bytes;

use super::super::{ACL_ACCESS, AclKind, Context, Errno, Extent, Limits, Mutation, NewNode, Position, Usage, XattrMode, usage};
use super::acl::acl;
use super::content::block;
use super::fixture::Fixture;

fn limited(bytes: Option<u64>, inodes: Option<u64>, exceeded: Errno) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.context = Context { limits: Limits { bytes, inodes, exceeded }, ..Context::default() };
    fixture
}

fn inline(len: usize) -> Extent {
    Extent::inline(Bytes::from(vec![7; len]))
}

#[test]
fn the_last_inode_fits_and_the_next_does_not() {
    for exceeded in [Errno::ENOSPC, Errno::EDQUOT] {
        let mut fixture = limited(None, Some(3), exceeded);
        let file = fixture.file("a");
        fixture.dir("b");
        for node in [NewNode::File, NewNode::Directory, NewNode::Symlink(Bytes::from_static(b"x")), NewNode::Fifo] {
            assert_eq!(fixture.try_create("c", node, 0o644), Err(exceeded));
        }
        fixture.link(file, "c").unwrap();
        fixture.unlink("c").unwrap();
        fixture.unlink("a").unwrap();
        assert_eq!(fixture.try_create("c", NewNode::File, 0o644), Err(exceeded), "an orphan still counts");
        fixture.purge(file).unwrap();
        fixture.file("c");
    }
}

#[test]
fn the_last_byte_fits_and_the_next_does_not() {
    for exceeded in [Errno::ENOSPC, Errno::EDQUOT] {
        let mut fixture = limited(Some(10), None, exceeded);
        let file = fixture.file("a");
        fixture.write(file, Position::At(0), vec![inline(4), inline(5)]).unwrap();
        assert_eq!(fixture.write(file, Position::End, vec![inline(2)]).unwrap_err(), exceeded);
        assert_eq!(usage(&fixture.view).unwrap(), Usage { bytes: 9, inodes: 2 });
        fixture.write(file, Position::End, vec![inline(1)]).unwrap();
        assert_eq!(fixture.write(file, Position::At(100), vec![inline(1)]).unwrap_err(), exceeded);
        fixture.write(file, Position::At(0), vec![inline(10)]).unwrap();
        assert_eq!(fixture.write(file, Position::At(1), vec![inline(10)]).unwrap_err(), exceeded, "one byte more than it replaces");
        fixture.truncate(file, 1 << 40).unwrap();
        fixture.punch(file, 3, 2, false).unwrap();
        assert_eq!(fixture.write(file, Position::At(50), vec![inline(3)]).unwrap_err(), exceeded);
        fixture.write(file, Position::At(50), vec![inline(2)]).unwrap();
        assert_eq!(usage(&fixture.view).unwrap().bytes, 10, "holes are free");
    }
}

#[test]
fn blocks_count_like_inline_bytes() {
    let mut fixture = limited(Some(100), None, Errno::EDQUOT);
    let segment = fixture.segment(1, 200);
    let (a, b) = (fixture.file("a"), fixture.file("b"));
    fixture.write(a, Position::End, vec![block(segment, 0, 60)]).unwrap();
    assert_eq!(fixture.write(b, Position::End, vec![block(segment, 0, 60)]).unwrap_err(), Errno::EDQUOT, "a reflink counts again");
    fixture.write(b, Position::End, vec![block(segment, 60, 40)]).unwrap();
}

/// As the blocks that hold them do on ext4 and XFS.
#[test]
fn attributes_lists_and_targets_count_like_content() {
    let mut fixture = limited(Some(100), None, Errno::EDQUOT);
    let file = fixture.file("a");
    let held = |fixture: &Fixture| usage(&fixture.view).unwrap().bytes;
    let set = |value: usize| Mutation::SetXattr { ino: file, name: "user.a".into(), value: vec![1; value].into(), mode: XattrMode::Any };
    fixture.apply(set(94)).unwrap();
    assert_eq!(held(&fixture), 100);
    assert_eq!(fixture.apply(set(95)).unwrap_err(), Errno::EDQUOT);
    assert_eq!(fixture.try_create("s", NewNode::Symlink("x".into()), 0o777), Err(Errno::EDQUOT));
    let list = acl(&[(1, 6, 0), (2, 6, 9), (4, 4, 0), (0x10, 4, 0), (0x20, 4, 0)]);
    let set_acl = Mutation::SetAcl { ino: file, kind: AclKind::Access, acl: Some(list.clone()), kill_set_group_id: false };
    assert_eq!(fixture.apply(set_acl.clone()).unwrap_err(), Errno::EDQUOT);
    fixture.apply(set(4)).unwrap();
    fixture.symlink("s", "0123456789");
    assert_eq!(held(&fixture), 20);
    fixture.apply(set_acl).unwrap();
    assert_eq!(held(&fixture), 20 + (ACL_ACCESS.len() + list.len()) as u64);
    fixture.apply(Mutation::RemoveXattr { ino: file, name: "user.a".into() }).unwrap();
    let symlink = fixture.ino("s");
    for path in ["s", "a"] {
        fixture.unlink(path).unwrap();
    }
    for ino in [symlink, file] {
        fixture.purge(ino).unwrap();
    }
    assert_eq!(held(&fixture), 0);
}

#[test]
fn above_a_lowered_limit_one_may_still_overwrite_and_free() {
    let mut fixture = Fixture::new();
    let file = fixture.file("a");
    fixture.write(file, Position::At(0), vec![inline(20)]).unwrap();
    fixture.context.limits = Limits { bytes: Some(10), inodes: Some(1), exceeded: Errno::EDQUOT };
    fixture.write(file, Position::At(5), vec![inline(15)]).unwrap();
    assert_eq!(fixture.write(file, Position::At(6), vec![inline(15)]).unwrap_err(), Errno::EDQUOT);
    fixture.truncate(file, 15).unwrap();
    fixture.punch(file, 0, 2, false).unwrap();
    fixture.link(file, "b").unwrap();
    fixture.rename("b", "c", super::super::RenameMode::Replace).unwrap();
    assert_eq!(fixture.try_create("d", NewNode::File, 0o644), Err(Errno::EDQUOT));
    fixture.unlink("c").unwrap();
    assert_eq!(usage(&fixture.view).unwrap(), Usage { bytes: 13, inodes: 2 });
}
