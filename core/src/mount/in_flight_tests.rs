#![allow(clippy::unwrap_used)]
use crate::namespace::{Extent, Position};
use bytes::Bytes;

use super::*;

type Bench = InFlight<u32, u32, u32>;

fn punch(ino: u64) -> Op {
    Op { mutation: Mutation::Punch { ino: Ino(ino), offset: 0, len: 1, extend: false }, time: 0 }
}

fn write(bytes: usize) -> Op {
    let extents = vec![Extent::inline(Bytes::from(vec![7; bytes]))];
    Op { mutation: Mutation::Write { ino: Ino(9), position: Position::At(0), extents, kill_privileges: false }, time: 0 }
}

fn send(bench: &mut Bench, op: Op, waiter: u32, now_ms: u64) {
    let seq = bench.commit(op, MayChange::Any, waiter, now_ms).unwrap();
    bench.sent(seq, now_ms);
}

fn no_locks() -> ClientFrame {
    ClientFrame::ClaimLocks { held: vec![], asked: vec![], waiting: vec![] }
}

fn result(seq: u64, result: Result<Outcome, Errno>) -> OpResult {
    OpResult { seq, order: seq, result }
}

fn durable_of(settled: &[Settled<u32, u32, u32>]) -> Vec<(u32, Result<(), Errno>)> {
    let durable = |settled: &Settled<u32, u32, u32>| match settled {
        Settled::Durable(waiter, result) => Some((*waiter, *result)),
        _ => None,
    };
    settled.iter().filter_map(durable).collect()
}

#[test]
fn an_fsync_waits_for_what_was_written_before_it_and_nothing_later() {
    let mut bench = Bench::default();
    send(&mut bench, punch(1), 1, 0);
    send(&mut bench, punch(1), 2, 0);
    assert_eq!(bench.wait_durable(bench.last_seq(), 10, 0), Ok(Some(ClientFrame::Flush { seq: 2 })));
    assert_eq!(bench.wait_durable(1, 11, 0), Ok(None), "the flush that is under way covers it");
    send(&mut bench, punch(1), 3, 0);
    let mut settled = Vec::new();
    bench.durable(2, &mut settled);
    assert!(settled.is_empty(), "durable, but the results are not here yet");
    bench.applied(vec![result(1, Ok(Outcome::default())), result(2, Err(Errno::ENOENT))], &mut settled);
    assert_eq!(durable_of(&settled), [(11, Ok(())), (10, Ok(()))]);
    assert_eq!(bench.wait_durable(2, 12, 0), Err((12, Ok(()))));
    assert_eq!(bench.unsaved_size().0, 1);
}

#[test]
fn a_new_stream_begins_with_ops_then_open_files_then_questions() {
    let mut bench = Bench::default();
    bench.ask(Request::Open { ino: Ino(5) }, 1, 0).unwrap();
    bench.ask(Request::Open { ino: Ino(6) }, 2, 0).unwrap();
    send(&mut bench, write(700_000), 3, 0);
    send(&mut bench, write(700_000), 4, 0);
    bench.wait_durable(2, 5, 0).unwrap();
    let mut settled = Vec::new();
    bench.answered(1, Err(Errno::ENOENT), &mut settled);
    bench.applied(vec![result(1, Ok(Outcome::default()))], &mut settled);
    let frames = bench.resume(None, &[], no_locks());
    let seqs = |frame: &ClientFrame| match frame {
        ClientFrame::Commit { acked: 1, ops } => ops.iter().map(|op| (op.seq, op.order)).collect::<Vec<_>>(),
        _ => vec![],
    };
    assert_eq!(frames.iter().map(seqs).collect::<Vec<_>>(), [vec![], vec![(1, Some(1))], vec![(2, None)], vec![], vec![], vec![], vec![]]);
    assert_eq!(frames[3], ClientFrame::ResendDone { open: vec![Ino(5)] });
    assert_eq!(frames[4], ClientFrame::Request { id: 0, request: Request::Open { ino: Ino(5) } });
    assert_eq!(frames[5], ClientFrame::Flush { seq: 2 });
}

/// The stream broke with all of it on its way: the ops decided under the lease, what is open, and the lease itself. The node
/// still takes this mount for the holder, and lets others change the names of what is open once it does not.
#[test]
fn a_lease_whose_return_was_lost_goes_back_behind_what_was_decided_and_what_is_open() {
    let mut bench = Bench::default();
    bench.open.open(Ino(5));
    bench.outbox.push_applied(punch(5));
    bench.sent = 1;
    bench.ask(Request::Usage, 1, 0).unwrap();
    let frames = bench.resume(None, &[], no_locks());
    let place = |wanted: fn(&ClientFrame) -> bool| frames.iter().position(wanted).unwrap();
    let returned = place(|frame| matches!(frame, ClientFrame::ReturnLease));
    assert!(place(|frame| matches!(frame, ClientFrame::Decided { ops, .. } if ops[0].seq == 1)) < returned, "{frames:?}");
    assert!(place(|frame| matches!(frame, ClientFrame::ResendDone { open } if open[..] == [Ino(5)])) < returned, "{frames:?}");
}

#[test]
fn a_lease_that_is_held_is_claimed_first_with_what_is_open_or_still_closing() {
    let mut bench = Bench::default();
    bench.open.open(Ino(5));
    let frames = bench.resume(Some(7), &[Ino(6)], no_locks());
    let open = vec![Ino(5), Ino(6)];
    let claim = [ClientFrame::ClaimLease { epoch: 7 }, ClientFrame::Opened { inodes: open.clone() }];
    assert_eq!(frames, [&claim[..], &[no_locks(), ClientFrame::ResendDone { open }]].concat());
}

#[test]
fn what_the_node_called_durable_leaves_once_its_result_is_known_even_over_a_new_stream() {
    let mut bench = Bench::default();
    let mut settled = Vec::new();
    send(&mut bench, punch(1), 1, 0);
    bench.durable(1, &mut settled);
    assert_eq!(bench.resume(None, &[], no_locks()).len(), 4, "its result was lost with the old stream, so it is sent again");
    bench.applied(vec![result(1, Ok(Outcome::default()))], &mut settled);
    assert_eq!(bench.unsaved_size(), (0, 0));
}

#[test]
fn a_lost_op_is_told_once_to_each_inode_it_touched() {
    let mut bench = Bench::default();
    let mut settled = Vec::new();
    send(&mut bench, punch(7), 1, 0);
    bench.applied(vec![result(1, Ok(Outcome::default()))], &mut settled);
    bench.resume(None, &[], no_locks());
    bench.applied(vec![result(1, Err(Errno::ENOENT))], &mut settled);
    assert_eq!(bench.untold_losses(), [Ino(7)]);
    assert_eq!(bench.take_loss(Ino(7)), Some(Errno::ENOENT));
    assert_eq!(bench.take_loss(Ino(7)), None);
}

#[test]
fn nothing_waits_after_an_interrupt_and_ops_stay_for_the_node() {
    let mut bench = Bench::default();
    send(&mut bench, punch(1), 1, 0);
    bench.ask(Request::Open { ino: Ino(5) }, 2, 0).unwrap();
    bench.wait_durable(1, 3, 0).unwrap();
    assert_eq!(bench.interrupt(Errno::EIO).len(), 3);
    assert_eq!(bench.ask(Request::Usage, 4, 0), Err((4, Errno::EIO)));
    assert!(matches!(bench.commit(punch(1), MayChange::Any, 5, 0), Err((5, Errno::EIO))));
    bench.revive();
    assert_eq!(bench.open.open_inodes(), []);
    let mut settled = Vec::new();
    bench.applied(vec![result(1, Ok(Outcome::default()))], &mut settled);
    bench.durable(1, &mut settled);
    assert!(settled.is_empty(), "nobody waits for it any more");
    assert!(bench.unsaved().is_empty(), "but it took effect");
}

#[test]
fn waits_that_are_too_old_end_alone() {
    let mut bench = Bench::default();
    send(&mut bench, punch(1), 1, 100);
    bench.ask(Request::Usage, 2, 200).unwrap();
    bench.wait_durable(1, 3, 100).unwrap();
    let expired = bench.expire(150);
    assert_eq!(expired.len(), 2);
    assert_eq!(durable_of(&expired), [(3, Err(Errno::EIO))]);
    let mut settled = Vec::new();
    bench.answered(0, Err(Errno::EACCES), &mut settled);
    assert!(matches!(settled[..], [Settled::Answered(2, Err(Errno::EACCES))]));
}

#[test]
fn the_outbox_is_bounded_and_durability_makes_room() {
    let mut bench = Bench::default();
    let mut settled = Vec::new();
    let mut sent = 0;
    while bench.has_room(0) {
        send(&mut bench, write(1 << 20), 0, 0);
        sent += 1;
    }
    assert!((60..=64).contains(&sent), "{sent} ops of 1 MiB");
    bench.applied((1..=sent).map(|seq| result(seq, Ok(Outcome::default()))).collect(), &mut settled);
    assert!(!bench.has_room(0));
    bench.durable(1, &mut settled);
    assert!(bench.has_room(0));
}
