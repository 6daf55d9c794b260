#![allow(clippy::unwrap_used)]
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::leases::RECALL_LIMIT_MS;
use super::{Desk, DeskEffect, Effect, Kind, Lease, Leases, Ticket, Wants};
use crate::SessionId;
use crate::namespace::Ino;

const A: SessionId = SessionId::from_bits(1);
const B: SessionId = SessionId::from_bits(2);
const C: SessionId = SessionId::from_bits(3);
const X: Ino = Ino(16);
const Y: Ino = Ino(17);

fn writes(inodes: &[Ino]) -> Wants {
    Wants { writes: inodes.iter().copied().collect(), ..Wants::default() }
}

fn reads(inodes: &[Ino]) -> Wants {
    Wants { reads: inodes.iter().copied().collect(), ..Wants::default() }
}

#[test]
fn many_may_believe_and_one_alone_may_decide() {
    let mut leases = Leases::new(5);
    let first = leases.grant(A, X, Kind::Read, 0).unwrap();
    let second = leases.grant(B, X, Kind::Read, 0).unwrap();
    assert!(first.number >= 5 && second.number > first.number);
    assert_eq!(leases.grant(A, X, Kind::Write, 0), None);
    assert!(leases.is_free(A, &reads(&[X])) && !leases.is_free(A, &writes(&[X])) && leases.is_free(A, &writes(&[Y])));
    leases.give_back(B, &[second], false, 0);
    assert_eq!(leases.grant(A, X, Kind::Write, 0).unwrap().kind, Kind::Write);
    assert_eq!(leases.grant(B, X, Kind::Read, 0), None);
    assert_eq!(leases.grant(A, X, Kind::Read, 0).unwrap().kind, Kind::Write, "asking for less takes nothing away");
}

#[test]
fn a_reader_makes_the_writer_believe_only_and_a_writer_makes_all_others_let_go() {
    let mut leases = Leases::new(1);
    let lease = leases.grant(A, X, Kind::Write, 0).unwrap();
    let (ticket, effects) = leases.wait(B, reads(&[X]), false, 0);
    assert_eq!(effects, [Effect::Recall { session: A, leases: vec![lease], keep_read: true }]);
    assert_eq!(leases.grant(C, X, Kind::Read, 0), None, "somebody waits");
    assert_eq!(leases.give_back(A, &[lease], true, 0), [Effect::Ready(ticket)]);
    assert_eq!(leases.held(A, X), Some(Kind::Read));
    leases.grant(B, X, Kind::Read, 0).unwrap();
    let (ticket, effects) = leases.wait(B, writes(&[X, Y]), true, 0);
    assert_eq!(effects, [Effect::Recall { session: A, leases: vec![Lease { kind: Kind::Read, ..lease }], keep_read: false }]);
    assert_eq!(leases.give_back(A, &[lease], false, 0), [Effect::Ready(ticket)]);
    assert_eq!(leases.grant(C, Y, Kind::Read, 0), None, "the op comes again and shall find its way free");
    leases.came_about(B, &BTreeSet::from([X]));
    assert!(leases.grant(C, Y, Kind::Read, 0).is_some() && !leases.has_waits());
}

#[test]
fn who_claims_a_lease_of_a_life_before_was_away_too_long_once_others_are_served() {
    let mut desk = Desk::<()>::new(5);
    let old = Lease { ino: X, kind: Kind::Read, number: 4 };
    assert_eq!(desk.claim(A, &[old], true, 0), [DeskEffect::Fence(A)]);
    assert_eq!(desk.claim(A, &[old], false, 0), []);
    desk.forget(X, 0);
    assert_eq!(desk.claim(A, &[old], true, 0), [], "it was taken over, and has removed the inode since");
    desk.depart(A, 0);
    assert_eq!(desk.claim(A, &[old], true, 0), [DeskEffect::Fence(A)]);
}

/// Its stream broke before it heard that the node took them for the lease on the whole workspace, or that the inode is gone.
#[test]
fn who_claims_a_lease_that_ended_by_its_own_doing_may_go_on() {
    let mut desk = Desk::<()>::new(5);
    let leases = [X, Y].map(|ino| desk.table.grant(A, ino, Kind::Write, 0).unwrap());
    desk.forget(X, 0);
    assert_eq!(desk.claim(A, &leases, true, 0), []);
    desk.release_all(A, 0);
    assert_eq!(desk.claim(A, &leases, true, 0), []);
    desk.table.grant(B, Ino(18), Kind::Write, 0).unwrap();
    let foreign = Lease { ino: Ino(18), ..leases[0] };
    assert_eq!(desk.claim(A, &[foreign], true, 0), [DeskEffect::Fence(A)], "somebody else has it");
}

#[test]
fn a_lease_that_was_given_anew_does_not_end_with_the_one_before() {
    let mut leases = Leases::new(1);
    let old = leases.grant(A, X, Kind::Write, 0).unwrap();
    let new = leases.grant(A, X, Kind::Write, 0).unwrap();
    leases.give_back(A, &[old], false, 0);
    assert_eq!(leases.held(A, X), Some(Kind::Write));
    leases.give_back(A, &[new], false, 0);
    assert!(leases.is_empty() && !leases.holds_any(A));
}

#[test]
fn who_is_silent_is_fenced_only_if_somebody_waits() {
    let mut leases = Leases::new(1);
    leases.grant(A, X, Kind::Write, 0).unwrap();
    assert_eq!(leases.lapse(A), []);
    leases.hear(A);
    leases.wait(B, reads(&[X]), false, 0);
    assert_eq!(leases.expire(RECALL_LIMIT_MS - 1), []);
    assert_eq!(leases.expire(RECALL_LIMIT_MS), [Effect::Fence(A)]);
    assert_eq!(leases.lapse(A), [Effect::Fence(A)]);
    let (ticket, effects) = leases.wait(C, writes(&[X]), false, 0);
    assert_eq!(effects, [Effect::Fence(A)]);
    assert!(leases.depart(A, 0).contains(&Effect::Ready(ticket)));
}

#[test]
fn after_a_restart_what_is_claimed_is_held_again() {
    let mut leases = Leases::new(100);
    let lease = Lease { ino: X, kind: Kind::Write, number: 7 };
    assert_eq!(leases.claim(A, &[lease], 0), []);
    assert_eq!(leases.claim(B, &[Lease { kind: Kind::Read, ..lease }], 0), [Effect::Fence(B)]);
    let (_, recall) = leases.wait(B, reads(&[X]), false, 0);
    assert_eq!(recall.len(), 1);
    assert_eq!(leases.claim(A, &[], 0), [], "it may send ops again that it decided under it");
    let effects = leases.resent(A, 0);
    assert!(matches!(effects[..], [Effect::Ready(_)]) && leases.is_empty(), "what is not claimed is given back");
}

#[test]
fn a_hot_inode_is_leased_to_nobody_for_a_while() {
    let mut leases = Leases::new(1);
    let mut denied = 0;
    for round in 0..20 {
        let (taker, other) = if round % 2 == 0 { (A, B) } else { (B, A) };
        match leases.grant(taker, X, Kind::Write, round) {
            Some(lease) => {
                leases.wait(other, writes(&[X]), false, round);
                leases.give_back(taker, &[lease], false, round);
            }
            None => denied += 1,
        }
    }
    assert!((10..20).contains(&denied), "{denied}");
    assert!(leases.grant(A, X, Kind::Write, 5_000).is_some());
}

/// A world in which messages take their time: the table, and mounts that know what they were told and nothing else.
#[derive(Debug, Default)]
struct World {
    leases: Leases,
    now_ms: u64,
    /// What each mount takes itself to hold.
    believed: BTreeMap<SessionId, BTreeMap<Ino, Lease>>,
    to_mount: BTreeMap<SessionId, VecDeque<ToMount>>,
    to_node: BTreeMap<SessionId, VecDeque<(Vec<Lease>, bool)>>,
    waiting: BTreeMap<Ticket, SessionId>,
    gone: BTreeSet<SessionId>,
}

#[derive(Debug)]
enum ToMount {
    Granted(Lease),
    Recall(Vec<Lease>, bool),
}

#[derive(Debug, Clone)]
enum Event {
    Want(u8, u8, Kind),
    Op(u8, Vec<u8>, Vec<u8>),
    DeliverToMount(u8),
    DeliverToNode(u8),
    GiveBack(u8, u8),
    Downgrade(u8, u8),
    Reclaim(u8),
    Gone(u8),
    Depart(u8),
    Pass(u16),
}

fn session(index: u8) -> SessionId {
    SessionId::from_bits(u128::from(index) + 1)
}

fn ino(index: u8) -> Ino {
    Ino(16 + u64::from(index))
}

impl World {
    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Recall { session, leases, keep_read } => {
                    self.to_mount.entry(session).or_default().push_back(ToMount::Recall(leases, keep_read));
                }
                Effect::Ready(ticket) => {
                    self.waiting.remove(&ticket);
                }
                Effect::Fence(session) => self.end(session),
            }
        }
    }

    fn end(&mut self, session: SessionId) {
        self.gone.insert(session);
        self.believed.remove(&session);
        self.to_mount.remove(&session);
        self.to_node.remove(&session);
        self.waiting.retain(|_, waiter| *waiter != session);
        let effects = self.leases.depart(session, self.now_ms);
        self.perform(effects);
    }

    fn deliver_to_mount(&mut self, session: SessionId) -> bool {
        let Some(message) = self.to_mount.get_mut(&session).and_then(VecDeque::pop_front) else { return false };
        let believed = self.believed.entry(session).or_default();
        match message {
            ToMount::Granted(lease) => {
                believed.insert(lease.ino, lease);
            }
            ToMount::Recall(leases, keep_read) => {
                for lease in &leases {
                    let Some(held) = believed.get_mut(&lease.ino).filter(|held| held.number <= lease.number) else { continue };
                    if keep_read {
                        held.kind = Kind::Read;
                    } else {
                        believed.remove(&lease.ino);
                    }
                }
                self.to_node.entry(session).or_default().push_back((leases, keep_read));
            }
        }
        true
    }

    fn deliver_to_node(&mut self, session: SessionId) -> bool {
        let Some((leases, keep_read)) = self.to_node.get_mut(&session).and_then(VecDeque::pop_front) else { return false };
        let effects = self.leases.give_back(session, &leases, keep_read, self.now_ms);
        self.perform(effects);
        true
    }

    fn step(&mut self, event: Event) {
        let of = |index: u8| session(index);
        match event {
            Event::Want(by, on, kind) if !self.gone.contains(&of(by)) => {
                let (by, on) = (of(by), ino(on));
                if !self.leases.is_free(by, &Wants::lease(on, kind)) {
                    let (ticket, effects) = self.leases.wait(by, Wants::lease(on, kind), false, self.now_ms);
                    self.waiting.insert(ticket, by);
                    self.perform(effects);
                } else if let Some(lease) = self.leases.grant(by, on, kind, self.now_ms) {
                    self.to_mount.entry(by).or_default().push_back(ToMount::Granted(lease));
                }
            }
            Event::Op(by, reads, writes) if !self.gone.contains(&of(by)) => {
                let wants = Wants { reads: reads.into_iter().map(ino).collect(), writes: writes.into_iter().map(ino).collect() };
                if self.leases.is_free(of(by), &wants) {
                    // It happens now: no other mount may believe what it changes, or decide what it reads.
                    for (other, believed) in self.believed.iter().filter(|(other, _)| **other != of(by)) {
                        for ino in &wants.writes {
                            assert!(!believed.contains_key(ino), "{other:?} believes {ino:?} that is being changed");
                        }
                        for ino in &wants.reads {
                            assert!(believed.get(ino).is_none_or(|lease| lease.kind == Kind::Read), "{other:?} decides on {ino:?}");
                        }
                    }
                    self.leases.came_about(of(by), &wants.writes);
                } else {
                    let (ticket, effects) = self.leases.wait(of(by), wants, true, self.now_ms);
                    self.waiting.insert(ticket, of(by));
                    self.perform(effects);
                }
            }
            Event::DeliverToMount(to) => {
                self.deliver_to_mount(of(to));
            }
            Event::DeliverToNode(from) => {
                self.deliver_to_node(of(from));
            }
            Event::GiveBack(by, on) => {
                if let Some(lease) = self.believed.get_mut(&of(by)).and_then(|believed| believed.remove(&ino(on))) {
                    self.to_node.entry(of(by)).or_default().push_back((vec![lease], false));
                }
            }
            Event::Downgrade(by, on) => {
                if let Some(lease) = self.believed.get_mut(&of(by)).and_then(|believed| believed.get_mut(&ino(on))) {
                    lease.kind = Kind::Read;
                    let lease = *lease;
                    self.to_node.entry(of(by)).or_default().push_back((vec![lease], true));
                }
            }
            Event::Reclaim(by) if !self.gone.contains(&of(by)) => {
                // A new connection: what was on its way is lost.
                self.to_mount.remove(&of(by));
                self.to_node.remove(&of(by));
                let claimed: Vec<_> = self.believed.get(&of(by)).into_iter().flat_map(BTreeMap::values).copied().collect();
                let effects = self.leases.claim(of(by), &claimed, self.now_ms);
                assert!(!effects.contains(&Effect::Fence(of(by))), "it has held all of it all the time");
                self.perform(effects);
                let effects = self.leases.resent(of(by), self.now_ms);
                self.perform(effects);
            }
            Event::Gone(on) => {
                // It has no name and nobody has it open, so nobody comes to what they believe of it.
                self.believed.values_mut().for_each(|believed| believed.retain(|&believed, _| believed != ino(on)));
                let is_of_it = |message: &ToMount| matches!(message, ToMount::Granted(lease) if lease.ino == ino(on));
                self.to_mount.values_mut().for_each(|messages| messages.retain(|message| !is_of_it(message)));
                let effects = self.leases.forget(ino(on), self.now_ms);
                self.perform(effects);
            }
            Event::Depart(by) => self.end(of(by)),
            Event::Pass(ms) => {
                self.now_ms += u64::from(ms);
                let effects = self.leases.expire(self.now_ms);
                assert_eq!(effects, [], "nobody is silent for so long");
            }
            _ => {}
        }
    }

    fn check(&self) {
        for (a, theirs) in &self.believed {
            for (b, others) in self.believed.iter().filter(|(b, _)| *b > a) {
                for (ino, lease) in theirs {
                    let Some(other) = others.get(ino) else { continue };
                    assert!(lease.kind == Kind::Read && other.kind == Kind::Read, "{a:?} {lease:?} beside {b:?} {other:?}");
                }
            }
        }
    }
}

fn event() -> impl Strategy<Value = Event> {
    let (by, on) = (0..3u8, 0..3u8);
    let kind = prop_oneof![Just(Kind::Read), Just(Kind::Write)];
    let some = || proptest::collection::vec(0..3u8, 0..3);
    prop_oneof![
        6 => (by.clone(), on.clone(), kind).prop_map(|(by, on, kind)| Event::Want(by, on, kind)),
        4 => (by.clone(), some(), some()).prop_map(|(by, reads, writes)| Event::Op(by, reads, writes)),
        8 => by.clone().prop_map(Event::DeliverToMount),
        8 => by.clone().prop_map(Event::DeliverToNode),
        2 => (by.clone(), on.clone()).prop_map(|(by, on)| Event::GiveBack(by, on)),
        2 => (by.clone(), on).prop_map(|(by, on)| Event::Downgrade(by, on)),
        1 => by.clone().prop_map(Event::Reclaim),
        1 => (0..3u8).prop_map(Event::Gone),
        1 => (20..60u16).prop_map(Event::Pass),
        1 => by.prop_filter("two stay", |&by| by == 2).prop_map(Event::Depart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever the order in which messages arrive, nobody believes what another decides; and once all have arrived and
    /// holders answer, nobody waits.
    #[test]
    fn nobody_believes_what_another_decides_and_every_wait_ends(events in proptest::collection::vec(event(), 1..200)) {
        let mut world = World { leases: Leases::new(1), ..World::default() };
        for event in events {
            world.step(event);
            world.check();
        }
        let all = [0, 1, 2].map(session);
        while all.iter().any(|&session| world.deliver_to_mount(session) || world.deliver_to_node(session)) {
            world.check();
        }
        prop_assert!(world.waiting.is_empty(), "{:?}", world.waiting);
        world.now_ms += 10_000;
        world.leases.expire(world.now_ms);
        prop_assert!(!world.leases.has_waits());
    }
}
