use bytes::Bytes;

use super::super::{Checksums, EXTENT_MAX_BYTES, Errno, Extent, Position, Source};
use super::content::{block, segment_bytes};
use super::fixture::Fixture;
use crate::SegmentId;

fn inline(text: &'static str) -> Extent {
    Extent::inline(Bytes::from(text))
}

#[test]
fn live_bytes_follow_every_change() {
    let mut fixture = Fixture::new();
    let segment = fixture.segment(1, 1000);
    let (a, b) = (fixture.file("a"), fixture.file("b"));
    let live = |fixture: &Fixture| fixture.live_bytes(segment);
    fixture.write(a, Position::At(0), vec![block(segment, 0, 100), block(segment, 100, 50)]).unwrap();
    assert_eq!(live(&fixture), Some(150));
    fixture.write(b, Position::At(0), vec![block(segment, 0, 100)]).unwrap();
    assert_eq!(live(&fixture), Some(250), "a reflink counts again");
    fixture.write(a, Position::At(40), vec![inline("0123456789")]).unwrap();
    assert_eq!(live(&fixture), Some(240));
    fixture.punch(a, 90, 20, false).unwrap();
    assert_eq!(live(&fixture), Some(220));
    fixture.truncate(a, 120).unwrap();
    assert_eq!(live(&fixture), Some(190));
    fixture.unlink("b").unwrap();
    assert_eq!(live(&fixture), Some(190));
    fixture.purge(b).unwrap();
    assert_eq!(live(&fixture), Some(90));
    fixture.write(a, Position::At(0), vec![block(segment, 500, 120)]).unwrap();
    assert_eq!(live(&fixture), Some(120), "it lost its last old byte and gained new ones at once");
    let content: Vec<u8> = segment_bytes(segment, 500, 120).to_vec();
    assert_eq!(fixture.content(a), content);
}

#[test]
fn a_segment_dies_with_its_last_byte() {
    let mut fixture = Fixture::new();
    let (one, two) = (fixture.segment(1, 100), fixture.segment(2, 100));
    let file = fixture.file("a");
    let fill =
        |fixture: &mut Fixture| fixture.write(file, Position::At(0), vec![block(one, 0, 10), block(two, 0, 10)]).unwrap().dead_segments;
    assert_eq!(fill(&mut fixture), []);
    assert_eq!(fill(&mut fixture), [], "dead in between is not dead");
    assert_eq!(fixture.punch(file, 0, 9, false).unwrap().dead_segments, []);
    assert_eq!(fixture.punch(file, 0, 10, false).unwrap().dead_segments, [one]);
    assert_eq!(fixture.live_bytes(one), None, "its record goes with it");
    assert_eq!(fixture.write(file, Position::At(10), vec![inline("0123456789")]).unwrap().dead_segments, [two]);
    assert_eq!(fixture.write(file, Position::At(0), vec![block(one, 0, 10)]).unwrap_err(), Errno::EINVAL, "a dead one is unknown");
    let (three, four) = (fixture.segment(3, 100), fixture.segment(4, 100));
    fixture.write(file, Position::At(0), vec![block(three, 0, 10), block(four, 0, 10)]).unwrap();
    assert_eq!(fixture.truncate(file, 0).unwrap().size, 0);
    assert_eq!((fixture.live_bytes(three), fixture.live_bytes(four)), (None, None));
}

#[test]
fn extents_lie_in_segments_of_this_workspace() {
    let mut fixture = Fixture::new();
    let segment = fixture.segment(1, 100);
    let file = fixture.file("a");
    fixture.write(file, Position::End, vec![block(segment, 90, 10)]).unwrap();
    let skewed = |len, block_len, skip| Extent {
        len,
        source: Source::Block { segment, block_offset: 0, block_len, checksums: Checksums::of(&[]), skip },
    };
    for (what, extents) in [
        ("an unknown segment", vec![block(SegmentId::from_bits(2), 0, 10)]),
        ("past the segment's end", vec![block(segment, 91, 10)]),
        ("beyond the segment", vec![block(segment, 100, 1)]),
        ("nothing", vec![skewed(0, 10, 0)]),
        ("more than the block", vec![skewed(11, 10, 0)]),
        ("past the block's end", vec![skewed(10, 10, 1)]),
        ("an overflow", vec![skewed(10, 10, u32::MAX)]),
        ("a wrong checksum", vec![Extent { len: 1, source: Source::Inline { data: "x".into(), checksums: Checksums::of(b"y") } }]),
        ("a wrong length", vec![Extent { len: 2, source: Source::Inline { data: "x".into(), checksums: Checksums::of(b"x") } }]),
        ("too long", vec![Extent::inline(Bytes::from(vec![0; EXTENT_MAX_BYTES as usize + 1]))]),
        ("a good one before it", vec![inline("good"), block(segment, 91, 10)]),
        ("a good one behind it", vec![skewed(0, 10, 0), inline("good")]),
    ] {
        let before = fixture.view.clone();
        assert_eq!(fixture.write(file, Position::At(0), extents).unwrap_err(), Errno::EINVAL, "{what}");
        assert_eq!(fixture.view, before, "{what}");
    }
}
