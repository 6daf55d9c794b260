use bytes::Bytes;

use super::super::{
    Amendment, Changes, Checksums, Errno, Extent, Ino, Key, Position, Record, Relocation, Source, Usage, View, amend, check, repoint,
};
use super::content::{block, deposit, segment_bytes};
use super::fixture::{Fixture, refused};
use crate::SegmentId;

fn inline(text: &'static str) -> Extent {
    Extent::inline(Bytes::from(text))
}

/// A file of the inline extents `hello ` and `world`, and a segment that holds both behind four other bytes.
fn hello() -> (Fixture, Ino, Relocation) {
    let mut fixture = Fixture::new();
    let segment = fixture.segment(7, 15);
    deposit(segment, Some(Bytes::from_static(b"....hello world")));
    let file = fixture.file("f");
    fixture.write(file, Position::At(10), vec![inline("hello "), inline("world")]).unwrap();
    let relocation = Relocation { ino: file, offset: 10, from: vec![inline("hello "), inline("world")], to: block(segment, 4, 11) };
    (fixture, file, relocation)
}

fn moved(fixture: &mut Fixture, relocation: &Relocation) -> Result<Vec<SegmentId>, Errno> {
    let applied = repoint(&fixture.view, relocation).map_err(refused)?;
    fixture.view.absorb(&applied.changes);
    assert_eq!(check::check_invariants(&fixture.view), Ok(vec![]));
    Ok(applied.outcome.dead_segments)
}

#[test]
fn a_stretch_lies_elsewhere_and_nothing_else_changes() {
    let (mut fixture, file, relocation) = hello();
    let (attr, content) = (fixture.attr(file), fixture.content(file));
    assert_eq!(moved(&mut fixture, &relocation), Ok(vec![]));
    assert_eq!((fixture.attr(file), fixture.content(file)), (attr, content));
    assert_eq!(fixture.layout(file), [(10, 11)]);
    assert_eq!(fixture.live_bytes(SegmentId::from_bits(7)), Some(11));
    assert_eq!(moved(&mut fixture, &relocation), Err(Errno::ESTALE), "it lies there already");
}

#[test]
fn what_has_changed_since_the_copy_stays_as_it_is() {
    let changes: [fn(&mut Fixture, Ino); 4] = [
        |fixture, file| assert!(fixture.write(file, Position::At(12), vec![inline("L")]).is_ok()),
        |fixture, file| assert!(fixture.punch(file, 20, 1, false).is_ok()),
        |fixture, file| assert!(fixture.truncate(file, 16).is_ok()),
        |fixture, file| assert!(fixture.unlink("f").is_ok() && fixture.purge(file).is_ok()),
    ];
    for change in changes {
        let (mut fixture, file, relocation) = hello();
        change(&mut fixture, file);
        let before = fixture.view.clone();
        assert_eq!(moved(&mut fixture, &relocation), Err(Errno::ESTALE));
        assert_eq!(fixture.view, before);
    }
}

#[test]
fn a_place_that_cannot_hold_the_same_is_refused() {
    let (mut fixture, _, good) = hello();
    let segment = SegmentId::from_bits(7);
    let same = Checksums::of(b"hello world");
    assert!(matches!(&good.to.source, Source::Block { checksums, .. } if *checksums == same));
    let to = |segment, block_offset, block_len, skip, checksums: &Checksums| Extent {
        len: 11,
        source: Source::Block { segment, block_offset, block_len, checksums: checksums.clone(), skip },
    };
    for (what, bad) in [
        ("other bytes", to(segment, 3, 11, 0, &Checksums::of(b"hello_world"))),
        ("a part of a block", to(segment, 3, 12, 1, &same)),
        ("past the end", to(segment, 5, 11, 0, &same)),
        ("an unknown segment", to(SegmentId::from_bits(8), 4, 11, 0, &same)),
        ("another length", block(segment, 4, 10)),
        ("no block", inline("hello world")),
    ] {
        assert_eq!(moved(&mut fixture, &Relocation { to: bad, ..good.clone() }), Err(Errno::EINVAL), "{what}");
    }
    assert_eq!(moved(&mut fixture, &Relocation { from: vec![], ..good }), Err(Errno::EINVAL), "nothing");
}

#[test]
fn the_old_segment_dies_when_the_last_of_it_lies_elsewhere() {
    let mut fixture = Fixture::new();
    let (old, new) = (fixture.segment(1, 100), fixture.segment(2, 20));
    deposit(new, Some([segment_bytes(old, 20, 10), segment_bytes(old, 60, 10)].concat().into()));
    let file = fixture.file("f");
    fixture.write(file, Position::At(0), vec![block(old, 0, 80)]).unwrap();
    fixture.write(file, Position::At(0), vec![inline("01234567890123456789")]).unwrap();
    fixture.punch(file, 30, 30, false).unwrap();
    fixture.truncate(file, 70).unwrap();
    let part = |fixture: &Fixture, at| match fixture.view.get(&Key::Extent(file, at)) {
        Ok(Some(Record::Extent(extent))) => extent,
        other => panic!("{other:?}"),
    };
    let content = fixture.content(file);
    let first = Relocation { ino: file, offset: 20, from: vec![part(&fixture, 20)], to: block(new, 0, 10) };
    let second = Relocation { ino: file, offset: 60, from: vec![part(&fixture, 60)], to: block(new, 10, 10) };
    assert_eq!(moved(&mut fixture, &first), Ok(vec![]));
    assert_eq!(moved(&mut fixture, &second), Ok(vec![old]));
    assert_eq!((fixture.live_bytes(old), fixture.live_bytes(new)), (None, Some(20)));
    assert_eq!(fixture.content(file), content);
}

#[test]
fn what_a_check_can_amend_is_right_afterwards_whatever_happened_meanwhile() {
    let mut fixture = Fixture::new();
    let segment = fixture.segment(1, 100);
    let file = fixture.file("f");
    fixture.write(file, Position::At(0), vec![block(segment, 0, 50)]).unwrap();
    let orphan = fixture.file("orphan");
    fixture.unlink("orphan").unwrap();
    let records = |usage, live_bytes, orphan_mark: Option<Record>| {
        let segment_record = Record::Segment(super::super::SegmentRecord { len: 100, live_bytes });
        Changes::from([
            (Key::Usage, Some(Record::Usage(usage))),
            (Key::Segment(segment), Some(segment_record)),
            (Key::Orphan(orphan), orphan_mark.clone()),
            (Key::Orphan(file), if orphan_mark.is_some() { None } else { Some(Record::Orphan) }),
        ])
    };
    fixture.view.absorb(&records(Usage { bytes: 60, inodes: 9 }, 61, None));
    let mut check = check::Check::default();
    for (key, record) in fixture.view.records() {
        check.see(&key, record);
    }
    let findings = check.finish();
    assert_eq!(findings.counted, Usage { bytes: 50, inodes: 3 });
    let amendments: Vec<Amendment> = findings.findings.iter().filter_map(|finding| finding.amendment).collect();
    assert_eq!((amendments.len(), findings.findings.len()), (4, 4), "{findings:?}");
    // Before they are made, the file shrinks: counts move on from where they wrongly stood.
    let op = super::super::Mutation::SetAttr { ino: file, set: super::super::SetAttr { size: Some(20), ..Default::default() } };
    let op = super::super::Op { mutation: op, time: 1 };
    let applied = super::super::apply(&fixture.view, &fixture.context, &op).unwrap();
    fixture.view.absorb(&applied.changes);
    for amendment in amendments {
        fixture.view.absorb(&amend(&fixture.view, &amendment).unwrap().changes);
    }
    assert_eq!(check::check_invariants(&fixture.view), Ok(vec![]));
    assert_eq!(fixture.live_bytes(segment), Some(20));
    assert!(matches!(fixture.view.get(&Key::Orphan(orphan)), Ok(Some(Record::Orphan))));
}

#[test]
fn a_wrong_mark_does_not_cost_a_file() {
    let mut fixture = Fixture::new();
    let file = fixture.file("f");
    fixture.view.absorb(&Changes::from([(Key::Orphan(file), Some(Record::Orphan))]));
    assert_eq!(fixture.purge(file).unwrap_err(), Errno::EINVAL);
}
