use bytes::Bytes;

use super::super::{EXTENT_MAX_BYTES, Errno, Extent, FILE_MAX_BYTES, Ino, Mutation, NewNode, Position, Written};
use super::content::{block, segment_bytes};
use super::fixture::Fixture;

fn inline(text: &'static str) -> Extent {
    Extent::inline(Bytes::from(text))
}

/// A file of ten bytes, inline or in a block, under other bytes than those that are written over it.
fn ten_bytes(in_block: bool) -> (Fixture, Ino, Vec<u8>) {
    let mut fixture = Fixture::new();
    let segment = fixture.segment(1, 100);
    let file = fixture.file("a");
    let extent = if in_block { block(segment, 30, 10) } else { Extent::inline(segment_bytes(segment, 30, 10)) };
    fixture.write(file, Position::At(0), vec![extent]).unwrap();
    (fixture, file, segment_bytes(segment, 30, 10).to_vec())
}

#[test]
fn a_write_leaves_what_it_does_not_cover() {
    type Case = (u64, &'static str, &'static [(u64, u32)]);
    let cases: &[Case] = &[
        (0, "abcdefghij", &[(0, 10)]),
        (4, "xy", &[(0, 4), (4, 2), (6, 4)]),
        (0, "xy", &[(0, 2), (2, 8)]),
        (8, "xy", &[(0, 8), (8, 2)]),
        (9, "xy", &[(0, 9), (9, 2)]),
        (10, "xy", &[(0, 10), (10, 2)]),
        (12, "xy", &[(0, 10), (12, 2)]),
        (0, "abcdefghijkl", &[(0, 12)]),
    ];
    for &(at, text, layout) in cases {
        for in_block in [false, true] {
            let (mut fixture, file, mut expected) = ten_bytes(in_block);
            let outcome = fixture.write(file, Position::At(at), vec![inline(text)]).unwrap();
            let end = at as usize + text.len();
            expected.resize(end.max(10), 0);
            expected[at as usize..end].copy_from_slice(text.as_bytes());
            assert_eq!(fixture.content(file), expected, "{text} at {at}");
            assert_eq!(fixture.layout(file), layout, "{text} at {at}");
            assert_eq!(outcome.written, Some(Written { offset: at, len: text.len() as u64 }));
            assert_eq!(outcome.attr.unwrap(), fixture.attr(file));
        }
    }
}

#[test]
fn a_block_in_the_middle_of_others_is_replaced() {
    let (mut fixture, file, old) = ten_bytes(true);
    let segment = fixture.segment(2, 100);
    fixture.write(file, Position::At(2), vec![block(segment, 7, 3), inline("-"), block(segment, 50, 2)]).unwrap();
    let new = [&segment_bytes(segment, 7, 3)[..], b"-", &segment_bytes(segment, 50, 2)].concat();
    assert_eq!(fixture.content(file), [&old[..2], &new, &old[8..]].concat());
    // A part of a part: the checksum of the whole block must still be found.
    fixture.write_text(file, 3, "x");
    assert_eq!(fixture.content(file), [&old[..2], &new[..1], b"x", &new[2..], &old[8..]].concat());
    assert_eq!(fixture.layout(file), [(0, 2), (2, 1), (3, 1), (4, 1), (5, 1), (6, 2), (8, 2)]);
}

#[test]
fn appends_go_to_the_end_as_it_is_then() {
    let mut fixture = Fixture::new();
    let file = fixture.file("a");
    let append = |fixture: &mut Fixture, text| fixture.write(file, Position::End, vec![inline(text)]).unwrap().written.unwrap();
    assert_eq!(append(&mut fixture, "one"), Written { offset: 0, len: 3 });
    assert_eq!(append(&mut fixture, "two"), Written { offset: 3, len: 3 });
    fixture.truncate(file, 8).unwrap();
    assert_eq!(append(&mut fixture, "!"), Written { offset: 8, len: 1 });
    assert_eq!(fixture.content(file), b"onetwo\0\0!");
}

#[test]
fn what_was_cut_off_does_not_come_back() {
    for in_block in [false, true] {
        let (mut fixture, file, old) = ten_bytes(in_block);
        fixture.truncate(file, 4).unwrap();
        assert_eq!((fixture.layout(file), fixture.attr(file).allocated_bytes), (vec![(0, 4)], 4));
        fixture.truncate(file, 7).unwrap();
        assert_eq!(fixture.content(file), [&old[..4], &[0; 3]].concat());
        fixture.write_text(file, 8, "x");
        assert_eq!(fixture.content(file), [&old[..4], &[0; 4], b"x"].concat(), "a hole reads as zeros");
        assert_eq!(fixture.attr(file).allocated_bytes, 5);
        fixture.truncate(file, 0).unwrap();
        assert_eq!((fixture.layout(file), fixture.attr(file).size), (vec![], 0));
    }
}

#[test]
fn a_punched_range_reads_as_zeros() {
    type Case = (u64, u64, bool, u64, &'static [(u64, u32)]);
    let cases: &[Case] = &[
        (3, 4, false, 10, &[(0, 3), (7, 3)]),
        (0, 4, false, 10, &[(4, 6)]),
        (8, 2, false, 10, &[(0, 8)]),
        (8, 5, false, 10, &[(0, 8)]),
        (8, 5, true, 13, &[(0, 8)]),
        (0, 10, false, 10, &[]),
        (3, 4, true, 10, &[(0, 3), (7, 3)]),
        (20, 4, false, 10, &[(0, 10)]),
        (20, 4, true, 24, &[(0, 10)]),
        (20, 0, true, 20, &[(0, 10)]),
        (5, 0, true, 10, &[(0, 10)]),
        (20, 0, false, 10, &[(0, 10)]),
        (0, FILE_MAX_BYTES, false, 10, &[]),
    ];
    for &(offset, len, extend, size, layout) in cases {
        for in_block in [false, true] {
            let (mut fixture, file, mut expected) = ten_bytes(in_block);
            let attr = fixture.punch(file, offset, len, extend).unwrap().attr.unwrap();
            expected.resize(size as usize, 0);
            let from = (offset as usize).min(expected.len());
            let to = ((offset + len) as usize).min(expected.len());
            expected[from..to].fill(0);
            assert_eq!(fixture.content(file), expected, "{len} at {offset}");
            assert_eq!(fixture.layout(file), layout, "{len} at {offset}");
            assert_eq!((attr.size, attr.mtime), (size, fixture.now));
        }
    }
}

#[test]
fn punching_across_extents_cuts_the_outer_ones() {
    let mut fixture = Fixture::new();
    let segment = fixture.segment(1, 100);
    let file = fixture.file("a");
    fixture.write(file, Position::At(0), vec![inline("abc"), block(segment, 0, 3), inline("def"), block(segment, 3, 3)]).unwrap();
    fixture.punch(file, 2, 8, false).unwrap();
    assert_eq!(fixture.layout(file), [(0, 2), (10, 2)]);
    assert_eq!(fixture.content(file), [b"ab", &[0; 8][..], &segment_bytes(segment, 4, 2)].concat());
}

/// An extent may begin [`EXTENT_MAX_BYTES`] less one before the byte that it covers.
#[test]
fn the_longest_extent_is_found_from_its_last_byte() {
    let mut fixture = Fixture::new();
    let segment = fixture.segment(1, u64::from(EXTENT_MAX_BYTES));
    let file = fixture.file("a");
    let last = u64::from(EXTENT_MAX_BYTES) - 1;
    fixture.write(file, Position::At(5), vec![block(segment, 0, EXTENT_MAX_BYTES)]).unwrap();
    let (_, pieces) = super::super::pieces(&fixture.view, file, 5 + last, 1, 10).unwrap();
    assert_eq!(pieces.iter().map(|piece| piece.offset).collect::<Vec<_>>(), [5]);
    fixture.write_text(file, 5 + last, "z");
    assert_eq!(fixture.layout(file), [(5, EXTENT_MAX_BYTES - 1), (5 + last, 1)]);
}

#[test]
fn the_largest_file_ends_at_its_limit() {
    let mut fixture = Fixture::new();
    let file = fixture.file("a");
    let full = FILE_MAX_BYTES;
    for (at, expected) in [
        (Position::At(full - 4), Ok(full)),
        (Position::At(full - 3), Err(Errno::EFBIG)),
        (Position::At(u64::MAX), Err(Errno::EFBIG)),
        (Position::End, Err(Errno::EFBIG)),
    ] {
        let answer = fixture.write(file, at, vec![inline("last")]).map(|outcome| outcome.attr.unwrap().size);
        assert_eq!(answer, expected, "{at:?}");
    }
    for (offset, len, expected) in [(full, 1, Err(Errno::EFBIG)), (1, u64::MAX, Err(Errno::EFBIG)), (full - 1, 1, Ok(()))] {
        assert_eq!(fixture.punch(file, offset, len, true).map(|_| ()), expected, "{len} at {offset}");
    }
}

#[test]
fn only_files_have_data() {
    let mut fixture = Fixture::new();
    let fifo = fixture.try_create("fifo", NewNode::Fifo, 0o600).unwrap();
    let symlink = fixture.symlink("symlink", "target");
    for (ino, errno) in [(Ino(999), Errno::ENOENT), (Ino::ROOT, Errno::EISDIR), (fifo, Errno::EINVAL), (symlink, Errno::EINVAL)] {
        assert_eq!(fixture.write(ino, Position::At(0), vec![inline("x")]).unwrap_err(), errno);
        assert_eq!(fixture.write(ino, Position::At(0), vec![]).unwrap_err(), errno);
        assert_eq!(fixture.punch(ino, 0, 1, false).unwrap_err(), errno);
    }
}

/// write(2) of nothing does nothing, unlike fallocate(2) without a flag, which is a punch of nothing that extends.
#[test]
fn nothing_past_the_end_does_not_grow_a_file() {
    let mut fixture = Fixture::new();
    let file = fixture.file("a");
    fixture.write_text(file, 0, "abc");
    let before = fixture.view.clone();
    for position in [Position::At(100), Position::End] {
        let write = Mutation::Write { ino: file, position, extents: vec![], kill_privileges: true };
        let outcome = fixture.apply(write).unwrap();
        assert_eq!(outcome.written.unwrap().len, 0);
        assert_eq!(outcome.attr.unwrap(), fixture.attr(file));
    }
    assert_eq!(fixture.view, before);
}
