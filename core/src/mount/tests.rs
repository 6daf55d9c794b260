#![allow(clippy::unwrap_used)]
//! What crosses in the machine of a mount. What all mounts together may show is the simulated linearizability check's.

use std::collections::VecDeque;
use std::num::{NonZeroU64, NonZeroU128};

use super::{Mount, Step, Steps};
use crate::SegmentId;
use crate::leases::{Kind, Lease};
use crate::namespace::{Context, Errno, Ino, Key, MemoryView, Mutation, Name, NewNode, Op, Outcome, View as _};
use crate::protocol::{Answer, COME_AGAIN, ClientFrame, NumberedOp, OpResult, Request, ServerFrame, Traced};
use crate::replica::{Fetch, Records};
use crate::trace::TraceContext;

type Bench = Mount<u32, u32, u32>;

fn bench() -> Bench {
    let mut bench = Bench::new(|| SegmentId::from_bits(1));
    bench.take_leases();
    bench.take_effects();
    bench
}

fn commit(bench: &mut Bench, mutation: Mutation, waiter: u32) {
    bench.run(VecDeque::from([Step::Commit(Op { mutation, time: 1 }, waiter)]).into(), 0);
}

fn file(name: &'static str, ino: u64) -> Mutation {
    let name = Name::new(name).unwrap();
    Mutation::Create { parent: Ino::ROOT, name, ino: Ino(ino), node: NewNode::File, mode: 0o644, umask: 0, uid: 0, gid: 0 }
}

fn truncate(ino: u64) -> Mutation {
    let set = crate::namespace::SetAttr { size: Some(0), ..Default::default() };
    Mutation::SetAttr { ino: Ino(ino), set }
}

fn result(seq: u64, order: u64, result: Result<Outcome, Errno>) -> ServerFrame {
    ServerFrame::Applied(vec![OpResult { seq, order, result }])
}

fn no_locks() -> ClientFrame {
    ClientFrame::ClaimLocks { held: vec![], asked: vec![], waiting: vec![] }
}

/// Answers every question for a lease with none, so that the node decides.
fn deny(bench: &mut Bench) -> Vec<ClientFrame> {
    let mut others = Vec::new();
    loop {
        let frames = bench.take_effects().frames;
        if frames.is_empty() {
            return others;
        }
        for frame in frames {
            match frame {
                ClientFrame::Request { id, request: Request::Learn { .. } } => {
                    let result = Ok(Answer::Learnt { leases: vec![], records: Records::default() });
                    bench.receive(ServerFrame::Reply { id, result }, 0);
                }
                frame => others.push(frame),
            }
        }
    }
}

fn ops(frames: &[ClientFrame]) -> Vec<NumberedOp> {
    let ops = frames.iter().filter_map(|frame| match frame {
        ClientFrame::Commit { ops, .. } | ClientFrame::Decided { ops, .. } => Some(ops.clone()),
        _ => None,
    });
    ops.flatten().collect()
}

/// The refusal that the op comes too early and the leave to come again were both lost with a stream. Over the next one it is
/// refused again from memory, and nobody says when it may come again.
#[test]
fn an_op_that_was_told_to_come_again_over_a_stream_that_broke_comes_again() {
    let mut bench = bench();
    commit(&mut bench, truncate(7), 1);
    assert_eq!(ops(&deny(&mut bench)).len(), 1);
    bench.unlink();
    let first = bench.relink(0, no_locks(), false, 0);
    assert_eq!(ops(&first).iter().map(|op| op.seq).collect::<Vec<_>>(), [1]);
    bench.take_effects();
    bench.receive(result(1, 0, Err(COME_AGAIN)), 0);
    let again = ops(&deny(&mut bench));
    assert_eq!(again.iter().map(|op| (op.seq, &op.op.mutation)).collect::<Vec<_>>(), [(2, &truncate(7))]);
    bench.receive(result(2, 9, Err(COME_AGAIN)), 0);
    assert!(deny(&mut bench).is_empty(), "this one waits to be told");
    bench.receive(ServerFrame::ComeAgain { seq: 2 }, 0);
    assert_eq!(ops(&deny(&mut bench)).len(), 1);
}

/// The node says that an op may come again as soon as it may, and what came of ops when it has worked off all that lay before it.
#[test]
fn an_op_that_is_told_to_come_again_before_it_is_refused_comes_again() {
    let mut bench = bench();
    commit(&mut bench, truncate(7), 1);
    assert_eq!(ops(&deny(&mut bench)).len(), 1);
    bench.receive(ServerFrame::ComeAgain { seq: 1 }, 0);
    assert!(deny(&mut bench).is_empty());
    bench.receive(result(1, 9, Err(COME_AGAIN)), 0);
    assert_eq!(ops(&deny(&mut bench)).iter().map(|op| op.seq).collect::<Vec<_>>(), [2]);
}

/// After a crash of the node it has to come behind what it was decided on, and before what others did once the lease was gone.
#[test]
fn what_is_decided_says_behind_which_lease_and_which_op() {
    let mut bench = bench();
    commit(&mut bench, file("a", 100), 1);
    let mut number = 50;
    let stored = crate::namespace::format(0, 0, 0o777, 0);
    loop {
        let Some(ClientFrame::Request { id, request: Request::Learn { fetch, kind } }) = bench.take_effects().frames.pop() else { break };
        number += 1;
        let leases = vec![Lease { ino: fetch.owner().unwrap(), kind, number }];
        let found = stored.iter().filter(|(key, _)| key.owner() == fetch.owner() && matches!(key, Key::Inode(_)));
        let rows = found.map(|(key, record)| (key.encode().into(), record.clone().unwrap())).collect();
        bench.receive(ServerFrame::Reply { id, result: Ok(Answer::Learnt { leases, records: Records { rows, ..Records::default() } }) }, 0);
    }
    bench.send_decided(0);
    let sent = ops(&bench.take_effects().frames);
    assert!(number > 50 && sent.len() == 1, "{sent:?}");
    assert_eq!(sent[0].order, Some(number));
    bench.receive(result(1, 70, Ok(Outcome::default())), 0);
    commit(&mut bench, truncate(100), 2);
    bench.send_decided(0);
    assert_eq!(ops(&bench.take_effects().frames)[0].order, Some(70));
}

/// What an op on its way changes another mount may have seen by now: whoever asks here is not told what was before.
#[test]
fn what_an_op_on_its_way_may_change_is_not_answered_from_what_is_believed() {
    let mut view = MemoryView::default();
    view.absorb(&crate::namespace::format(0, 0, 0o777, 0));
    for mutation in [file("a", 100), file("b", 101)] {
        let applied = crate::namespace::apply(&view, &Context::default(), &Op { mutation, time: 1 }).unwrap();
        view.absorb(&applied.changes);
    }
    let mut bench = bench();
    let ask = |bench: &mut Bench, request: Request| {
        bench.run(VecDeque::from([Step::Ask(request, 7)]).into(), 0);
        let asked = |frame| if let ClientFrame::Request { request, .. } = frame { Some(request) } else { None };
        teach(bench, &view).into_iter().filter_map(asked).collect::<Vec<_>>()
    };
    let lookup = |name| Request::Lookup { parent: Ino::ROOT, name: Name::new(name).unwrap() };
    let attr = |ino| Request::Attr { ino: Ino(ino) };
    for request in [lookup("a"), lookup("b"), attr(100), attr(101)] {
        ask(&mut bench, request.clone());
        assert_eq!(ask(&mut bench, request), [], "it is believed");
    }
    commit(&mut bench, Mutation::Unlink { parent: Ino::ROOT, name: Name::new("a").unwrap() }, 1);
    assert_eq!(ops(&teach(&mut bench, &view)).len(), 1, "the node decides");
    for request in [lookup("a"), lookup("b"), attr(100)] {
        assert_eq!(ask(&mut bench, request.clone()), [request]);
    }
    assert_eq!(ask(&mut bench, attr(101)), []);
    bench.receive(result(1, 9, Ok(Outcome::default())), 0);
    assert_eq!(ask(&mut bench, lookup("b")), []);
}

/// A question goes ahead of what was decided and waits to be sent. Its answer is older than that, and so is worth nothing once what
/// was decided has been forgotten with a lease that somebody wanted.
#[test]
fn an_answer_that_is_older_than_what_was_decided_here_does_not_take_its_place() {
    let mut view = MemoryView::default();
    view.absorb(&crate::namespace::format(0, 0, 0o777, 0));
    let mut bench = bench();
    let root = Lease { ino: Ino::ROOT, kind: Kind::Write, number: 5 };
    let read_dir = || Request::ReadDir { dir: Ino::ROOT, after: None, limit: 10 };
    let ask = |bench: &mut Bench, request| bench.run(VecDeque::from([Step::Ask(request, 7)]).into(), 0);
    let questions = |bench: &mut Bench| {
        let frames = bench.take_effects().frames;
        let question = |frame| if let ClientFrame::Request { id, request } = frame { Some((id, request)) } else { None };
        frames.into_iter().filter_map(question).collect::<Vec<_>>()
    };
    let learnt = |fetch: &Fetch| Ok(Answer::Learnt { leases: vec![root], records: records(&view, fetch) });
    commit(&mut bench, file("a", 100), 1);
    while let [(id, Request::Learn { fetch, .. })] = &questions(&mut bench)[..] {
        bench.receive(ServerFrame::Reply { id: *id, result: learnt(fetch) }, 0);
    }
    ask(&mut bench, read_dir());
    let asked = questions(&mut bench);
    let [(id, Request::Learn { fetch, .. })] = &asked[..] else { panic!("{asked:?}") };
    bench.receive(ServerFrame::RecallLeases { leases: vec![root], keep_read: false }, 0);
    let effects = bench.take_effects();
    assert!(ops(&effects.frames).len() == 1 && !effects.ends.is_empty(), "it is sent, and the lease ends");
    bench.receive(ServerFrame::Reply { id: *id, result: learnt(fetch) }, 0);
    let effects = bench.take_effects();
    assert!(effects.settled.is_empty(), "{:?}", effects.settled);
    assert!(matches!(&effects.frames[..], [ClientFrame::Request { request: Request::Learn { .. }, .. }]), "{:?}", effects.frames);
}

/// Grants every lease to believe and none to decide. Answers what else is asked, and what is sent.
fn teach(bench: &mut Bench, view: &MemoryView) -> Vec<ClientFrame> {
    let mut others = Vec::new();
    loop {
        let frames = bench.take_effects().frames;
        if frames.is_empty() {
            return others;
        }
        for frame in frames {
            let ClientFrame::Request { id, request } = &frame else {
                others.push(frame);
                continue;
            };
            let answer = match request {
                Request::Learn { fetch, kind: Kind::Read } => {
                    let lease = |ino| Lease { ino, kind: Kind::Read, number: 5 };
                    Answer::Learnt { leases: fetch.owner().map(lease).into_iter().collect(), records: records(view, fetch) }
                }
                Request::Learn { .. } => Answer::Learnt { leases: vec![], records: Records::default() },
                Request::Acquire { .. } => Answer::Leases(vec![]),
                _ => {
                    others.push(frame);
                    continue;
                }
            };
            bench.receive(ServerFrame::Reply { id: *id, result: Ok(answer) }, 0);
        }
    }
}

/// The node was told that a file is open, by a stream; it was closed and opened again before that could be said. The next stream
/// says that it is open, and what it stands for must not be taken back behind that.
#[test]
fn a_file_that_was_closed_and_opened_again_over_a_broken_stream_stays_open() {
    let mut bench = bench();
    bench.receive(ServerFrame::Lease { epoch: 9, bytes: None, inodes: None }, 0);
    let mut view = MemoryView::default();
    view.absorb(&crate::namespace::format(0, 0, 0o777, 0));
    commit(&mut bench, file("a", 100), 1);
    fetch(&mut bench, &view);
    let open = |bench: &mut Bench| bench.run(VecDeque::from([Step::Ask(Request::Open { ino: Ino(100) }, 2)]).into(), 0);
    open(&mut bench);
    bench.unlink();
    let first = bench.relink(0, no_locks(), false, 0);
    assert!(first.contains(&ClientFrame::ResendDone { open: vec![Ino(100)] }), "{first:?}");
    bench.close(Ino(100));
    open(&mut bench);
    bench.unlink();
    let first = bench.relink(0, no_locks(), false, 0);
    assert!(first.contains(&ClientFrame::ResendDone { open: vec![Ino(100)] }), "{first:?}");
    bench.beat(0);
    let frames = bench.take_effects().frames;
    assert!(ops(&frames).len() == 1 && !frames.iter().any(|frame| matches!(frame, ClientFrame::Closed { .. })), "{frames:?}");
}

/// Answers every question for records.
fn fetch(bench: &mut Bench, view: &MemoryView) {
    while let Some(ClientFrame::Request { id, request: Request::Fetch(fetch) }) = bench.take_effects().frames.pop() {
        bench.receive(ServerFrame::Reply { id, result: Ok(Answer::Records(records(view, &fetch))) }, 0);
    }
}

/// What a node finds.
fn records(view: &MemoryView, fetch: &Fetch) -> Records {
    match fetch {
        Fetch::Range { start, prefix, .. } => Records::of(view, start, prefix, 100).unwrap(),
        Fetch::Key(key) => {
            let record = view.get(&Key::decode(key).unwrap()).unwrap();
            Records { rows: record.map(|record| (key.clone(), record)).into_iter().collect(), ..Records::default() }
        }
    }
}

/// It is welcome, but the node may have restarted and served others meanwhile, and then does not take what it claims.
#[test]
fn a_mount_that_had_lapsed_serves_nothing_before_the_node_has_taken_its_claims() {
    let mut bench = bench();
    bench.receive(ServerFrame::Lease { epoch: 9, bytes: None, inodes: None }, 0);
    assert_eq!(bench.whole_lease(), Some(9));
    bench.unlink();
    bench.interrupt(Errno::EIO, 0);
    let first = bench.relink(0, no_locks(), true, 0);
    assert_eq!(first[0], ClientFrame::ClaimLease { epoch: 9 });
    bench.revive(0);
    let frames = bench.take_effects().frames;
    let [ClientFrame::Request { id, request: Request::Acquire { inodes } }] = &frames[..] else { panic!("{frames:?}") };
    assert!(inodes.is_empty());
    commit(&mut bench, truncate(7), 1);
    let effects = bench.take_effects();
    assert!(effects.frames.is_empty() && effects.settled.is_empty());
    bench.receive(ServerFrame::Reply { id: *id, result: Ok(Answer::Leases(vec![])) }, 0);
    assert!(matches!(&bench.take_effects().frames[..], [ClientFrame::Request { request: Request::Fetch(_), .. }]));
}

#[test]
fn the_frames_of_a_traced_call_are_announced_and_no_others() {
    let call = TraceContext { trace: NonZeroU128::MIN, span: NonZeroU64::MIN, sampled: true };
    let mut bench = bench();
    let steps = VecDeque::from([Step::Commit(Op { mutation: truncate(7), time: 1 }, 1)]);
    bench.run(Steps::from(steps).traced(Some(call)), 0);
    let asked = bench.take_effects().frames;
    let [ClientFrame::Traced(of_question), ClientFrame::Request { id, request: Request::Learn { .. } }] = &asked[..] else {
        panic!("{asked:?}");
    };
    assert_eq!(of_question.calls, [(u64::from(*id), call)], "it waits for a lease");
    let result_of_question = Ok(Answer::Learnt { leases: vec![], records: Records::default() });
    bench.receive(ServerFrame::Reply { id: *id, result: result_of_question }, 0);
    let frames = deny(&mut bench);
    let at = frames.iter().position(|frame| matches!(frame, ClientFrame::Commit { .. })).unwrap();
    assert_eq!(frames[at - 1], ClientFrame::Traced(Traced { carrier: None, calls: vec![(1, call)] }));
    bench.receive(result(1, 9, Ok(Outcome::default())), 0);
    commit(&mut bench, truncate(8), 2);
    let frames = deny(&mut bench);
    assert!(ops(&frames).len() == 1 && !frames.iter().any(|frame| matches!(frame, ClientFrame::Traced(_))), "{frames:?}");
}
