use bytes::Bytes;

use super::super::{Extent, Ino, Mutation, Nanos, NewNode, Position, SetAttr};
use super::fixture::{Fixture, SECOND, name};

fn append(ino: Ino) -> Mutation {
    Mutation::Write { ino, position: Position::End, extents: vec![Extent::inline(Bytes::from_static(b"x"))], kill_privileges: false }
}

fn set(ino: Ino, set: SetAttr) -> Mutation {
    Mutation::SetAttr { ino, set }
}

/// Every write, by however slow a clock, gives an mtime that the file has not had before.
#[test]
fn three_writes_in_one_tick_have_three_mtimes() {
    let mut fixture = Fixture::new();
    let file = fixture.file("a");
    let chmod = SetAttr { mode: Some(0o600), ..SetAttr::default() };
    let mut seen = vec![fixture.attr(file).mtime];
    for time in [100, 100, 100, 99, 100, 101, 103, 100] {
        let time = fixture.now + time * 1_000_000;
        fixture.apply_at(time, append(file)).unwrap();
        let attr = fixture.attr(file);
        assert_eq!(attr.mtime, attr.ctime);
        assert!(!seen.contains(&attr.mtime), "{time}: {} after {seen:?}", attr.mtime);
        seen.push(attr.mtime);
        // A change of attributes between two writes must not set the time back.
        fixture.apply_at(time, set(file, chmod.clone())).unwrap();
        let changed = fixture.attr(file);
        assert!(changed.ctime > attr.ctime && changed.mtime == attr.mtime);
    }
}

#[test]
fn a_directory_changes_as_often_as_its_entries() {
    let mut fixture = Fixture::new();
    let mut seen = vec![fixture.attr(Ino::ROOT).mtime];
    let create = |at: &str, ino| Mutation::Create {
        parent: Ino::ROOT,
        name: name(at),
        ino: Ino(ino),
        node: NewNode::File,
        mode: 0o600,
        umask: 0,
        uid: 0,
        gid: 0,
    };
    let unlink = |at: &str| Mutation::Unlink { parent: Ino::ROOT, name: name(at) };
    for mutation in [create("a", 20), create("b", 21), unlink("a"), unlink("b")] {
        fixture.apply_at(SECOND, mutation).unwrap();
        let mtime = fixture.attr(Ino::ROOT).mtime;
        assert!(!seen.contains(&mtime), "{mtime} after {seen:?}");
        seen.push(mtime);
    }
}

#[test]
fn a_time_set_by_hand_moves_as_well() {
    let mut fixture = Fixture::new();
    let file = fixture.file("a");
    let now = fixture.now + SECOND;
    // With each round the clock stands still, so the op itself counts on by one and the write by another.
    for by_hand in [now, now + 1, now + 5, -5, Nanos::MAX, now + 11] {
        fixture.apply_at(now, set(file, SetAttr { mtime: Some(by_hand), ..SetAttr::default() })).unwrap();
        assert_eq!(fixture.attr(file).mtime, by_hand);
        fixture.apply_at(now, append(file)).unwrap();
        let attr = fixture.attr(file);
        assert!(attr.mtime != by_hand && attr.mtime == attr.ctime, "{by_hand}");
        assert!(attr.mtime - now < 100, "the time of a write is that of the clock, whatever was set by hand");
    }
}

/// One op from the future, or a clock set back by hours, must not hold the time of a file for ever.
#[test]
fn a_clock_far_behind_is_believed() {
    let mut fixture = Fixture::new();
    let file = fixture.file("a");
    let now = fixture.now;
    for (time, expected) in [
        (now + 3600 * SECOND, now + 3600 * SECOND),
        (now + 3600 * SECOND - SECOND + 1, now + 3600 * SECOND + 1),
        (now, now),
        (Nanos::MAX, Nanos::MAX),
        (Nanos::MAX, Nanos::MAX),
        (now, now),
        (Nanos::MIN, Nanos::MIN),
        (now, now),
    ] {
        fixture.apply_at(time, append(file)).unwrap();
        assert_eq!(fixture.attr(file).mtime, expected, "{time}");
    }
}
