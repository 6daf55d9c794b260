//! The checker finds what was planted, accepts what is only odd, and agrees with trying out every order.

mod brute_force;
mod legal;
mod planted;
mod random;

use super::files::{Answer, Call, FileId, Files, Slot, State, Unit};
use super::{CONFIGURATIONS_MAX, Operation, Verdict, check};

type Op = Operation<Call, Answer>;

const A: Slot = Slot::new(0, 0);
const B: Slot = Slot::new(0, 1);
const FILE: FileId = 10;
const OTHER: FileId = 11;

/// A whole operation: who, from when until when, what, and what came back.
fn op(client: u16, (called_ns, returned_ns): (u64, u64), call: Call, answer: Answer) -> Op {
    Op { client, call, called_ns, answer: Some(answer), returned_ns: Some(returned_ns) }
}

/// An operation of which nothing came back.
fn lost(client: u16, called_ns: u64, returned_ns: Option<u64>, call: Call) -> Op {
    Op { client, call, called_ns, answer: None, returned_ns }
}

fn read(at: u32, len: u32) -> Call {
    Call::Read { file: FILE, at, len }
}

fn write(at: u32, units: &[Unit]) -> Call {
    Call::Write { file: FILE, at, units: units.to_vec() }
}

fn append(unit: Unit) -> Call {
    Call::Append { file: FILE, units: vec![unit] }
}

fn create(slot: Slot) -> Call {
    Call::Create { slot, id: None }
}

fn rename(from: Slot, to: Slot) -> Call {
    Call::Rename { from, to, replace: true }
}

fn units(units: &[Unit]) -> Answer {
    Answer::Units(units.to_vec())
}

/// `A` names [`FILE`], which holds these units.
fn holding(units: &[Unit]) -> State {
    let file = super::files::File { units: std::sync::Arc::new(units.to_vec()), opens: 8, came_from: None };
    State { names: [(A, FILE)].into(), files: [(FILE, file)].into(), ..State::default() }
}

fn decide(before: &State, history: &[Op]) -> Verdict<State, Call, Answer> {
    check(&Files::Direct, std::slice::from_ref(before), history, CONFIGURATIONS_MAX)
}
