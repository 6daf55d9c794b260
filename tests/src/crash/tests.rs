//! Planted violations are caught, and what is allowed is let through.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

/// Runs generators against the reference as if it were a mount, taking turns, so there is a history without a crash.
fn simulated(seed: u64, writers: usize, ops: usize) -> History {
    let mut state = State::prepared(writers);
    let mut generators: Vec<_> = (0..writers).map(|writer| Generator::new(writer, writers, seed)).collect();
    let mut mounts = vec![MountHistory { records: Vec::new(), kept: Kept::Synced }; writers];
    let mut turns = Random::new(seed);
    for step in 0..ops as u64 {
        let writer = turns.below(writers as u64) as usize;
        let op = generators[writer].next_op();
        let outcome = state.apply(writer, &op);
        generators[writer].note(&op, &outcome);
        // Each overlaps with the one before it.
        mounts[writer].records.push(Record { op, start_ns: step * 10, end_ns: Some(step * 10 + 15), outcome });
    }
    History { mounts }
}

/// What is left when these many operations of each mount are, if they may be left in this order.
fn image_after(history: &History, cut: &[usize]) -> Option<Image> {
    let mut state = State::prepared(history.mounts.len());
    let mut all: Vec<(usize, &Record)> = history
        .mounts
        .iter()
        .zip(cut)
        .enumerate()
        .flat_map(|(writer, (mount, cut))| mount.records[..*cut].iter().map(move |record| (writer, record)))
        .collect();
    all.sort_by_key(|(_, record)| record.start_ns);
    all.iter().all(|(writer, record)| state.apply(*writer, &record.op) == record.outcome).then(|| state.image())
}

fn full(history: &History) -> Cut {
    history.mounts.iter().map(|mount| mount.records.len()).collect()
}

fn promised(history: &History, mount: usize) -> usize {
    history.mounts[mount].records.iter().rposition(|record| record.op.is_sync() && record.outcome == Outcome::Done).map_or(0, |at| at + 1)
}

#[test]
fn every_prefix_with_what_was_fsynced_is_accepted_and_a_shorter_one_is_lost() {
    let mut lost = 0;
    for seed in 0..8 {
        let history = simulated(seed, 1, 90);
        let promised = promised(&history, 0);
        for left in 0..=90 {
            let image = image_after(&history, &[left]).unwrap();
            match check(&history, &image) {
                Ok(cut) => assert!(image_after(&history, &cut).unwrap() == image && cut[0] >= promised),
                Err(Fault::Lost { left: longest, promised: said }) => {
                    assert!(left < promised && longest[0] < promised && said == [promised]);
                    lost += 1;
                }
                Err(Fault::NoPrefix) => panic!("seed {seed}: {left} operations are a prefix"),
            }
        }
    }
    assert!(lost > 100, "{lost} prefixes were too short");
}

#[test]
fn prefixes_of_two_mounts_are_accepted() {
    let mut random = Random::new(1);
    let (mut consistent, mut apart) = (0, 0);
    for seed in 0..20 {
        let history = simulated(seed, 2, 60);
        let whole = full(&history);
        assert!(check(&history, &image_after(&history, &whole).unwrap()).is_ok());
        for _ in 0..10 {
            let cut: Cut = whole.iter().map(|&len| random.below(len as u64 + 1) as usize).collect();
            // Whether one could go on alone that far depends on what they saw of each other.
            let Some(image) = image_after(&history, &cut) else {
                apart += 1;
                continue;
            };
            consistent += 1;
            let outcome = check(&history, &image);
            let keeps_all = (0..2).all(|mount| cut[mount] >= promised(&history, mount));
            assert!(outcome.is_ok() || (!keeps_all && matches!(outcome, Err(Fault::Lost { .. }))), "seed {seed}, {cut:?}: {outcome:?}");
        }
    }
    assert!(consistent > 50 && apart > 5, "{consistent} and {apart}");
}

#[test]
fn a_mount_that_lived_keeps_all_that_returned() {
    let mut history = simulated(3, 1, 60);
    history.mounts[0].kept = Kept::Returned;
    // Behind the last operation that changed something.
    let whole = image_after(&history, &[60]).unwrap();
    assert_eq!(check(&history, &whole), Ok(vec![60]));
    let shorter = (0..60).rev().map(|left| image_after(&history, &[left]).unwrap()).find(|image| *image != whole).unwrap();
    assert!(matches!(check(&history, &shorter), Err(Fault::Lost { .. })));
}

/// A history written out: two files, then an fsync of the first, then more.
fn small() -> History {
    let create = |path: &str, handle| Op::Create { path: format!("own-0/{path}"), handle, append: false };
    let write = |handle, offset, seed| Op::Write { handle, offset, data: Payload::new(seed, 100) };
    let ops = vec![
        create("a", 0),
        write(0, 0, 1),
        create("b", 1),
        write(1, 0, 2),
        Op::SyncFile { handle: 0 },
        write(0, 50, 3),
        write(1, 50, 4),
        Op::Rename { from: "own-0/a".into(), to: "own-0/c".into() },
        Op::Link { from: "own-0/b".into(), to: "own-0/d".into() },
    ];
    let record = |(step, op): (u64, Op)| Record { op, start_ns: step * 10, end_ns: Some(step * 10 + 5), outcome: Outcome::Done };
    History { mounts: vec![MountHistory { records: (0..).zip(ops).map(record).collect(), kept: Kept::Synced }] }
}

fn content<'a>(image: &'a mut Image, path: &str) -> &'a mut Vec<u8> {
    match image.nodes.get_mut(path).unwrap() {
        Node::File { content, .. } => content,
        Node::Directory => panic!("{path} is a directory"),
    }
}

#[test]
fn a_lost_byte_that_was_fsynced_is_caught() {
    let history = small();
    let mut image = image_after(&history, &[5]).unwrap();
    assert_eq!(check(&history, &image), Ok(vec![5]));
    content(&mut image, "own-0/b")[99] = 0;
    assert_eq!(check(&history, &image), Err(Fault::NoPrefix));
    // The other file was not fsynced itself, and yet it was written before.
    let before = image_after(&history, &[3]).unwrap();
    assert_eq!(check(&history, &before), Err(Fault::Lost { left: vec![3], promised: vec![5] }));
}

#[test]
fn reordered_operations_are_caught() {
    let history = small();
    let mut reordered = history.clone();
    reordered.mounts[0].records.swap(5, 6);
    let image = image_after(&reordered, &[6]).unwrap();
    assert_eq!(check(&history, &image), Err(Fault::NoPrefix), "the second write is there without the first");
}

#[test]
fn a_hole_in_the_middle_is_caught() {
    let history = small();
    let mut holed = history.clone();
    holed.mounts[0].records.remove(5);
    for left in 6..=8 {
        assert_eq!(check(&history, &image_after(&holed, &[left]).unwrap()), Err(Fault::NoPrefix));
    }
}

#[test]
fn a_mixture_of_two_versions_is_caught() {
    let history = small();
    let newer = image_after(&history, &[6]).unwrap();
    let mut mixed = image_after(&history, &[5]).unwrap();
    let new_half = content(&mut newer.clone(), "own-0/a")[50..100].to_vec();
    content(&mut mixed, "own-0/a")[50..100].copy_from_slice(&new_half);
    assert_eq!(check(&history, &mixed), Err(Fault::NoPrefix), "half of a write");
}

#[test]
fn names_that_were_never_made_and_links_that_are_none_are_caught() {
    let history = small();
    let whole = image_after(&history, &[9]).unwrap();
    let mut both_names = whole.clone();
    let moved = both_names.nodes["own-0/c"].clone();
    both_names.nodes.insert("own-0/a".into(), moved);
    assert_eq!(check(&history, &both_names), Err(Fault::NoPrefix), "a rename left both names");
    let mut split = whole.clone();
    if let Node::File { first_name, .. } = split.nodes.get_mut("own-0/d").unwrap() {
        *first_name = "own-0/d".into();
    }
    assert_eq!(check(&history, &split), Err(Fault::NoPrefix), "the link is another file");
    let mut counted = whole;
    for path in ["own-0/b", "own-0/d"] {
        if let Node::File { links, .. } = counted.nodes.get_mut(path).unwrap() {
            *links = 3;
        }
    }
    assert_eq!(check(&history, &counted), Err(Fault::NoPrefix), "the count of links is wrong");
}

#[test]
fn an_operation_that_did_not_return_may_be_there_or_not() {
    let mut history = small();
    let last = history.mounts[0].records.last_mut().unwrap();
    (last.end_ns, last.outcome) = (None, Outcome::Unknown);
    for left in [8, 9] {
        let mut known = history.clone();
        known.mounts[0].records[8].outcome = Outcome::Done;
        assert_eq!(check(&history, &image_after(&known, &[left]).unwrap()), Ok(vec![left]));
    }
}

/// The second mount saw what the first had written, and wrote for itself: that may not be left without the first's.
#[test]
fn what_another_mount_has_seen_is_not_lost_while_its_answer_is_kept() {
    let create = |path: &str| Op::Create { path: path.into(), handle: 0, append: true };
    let write = |seed| Op::Write { handle: 0, offset: 0, data: Payload::new(seed, 40) };
    let at = |step: u64, op, outcome| Record { op, start_ns: step * 10, end_ns: Some(step * 10 + 5), outcome };
    let done = || Outcome::Done;
    let first = vec![at(0, create("shared/s0"), done()), at(1, write(1), done())];
    let open = Op::Open { path: "shared/s0".into(), handle: 1, append: true };
    let seen = Outcome::Bytes(Payload::new(1, 40).bytes().to_vec());
    let second = vec![at(2, open, done()), at(3, Op::Read { handle: 1 }, seen), at(4, create("own-1/x"), done())];
    let mount = |records| MountHistory { records, kept: Kept::Synced };
    let history = History { mounts: vec![mount(first), mount(second)] };
    for cut in [[2, 3], [2, 2], [2, 0], [1, 0]] {
        let image = image_after(&history, &cut).unwrap();
        assert!(check(&history, &image).is_ok(), "{cut:?}");
    }
    let mut state = State::prepared(2);
    state.apply(0, &history.mounts[0].records[0].op);
    state.apply(1, &history.mounts[1].records[2].op);
    assert_eq!(check(&history, &state.image()), Err(Fault::NoPrefix), "the write that was read is gone, what followed is not");
}

#[test]
fn writers_of_one_seed_choose_the_same() {
    let ops = |seed| simulated(seed, 1, 50).mounts[0].records.clone();
    assert_eq!(ops(5), ops(5));
    assert_ne!(ops(5), ops(6));
}
