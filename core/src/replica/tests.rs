#![allow(clippy::unwrap_used)]
//! A replica beside the node that it learns from: the node lags behind, the replica forgets at random, and still every
//! op answers as it does where nothing is missing.

use std::collections::VecDeque;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::SegmentId;
use crate::namespace::{
    self, Checksums, Errno, Extent, Ino, Key, Limits, MemoryView, Mutation, Name, NewNode, Op, Outcome, Position, Record, RenameMode,
    SetAttr, Source, Stop, View, XattrMode,
};

/// A node that has applied a part of what the mount did.
struct Bench {
    truth: MemoryView,
    node: MemoryView,
    on_the_way: VecDeque<(u64, Op)>,
    applied: u64,
    replica: Replica,
    next_seq: u64,
    next_ino: u64,
    context: namespace::Context,
}

impl Bench {
    fn new() -> Self {
        let mut view = MemoryView::default();
        view.absorb(&namespace::format(0, 0, 0o777, 0));
        let limits = Limits { bytes: Some(20_000), inodes: Some(12), exceeded: Errno::EDQUOT };
        Self {
            truth: view.clone(),
            node: view,
            on_the_way: VecDeque::new(),
            applied: 0,
            replica: Replica::new(limits.clone()),
            next_seq: 1,
            next_ino: 16,
            context: namespace::Context { scope: Ino::ROOT, limits },
        }
    }

    fn serve(&self, fetch: &Fetch) -> Records {
        match fetch {
            Fetch::Key(key) => {
                let record = self.node.get(&Key::decode(key).unwrap()).unwrap();
                Records { rows: record.map(|record| (key.clone(), record)).into_iter().collect(), ..Records::default() }
            }
            Fetch::Range { start, prefix, limit, along } => {
                let mut records = Records::of(&self.node, start, prefix, (*limit as usize).min(3)).unwrap();
                for (_, record) in records.rows.clone() {
                    if let Record::Dentry(ino, _) = record {
                        let key = Key::Inode(ino);
                        records.rows.push((key.encode().into(), self.node.get(&key).unwrap().unwrap()));
                    }
                }
                for &ino in along {
                    if let Some(rows) = Records::extents_of(&self.node, ino).unwrap() {
                        records.rows.extend(rows);
                        records.whole.push(ino);
                    }
                }
                records
            }
        }
    }

    /// Runs a question until the replica can answer it.
    fn ask<T>(&mut self, mut question: impl FnMut(&mut Replica) -> Result<T, Stop>) -> Result<T, Errno> {
        for _ in 0..1_000 {
            match question(&mut self.replica) {
                Ok(answer) => return Ok(answer),
                Err(Stop::Refused(errno)) => return Err(errno),
                Err(Stop::Missing(missing)) => {
                    let fetch = self.replica.fetch(&missing);
                    let records = self.serve(&fetch);
                    self.replica.learn(&fetch, records);
                }
            }
        }
        panic!("a question that never ends");
    }

    fn commit(&mut self, mut mutation: Mutation) -> Result<(), TestCaseError> {
        if let Mutation::Create { ino, .. } = &mut mutation {
            // A mount never uses a number twice.
            *ino = Ino(self.next_ino);
            self.next_ino += 1;
        }
        let seq = self.next_seq;
        let op = Op { mutation, time: 1_000 * seq as i64 };
        let here = self.ask(|replica| replica.apply(&op, seq));
        let there = apply_and_purge(&mut self.truth, &self.context, &op);
        prop_assert_eq!(here.clone().map(|outcome| (outcome.attr, outcome.written)), there.map(|outcome| (outcome.attr, outcome.written)));
        if let Ok(outcome) = here {
            self.next_seq += 1;
            for ino in outcome.orphaned {
                prop_assert!(self.replica.purge(ino, seq));
            }
            self.on_the_way.push_back((seq, op));
        }
        Ok(())
    }

    /// The node applies the next few ops.
    fn deliver(&mut self, count: usize) -> Result<(), TestCaseError> {
        for _ in 0..count {
            let Some((seq, op)) = self.on_the_way.pop_front() else { break };
            let result = apply_and_purge(&mut self.node, &self.context, &op);
            prop_assert!(result.is_ok(), "{:?} was accepted here and is refused there: {:?}", op, result);
            self.applied = seq;
        }
        Ok(())
    }

    /// Everything that can be asked is as it is where nothing is missing.
    fn compare(&mut self) -> Result<(), TestCaseError> {
        let truth = self.truth.clone();
        let everything: Vec<Ino> =
            truth.records().filter_map(|(key, _)| if let Key::Inode(ino) = key { Some(ino) } else { None }).collect();
        for ino in everything {
            let attr = self.ask(|replica| namespace::attr(replica, ino));
            prop_assert_eq!(&attr, &namespace::attr(&truth, ino).map_err(errno));
            let names = self.ask(|replica| namespace::xattr_names(replica, ino));
            prop_assert_eq!(names, namespace::xattr_names(&truth, ino).map_err(errno));
            let entries = self.ask(|replica| namespace::read_dir(replica, ino, None, 100));
            prop_assert_eq!(entries, namespace::read_dir(&truth, ino, None, 100).map_err(errno));
            for offset in [0, 700, 2_500] {
                let pieces = self.ask(|replica| replica.pieces(ino, offset, 1_500, 1_000));
                prop_assert_eq!(pieces, namespace::pieces(&truth, ino, offset, 1_500, 1_000).map_err(errno));
            }
        }
        let usage = self.ask(|replica| namespace::usage(replica));
        prop_assert_eq!(usage, namespace::usage(&truth).map_err(errno));
        Ok(())
    }
}

fn errno(stop: Stop) -> Errno {
    match stop {
        Stop::Refused(errno) => errno,
        Stop::Missing(_) => unreachable!("nothing is missing in memory"),
    }
}

fn apply_and_purge(view: &mut MemoryView, context: &namespace::Context, op: &Op) -> Result<Outcome, Errno> {
    let applied = namespace::apply(view, context, op).map_err(errno)?;
    view.absorb(&applied.changes);
    let mut pending = applied.outcome.orphaned.clone();
    while let Some(ino) = pending.pop() {
        let (purged, rest) = namespace::purge(view, ino, 0).map_err(errno)?;
        view.absorb(&purged.changes);
        pending.extend(if rest.is_some() { vec![ino] } else { purged.outcome.orphaned });
    }
    Ok(applied.outcome)
}

fn name(number: u8) -> Name {
    Name::new(format!("n{number}")).unwrap()
}

/// A step of the test.
#[derive(Debug, Clone)]
enum Step {
    Commit(Mutation),
    Deliver(usize),
    Forget(usize),
    Compare,
}

fn any_step() -> impl Strategy<Value = Step> {
    let ino = || prop_oneof![Just(Ino::ROOT), (16u64..30).prop_map(Ino)];
    let at = || (ino(), (0u8..5).prop_map(name));
    let write =
        (ino(), 0u64..3_000, 1usize..2_000, any::<u8>(), any::<bool>()).prop_map(|(ino, offset, len, byte, append)| Mutation::Write {
            ino,
            position: if append { Position::End } else { Position::At(offset) },
            extents: vec![Extent::inline(Bytes::from(vec![byte; len]))],
            kill_privileges: false,
        });
    let node = prop_oneof![2 => Just(NewNode::Directory), 3 => Just(NewNode::File), 1 => Just(NewNode::Symlink(Bytes::from_static(b"to")))];
    let creation = (at(), 16u64..30, node).prop_map(|((parent, name), ino, node)| create(parent, name, Ino(ino), node));
    let mutation = prop_oneof![
        4 => creation,
        1 => (ino(), at()).prop_map(|(ino, (parent, name))| Mutation::Link { ino, parent, name }),
        2 => at().prop_map(|(parent, name)| Mutation::Unlink { parent, name }),
        1 => at().prop_map(|(parent, name)| Mutation::RemoveDir { parent, name }),
        2 => (at(), at(), prop_oneof![Just(RenameMode::Replace), Just(RenameMode::NoReplace), Just(RenameMode::Exchange)])
            .prop_map(|((parent, name), (new_parent, new_name), mode)| Mutation::Rename { parent, name, new_parent, new_name, mode }),
        4 => write,
        1 => (ino(), 0u64..4_000).prop_map(|(ino, size)| Mutation::SetAttr { ino, set: SetAttr { size: Some(size), ..SetAttr::default() } }),
        1 => (ino(), 0u64..3_000, 1u64..2_000).prop_map(|(ino, offset, len)| Mutation::Punch { ino, offset, len, extend: false }),
        1 => (ino(), 0u8..3).prop_map(|(ino, which)| Mutation::SetXattr {
            ino,
            name: Bytes::from(format!("user.{which}")),
            value: Bytes::from_static(b"value"),
            mode: XattrMode::Any,
        }),
        1 => (ino(), 0u8..3).prop_map(|(ino, which)| Mutation::RemoveXattr { ino, name: Bytes::from(format!("user.{which}")) }),
    ];
    prop_oneof![
        10 => mutation.prop_map(Step::Commit),
        3 => (1usize..6).prop_map(Step::Deliver),
        2 => (0usize..4_000).prop_map(Step::Forget),
        2 => Just(Step::Compare),
    ]
}

#[test]
fn the_second_file_of_a_directory_brings_where_the_others_lie() {
    let mut bench = Bench::new();
    let (files, data) = (16..24, Bytes::from_static(b"content"));
    for ino in files.clone() {
        let (name, parent) = (Name::new(format!("f{ino}")).unwrap(), Ino::ROOT);
        bench.commit(Mutation::Create { parent, name, ino: Ino(0), node: NewNode::File, mode: 0, umask: 0, uid: 0, gid: 0 }).unwrap();
        let extents = vec![Extent::inline(data.clone())];
        bench.commit(Mutation::Write { ino: Ino(ino), position: Position::At(0), extents, kill_privileges: false }).unwrap();
    }
    bench.deliver(usize::MAX).unwrap();
    let read_all = |bench: &mut Bench| {
        bench.ask(|replica| namespace::read_dir(replica, Ino::ROOT, None, 100)).unwrap();
        let mut fetches = Vec::new();
        for ino in files.clone().map(Ino) {
            while let Err(Stop::Missing(missing)) = bench.replica.pieces(ino, 0, 100, 10) {
                let fetch = bench.replica.fetch(&missing);
                let records = bench.serve(&fetch);
                bench.replica.learn(&fetch, records);
                fetches.push(fetch);
            }
            let (_, pieces) = bench.replica.pieces(ino, 0, 100, 10).unwrap();
            assert!(matches!(&pieces[0].extent.source, Source::Inline { data: found, .. } if *found == data));
        }
        fetches
    };
    bench.replica = Replica::new(Limits::default());
    let fetches = read_all(&mut bench);
    let along: Vec<usize> = fetches.iter().map(|fetch| if let Fetch::Range { along, .. } = fetch { along.len() } else { 0 }).collect();
    assert_eq!(along, [0, 6], "who reads one file pays for one");
    bench.replica = Replica::of_single_inodes();
    assert_eq!(read_all(&mut bench).len(), 8, "on the others there may be no lease");
}

proptest! {
    #[test]
    fn a_replica_that_knows_little_answers_like_one_that_knows_all(steps in proptest::collection::vec(any_step(), 1..80)) {
        let mut bench = Bench::new();
        for step in steps {
            match step {
                Step::Commit(mutation) => bench.commit(mutation)?,
                Step::Deliver(count) => bench.deliver(count)?,
                Step::Forget(target) => {
                    let applied = bench.applied;
                    bench.replica.evict(target, applied, |_| false);
                }
                Step::Compare => bench.compare()?,
            }
        }
        bench.deliver(1_000)?;
        bench.replica.evict(0, bench.applied, |_| false);
        bench.compare()?;
        prop_assert_eq!(namespace::check::check_invariants(&bench.node).unwrap(), Vec::<String>::new());
    }
}

#[test]
fn what_is_forgotten_is_taken_off_the_account() {
    let mut bench = Bench::new();
    for number in 0..5u8 {
        let create = create(Ino::ROOT, name(number), Ino(16 + u64::from(number)), NewNode::File);
        bench.commit(create).unwrap();
    }
    bench.replica.evict(0, 0, |_| false);
    assert!(bench.replica.attr(Ino(16)).is_some(), "the node has not applied it");
    bench.deliver(5).unwrap();
    bench.replica.evict(0, bench.applied, |ino| ino == Ino(17));
    assert!(bench.replica.attr(Ino(17)).is_some() && bench.replica.attr(Ino(16)).is_none());
    bench.replica.evict(0, bench.applied, |_| false);
    assert_eq!(bench.replica.bytes(), 0);
}

#[test]
fn data_that_became_a_block_is_named_by_all_its_parts() {
    let mut bench = Bench::new();
    bench.commit(create(Ino::ROOT, name(1), Ino(16), NewNode::File)).unwrap();
    let data = Bytes::from(vec![7; 1_000]);
    let write = |offset, data: &Bytes| Mutation::Write {
        ino: Ino(16),
        position: Position::At(offset),
        extents: vec![Extent::inline(data.clone())],
        kill_privileges: false,
    };
    bench.commit(write(0, &data)).unwrap();
    bench.commit(write(400, &Bytes::from_static(b"over"))).unwrap();
    let before = bench.replica.bytes();
    let block =
        Source::Block { segment: SegmentId::from_bits(1), block_offset: 64, block_len: 1_000, checksums: Checksums::of(&data), skip: 0 };
    bench.replica.repoint(Ino(16), 0, &data, &block);
    let (_, pieces) = bench.ask(|replica| replica.pieces(Ino(16), 0, 1_000, 10)).unwrap();
    let skips: Vec<_> = pieces
        .iter()
        .map(|piece| match piece.extent.source {
            Source::Block { skip, .. } => (piece.offset, piece.extent.len, Some(skip)),
            Source::Inline { .. } => (piece.offset, piece.extent.len, None),
        })
        .collect();
    assert_eq!(skips, [(0, 400, Some(0)), (400, 4, None), (404, 596, Some(404))]);
    assert!(bench.replica.bytes() + 900 < before);
}

fn create(parent: Ino, name: Name, ino: Ino, node: NewNode) -> Mutation {
    Mutation::Create { parent, name, ino, node, mode: 0o755, umask: 0, uid: 1, gid: 1 }
}
