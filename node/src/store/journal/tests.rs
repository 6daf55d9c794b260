//! The parts without a disk, against truncation, damage and what earlier uses left; then the log on a disk.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::record::{Record, encode, encoded_len};
use super::replay::{Damage, replay};
use super::*;
use crate::store::{Batch, KeyRange};

const JOURNAL: u64 = 0x1234_5678_9abc_def0;
const LIMITS: LogLimits = LogLimits { segment_bytes: 4096, total_bytes: 16 << 10 };

fn batch(i: u64) -> Batch {
    let mut batch = Batch::new();
    batch.put(i.to_be_bytes().to_vec(), vec![i as u8; (i * 37 % 90) as usize]);
    batch.delete(vec![i as u8]);
    batch
}

/// Records 1 to `count`, each written when the one before it was durable, and where each begins.
fn journal(count: u64) -> (Vec<u8>, Vec<usize>) {
    let (mut bytes, mut starts) = (Vec::new(), Vec::new());
    for i in 1..=count {
        starts.push(bytes.len());
        encode(JOURNAL, i, i - 1, &batch(i), &mut bytes);
    }
    (bytes, starts)
}

fn batches(segments: &[&[u8]]) -> Result<Vec<Batch>, Damage> {
    replay(JOURNAL, 0, segments).map(|records| records.iter().map(|record| record.batch().unwrap()).collect())
}

fn first(count: u64) -> Vec<Batch> {
    (1..=count).map(batch).collect()
}

#[test]
fn a_record_reads_as_it_was_written() {
    let mut written = batch(7);
    written.put("", "").delete("").put("key", vec![0xff; 70_000]);
    let mut bytes = Vec::new();
    encode(JOURNAL, 5, 3, &written, &mut bytes);
    assert_eq!(bytes.len(), encoded_len(&written));
    let record = Record::read(JOURNAL, &bytes).unwrap();
    assert_eq!((record.sequence, record.synced, record.len()), (5, 3, bytes.len()));
    assert_eq!(record.batch().unwrap(), written);
    assert_eq!(Record::read(JOURNAL + 1, &bytes), None, "of another journal");
}

#[test]
fn entries_beyond_the_limits_make_no_batch() {
    let mut huge = Batch::new();
    huge.put(vec![1; crate::store::MAX_KEY_BYTES + 1], "");
    let mut bytes = Vec::new();
    encode(JOURNAL, 1, 0, &huge, &mut bytes);
    assert_eq!(Record::read(JOURNAL, &bytes).unwrap().batch(), None);
}

#[test]
fn records_in_several_segments_are_found_in_their_order() {
    let (bytes, starts) = journal(30);
    let (one, rest) = bytes.split_at(starts[10]);
    let (two, three) = rest.split_at(starts[20] - starts[10]);
    assert_eq!(batches(&[three, one, two]).unwrap(), first(30));
    assert_eq!(batches(&[three, one]).unwrap_err(), Damage { missing: 11, synced: 29 }, "a segment is missing");
}

#[test]
fn a_gap_among_records_that_were_not_durable_yet_is_the_end() {
    let mut bytes = Vec::new();
    for i in 1..=4 {
        encode(JOURNAL, i, 1.min(i - 1), &batch(i), &mut bytes);
        if i == 3 {
            // Its blocks never reached the disk, those of the next one did.
            let end = bytes.len();
            bytes[end - encoded_len(&batch(3))..].fill(0);
        }
    }
    assert_eq!(batches(&[&bytes]).unwrap(), first(2));
}

#[test]
fn what_an_earlier_use_left_is_no_record_of_this_one() {
    let (mut bytes, starts) = journal(20);
    let mut new = Vec::new();
    encode(JOURNAL, 21, 20, &batch(21), &mut new);
    bytes[..new.len()].copy_from_slice(&new);
    let found = replay(JOURNAL, 20, &[&bytes]).unwrap();
    assert_eq!(found.iter().map(|record| record.sequence).collect::<Vec<_>>(), [21]);
    // Torn over the old ones: nothing of it was acknowledged.
    bytes[starts[0] + 40] ^= 1;
    assert_eq!(replay(JOURNAL, 20, &[&bytes]).unwrap(), []);
    assert_eq!(replay(JOURNAL + 1, 0, &[&bytes]).unwrap(), []);
}

/// A value may hold the bytes of a whole record of its journal only if somebody knows the id. Even then it is not looked
/// into as long as the record around it is whole.
#[test]
fn records_within_values_are_not_seen() {
    let mut inner = Vec::new();
    encode(JOURNAL, 99, 98, &batch(1), &mut inner);
    let mut outer = Batch::new();
    outer.put("key", inner);
    let mut bytes = Vec::new();
    encode(JOURNAL, 1, 0, &outer, &mut bytes);
    assert_eq!(batches(&[&bytes]).unwrap(), [outer]);
}

proptest! {
    #[test]
    fn a_truncated_journal_is_a_prefix(count in 1..40u64, cut in any::<prop::sample::Index>()) {
        let (mut bytes, starts) = journal(count);
        let at = cut.index(bytes.len() + 1);
        bytes.truncate(at);
        let found = batches(&[&bytes]).unwrap();
        prop_assert_eq!(&found, &first(found.len() as u64));
        let whole = starts.iter().skip(1).filter(|&&start| start <= at).count() as u64;
        prop_assert!(found.len() as u64 >= whole);
    }

    #[test]
    fn a_flipped_bit_is_seen(count in 2..40u64, at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let (mut bytes, starts) = journal(count);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let hit = starts.iter().rposition(|&start| start <= at).unwrap() as u64 + 1;
        match batches(&[&bytes]) {
            // In the padding, or in the last record, which looks like a torn write.
            Ok(found) => prop_assert!(found == first(count) || (hit == count && found == first(count - 1))),
            Err(damage) => {
                prop_assert!(hit < count);
                prop_assert_eq!(damage, Damage { missing: hit, synced: count - 1 });
            }
        }
    }

    #[test]
    fn noise_over_the_tail_leaves_a_prefix_or_is_damage(count in 1..30u64, from in any::<prop::sample::Index>(), noise in prop::collection::vec(any::<u8>(), 1..400)) {
        let (mut bytes, _) = journal(count);
        let from = from.index(bytes.len());
        for (byte, noise) in bytes[from..].iter_mut().zip(noise) {
            *byte = noise;
        }
        if let Ok(found) = batches(&[&bytes]) {
            prop_assert_eq!(&found, &first(found.len() as u64));
        }
    }

    #[test]
    fn the_table_covers_what_is_below_it(steps in prop::collection::vec(step(), 0..60), start in 0..12u8, end in 0..12u8, limit in 0..12usize) {
        let mut table = Table::default();
        let (mut below, mut model): (Map, Map) = Default::default();
        let mut frozen = None;
        for step in steps {
            match step {
                Step::Write(entries) => {
                    let mut batch = Batch::new();
                    for (key, value) in entries {
                        match value {
                            Some(value) => batch.put(vec![key], vec![value]),
                            None => batch.delete(vec![key]),
                        };
                        apply(&mut model, key, value);
                    }
                    table.insert(batch);
                }
                Step::Freeze if frozen.is_none() => frozen = Some(table.freeze(1)),
                Step::Freeze => {
                    for (key, value) in frozen.take().unwrap().iter() {
                        apply(&mut below, key[0], value.map(|value| value[0]));
                    }
                    table.thaw();
                }
            }
            for key in 0..12 {
                let seen = table.get(&[key]).unwrap_or_else(|| below.get(&key).map(|value| Bytes::from(vec![*value])));
                prop_assert_eq!(seen.map(|value| value[0]), model.get(&key).copied());
            }
        }
        let range = KeyRange::between(&[start], &[end]);
        let stored = below.iter().filter(|(key, _)| range.contains(&[**key])).map(|(key, value)| Ok((vec![*key].into(), Some(vec![*value].into()))));
        let seen = Merge::new(table.overlay(&range, limit).into_iter(), stored).map(Result::unwrap);
        let seen: Vec<_> = seen.filter_map(|(key, value)| Some((key[0], value?[0]))).take(limit).collect();
        let expected: Vec<_> = model.into_iter().filter(|(key, _)| range.contains(&[*key])).take(limit).collect();
        prop_assert_eq!(seen, expected);
    }
}

type Map = BTreeMap<u8, u8>;

fn apply(map: &mut Map, key: u8, value: Option<u8>) {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
}

#[derive(Debug, Clone)]
enum Step {
    Write(Vec<(u8, Option<u8>)>),
    /// Freezes, or thaws what is frozen.
    Freeze,
}

fn step() -> impl Strategy<Value = Step> {
    let entries = prop::collection::vec((0..12u8, any::<Option<u8>>()), 0..5);
    prop_oneof![3 => entries.prop_map(Step::Write), 1 => Just(Step::Freeze)]
}

#[test]
fn the_table_counts_what_it_holds() {
    let mut table = Table::default();
    table.insert(batch(2));
    let once = table.bytes();
    table.insert(batch(2));
    assert_eq!((table.bytes(), table.active_bytes()), (once, once));
    table.freeze(1);
    table.insert(batch(2));
    assert_eq!((table.bytes(), table.active_bytes()), (2 * once, once));
    table.thaw();
    assert_eq!(table.bytes(), once);
}

fn remains(directory: &std::path::Path) -> Vec<Batch> {
    let remains = Remains::read(directory).unwrap();
    remains.batches().unwrap().map(Result::unwrap).collect()
}

fn append(log: &mut Log, from: u64, to: u64) {
    for i in from..=to {
        assert!(matches!(log.reserve(Log::bytes_of(&batch(i))).unwrap(), Room::Ready));
        log.append([batch(i)].iter()).unwrap();
        log.sync().unwrap();
    }
}

#[test]
fn a_log_holds_what_was_not_freed_and_uses_its_files_again() {
    let directory = tempfile::tempdir().unwrap();
    assert!(remains(&directory.path().join("none")).is_empty());
    let mut log = Log::start(directory.path(), JOURNAL, LIMITS).unwrap();
    append(&mut log, 1, 20);
    assert_eq!(remains(directory.path()), first(20));

    // Forty rounds of what fits once: only freed files make this possible.
    for round in 1..=40 {
        let last = round * 20;
        log.free(last);
        append(&mut log, last + 1, last + 20);
        let found = remains(directory.path());
        let not_freed: Vec<_> = (last + 1..=last + 20).map(batch).collect();
        assert!(found.ends_with(&not_freed), "round {round}");
    }
    log.free(log.last_sequence());
    log.checkpoint().unwrap();
    assert!(remains(directory.path()).is_empty());
    assert!(segment_bytes(directory.path()) <= LIMITS.total_bytes);
}

fn segment_bytes(directory: &std::path::Path) -> u64 {
    let files = std::fs::read_dir(directory).unwrap().map(Result::unwrap);
    let segments = files.filter(|file| file.file_name() != "checkpoint");
    segments.map(|file| file.metadata().unwrap().len()).sum()
}

#[test]
fn a_log_that_is_full_says_so_until_something_is_freed() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = Log::start(directory.path(), JOURNAL, LIMITS).unwrap();
    let mut written = 0;
    while let Room::Ready = log.reserve(1000).unwrap() {
        written += 1;
        let mut large = batch(written);
        large.put("large", vec![1; 800]);
        log.append([large].iter()).unwrap();
    }
    assert!(segment_bytes(directory.path()) <= LIMITS.total_bytes);
    assert!(matches!(log.reserve(1000).unwrap(), Room::Wait));
    log.free(log.last_sequence() / 2);
    assert!(matches!(log.reserve(1000).unwrap(), Room::Ready));
    assert_eq!(remains(directory.path()).len() as u64, written - written / 2, "the checkpoint came first");
}

#[test]
fn a_new_journal_in_the_same_files_begins_empty() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = Log::start(directory.path(), JOURNAL, LIMITS).unwrap();
    append(&mut log, 1, 10);
    drop(log);
    let mut log = Log::start(directory.path(), JOURNAL + 1, LIMITS).unwrap();
    assert!(remains(directory.path()).is_empty());
    append(&mut log, 1, 3);
    assert_eq!(remains(directory.path()), first(3), "the records behind are of the old journal");

    // Whichever place of the checkpoint is damaged, the other knows the id.
    for place in [0, 4096] {
        let path = directory.path().join("checkpoint");
        let whole = std::fs::read(&path).unwrap();
        let mut damaged = whole.clone();
        damaged[place + 20] ^= 1;
        std::fs::write(&path, damaged).unwrap();
        assert_eq!(remains(directory.path()), first(3));
        std::fs::write(&path, whole).unwrap();
    }
}
