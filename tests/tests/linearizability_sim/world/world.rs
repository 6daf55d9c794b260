use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use anyhow::{Result, bail, ensure};
use artifacts_core::SessionId;
use artifacts_tests::crash::Random;
use artifacts_tests::linearizability::files::State;

use super::event::Event;
use super::life::{Client, Life, Recorded};
use super::tally::Tally;
use super::trace::Trace;
use crate::node::Node;
use crate::tree::{GROUPS, planted};

/// The times of sessions, all shortened alike. Those of leases on inodes are the product's.
pub(super) const LEASE_MS: u64 = 400;
pub(super) const PROOF_MS: u64 = 40;
pub(super) const HEARTBEAT_US: u64 = 8_000;
const NODE_TICK_US: u64 = 4_000;
pub(super) const RECALL_LIMIT_US: u64 = 1_200_000;
/// How many calls a program makes in a segment.
pub(super) const CALLS: usize = 30;
/// When everything has long had to come to rest.
const STUCK_US: u64 = 60_000_000;
/// How many numbers of inodes a session gets.
pub(super) const INODES: u64 = 1 << 24;

/// A fault in the product that has to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Planted {
    Nothing,
    /// Mounts answer without knowing that their session stands.
    RashMounts,
    /// Kernels go on believing what they know of an inode when the lease on it is given back.
    KernelsThatKeepBelieving,
    /// The node grants the right to decide while others believe.
    NodeThatForgetsReaders,
}

/// The node, its mounts, the network between them, and the time.
pub(crate) struct World {
    pub(super) now_us: u64,
    pub(super) count: u64,
    pub(super) queue: BinaryHeap<Reverse<(u64, u64)>>,
    pub(super) events: BTreeMap<u64, Event>,
    pub(super) random: Random,
    pub(super) node: Node,
    pub(super) node_life: u64,
    pub(super) lives: Vec<Life>,
    pub(super) clients: Vec<Client>,
    pub(super) records: Vec<Recorded>,
    pub(super) states: Vec<Vec<State>>,
    /// So much is still to go wrong in this segment.
    pub(super) awaited_faults: usize,
    /// Ops that were answered and came to nothing.
    pub(super) lost: Vec<String>,
    pub(super) tally: Tally,
    pub(super) planted: Planted,
    pub(super) trace: Trace,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self::with(Planted::Nothing, seed)
    }

    /// A world with a fault.
    pub(crate) fn with(fault: Planted, seed: u64) -> Self {
        let mut node = Node::new(planted(), LEASE_MS);
        node.forgets_readers = fault == Planted::NodeThatForgetsReaders;
        let mut world = Self {
            now_us: 1_000_000,
            count: 0,
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            random: Random::new(seed),
            node,
            node_life: 0,
            lives: Vec::new(),
            clients: Vec::new(),
            records: Vec::new(),
            states: (0..GROUPS).map(|_| vec![State::default()]).collect(),
            awaited_faults: 0,
            lost: Vec::new(),
            tally: Tally::default(),
            planted: fault,
            trace: Trace::default(),
        };
        world.after(0, Event::NodeTick);
        world
    }

    /// From so many operations on remembers what happens in a segment.
    pub(crate) fn trace_from(&mut self, ops: u64) {
        self.trace = Trace::from(ops);
    }

    /// What has happened in this segment, as far as that is remembered.
    pub(crate) fn trace(&self) -> &[String] {
        self.trace.lines()
    }

    pub(crate) fn ops(&self) -> u64 {
        self.tally.ops
    }

    pub(super) fn after(&mut self, delay_us: u64, event: Event) {
        self.at(self.now_us + delay_us, event);
    }

    pub(super) fn at(&mut self, at_us: u64, event: Event) {
        self.count += 1;
        self.queue.push(Reverse((at_us, self.count)));
        self.events.insert(self.count, event);
    }

    /// Programs on some mounts, faults or none, rest, and the decision on what was seen.
    pub(crate) fn segment(&mut self) -> Result<()> {
        self.tally.segments += 1;
        if self.random.below(2) == 0 {
            // What was wanted by many cools down, and what nobody uses is given up.
            let until_us = self.now_us + self.random.below(2_500_000);
            self.run_until(|world| world.now_us >= until_us)?;
        }
        let mut lives: Vec<usize> = self.standing().collect();
        let wanted = [1, 1, 2, 2, 3, 4][self.random.below(6) as usize];
        for number in lives.len()..wanted {
            let delay_us = if number == 0 { 0 } else { self.random.below(20_000) };
            lives.push(self.be_born(delay_us));
        }
        for &life in &lives {
            for _ in 0..1 + self.random.below(2) {
                self.add_client(life);
            }
        }
        self.plan_faults(&lives);
        self.run_until(|world| world.clients.iter().all(|client| client.is_over) && world.is_at_rest())?;
        self.judge()?;
        self.trace.clear();
        // Some leave in good order.
        let staying: Vec<usize> = self.standing().collect();
        for life in staying {
            if self.random.below(3) == 0
                && let Some(mount) = &mut self.lives[life].mount
            {
                mount.say_goodbye();
                self.tally.leaves += 1;
                self.pump(life);
                self.run_until(|world| world.lives[life].is_sealed)?;
                self.lives[life].is_dead = true;
                self.lives[life].mount = None;
            }
        }
        Ok(())
    }

    /// Mounts that may serve.
    pub(super) fn standing(&self) -> impl Iterator<Item = usize> {
        (0..self.lives.len()).rev().take(64).filter(|&life| !self.lives[life].is_dead && !self.lives[life].is_sealed)
    }

    fn run_until(&mut self, done: impl Fn(&Self) -> bool) -> Result<()> {
        let give_up_us = self.now_us + STUCK_US;
        while !done(self) {
            let Some(Reverse((at_us, number))) = self.queue.pop() else { bail!("nothing happens any more") };
            self.now_us = self.now_us.max(at_us);
            ensure!(self.now_us < give_up_us, "it does not come to rest: {}", self.describe());
            let Some(event) = self.events.remove(&number) else { continue };
            match self.frozen(&event) {
                // With the number that it has: what a stream carries stays in order, also through several such times.
                Some(until_us) => {
                    self.queue.push(Reverse((until_us, number)));
                    self.events.insert(number, event);
                }
                None => {
                    self.trace.happens(self.now_us, self.tally.ops, &event);
                    self.handle(event);
                }
            }
        }
        Ok(())
    }

    /// Who has not come to rest, for people.
    fn describe(&self) -> String {
        let clients = self.clients.iter().filter(|client| !client.is_over);
        let clients: Vec<_> = clients.map(|client| format!("a program on mount {}: {:?}", client.life, client.running)).collect();
        let describe = |(number, life): (usize, &Life)| {
            let Life { mount, link, attached, is_dead, is_sealed, .. } = life;
            format!("mount {number}: dead {is_dead}, sealed {is_sealed}, {link:?}, attached {attached:?}: {mount:?}")
        };
        let unsettled = self.lives.iter().enumerate().rev().take(64).filter(|(_, life)| !life.is_at_rest());
        let lives: Vec<_> = unsettled.map(describe).collect();
        format!("{}\n{}\nnode: {}", clients.join("\n"), lives.join("\n"), self.node.describe())
    }

    fn is_at_rest(&self) -> bool {
        self.awaited_faults == 0 && self.node.is_at_rest() && self.lives.iter().rev().take(64).all(Life::is_at_rest)
    }

    fn be_born(&mut self, delay_us: u64) -> usize {
        let life = self.lives.len();
        self.tally.lives += 1;
        self.lives.push(Life::new(SessionId::from_bits(life as u128 + 1)));
        self.after(delay_us, Event::Hello { life, connection: 0 });
        life
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Act(client) => self.act(client),
            Event::Beat(life) => {
                if let Some(mount) = self.lives[life].mount.as_mut().filter(|mount| mount.standing.fenced().is_none()) {
                    mount.beat(self.now_us);
                    self.after(HEARTBEAT_US, Event::Beat(life));
                    self.pump(life);
                }
            }
            Event::NodeTick => {
                self.node.tick(self.now_us / 1_000);
                self.after(NODE_TICK_US, Event::NodeTick);
                self.pump_node();
            }
            Event::ToNode { life, connection, frame } => {
                if self.lives[life].attached == Some(connection) {
                    self.node.receive(self.lives[life].session, frame, self.now_us / 1_000);
                    self.pump_node();
                }
            }
            Event::ToMount { life, connection, frame } => {
                if self.lives[life].link.connection == connection
                    && let Some(mount) = &mut self.lives[life].mount
                {
                    mount.receive(frame, self.now_us);
                    self.pump(life);
                }
            }
            Event::Hello { life, connection } => self.say_hello(life, connection),
            Event::Attach { life, connection } => self.attach(life, connection),
            Event::Welcomed { life, connection, durable_seq } => self.welcomed(life, connection, durable_seq),
            Event::Refused { life, connection } => {
                if self.lives[life].link.connection == connection
                    && let Some(mount) = &mut self.lives[life].mount
                {
                    mount.fenced(self.now_us);
                    self.pump(life);
                }
            }
            Event::LeaseEnds { life, end } => {
                if let Some(mount) = &mut self.lives[life].mount {
                    mount.end_lease(end);
                    self.pump(life);
                }
            }
            Event::Flushed { node_life, durable } if node_life == self.node_life => {
                self.node.flushed(*durable);
                self.pump_node();
            }
            Event::RecallExpired { node_life, epoch } if node_life == self.node_life => {
                self.node.recall_expired(epoch);
                self.pump_node();
            }
            Event::Flushed { .. } | Event::RecallExpired { .. } => {}
            Event::EndSession(life) => {
                self.node.end(self.lives[life].session);
                self.pump_node();
                // It may have died before its hello came.
                self.lives[life].is_sealed = true;
            }
            Event::Broken { life, connection, for_us } => {
                if self.lives[life].link.connection == connection && !self.lives[life].is_dead {
                    self.break_stream(life, for_us);
                }
            }
            Event::Fault(fault) => self.go_wrong(fault),
        }
    }

    /// Until when the process stands still for which this is.
    fn frozen(&self, event: &Event) -> Option<u64> {
        let life = match event {
            Event::Act(client) => self.clients.get(*client)?.life,
            Event::Beat(life)
            | Event::ToMount { life, .. }
            | Event::Hello { life, .. }
            | Event::Welcomed { life, .. }
            | Event::Refused { life, .. }
            | Event::LeaseEnds { life, .. } => *life,
            _ => return None,
        };
        Some(self.lives[life].frozen_until_us).filter(|&until_us| until_us > self.now_us)
    }
}

/// Sessions are numbered as the lives of mounts are.
pub(super) fn life_of(session: SessionId) -> usize {
    (session.bits() - 1) as usize
}
